"""The competition's files: 41 columns, of which any but the id and the price may be absent or empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.competition import Data
from pipeline.errors import BadData
from pipeline.tables import read_table, read_text, same_ids

ID, TARGET = "Id", "Sold Price"
NUMBERS = (
    "Year built",
    "Lot",
    "Bathrooms",
    "Full bathrooms",
    "Total interior livable area",
    "Total spaces",
    "Garage spaces",
    "Elementary School Score",
    "Elementary School Distance",
    "Middle School Score",
    "Middle School Distance",
    "High School Score",
    "High School Distance",
    "Tax assessed value",
    "Annual tax amount",
    "Listed Price",
    "Last Sold Price",
)
COLUMNS = (
    "Id",
    "Address",
    "Sold Price",
    "Summary",
    "Type",
    "Year built",
    "Heating",
    "Cooling",
    "Parking",
    "Lot",
    "Bedrooms",
    "Bathrooms",
    "Full bathrooms",
    "Total interior livable area",
    "Total spaces",
    "Garage spaces",
    "Region",
    "Elementary School",
    "Elementary School Score",
    "Elementary School Distance",
    "Middle School",
    "Middle School Score",
    "Middle School Distance",
    "High School",
    "High School Score",
    "High School Distance",
    "Flooring",
    "Heating features",
    "Cooling features",
    "Appliances included",
    "Laundry features",
    "Parking features",
    "Tax assessed value",
    "Annual tax amount",
    "Listed On",
    "Listed Price",
    "Last Sold On",
    "Last Sold Price",
    "City",
    "Zip",
    "State",
)


def load(root: Path) -> Data:
    """train.csv, test.csv and sample_submission.csv from `root`.

    Ids, dates, Zip and Bedrooms ("3", or a list of rooms) stay text. Raises BadData with the file and the value at fault.
    """
    train, absent = read_table(root / "train.csv", COLUMNS, {*NUMBERS, TARGET}, required={ID, TARGET})
    test, also_absent = read_table(root / "test.csv", [c for c in COLUMNS if c != TARGET], NUMBERS, required={ID})
    sample = read_text(root / "sample_submission.csv")
    if list(sample.columns) != [ID, TARGET]:
        raise BadData(f"{root / 'sample_submission.csv'} has columns {list(sample.columns)}; it should have {[ID, TARGET]}.")
    same_ids(root / "test.csv", test[ID], root / "sample_submission.csv", sample[ID])
    lacking = sorted({*absent, *also_absent})
    notes = [f"Absent columns, taken as empty: {', '.join(lacking)}."] * bool(lacking)
    for name, table in (("train", train), ("test", test)):
        notes += bad_dates(name, table)
    return Data(train, test, sample, notes=tuple(notes))


def bad_dates(name: str, table: pd.DataFrame) -> list[str]:
    notes = []
    for column in ("Listed On", "Last Sold On"):
        dates = pd.to_datetime(table[column], errors="coerce", format="ISO8601", utc=True)
        wrong = (dates.isna() & table[column].notna()).to_numpy()
        if wrong.any():
            first = table[column].iloc[int(np.flatnonzero(wrong)[0])]
            notes.append(f"{name}: {int(wrong.sum())} dates in {column!r} cannot be read and count as missing, first {first!r}.")
    return notes
