"""Rows that stand more than once: ids and copies, exact or nearly so, within train, across folds, in train and test.

Every cell has a 64-bit number, a row is the sum of its cells' numbers, and leaving a column out is a subtraction. So exact copies are equal sums
over all columns, near ones equal sums over all columns but one, after numbers are rounded to three digits and texts stripped to letters
and digits. A table of few values has equal rows by chance; how many is estimated from how often cells agree, and only more than that is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import poisson

from pipeline.audit.finding import MATTERS, Finding, Severity, graded
from pipeline.audit.subject import Goal, Kind, Subject, straddling
from pipeline.predictions import Array

DIGITS = 3  # of a number that near copies have in common
FEW = MATTERS / 10  # share of rows below which copies are a note
ENOUGH = 3_000  # rows that chance is estimated from
SEEN = 50  # pairs from which on two columns can be said to go together
COARSE = 0.5  # share of rows with a copy from which on the table is taken to be coarse
RARE = 1e-3  # chance of as many equal rows
BEYOND = 5  # times what chance gives, which is an estimate
AGREE, CLOSE = (
    0.9,
    0.02,
)  # share of near pairs with one label, or the median distance of their targets in ranks, that make them one thing


def findings(subject: Subject) -> list[Finding]:
    """Shared ids, then exact copies, near ones, and rows that stand in both tables."""
    found = shared_ids(subject)
    names = subject.shared if len(subject.test) else [n for n, kind in subject.kinds.items() if kind != Kind.EMPTY]
    if not names or len(subject.train) < 2:
        return found
    cells = Cells.of(subject, names)
    exact = cells.copies(near=False)
    near = cells.copies(near=True) if len(names) > 2 else exact
    for group, close in ((exact, False), (np.where(exact >= 0, -1, near), True)):
        found += _within(subject, group, close) + _across(subject, group, close)
    if subject.goal is not None and subject.goal.classes:
        found += _conflicts(subject, exact)
    return found


# ------------------------------------------------------------------------------------------------------------------------- ids


def shared_ids(subject: Subject) -> list[Finding]:
    """Ids that stand in train and test: the same rows are a leak, other rows under the same numbers are a trap for whoever joins tables."""
    test = subject.run.test_ids
    both, at_train, at_test = np.intersect1d(subject.ids, test, return_indices=True)
    if not len(both):
        return []
    names = [name for name in subject.shared if subject.kinds[name] != Kind.EMPTY]
    same = np.ones(len(both), dtype=bool)
    for name in names:
        mine, other = subject.cells(name)
        a, b = mine.to_numpy(dtype=object)[at_train], other.to_numpy(dtype=object)[at_test]
        same &= (pd.Series(a) == pd.Series(b)).to_numpy() | (pd.isna(a) & pd.isna(b))
    again = int(same.sum()) if names else 0
    severity = Severity.SEVERE if again >= max(1.0, MATTERS * len(test)) else Severity.WARNING
    return [
        Finding(
            "ids in both",
            severity,
            f"{len(both):,} ids stand in train and in test ({len(both) / len(test):.1%} of test); {again:,} of them with the same row.",
            "If the rows are the same, the answers of test are known: find out whether that is meant. Else number test's rows anew, or never join by this id.",
            (subject.run.entry.competition.task.id,),
            tuple(both[:5].tolist()),
            {"ids": len(both), "same rows": again, "test rows": len(test)},
        )
    ]


# ---------------------------------------------------------------------------------------------------------------------- copies


@dataclass(frozen=True, eq=False)
class Cells:
    """Codes of the cells of train, then test: (n, c) int64 each, as they are and made coarse. rows: how many are train's."""

    exact: Array
    coarse: Array
    seed: int

    @classmethod
    def of(cls, subject: Subject, names: Sequence[str]) -> Cells:
        """Columns in which all rows are equal are left out: they say nothing."""
        exact, coarse = [], []
        for name in names:
            cells = pd.concat(subject.cells(name), ignore_index=True)
            codes = pd.factorize(cells)[0]
            if codes.min() < codes.max():
                exact.append(codes)
                coarse.append(pd.factorize(coarsened(cells, subject.kinds[name]))[0])
        n = len(subject.train) + len(subject.test)
        if not exact:
            exact = coarse = [np.zeros((n, 0), dtype=np.int64)]
        return cls(np.column_stack(exact), np.column_stack(coarse), subject.seed)

    def copies(self, near: bool) -> Array:
        """(n,) int64: the group of each row's copies, -1 where it has none or where chance explains as many."""
        codes = self.coarse if near else self.exact
        if not codes.shape[1]:
            return np.full(len(codes), -1)
        numbers = hashed(codes, self.seed)
        total, links = numbers.sum(axis=1, dtype=np.uint64), []
        for column in range(codes.shape[1]) if near else [None]:
            kept = numbers if column is None else np.delete(numbers, column, axis=1)
            sums = total if column is None else total - numbers[:, column]
            _, first, group, size = np.unique(sums, return_index=True, return_inverse=True, return_counts=True)
            pairs = float(pairs_of(size).sum())
            if not pairs or (near and size[size > 1].sum() > COARSE * len(codes)):
                continue
            # Without their copies rows would look different in a coarse table too.
            different = first if len(first) >= COARSE * len(codes) else np.arange(len(codes))
            sample = kept[np.random.default_rng(self.seed).permutation(different)[:ENOUGH]]
            expected = pairs_of(np.array([len(codes)]))[0] * agreement(sample)
            if pairs > BEYOND * expected and poisson.sf(pairs - 1, expected) < RARE:
                links.append(np.stack([first[group], np.arange(len(codes))]))
        return _joined(links, len(codes))


def hashed(codes: Array, seed: int) -> Array:
    """(n, c) uint64 random numbers, the same for equal codes of a column; their sums tell rows apart."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(2**63, size=column.max() + 2, dtype=np.uint64)[column + 1] for column in codes.T]
    return np.column_stack(columns)


def agreement(cells: Array) -> float:
    """The chance that two different rows (m, c) agree in every column.

    From the coarsest column on it is counted how many pairs agree in one column more; when too few are left to be counted, a column counts
    by how often it agrees where one of those before does. So columns that go together are not taken for independent ones.
    """
    every = float(pairs_of(np.array([len(cells)]))[0])
    pairs = np.array([_equal(column) for column in cells.T])
    order = np.argsort(-pairs, kind="stable").tolist()
    left, chance, before = every, 1.0, np.zeros(len(cells), dtype=np.uint64)
    for place, column in enumerate(order):
        before = before + cells[:, column]
        now = _equal(before) if left >= SEEN else 0.0
        if now >= SEEN:
            chance *= now / left
        else:
            known = [_equal(cells[:, column] + cells[:, one]) / pairs[one] for one in order[:place] if pairs[one] >= SEEN]
            agree = max([(pairs[column] + 1) / (every + 1), *known])
            last = place == len(order) - 1  # pairs that agree in it too are not among these rows, since they are all different
            chance *= min(agree / (1 - agree), 1.0) if last and agree < 1 else agree
        left = now
    return chance


def coarsened(cells: pd.Series, kind: Kind) -> pd.Series:
    """Numbers with three digits, dates by the day, texts without anything but letters and digits."""
    if kind == Kind.NUMBER:
        values = cells.to_numpy(dtype=np.float64)
        size = np.where(np.isfinite(values) & (values != 0), np.abs(values), 1.0)
        exponent = np.floor(np.log10(size)) - DIGITS + 1
        return pd.Series(np.round(values / 10.0**exponent) + exponent * 10.0 ** (DIGITS + 2))
    if kind == Kind.DATE:
        return cells.round()
    return cells.str.replace(r"[\W_]+", "", regex=True)


def pairs_of(rows: Array) -> Array:
    """Of that many rows each."""
    return rows * (rows - 1) / 2


def _equal(numbers: Array) -> float:
    """Pairs of equal numbers."""
    return float(pairs_of(np.unique(numbers, return_counts=True)[1]).sum())


def _joined(links: list[Array], n: int) -> Array:
    if not links:
        return np.full(n, -1)
    left, right = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    return np.where(np.bincount(group)[group] > 1, group, -1)


# -------------------------------------------------------------------------------------------------------------------- findings


def _within(subject: Subject, group: Array, near: bool) -> list[Finding]:
    """Copies within train: severe where so many rows are judged by a model that learned their copy that the score shows it."""
    n = len(subject.train)
    mine = _several(group[:n])
    if not (mine >= 0).any():
        return []
    apart = straddling(subject.folds, mine)
    rows, groups, share = int((mine >= 0).sum()), len(np.unique(mine[mine >= 0])), float(apart.sum() / n)
    agree = _agreement(subject.goal, mine)
    severity = graded(share, MATTERS if agree[0] or not near else np.inf, MATTERS if near else FEW)
    if not near and rows > COARSE * n:
        severity = Severity.NOTE
    kept = (
        f"{int(apart.sum()):,} of them ({share:.2%} of train) are judged by a fold that learns from their copy"
        if apart.any()
        else "all copies stand in one fold"
    )
    coarse = " More than half of the rows have a twin: they are copies, or the columns are too coarse to tell rows apart." * (
        not near and rows > COARSE * n
    )
    what = (
        "are equal to another in all columns but one, at most, after rounding" if near else "are equal to another in every column"
    )
    first = np.flatnonzero(mine == mine[mine >= 0][0])[:5]
    return [
        Finding(
            "near-duplicate rows" if near else "duplicate rows",
            severity,
            f"{rows:,} of {n:,} train rows {what} in {groups:,} groups; {kept}; {agree[1]}.{coarse}",
            "Give copies one fold: a column with their group's number in load(), and KFold(groups=(that column,)); or keep one of each."
            if apart.any()
            else "Nothing has to be done; report scores with and without them.",
            ids=tuple(subject.ids[first].tolist()),
            numbers={"rows": rows, "groups": groups, "rows on both sides of a fold": int(apart.sum()), "share": share},
        )
    ]


def _across(subject: Subject, group: Array, near: bool) -> list[Finding]:
    """Test rows whose like stands in train: their answers are known, or nearly."""
    n, m = len(subject.train), len(subject.test)
    known = np.isin(group[n:], group[:n]) & (group[n:] >= 0)
    if not known.any():
        return []
    share = float(known.mean())
    first = group[n:][known][0]
    some = [*subject.ids[np.flatnonzero(group[:n] == first)[:2]], *subject.run.test_ids[np.flatnonzero(group[n:] == first)[:2]]]
    return [
        Finding(
            "near-duplicate rows in test" if near else "rows of train in test",
            graded(share, np.inf, MATTERS),
            f"{int(known.sum()):,} of {m:,} test rows ({share:.2%}) {'nearly ' * near}equal a train row.",
            "The board will be higher than folds that keep copies together say. Take the train row's target for them only where the rules allow it.",
            ids=tuple(map(str, some)),
            numbers={"test rows": int(known.sum()), "share": share},
        )
    ]


def _conflicts(subject: Subject, group: Array) -> list[Finding]:
    """Equal rows under different labels."""
    n = len(subject.train)
    mine, y = _several(group[:n]), subject.run.y
    table = pd.DataFrame({"group": mine, "label": y})[mine >= 0]
    odd = table.groupby("group")["label"].nunique()
    rows = np.flatnonzero(np.isin(mine, odd.index[odd > 1].to_numpy()))
    if not len(rows) or (mine >= 0).mean() > COARSE:
        return []
    share = len(rows) / n
    return [
        Finding(
            "conflicting labels",
            graded(share, np.inf, MATTERS),
            f"{int((odd > 1).sum()):,} groups of equal rows have different labels: {len(rows):,} rows ({share:.2%} of train).",
            "Look at them. Learn from the label of the majority, or from none; no model can get all of them right.",
            ids=tuple(subject.ids[rows[:5]].tolist()),
            numbers={"groups": int((odd > 1).sum()), "rows": len(rows), "share": share},
        )
    ]


def _several(group: Array) -> Array:
    """The groups that have two rows or more here; -1 elsewhere."""
    codes = np.where(group >= 0, group, group.max(initial=0) + 1)
    return np.where((group >= 0) & (np.bincount(codes)[codes] > 1), group, -1)


def _agreement(goal: Goal | None, group: Array) -> tuple[bool, str]:
    """Whether copies have the same target, and a word on it. Each row is compared with the first of its group."""
    if goal is None:
        return False, "their targets are boxes"
    rows = np.flatnonzero(group >= 0)
    _, first, same = np.unique(group[rows], return_index=True, return_inverse=True)
    other = rows[first[same]]
    rows, other = rows[rows != other], other[rows != other]
    if goal.classes:
        agree = float((goal.z[rows] == goal.z[other]).all(axis=1).mean())
        return agree >= AGREE, f"{agree:.0%} have the label of the first of their group"
    apart = float(np.median(np.abs(goal.z[rows] - goal.z[other]))) / np.sqrt(12)  # ranks of spread 1 reach over sqrt(12)
    return apart <= CLOSE, f"their targets lie {apart:.1%} of all ranks apart (median)"
