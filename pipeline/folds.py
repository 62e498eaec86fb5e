"""Fold plans: who validates whom. A plan is made once, hashed, written down, and shared by every model.

`KFold` is plain, stratified, grouped, stratified and grouped, or repeated, by its fields. `TimeBlocks` is forward chaining,
`HoldOut` keeps the last rows as a stand-in for the board, `FoldFile` takes a user's own folds by id.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from pipeline.errors import BadFolds
from pipeline.predictions import Array, as_ids

UNUSED, FIT, VALIDATE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Folds:
    """ids: (n,) text. roles: (n, f) int8, what each row is to each fold: UNUSED, FIT or VALIDATE."""

    ids: Array
    roles: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids))
        object.__setattr__(self, "roles", np.ascontiguousarray(self.roles, dtype=np.int8))
        for what, role in (("validates no row", VALIDATE), ("has no row to fit on", FIT)):
            empty = np.flatnonzero(~(self.roles == role).any(axis=0))
            if len(empty):
                raise BadFolds(f"Fold {empty[0] + 1} of {len(self)} {what}; there are {len(self.ids)} rows. Ask for fewer folds.")

    def __len__(self) -> int:
        return self.roles.shape[1]

    def fit(self, fold: int) -> Array:
        """Positions of the rows that fold's models learn from."""
        return np.flatnonzero(self.roles[:, fold] == FIT)

    def validate(self, fold: int) -> Array:
        """Positions of the rows that fold's models are judged on."""
        return np.flatnonzero(self.roles[:, fold] == VALIDATE)

    @cached_property
    def fold_of(self) -> Array:
        """(n,) int: the first fold that validates each row, -1 where none does."""
        validates = self.roles == VALIDATE
        return np.where(validates.any(axis=1), validates.argmax(axis=1), -1)

    @cached_property
    def hash(self) -> str:
        digest = hashlib.sha256("\n".join(self.ids.tolist()).encode())
        digest.update(repr(self.roles.shape).encode() + self.roles.tobytes())
        return digest.hexdigest()[:16]

    def arrays(self) -> dict[str, Array]:
        return {"ids": self.ids, "roles": self.roles}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Folds:
        return cls(arrays["ids"], arrays["roles"])


@dataclass(frozen=True)
class KFold:
    """k folds of shuffled rows.

    strata: 0 for none; else the folds get equal shares of every class, or, for a number, of every one of this many quantile
    bins. groups: columns whose equal, non-missing values keep rows together in one fold (the same house, a duplicate
    picture); several columns must all be equal. repeats: the whole plan again with another shuffle.
    """

    k: int = 5
    strata: int = 0
    groups: tuple[str, ...] = ()
    repeats: int = 1
    seed: int = 0

    def make(self, ids: Array, train: pd.DataFrame, y: Array) -> Folds:
        if not 2 <= self.k <= len(ids):
            raise BadFolds(f"{self.k} folds cannot be made of {len(ids)} rows; ask for 2 to {len(ids)}.")
        strata, groups = self._strata(y), group_codes(train, self.groups)
        if groups.max() + 1 < self.k:
            raise BadFolds(
                f"{self.k} folds cannot be made of {groups.max() + 1} groups by {', '.join(self.groups)}; ask for fewer."
            )
        dealt = [deal(strata, groups, self.k, self.seed + repeat) for repeat in range(self.repeats)]
        folds = np.concatenate([fold[:, None] == np.arange(self.k) for fold in dealt], axis=1)
        return Folds(ids, np.where(folds, VALIDATE, FIT))

    def _strata(self, y: Array) -> Array:
        if not self.strata:
            return np.zeros(len(y), dtype=np.intp)
        if y.dtype.kind in "iu":
            return np.unique(y, return_inverse=True)[1]
        return np.searchsorted(np.quantile(y, np.arange(1, self.strata) / self.strata), y)


def group_codes(train: pd.DataFrame, columns: Sequence[str]) -> Array:
    """(n,) int group of each row; a row in which any of the columns is missing is a group of its own."""
    own = np.arange(len(train))
    unknown = [c for c in columns if c not in train]
    if unknown:
        raise BadFolds(
            f"Folds are grouped by {unknown[0]!r}, but train has no such column; it has {', '.join(map(str, train.columns[:8]))}..."
        )
    if not columns:
        return own
    known = train[list(columns)].notna().all(axis=1).to_numpy()
    codes = train.groupby(list(columns), sort=True, dropna=False).ngroup().to_numpy()
    return np.unique(np.where(known, codes, own + codes.max() + 1), return_inverse=True)[1]


def deal(strata: Array, groups: Array, k: int, seed: int) -> Array:
    """(n,) fold of each row: groups whole, every stratum spread evenly, fold sizes even.

    Groups of several rows go first, the largest ahead, each to the fold where its strata are scarcest; single rows then
    fill every stratum up to the same level. scikit-learn's StratifiedGroupKFold does the first part for all groups, one by
    one; leaving the single rows for the end is faster by orders and balances better.
    """
    rng = np.random.default_rng(seed)
    fold = np.full(len(strata), -1)
    counts = np.zeros((k, strata.max() + 1), dtype=np.int64)
    size = np.bincount(groups)
    order = rng.permutation(len(strata))
    several = order[size[groups[order]] > 1]
    several = several[np.argsort(groups[several], kind="stable")]
    parts = np.split(several, np.flatnonzero(np.diff(groups[several])) + 1) if len(several) else []
    rng.shuffle(parts)
    for rows in sorted(parts, key=len, reverse=True):
        stratum, number = np.unique(strata[rows], return_counts=True)
        crowding = (counts[:, stratum] * number).sum(axis=1)
        to = np.lexsort((counts.sum(axis=1), crowding))[0]
        fold[rows] = to
        counts[to, stratum] += number
    single = order[size[groups[order]] == 1]
    single = single[np.argsort(strata[single], kind="stable")]
    for rows in np.split(single, np.flatnonzero(np.diff(strata[single])) + 1) if len(single) else []:
        stratum = strata[rows[0]]
        share = _level(counts[:, stratum], counts.sum(axis=1), len(rows))
        fold[rows] = np.repeat(np.arange(k), share)
        counts[:, stratum] += share
    return fold


def _level(have: Array, totals: Array, number: int) -> Array:
    """How many of `number` rows each fold gets so that `have` + share is as even as can be; leftovers to the smallest folds."""
    by = np.argsort(have, kind="stable")
    steps = np.cumsum(have[by]) + number
    full = steps // np.arange(1, len(have) + 1)
    reached = int(np.flatnonzero(full >= have[by])[-1]) + 1
    share = np.zeros(len(have), dtype=np.int64)
    filled = by[:reached]
    share[filled] = full[reached - 1] - have[filled]
    left = number - int(share.sum())
    smallest = filled[np.argsort(totals[filled] + share[filled], kind="stable")]
    share[smallest[:left]] += 1
    return share


@dataclass(frozen=True)
class TimeBlocks:
    """Forward chaining: k blocks in the order of the column `clock`, each validated by models of what came before it.

    gap: how long before a block the fitting stops, in days for dates, else in the clock's own unit. Rows of the first
    block validate nothing. Rows of one moment stay in one block.
    """

    clock: str
    k: int = 5
    gap: float = 0.0

    def make(self, ids: Array, train: pd.DataFrame, y: Array) -> Folds:  # noqa: ARG002 - one signature for all plans
        time = moments(train, self.clock)
        edges = np.unique(np.quantile(time, np.arange(1, self.k + 1) / (self.k + 1), method="higher"))
        if len(edges) < self.k:
            raise BadFolds(f"{self.k} time blocks cannot be made of {len(np.unique(time))} different values of {self.clock!r}.")
        until = np.append(edges[1:], np.inf)
        validates = (time[:, None] >= edges) & (time[:, None] < until)
        fits = time[:, None] < edges - self.gap
        return Folds(ids, np.where(validates, VALIDATE, np.where(fits, FIT, UNUSED)))


@dataclass(frozen=True)
class HoldOut:
    """One fold: the last `share` of the rows by `clock` validates, the rows more than `gap` before it fit."""

    clock: str
    share: float = 0.2
    gap: float = 0.0

    k = 1

    def make(self, ids: Array, train: pd.DataFrame, y: Array) -> Folds:  # noqa: ARG002 - one signature for all plans
        time = moments(train, self.clock)
        edge = np.quantile(time, 1 - self.share, method="higher")
        roles = np.where(time >= edge, VALIDATE, np.where(time < edge - self.gap, FIT, UNUSED))
        return Folds(ids, roles[:, None])


def moments(train: pd.DataFrame, clock: str) -> Array:
    """(n,) float64: a date column in days, a number as it is. Raises BadFolds where one is missing."""
    if clock not in train:
        raise BadFolds(f"The clock {clock!r} is no column of train.")
    time = pd.to_numeric(train[clock], errors="coerce")
    if time.isna().any():
        dates = pd.to_datetime(train[clock], errors="coerce", format="ISO8601")
        time = (dates - pd.Timestamp(0)) / pd.Timedelta(days=1)
    if time.isna().any():
        first = int(np.flatnonzero(time.isna())[0])
        raise BadFolds(
            f"{clock!r} is neither a date nor a number in {int(time.isna().sum())} rows, first {train[clock].iloc[first]!r}."
        )
    return time.to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class FoldFile:
    """A user's own folds: a CSV with the id column and a column `fold` of whole numbers; -1 is a row that only ever fits."""

    path: Path

    @property
    def k(self) -> int:
        return len({fold for _, fold in self._rows()} - {-1})

    def make(self, ids: Array, train: pd.DataFrame, y: Array) -> Folds:  # noqa: ARG002 - one signature for all plans
        rows = self._rows()
        given = dict(rows)
        if len(given) < len(rows):
            seen: set[str] = set()
            twice = next(i for i, _ in rows if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise BadFolds(f"{self.path} has {len(rows) - len(given)} ids twice, first {twice!r}.")
        unknown, lacking = sorted(given.keys() - set(ids.tolist())), [i for i in ids.tolist() if i not in given]
        if unknown:
            raise BadFolds(
                f"{self.path} has {len(unknown)} ids that are not in train, first {unknown[0]!r}. Is it another competition's?"
            )
        if lacking:
            raise BadFolds(
                f"{self.path} lacks {len(lacking)} train ids, first {lacking[0]!r}. Give -1 to rows that only ever fit."
            )
        fold = np.array([given[i] for i in ids.tolist()])
        return Folds(ids, np.where(fold[:, None] == np.unique(fold[fold >= 0]), VALIDATE, FIT))

    def _rows(self) -> list[tuple[str, int]]:
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file, strict=True))
                at = header.index("fold")
                return [(row[1 - at], int(row[at])) for row in rows]
        except (OSError, ValueError, IndexError, csv.Error) as error:
            raise BadFolds(
                f"{self.path} is no fold file: {error}. It needs two columns, the id and `fold`, a whole number."
            ) from error


Plan: TypeAlias = KFold | TimeBlocks | HoldOut | FoldFile


def plan_from(text: str, plan: Plan) -> Plan:
    """What a person asks for instead of the competition's plan: a number of folds, or a fold file. Raises BadFolds."""
    if text.isdigit():
        if isinstance(plan, KFold | TimeBlocks):
            return replace(plan, k=int(text))
        raise BadFolds(f"This competition's plan {plan} has no number of folds to change.")
    if not Path(text).is_file():
        raise BadFolds(f"--folds {text}: neither a number nor a file that is there.")
    return FoldFile(Path(text))
