"""Reading columns: what the cells of a table mean whatever their type, and how features are laid out in a table.

Every transformer of `features` reads through these functions, so that all agree: an absent column is one that is missing in
every row, infinities are missing, and a zip code is the same category as a whole number, a float (its column has a gap) or text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from pipeline.errors import BadContract
from pipeline.predictions import Array

Names: TypeAlias = str | tuple[str, ...]  # one column, or several that form one category together


def numbers(X: pd.DataFrame, name: str) -> pd.Series:
    """(n,) float64 on X's index; NaN where the column is absent or a cell is no finite number. "$1,250" is 1250."""
    if name not in X:
        return pd.Series(np.nan, index=X.index, name=name)
    cells = X[name]
    if not pd.api.types.is_numeric_dtype(cells):
        if pd.api.types.is_datetime64_any_dtype(cells):
            return pd.Series(np.nan, index=X.index, name=name)
        cells = texts(X, name).str.replace(r"[$,\s]", "", regex=True)
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.Series(np.where(np.isfinite(values), values, np.nan), index=X.index, name=name)


def texts(X: pd.DataFrame, name: str) -> pd.Series:
    """(n,) text on X's index without outer blanks; "" where the column is absent or a cell is missing. 98133.0 is "98133"."""
    if name not in X:
        return pd.Series("", index=X.index, name=name, dtype=object)
    codes, cells = pd.factorize(X[name].astype(object))
    written = np.array([*map(_written, cells), ""], dtype=object)
    return pd.Series(written[codes], index=X.index, name=name)


def _written(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def keys(X: pd.DataFrame, names: Names) -> pd.Series:
    """(n,) text naming each row's category on X's index; NaN where any of the columns is missing."""
    parts = [texts(X, name) for name in in_full(names)]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + " | " + part
    known = np.logical_and.reduce([(part != "").to_numpy() for part in parts])
    return joined.where(known)


def in_full(names: Names) -> tuple[str, ...]:
    """One column's name or several, always as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def label(names: Names) -> str:
    """The name of a category in a feature's name: Zip, or Zip+Type."""
    return "+".join(in_full(names))


def present(X: pd.DataFrame, names: Sequence[str] | Mapping[str, object]) -> list[str]:
    """Those of the columns that have a value in some row; the others have nothing to learn from.

    Raises BadContract where a list of columns is one text, whose letters would all be absent columns.
    """
    if isinstance(names, str):
        raise BadContract(f"A list of columns is asked for, not {names!r}. Write ({names!r},).")
    return [name for name in names if name in X and X[name].notna().any()]


def present_keys(X: pd.DataFrame, groups: Sequence[Names]) -> list[Names]:
    """Those of the categories all of whose columns have a value in some row."""
    if isinstance(groups, str):
        raise BadContract(f"A list of columns is asked for, not {groups!r}. Write ({groups!r},).")
    return [names for names in groups if len(present(X, in_full(names))) == len(in_full(names))]


def frame(columns: Mapping[str, Array | pd.Series], index: pd.Index) -> pd.DataFrame:
    """Features by name as a table of float32 on this index; what does not fit into float32 is missing."""
    with np.errstate(over="ignore"):
        cells = {name: np.asarray(values, dtype=np.float64).astype(np.float32) for name, values in columns.items()}
    return pd.DataFrame({name: np.where(np.isinf(v), np.float32(np.nan), v) for name, v in cells.items()}, index=index)


def signed_log(values: Array | pd.Series) -> Array:
    """sign(x) log(1 + |x|): a log that takes zero and negative numbers, so that one scale fits prices, areas and years."""
    values = np.asarray(values, dtype=np.float64)
    return np.sign(values) * np.log1p(np.abs(values))


def centre_and_scale(values: Array) -> tuple[float, float]:
    """Median and robust standard deviation (1.4826 MAD, else IQR / 1.349, else 0) of the finite values; (NaN, 0) of none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), 0.0
    centre = float(np.median(values))
    low, high = np.quantile(values, [0.25, 0.75])
    return centre, float(1.4826 * np.median(np.abs(values - centre)) or (high - low) / 1.349)
