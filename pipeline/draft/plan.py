"""How the rows are folded, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.draft.code import quoted
from pipeline.draft.kinds import known, moments, numbers, whole
from pipeline.practice import Category, Columns, Date, Number
from pipeline.predictions import Array

WHEN = re.compile(r"(?i)(?:^|[_\W])(?:year|month|week|day|date|time|hour|quarter|period|block|num)(?:$|[_\W])")
FEWEST_GROUPS, FEWEST_MOMENTS = 10, 10
TAIL = 0.05  # of the rows, that may lie on the other side of the moment from which test is
BINS = 20  # of a number, for strata
FEW_ROWS = 400  # below, there are no strata of numbers


@dataclass(frozen=True)
class Folding:
    """plan: the expression; room: the name in `pipeline.folds` that it needs. reason: a sentence. clock, group: the columns that it
    goes by."""

    plan: str
    room: str
    reason: str
    clock: str | None = None
    group: str | None = None


def fold(columns: Columns, train: pd.DataFrame, test: pd.DataFrame, classes: bool, group: str | None) -> Folding:
    """group: the column of rows that belong together, where one is known. columns: those that a clock may be among.

    Rows of test that are later than train ask for the future; rows of new groups for strangers; else a random part is like the test.
    """
    clock = clock_of(columns, train, test)
    if clock is not None:
        reason = f"Folds: test is later than train by {clock!r}, so each block is foretold from the rows before it."
        return Folding(f"TimeBlocks({quoted(clock)}, k=4)", "TimeBlocks", reason, clock=clock)
    strata = "strata=1" if classes else f"strata={BINS}" if len(train) >= FEW_ROWS else ""
    spread = "equal shares of every class" if classes else "equal shares of high and low answers" if strata else "rows at random"
    if group is not None:
        reason = f"Folds: {group!r} repeats in train, and test has none of its values; rows that share one stay in one fold, with {spread}."
        return Folding(", ".join(filter(None, ["KFold(k=5", strata, "groups=(GROUP,))"])), "KFold", reason, group=group)
    reason = f"Folds: five, with {spread}; neither a column of dates nor one of groups sets test apart from train."
    return Folding(f"KFold({', '.join(filter(None, ['k=5', strata]))})", "KFold", reason)


def clock_of(columns: Columns, train: pd.DataFrame, test: pd.DataFrame) -> str | None:
    """The column by which test comes after train, every row of train having one; the first in the alphabet, of several."""
    for name in sorted(columns):
        kind = columns[name]
        if isinstance(kind, Date):
            parts = [moments(table[name], kind.format) for table in (train, test)]
            sides = [part.to_numpy(dtype="datetime64[s]").astype(np.float64) for part in parts]
            whole_train = bool(parts[0].notna().all())
            sides = [side[part.notna().to_numpy()] for side, part in zip(sides, parts, strict=True)]
        elif isinstance(kind, Number) and WHEN.search(name):
            sides = [numbers(table[name]) for table in (train, test)]
            whole_train = not np.isnan(sides[0]).any()
            sides = [side[~np.isnan(side)] for side in sides]
        else:
            continue
        if whole_train and len(sides[1]) and _later(*sides):
            return name
    return None


def _later(before: Array, after: Array) -> bool:
    enough = len(np.unique(before)) >= FEWEST_MOMENTS
    return enough and bool(np.quantile(after, TAIL) >= np.quantile(before, 1 - TAIL) and np.median(after) > before.max())


def group_of(train: pd.DataFrame, test: pd.DataFrame, kinds: Mapping[str, object]) -> str | None:
    """The column whose values repeat in train while test has only others: a person, a shop, a day that is not asked for again. Of several
    the one with the fewest values."""
    found: dict[str, int] = {}
    for name, kind in kinds.items():
        coded = isinstance(kind, Category) or (isinstance(kind, Number) and kind.whole and not WHEN.search(name))
        if not coded:
            continue
        mine, theirs = known(train[name]), known(test[name])
        values = mine.nunique()
        if values * 2 > len(mine) or min(values, theirs.nunique()) < FEWEST_GROUPS or set(mine) & set(theirs):
            continue
        if isinstance(kind, Number) and not whole(numbers(mine)):
            continue
        found[name] = values
    return min(sorted(found), key=lambda name: found[name], default=None)
