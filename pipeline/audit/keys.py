"""Categories, groups and gaps: what test holds that train does not, compared with what a fold's validation rows hold that its fit rows do not.

A fold plan mimics test if a value is as often new to a model when it is judged as when it is used. New values alone say nothing: a column of
many values always has some.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.audit.alone import Score, alone
from pipeline.audit.finding import SURE, Chart, Finding, Severity, graded, some
from pipeline.audit.proposal import by_groups
from pipeline.audit.subject import Kind, Subject
from pipeline.audit.target_leaks import of_run
from pipeline.predictions import Array

FEWEST = 50  # rows of train and of test, below which nothing is said
FEWEST_VALUES = 5  # different ones that test must have
REPEATED = 1.5  # rows of a value, on average, from which on a column can be a key
NEW, MANY_NEW = 0.02, 0.1  # share of test rows with a new value beyond what folds have: a note, a warning
APART = 0.3  # the same from which on a column that tells something of the target is a group's key
TELLS = {False: 0.02, True: 0.55}  # R2 of ranks, AUC
MISSING, MUCH_MISSING = 0.02, 0.1  # difference of the missing shares
GONE, THERE = 0.95, 0.5  # missing share in test, and known share in train, of a column that test does not have
INSIDE = 0.1  # share of test's numbers that must lie in train's range; others are clocks, which know no groups


def findings(subject: Subject) -> list[Finding]:
    if len(subject.train) < FEWEST or len(subject.test) < FEWEST:
        return []
    return [*missing_rates(subject), *new_values(subject)]


# ----------------------------------------------------------------------------------------------------------------------- missing


def missing_rates(subject: Subject) -> list[Finding]:
    """Columns that test does not have, and shares of missing cells that differ between train and test."""
    n, m = len(subject.train), len(subject.test)
    gone, changed = [], {}
    for name, kind in subject.kinds.items():
        if kind == Kind.EMPTY:
            continue
        a, b = (float(cells.isna().mean()) for cells in subject.cells(name))
        if b >= GONE and a <= 1 - THERE:
            gone.append(name)
        elif abs(b - a) >= MISSING and abs(b - a) >= SURE * np.sqrt(max(_variance(a, b, n, m), 1e-12)):
            changed[name] = (a, b)
    found = []
    if gone:
        found.append(
            Finding(
                "columns that test lacks",
                Severity.SEVERE,
                f"{len(gone)} columns that train has are missing in at least {GONE:.0%} of the test rows: {some(gone)}.",
                "Models would learn to lean on them and find them empty. Drop them in features(), or find out why test lacks them.",
                tuple(gone),
                numbers={"columns": len(gone)},
            )
        )
    if changed:
        worst = sorted(changed, key=lambda name: -abs(changed[name][1] - changed[name][0]))
        most = abs(changed[worst[0]][1] - changed[worst[0]][0])
        told = some(f"{name!r} {changed[name][0]:.1%} and {changed[name][1]:.1%}" for name in worst)
        found.append(
            Finding(
                "missing rates",
                graded(most, np.inf, MUCH_MISSING),
                f"Of {len(changed)} columns other shares are missing in train than in test: {told}.",
                "Do not let a model learn from the gap itself: fill it, or leave out the flag that says so.",
                tuple(worst),
                numbers={name: {"train": a, "test": b} for name, (a, b) in changed.items()},
                charts=(
                    Chart(
                        "Missing in test less missing in train",
                        tuple(worst[:12]),
                        tuple(changed[name][1] - changed[name][0] for name in worst[:12]),
                        reference=0.0,
                    ),
                ),
            )
        )
    return found


def _variance(a: float, b: float, n: int, m: int) -> float:
    p = (a * n + b * m) / (n + m)
    return p * (1 - p) * (1 / n + 1 / m)


# -------------------------------------------------------------------------------------------------------------------- new values


@dataclass(frozen=True)
class Overlap:
    """Shares of rows with a value that the model has not learned: in test, and in validation rows. values: different ones in test."""

    test: float
    folds: float
    values: int

    @property
    def excess(self) -> float:
        return self.test - self.folds

    @property
    def sure(self) -> bool:
        """Rows of one value are new together, so values are what is counted."""
        p = min(max((self.test + self.folds) / 2, 0.5 / max(self.values, 1)), 1 - 0.5 / max(self.values, 1))
        return abs(self.excess) > SURE * np.sqrt(2 * p * (1 - p) / max(self.values, 1))


def overlap(subject: Subject, name: str) -> Overlap | None:
    """None where the column has no key to compare: too few values, or numbers that lie beyond train's."""
    kind = subject.kinds[name]
    mine, other = subject.cells(name)
    known = other.dropna()
    if known.nunique() < FEWEST_VALUES or mine.notna().sum() < REPEATED * mine.nunique():
        return None
    if kind == Kind.NUMBER and ((mine.dropna() % 1 != 0).any() or known.between(mine.min(), mine.max()).mean() < INSIDE):
        return None
    codes: Array = pd.factorize(mine)[0]
    shares = []
    for fold in range(len(subject.folds)):
        judged = codes[subject.folds.validate(fold)]
        if (judged >= 0).any():
            shares.append(float((~np.isin(judged[judged >= 0], codes[subject.folds.fit(fold)])).mean()))
    if not shares:
        return None
    return Overlap(float((~known.isin(mine.dropna())).mean()), float(np.mean(shares)), int(known.nunique()))


def new_values(subject: Subject) -> list[Finding]:
    """Values that are new in test more often than in folds: keys of groups where they tell something of the target, else new categories."""
    found, new = [], {}
    for name in subject.shared:
        if subject.kinds[name] not in (Kind.CATEGORY, Kind.TEXT, Kind.NUMBER):
            continue
        seen = overlap(subject, name)
        if seen is None or not seen.sure or seen.excess < NEW:
            continue
        if seen.excess >= APART and subject.goal is not None:
            tells = alone(subject.cells(name)[0].astype(object), Kind.CATEGORY, subject.goal, of_run(subject))
            if tells is not None and tells.certain and tells.value >= TELLS[subject.goal.classes]:
                found.append(_key(subject, name, seen, tells))
                continue
        if subject.kinds[name] != Kind.NUMBER:
            new[name] = seen
    if new:
        worst = sorted(new, key=lambda name: -new[name].excess)
        told = some(f"{name!r} {new[name].test:.1%} of test rows, {new[name].folds:.1%} of validation rows" for name in worst)
        found.append(
            Finding(
                "new categories in test",
                graded(new[worst[0]].excess, np.inf, MANY_NEW),
                f"Values that a model has not learned are more frequent in test than in the folds, in {len(new)} columns: {told}.",
                "An encoding of such a column is worth less on test than folds say. Group the folds by it, or use what the values have in common.",
                tuple(worst),
                numbers={name: {"test": new[name].test, "folds": new[name].folds} for name in worst},
            )
        )
    return found


def _key(subject: Subject, name: str, seen: Overlap, tells: Score) -> Finding:
    """Test's groups are new, the folds' are not, and the group foretells the target."""
    evidence = by_groups(subject, name)
    severity = Severity.WARNING if evidence is None else evidence.severity
    measured = "" if evidence is None else f" {evidence.told('on groups that it had not learned')}"
    return Finding(
        "groups that straddle folds",
        severity,
        f"{name!r} is new in {seen.test:.1%} of test rows, but only in {seen.folds:.1%} of validation rows, and foretells the target "
        f"({'AUC' if subject.goal and subject.goal.classes else 'R2 of ranks'} {tells}): folds judge a model on groups that it knows.{measured}",
        f"Proposed: KFold(k={len(subject.folds)}, groups=({name!r},)), so that groups are as new to a fold's model as they will be in test.",
        (name,),
        numbers={
            "new in test": seen.test,
            "new in folds": seen.folds,
            "score": tells.value,
            **(evidence.numbers if evidence else {}),
        },
        charts=() if evidence is None else (evidence.chart("groups kept apart"),),
    )
