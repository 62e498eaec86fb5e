"""Fold plans: who validates whom. A plan is made once, hashed, written down, and shared by every model.

`KFold` is plain, stratified, grouped, stratified and grouped, or repeated, by its fields. `TimeBlocks` is forward chaining,
`HoldOut` keeps the last rows as a stand-in for the board, `FoldFile` takes a user's own folds by id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from pipeline.errors import BadData, BadFolds
from pipeline.predictions import Array, Truth, as_ids
from pipeline.tables import read_text

UNUSED, FIT, VALIDATE = 0, 1, 2
EPOCH = pd.Timestamp(0, tz="UTC")


@dataclass(frozen=True, eq=False)
class Folds:
    """ids: (n,) text. roles: (n, f) int8, what each row is to each fold: UNUSED, FIT or VALIDATE."""

    ids: Array
    roles: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids))
        object.__setattr__(self, "roles", np.ascontiguousarray(self.roles, dtype=np.int8))
        if not len(self):
            raise BadFolds(f"A plan without folds: none of the {len(self.ids)} rows is ever validated. Ask for one fold or more.")
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

    def without(self, rows: Array) -> Folds:
        """The same folds, but nobody learns from these rows, a mask (n,); they are validated as before."""
        return Folds(self.ids, np.where(rows[:, None] & (self.roles == FIT), UNUSED, self.roles))

    @property
    def learned(self) -> Array:
        """(n,) bool: the rows that some fold learns from."""
        return (self.roles == FIT).any(axis=1)

    @cached_property
    def ordered(self) -> bool:
        """Whether the folds follow each other in time: there are several, and none learns from what a later one validates."""
        later = np.cumsum((self.roles == VALIDATE)[:, ::-1], axis=1)[:, ::-1] - (self.roles == VALIDATE) > 0
        return len(self) > 1 and not (later & (self.roles == FIT)).any()

    @cached_property
    def fold_of(self) -> Array:
        """(n,) int: the first fold that validates each row, -1 where none does."""
        validates = self.roles == VALIDATE
        return np.where(validates.any(axis=1), validates.argmax(axis=1), -1)

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of every row's id and roles, in this order: the same rows in another order are another plan."""
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
    """k folds of shuffled rows. The rows are dealt by position: the same seed on the same rows in the same order is the same plan.

    strata: 0 for none; else the folds get equal shares of every class, or, for a number, of every one of this many quantile
    bins; for boxes, of the images with each category. groups: columns whose equal, non-missing values keep rows together in one fold (the same house, a duplicate
    picture); several columns must all be equal. repeats: the whole plan again with another shuffle.
    """

    k: int = 5
    strata: int = 0
    groups: tuple[str, ...] = ()
    repeats: int = 1
    seed: int = 0

    def make(self, ids: Array, train: pd.DataFrame, y: Array | Truth) -> Folds:
        if not 2 <= self.k <= len(ids):
            raise BadFolds(f"{self.k} folds cannot be made of {len(ids)} rows; ask for 2 to {len(ids)}.")
        if self.repeats < 1:
            raise BadFolds(f"{self.repeats} repeats make no plan; ask for 1 or more.")
        groups = group_codes(train, self.groups)
        if groups.max() + 1 < self.k:
            raise BadFolds(
                f"{self.k} folds cannot be made of {groups.max() + 1} groups by {', '.join(self.groups)}; ask for fewer."
            )
        seeds = range(self.seed, self.seed + self.repeats)
        if isinstance(y, Truth):
            labels = y.presence if self.strata else np.zeros((len(ids), 0), dtype=bool)
            dealt = [deal_labels(labels, groups, self.k, seed) for seed in seeds]
        else:
            strata = self._strata(y)
            dealt = [deal(strata, groups, self.k, seed) for seed in seeds]
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
    codes = train.groupby(list(columns), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    return np.unique(np.where(known, codes, own + codes.max() + 1), return_inverse=True)[1]


def deal(strata: Array, groups: Array, k: int, seed: int) -> Array:
    """(n,) fold of each row: groups whole, every stratum spread evenly, fold sizes even.

    Groups of several rows go first, the largest ahead, each to the fold where its strata are scarcest; a stratum weighs by the
    inverse square of its size, so that the shares of all strata vary least between folds. Single rows then fill every stratum
    up to the same level. scikit-learn's StratifiedGroupKFold does the first part for all groups, one by one; leaving the
    single rows for the end spares a step for each of them; a test holds the balance against it.
    """
    rng = np.random.default_rng(seed)
    size, frequency = np.bincount(groups), np.bincount(strata)
    kinds = len(frequency)
    counts = np.zeros((k, kinds), dtype=np.int64)
    home = np.zeros(len(size), dtype=np.intp)

    several = rng.permutation(np.flatnonzero(size > 1))
    pair, number = np.unique(groups * kinds + strata, return_counts=True)
    stratum, start = pair % kinds, np.searchsorted(pair // kinds, np.arange(len(size) + 1))
    weight = number / frequency[stratum] ** 2.0
    for group in several[np.argsort(-size[several], kind="stable")].tolist():
        part = slice(start[group], start[group + 1])
        crowding = counts[:, stratum[part]] @ weight[part]
        home[group] = np.lexsort((counts.sum(axis=1), crowding))[0]
        counts[home[group], stratum[part]] += number[part]
    fold = home[groups]

    single = rng.permutation(np.flatnonzero(size[groups] == 1))
    for kind in range(kinds):
        rows = single[strata[single] == kind]
        share = _level(counts[:, kind], counts.sum(axis=1), len(rows))
        fold[rows] = np.repeat(np.arange(k), share)
        counts[:, kind] += share
    return fold


def deal_labels(labels: Array, groups: Array, k: int, seed: int) -> Array:
    """(n,) fold of each row, where a row has any number of labels, labels (n, c): groups whole, every label spread evenly.

    The label that is rarest among what is left goes first, its groups, largest share of it ahead, each to the fold that lacks most of
    that label, then of rows (iterative stratification: Sechidis, Tsoumakas and Vlahavas 2011). So every fold has the
    rarest label, if as many groups as folds have it.
    """
    rng, count = np.random.default_rng(seed), int(groups.max()) + 1
    having = np.zeros((count, labels.shape[1]), dtype=np.int64)
    np.add.at(having, groups, labels)
    size, home = np.bincount(groups, minlength=count), np.full(count, -1)
    lacks, room = np.tile(having.sum(axis=0) / k, (k, 1)), np.full(k, len(groups) / k)

    def place(group: int, need: Array) -> None:
        home[group] = np.lexsort((rng.random(k), -room, -need))[0]
        lacks[home[group]] -= having[group]
        room[home[group]] -= size[group]

    while True:
        left = having[home < 0].sum(axis=0)
        if not left.any():
            break
        label = int(np.argmin(np.where(left, left, len(groups) + 1)))
        waiting = rng.permutation(np.flatnonzero((home < 0) & (having[:, label] > 0)))
        for group in waiting[np.argsort(-having[waiting, label], kind="stable")].tolist():
            place(group, lacks[:, label])
    waiting = rng.permutation(np.flatnonzero(home < 0))
    for group in waiting[np.argsort(-size[waiting], kind="stable")].tolist():
        place(group, room)
    return home[groups]


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

    def make(self, ids: Array, train: pd.DataFrame, y: Array | Truth) -> Folds:  # noqa: ARG002 - one signature for all plans
        time = moments(train, self.clock)
        edges = np.unique(np.quantile(time, np.arange(1, self.k + 1) / (self.k + 1), method="higher"))
        if len(edges) < self.k:
            raise BadFolds(f"{self.k} time blocks cannot be made of {len(np.unique(time))} different values of {self.clock!r}.")
        return chained(ids, time, edges, self.gap)


@dataclass(frozen=True)
class HoldOut:
    """One fold: the last `share` of the rows by `clock` validates, the rows more than `gap` before it fit."""

    clock: str
    share: float = 0.2
    gap: float = 0.0

    k = 1

    def make(self, ids: Array, train: pd.DataFrame, y: Array | Truth) -> Folds:  # noqa: ARG002 - one signature for all plans
        if not 0 < self.share < 1:
            raise BadFolds(f"A share of {self.share} cannot be held out; give one between 0 and 1.")
        time = moments(train, self.clock)
        return chained(ids, time, np.quantile(time, [1 - self.share], method="higher"), self.gap)


def moments(train: pd.DataFrame, clock: str) -> Array:
    """(n,) float64: a date column in days, a number as it is. Raises BadFolds where one is missing or infinite."""
    if clock not in train:
        raise BadFolds(f"The clock {clock!r} is no column of train; it has {', '.join(map(str, train.columns[:8]))}...")
    column = train[clock]
    time = pd.to_numeric(
        column.astype(object), errors="coerce"
    )  # of a column of dates it makes nanoseconds, of date objects none
    if time.isna().any():
        time = (pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True) - EPOCH) / pd.Timedelta(days=1)
    found = time.to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(found)
    if wrong.any():
        first = column.tolist()[wrong.argmax()]
        raise BadFolds(
            f"{clock!r} is neither a date nor a number in {wrong.sum()} rows, first {first!r}. Mend or remove these rows."
        )
    return found


def chained(ids: Array, time: Array, edges: Array, gap: float) -> Folds:
    """A fold for each of `edges` (f,): it validates the rows from its edge to the next, and fits on those before edge - gap."""
    if not gap >= 0:
        raise BadFolds(f"A gap of {gap} would let models learn from what they are to foretell; give 0 or more.")
    validates = (time[:, None] >= edges) & (time[:, None] < np.append(edges[1:], np.inf))
    return Folds(ids, np.where(validates, VALIDATE, np.where(time[:, None] < edges - gap, FIT, UNUSED)))


@dataclass(frozen=True)
class FoldFile:
    """A user's own folds: a CSV of two columns, the id and `fold`, a whole number; -1 is a row that only ever fits.

    The numbers need not start at 0 nor follow each other: the folds are taken in their order.
    """

    path: Path

    @property
    def k(self) -> int:
        return len(set(self._fold_by_id().values()) - {-1})

    def make(self, ids: Array, train: pd.DataFrame, y: Array | Truth) -> Folds:  # noqa: ARG002 - one signature for all plans
        given = self._fold_by_id()
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

    def _fold_by_id(self) -> dict[str, int]:
        try:
            table = read_text(self.path)
        except BadData as error:
            raise BadFolds(f"No fold file: {error}") from error
        if len(table.columns) != 2 or "fold" not in table:
            raise BadFolds(f"{self.path} has the columns {list(table.columns)}; a fold file has two, the id and `fold`.")
        ids, fold = table.drop(columns="fold").iloc[:, 0], table["fold"]
        wrong = ~fold.str.fullmatch(r"-1|[0-9]{1,9}")
        for bad, what in ((wrong, "without a whole number from -1 up"), (ids.duplicated(), "that stand twice")):
            if bad.any():
                at = bad.argmax()
                raise BadFolds(f"{self.path} has {bad.sum()} ids {what}, first {ids[at]!r} with fold {fold[at]!r}.")
        return dict(zip(ids, fold.astype(int), strict=True))


Plan: TypeAlias = KFold | TimeBlocks | HoldOut | FoldFile


def plan_from(text: str, plan: Plan) -> Plan:
    """What a person asks for instead of the competition's plan: a number of folds, or a fold file. Raises BadFolds."""
    if text.isdecimal():
        if isinstance(plan, KFold | TimeBlocks):
            return replace(plan, k=int(text))
        raise BadFolds(f"This competition's plan {plan} has no number of folds to change.")
    if not Path(text).is_file():
        raise BadFolds(f"--folds {text}: neither a number nor a file that is there.")
    return FoldFile(Path(text))
