"""What a column holds, read off its cells. The order of the rows changes nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.practice import Category, Date, Number, Text
from pipeline.practice.columns import Kind
from pipeline.predictions import Array
from pipeline.tables import MISSING

FEW = 12  # levels that are written down
SHORT = 40  # characters of such a level
MOSTLY = 0.95  # of the cells: so many make a column one of numbers, or of dates
WORDS, MANY_WORDS = 3, 8  # from so many a cell is a text, if most cells differ, or anyway
CODE = re.compile(r"(?i:(?:^|[_\W])(?:id|code|zip|zipcode|postcode|category|type|class)$)|[a-z](?:Id|ID|Code|Type|Class)$")
DATES = (  # in this order: of 01/02/2014 the month comes first, unless some day is above 12
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y/%m/%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%y",
    "%d-%m-%Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
ISO = DATES[:4]
PACKED_DATE = "%Y%m%d"
LOOK = 50  # cells, before all of them are read
YEARS = (pd.Timestamp("1800-01-01"), pd.Timestamp("2200-01-01"))


def known(cells: pd.Series) -> pd.Series:
    """The cells that say something."""
    return cells[cells.notna() & ~cells.isin(MISSING)]


def numbers(cells: pd.Series) -> Array:
    """(n,) float64 of known cells, NaN where one is no plain number."""
    values = pd.to_numeric(cells.astype(object), errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def amounts(cells: pd.Series) -> Array:
    """The same, but "$1,250" is 1250, as `features.columns.numbers` reads it."""
    return numbers(cells.str.replace(r"[$,\s]", "", regex=True))


def moments(cells: pd.Series, form: str) -> pd.Series:
    """Known cells as dates without a zone, NaT where one is none."""
    return pd.to_datetime(cells.astype(object), format=form, errors="coerce")


def whole(values: Array) -> bool:
    return bool((values == np.round(values)).all())


def is_written(cells: pd.Series) -> bool:
    """Whether a column of numbers has cells that are not plain: then they are read as text."""
    return bool(np.isnan(numbers(known(cells))).any())


def kind_of(name: str, cells: pd.Series) -> Kind | str:
    """What the cells (n,) of text hold; a sentence's end, where they say nothing that could be used."""
    there = known(cells)
    if there.empty:
        return "is empty"
    missing = round(1 - len(there) / len(cells), 2)
    if (there == there.iloc[0]).all() and not missing:
        return "has one value"
    return replace(found, missing=missing) if not isinstance(found := _kind(name, there), str) else found


def _kind(name: str, there: pd.Series) -> Kind | str:
    plain, amount = numbers(there), amounts(there)
    several = there.nunique() < len(there) / 2
    if np.mean(~np.isnan(amount)) >= MOSTLY:
        values = amount[~np.isnan(amount)]
        if not np.isnan(plain).any() and _all_dates(there, PACKED_DATE):
            return _date(there, PACKED_DATE)
        if whole(values) and several and CODE.search(name):
            return _category(there)
        return number_of(values)
    form = date_format(there)
    if form is not None:
        return _date(there, form)
    words = float(there.str.split().str.len().median())
    if words >= MANY_WORDS or (words >= WORDS and not several):
        return Text(round(words))
    if there.nunique() > MOSTLY * len(there):
        return "has another value in every row"
    return _category(there)


def number_of(values: Array) -> Number:
    """Of known numbers (n,)."""
    bounds = np.quantile(values, [0.01, 0.5, 0.99])
    if whole(values):
        low, middle, high = (round(bound) for bound in bounds.tolist())
        return Number(low, middle, high)
    low, middle, high = (float(f"{bound:.4g}") for bound in bounds.tolist())
    return Number(low, middle, high)


def date_format(there: pd.Series) -> str | None:
    """The first format that nearly all known cells have."""
    some = pd.Series(sorted(there.unique()))
    few = some.iloc[np.linspace(0, len(some) - 1, LOOK).astype(np.intp)]
    for form in DATES:
        if moments(few, form).notna().mean() > 0.5 and _all_dates(there, form):
            return form
    return None


def _all_dates(there: pd.Series, form: str) -> bool:
    some = there.drop_duplicates()
    inside = moments(some, form).between(*YEARS).to_numpy()
    if form == PACKED_DATE:
        inside &= some.str.fullmatch(r"\d{8}").to_numpy(dtype=bool)
    return bool(inside.mean() >= MOSTLY)


def _date(there: pd.Series, form: str) -> Date:
    found = moments(there, form)
    found = found[found.between(*YEARS)]
    return Date(f"{found.min():%Y-%m-%d}", f"{found.max():%Y-%m-%d}", format=form)


def _category(there: pd.Series) -> Category:
    levels = sorted(there.unique())
    few = len(levels) <= FEW and max(map(len, levels)) <= SHORT
    return Category(tuple(levels) if few else len(levels))
