"""A run as the checks look at it: the columns that explain, what kind each is, and the target as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pipeline.competition import Classification, Regression
from pipeline.folds import Folds
from pipeline.predictions import Array, Truth
from pipeline.run import IMAGE, PHASE, TWINS, Run

PARSED = 500  # cells that are enough to see whether a column holds numbers or dates
MOSTLY = 0.95  # share of these that must be so
WORDY = 4.0  # words from which on a column is free text
LARGEST = 1e150  # of a number: larger ones have no squares
MOST_CLASSES = 10  # the most frequent ones, of which each is told from the rest


class Kind(StrEnum):
    """What a column holds. EMPTY has no value in train at all."""

    NUMBER = "number"
    DATE = "date"
    CATEGORY = "category"
    TEXT = "text"
    EMPTY = "empty"


@dataclass(frozen=True, eq=False)
class Subject:
    """run: what is audited. seed: of all samples and splits, so that an audit says the same twice."""

    run: Run
    seed: int = 0

    @cached_property
    def train(self) -> pd.DataFrame:
        """The columns that explain: neither id nor target, nor what the pipeline added; in the order of the file."""
        task = self.run.entry.competition.task
        own = {task.id, getattr(task, "target", None), TWINS, IMAGE, PHASE}
        own |= {"width", "height"} if isinstance(self.run.y, Truth) else set()
        kept = [column for column in self.run.data.train.columns if column not in own]
        return self.run.data.train[kept].reset_index(drop=True)

    @cached_property
    def test(self) -> pd.DataFrame:
        """Of these columns those that test has."""
        return self.run.data.test.filter(items=list(self.train.columns)).reset_index(drop=True)

    @property
    def folds(self) -> Folds:
        return self.run.folds

    @property
    def ids(self) -> Array:
        return self.run.ids

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """By column of train."""
        return {str(name): kind_of(self.train[name]) for name in self.train.columns}

    def of_kind(self, *kinds: Kind) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]

    @cached_property
    def shared(self) -> list[str]:
        """Columns that have a value in train and stand in test too."""
        return [name for name, kind in self.kinds.items() if kind != Kind.EMPTY and name in self.test]

    @cached_property
    def goal(self) -> Goal | None:
        """The target as numbers; None of boxes."""
        if isinstance(self.run.y, Truth):
            return None
        task = self.run.entry.competition.task
        return goal_of(self.run.y, self.run.columns if isinstance(task, Classification) else None)

    @property
    def value(self) -> Array | None:
        """(n,) float64, the target itself where it is a number."""
        return self.run.y if isinstance(self.run.entry.competition.task, Regression) else None

    @cached_property
    def clocks(self) -> list[str]:
        """Columns of train that say when a row was made: dates without a gap."""
        return [name for name in self.of_kind(Kind.DATE) if not self.cells(name)[0].isna().any()]

    def cells(self, name: str) -> tuple[pd.Series, pd.Series]:
        """A column of train and of test (NaN where test lacks it), read as its kind: numbers, days since 1970, or texts."""
        if name not in self._cells:
            kind = self.kinds[name]
            test = self.test[name] if name in self.test else pd.Series(np.nan, index=self.test.index, dtype=object)
            self._cells[name] = read(self.train[name], kind), read(test, kind)
        return self._cells[name]

    @cached_property
    def _cells(self) -> dict[str, tuple[pd.Series, pd.Series]]:
        """What was read already."""
        return {}


@dataclass(frozen=True, eq=False)
class Goal:
    """z: (n, k) float64, of a number its standardised rank, of k classes 1 where a row is of that class. names: of the columns.
    classes: whether they are classes."""

    z: Array
    names: tuple[str, ...]
    classes: bool


def goal_of(y: Array, classes: tuple[str, ...] | None) -> Goal:
    """y: (n,) numbers, or the numbers of these classes. Of many classes the most frequent are taken, of two the second."""
    if classes is None:
        ranks = rankdata(y)
        spread = float(ranks.std())
        return Goal(((ranks - ranks.mean()) / (spread or 1.0))[:, None], ("target",), classes=False)
    rows = np.bincount(y, minlength=len(classes))
    chosen = [1] if len(classes) == 2 else np.argsort(-rows, kind="stable")[:MOST_CLASSES].tolist()
    return Goal((y[:, None] == np.array(chosen)).astype(np.float64), tuple(classes[at] for at in chosen), classes=True)


def kind_of(column: pd.Series) -> Kind:
    """By the type, else by the first few hundred values: a column of texts may hold numbers or dates."""
    known = column.dropna()
    if known.empty:
        return Kind.EMPTY
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return Kind.NUMBER if np.isfinite(read(known, Kind.NUMBER)).any() else Kind.EMPTY
    if pd.api.types.is_datetime64_any_dtype(column):
        return Kind.DATE
    few = known.iloc[np.linspace(0, len(known) - 1, min(PARSED, len(known))).astype(np.intp)]
    if read(few, Kind.NUMBER).notna().mean() >= MOSTLY:
        return Kind.NUMBER
    if read(few, Kind.DATE).notna().mean() >= MOSTLY:
        return Kind.DATE
    text = read(few, Kind.TEXT)
    words = text.str.count(r"\s+").mean() + 1
    return Kind.TEXT if words >= WORDY and text.nunique() > len(text) / 2 else Kind.CATEGORY


def read(column: pd.Series, kind: Kind) -> pd.Series:
    """A column's cells as numbers (float64; no number or an infinite one is NaN), as days since 1970 (ISO 8601), or as texts without outer
    blanks, in lower case (NaN where nothing is left)."""
    if kind == Kind.NUMBER:
        cells: Any = column
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            cells = column.astype(object).map(_number)
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), np.nan), index=column.index)
    if kind == Kind.DATE:
        dates = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
        return ((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).astype(np.float64)
    codes, cells = pd.factorize(column.astype(object))
    written = np.array([*(" ".join(str(cell).split()).lower() or None for cell in cells), None], dtype=object)
    return pd.Series(written[codes], index=column.index, dtype=object)


def _number(cell: object) -> object:
    return cell.replace("$", "").replace(",", "").strip() if isinstance(cell, str) else cell


def straddling(folds: Folds, group: Array) -> Array:
    """(n,) bool: rows that some fold validates while it learns from another row of their group. group: (n,) int, -1 is no group."""
    found = np.zeros(len(group), dtype=bool)
    for fold in range(len(folds)):
        judged, learnt = folds.validate(fold), group[folds.fit(fold)]
        judged = judged[group[judged] >= 0]
        found[judged[np.isin(group[judged], learnt)]] = True
    return found
