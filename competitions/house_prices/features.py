"""What the models see of a house. Everything that learns, learns inside the fold: this is an unfitted transformer."""

from __future__ import annotations

import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from features.compose import Union
from features.dates import Dates
from features.encodings import Categories, Frequency, GroupMedian, TargetEncoding
from features.neighbours import Comparables
from features.numbers import Clip, ItemCounts, Logs, Numbers, Ratios, Repeats, Unit, UnitRepair
from features.sets import Sets
from features.text import TextPhrases, TextSvd
from features.text_numbers import TextNumbers

ACRE = 43_560.0  # square feet
AREA, LOT, LISTED, TAX, LAST = "Total interior livable area", "Lot", "Listed Price", "Tax assessed value", "Last Sold Price"
SCORES = ("Elementary School Score", "Middle School Score", "High School Score")
DISTANCES = ("Elementary School Distance", "Middle School Distance", "High School Distance")
SCHOOLS = ("Elementary School", "Middle School", "High School")
SETS = (
    "Heating",
    "Cooling",
    "Parking",
    "Flooring",
    "Heating features",
    "Cooling features",
    "Appliances included",
    "Laundry features",
    "Parking features",
)
MONEY = (LISTED, TAX, LAST, "Annual tax amount")
COUNTS = ("Bedrooms", "Bathrooms", "Full bathrooms", "Total spaces", "Garage spaces")
PLACES = ("Zip", "City", "Region")
SAID = "says__Summary__"  # what `TextNumbers` calls a number that it finds in Summary
NEARBY_AREA, NEARBY_LOT, BASEMENT, GRADE = f"{SAID}average #", f"{SAID}lot of #", f"{SAID}basement of #", f"{SAID}grade #"


def features() -> Pipeline:
    """Repairs, then what stands in the text beside the columns, then all features side by side."""
    return make_pipeline(repairs(), Union([FunctionTransformer(), TextNumbers(["Summary"])]), Derived(), sides())


def repairs() -> Pipeline:
    """Gross errors become missing: lots in acres, years like 9999, -15 garages, a list price of 0 or of 400 million."""
    limits = {
        "Year built": (1800.0, 2025.0),
        LOT: (100.0, None),
        AREA: (100.0, None),
        "Bedrooms": (0.0, 30.0),
        "Bathrooms": (0.0, 30.0),
        "Full bathrooms": (0.0, 30.0),
        "Total spaces": (0.0, 50.0),
        "Garage spaces": (0.0, 50.0),
        **dict.fromkeys((LISTED, TAX, LAST), (1000.0, None)),
        "Annual tax amount": (10.0, None),
    }
    return make_pipeline(ItemCounts(["Bedrooms"]), UnitRepair({LOT: Unit(ACRE, below=100.0, above=1e8)}), Clip(limits))


class Derived(FunctionTransformer):
    """Columns that later steps compare and divide: the area above ground, rooms, the year of the last building work."""

    def __init__(self) -> None:
        super().__init__(derive)


def derive(X: pd.DataFrame) -> pd.DataFrame:
    rooms = pd.to_numeric(X["Bedrooms"]).astype(float) + X["Bathrooms"]
    basement = X[BASEMENT].fillna(0.0) if BASEMENT in X else 0.0
    renovated = X[f"{SAID}in #"] if f"{SAID}in #" in X else X["Year built"]
    return X.assign(
        **{
            "Rooms": rooms,
            "Area above ground": (X[AREA] - basement).clip(lower=100.0),
            "Year of last work": X["Year built"].where(renovated.isna() | (renovated < X["Year built"]), renovated),
        }
    )


def sides() -> Union:
    ratios = [
        (LISTED, TAX),
        (LISTED, LAST),
        (TAX, LAST),
        ("Annual tax amount", TAX),
        (LISTED, AREA),
        (TAX, AREA),
        (AREA, LOT),
        (AREA, "Rooms"),
        ("Bathrooms", "Bedrooms"),
        (AREA, NEARBY_AREA),
        (LOT, NEARBY_LOT),
        (NEARBY_AREA, NEARBY_LOT),
        ("Area above ground", LOT),
        (BASEMENT, AREA),
    ]
    return Union(
        [
            Numbers(["Year built", "Year of last work", *COUNTS, "Rooms", *SCORES, *DISTANCES]),
            FunctionTransformer(pd.DataFrame.filter, kw_args={"like": "says__"}),
            Logs([AREA, "Area above ground", LOT, NEARBY_AREA, NEARBY_LOT, BASEMENT, *MONEY]),
            Ratios(ratios),
            Repeats([(LISTED, TAX), (LISTED, LAST), (TAX, LAST)]),
            Dates(["Last Sold On"], pairs=[("Last Sold On", "Listed On")]),
            Sets(SETS),
            TextPhrases(["Summary"]),
            TextSvd(["Summary"], components=8),
            FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["Summary"]}),  # for the models that read text
            Categories(["Type", *PLACES, *SCHOOLS]),
            Frequency(["Zip", "City"]),
            TargetEncoding([*PLACES, *SCHOOLS, ("Zip", "Type")], log=True),
            GroupMedian(PLACES, per=AREA),
            *comparables(),
        ]
    )


def street() -> dict[str, float]:
    """What tells one street of a zip from the next: the size of plots and houses around, their age, how far the schools are."""
    return {
        NEARBY_AREA: 0.23,
        NEARBY_LOT: 0.23,
        LOT: 0.4,
        "Year built": 0.33,
        "Elementary School Distance": 0.3,
        "High School Distance": 0.3,
    }


def comparables() -> list[Comparables]:
    """Sales of the same street, and of like houses nearby. Length scales from King County, by hand."""
    house = {AREA: 0.5, GRADE: 0.6, "Bathrooms": 1.0, LISTED: 0.5, TAX: 1.0}
    return [
        Comparables(street(), ["Zip", "City"], per=AREA, name="street"),
        Comparables({name: 1.4 * scale for name, scale in street().items()} | house, ["Zip", "City"], per=AREA, name="near"),
    ]
