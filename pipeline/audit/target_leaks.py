"""Where the target stands in the data already: columns that equal it in some rows, columns that foretell it alone, and the order of the ids.

All scores are of rows that the column's table of means was not made of, with the run's own folds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.audit.alone import Score, Splits, alone, splits_of
from pipeline.audit.finding import SURE, Chart, Finding, Severity, graded
from pipeline.audit.subject import Kind, Subject
from pipeline.predictions import Array

NEAR, AROUND = 1e-3, 1e-2  # of the target: what counts as equal, and the neighbourhood that says how many would be by chance
SPIKE = 5.0  # times as dense as its neighbourhood
SOME, MOST = 0.005, 0.5  # shares of the rows with a known value that equal the target
DISTINCT = 100  # values from which on an equal one means something, of numbers that lie close to each other
COUNTED, FREQUENT = 10, 0.05  # values of a coarse target from which on; the share of rows from which on a value says nothing
STEPS = 3  # of a coarse target: its neighbourhood
AGREE = 0.8  # of what chance leaves over, where the cells are names or numbers of labels
PERFECT = {False: 0.98, True: 0.995}  # of R2 of ranks, of AUC: nothing that is known before the answer is as good
STRONG = {False: 0.9, True: 0.97}
ORDER = {False: (0.01, 0.1), True: (0.55, 0.65)}  # of the ids: what is a note, what is a warning
AHEAD = 0.2  # correlation of a row's target with the next one's
MOST_FOLDS = 5
SHOWN = 12


def findings(subject: Subject) -> list[Finding]:
    return [*equal_columns(subject), *single_columns(subject), *id_order(subject)]


# ------------------------------------------------------------------------------------------------------------------- equal columns


def equal_columns(subject: Subject) -> list[Finding]:
    """Columns whose cells are the target itself, in some rows or in all."""
    found = []
    for name in subject.kinds:
        kind, share = subject.kinds[name], 0.0
        cells = subject.cells(name)[0]
        if subject.value is not None and kind == Kind.NUMBER:
            share, rows = equal_numbers(cells.to_numpy(), subject.value)
        elif subject.goal is not None and subject.goal.classes and kind in (Kind.CATEGORY, Kind.TEXT, Kind.NUMBER):
            share, rows = equal_labels(cells, kind, subject)
        if share < SOME:
            continue
        known = int(cells.notna().sum())
        found.append(
            Finding(
                "equal to the target",
                Severity.SEVERE if share >= MOST else Severity.WARNING,
                f"{name!r} equals the target in {int(rows.sum()):,} of {known:,} train rows that have it ({share:.1%}), far more than chance.",
                "Find out when the column is written. If after the answer, drop it; if test has it too, flag where it repeats another column, and "
                "compare how often in train and in test.",
                (name,),
                tuple(subject.ids[np.flatnonzero(rows)[:5]].tolist()),
                {"rows": int(rows.sum()), "known": known, "share": share},
            )
        )
    return found


def equal_numbers(x: Array, y: Array) -> tuple[float, Array]:
    """The share of known x (n,) that equals y (n,) to a thousandth, and these rows; 0 where the neighbourhood of y is as dense.

    A column that goes with the target is near it in many rows: what tells is a spike at the target itself. Where the target is too coarse for
    such a neighbourhood, its steps up and down are one, and its frequent values say nothing.
    """
    values, at, often = np.unique(y, return_inverse=True, return_counts=True)
    known = np.isfinite(x)
    nothing = 0.0, np.zeros(len(y), dtype=bool)
    if len(values) < COUNTED or not known.any():
        return nothing
    step = float(np.median(np.diff(values)))
    fine = known & (np.abs(y) * AROUND >= 3 * step) & (len(values) >= DISTINCT)
    apart = np.abs(x - y) / np.where(y == 0, 1.0, np.abs(y))
    coarse = known & ~fine & (often[at] <= FREQUENT * len(y))
    steps = np.abs(x - y) / step
    equal = (fine & (apart <= NEAR)) | (coarse & (steps <= NEAR))
    around = int((fine & (apart > NEAR) & (apart <= AROUND)).sum())
    beside = int((coarse & (steps > NEAR) & (steps <= STEPS)).sum())
    expected = around * NEAR / (AROUND - NEAR) + beside / (2 * STEPS)
    if equal.sum() <= SPIKE * expected + SURE * np.sqrt(expected) + SURE:
        return nothing
    return float(equal.sum() / known.sum()), equal


def equal_labels(cells: pd.Series, kind: Kind, subject: Subject) -> tuple[float, Array]:
    """The same of cells that are the label's own name or number: far more than chance, or nearly always where they are a label at all.

    Numbers are asked the latter alone: two columns of noughts and ones agree in many rows for other reasons.
    """
    names = [" ".join(str(name).split()).lower() for name in subject.run.columns]
    numbers = all(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in names)
    nothing = 0.0, np.zeros(len(cells), dtype=bool)
    known = int(cells.notna().sum())
    if not known or numbers != (kind == Kind.NUMBER):
        return nothing
    told: Array = np.array([float(name) for name in names] if numbers else names, dtype=np.float64 if numbers else object)
    label = told[subject.run.y]
    equal = (cells == label).to_numpy()
    everywhere, where_a_label = (Agreement.of(cells[rows], label[rows]) for rows in (cells.notna(), cells.isin(told)))
    often = everywhere.sure and everywhere.share > 2 * everywhere.chance and not numbers
    always = where_a_label.sure and where_a_label.share - where_a_label.chance > AGREE * (1 - where_a_label.chance)
    return (float(equal.sum() / known), equal) if often or always else nothing


@dataclass(frozen=True)
class Agreement:
    """share: of so many rows in which a cell is the label. chance: the share if the two had nothing to do with each other."""

    share: float
    chance: float
    rows: int

    @classmethod
    def of(cls, cells: pd.Series, label: Array) -> Agreement:
        if not len(cells):
            return cls(0.0, 0.0, 0)
        shares = [values.value_counts(normalize=True) for values in (cells, pd.Series(label))]
        return cls(float((cells == label).mean()), float(shares[0].mul(shares[1], fill_value=0.0).sum()), len(cells))

    @property
    def sure(self) -> bool:
        if not self.rows:
            return False
        return self.share > self.chance + SURE * np.sqrt(self.chance * (1 - self.chance) / self.rows) + SURE / self.rows


# ------------------------------------------------------------------------------------------------------------------ single columns


def single_columns(subject: Subject) -> list[Finding]:
    """Columns that foretell the target alone, as nothing does that is known beforehand."""
    if subject.goal is None:
        return []
    splits = of_run(subject)
    scores: dict[str, Score] = {}
    for name, kind in subject.kinds.items():
        found = None if kind == Kind.EMPTY else alone(subject.cells(name)[0], kind, subject.goal, splits)
        if found is not None:
            scores[name] = found
    strong, perfect = STRONG[subject.goal.classes], PERFECT[subject.goal.classes]
    ranked = sorted(scores, key=lambda name: -scores[name].value)
    judge = "AUC" if subject.goal.classes else "R2 of ranks"
    chart = Chart(
        f"One column alone: {judge} on rows it did not learn from",
        tuple(ranked[:SHOWN]),
        tuple(scores[name].value for name in ranked[:SHOWN]),
        reference=0.5 if subject.goal.classes else 0.0,
    )
    return [
        Finding(
            "one column alone",
            graded(scores[name].low, perfect, strong),
            f"{name!r} alone has {judge} {scores[name]} on rows that it did not learn from; what is known before the answer seldom has {strong:g}.",
            "Find out when the column is written. If it is made from the answer, or after it, test cannot have it as train does: drop it.",
            (name,),
            numbers={"score": scores[name].value, "error": scores[name].error},
            charts=(chart,),
        )
        for name in ranked
        if scores[name].low >= strong
    ]


def of_run(subject: Subject) -> Splits:
    """The run's folds, at most the first few."""
    return [(subject.folds.fit(fold), subject.folds.validate(fold)) for fold in range(min(len(subject.folds), MOST_FOLDS))]


# ------------------------------------------------------------------------------------------------------------------------ id order


def id_order(subject: Subject) -> list[Finding]:
    """Does the order of the rows, or of the numbers in the ids, foretell the target?"""
    goal = subject.goal
    if goal is None:
        return []
    best: tuple[float, str, Score, float, Array] | None = None
    for what, place in orders(subject.ids).items():
        found = alone(pd.Series(place), Kind.NUMBER, goal, splits_of(len(place), MOST_FOLDS, subject.seed))
        if found is not None and (best is None or found.value > best[0]):
            best = found.value, what, found, _neighbours(goal.z, place), place
    if best is None:
        return []
    _, what, found, ahead, place = best
    noted, warned = ORDER[goal.classes]
    sure = ahead - SURE / np.sqrt(len(place))
    if not (found.certain and found.value >= noted) and sure < AHEAD:
        return []
    late = subject.clocks and any(abs(_correlation(place, subject.cells(clock)[0].to_numpy())) > 0.9 for clock in subject.clocks)
    severity = Severity.WARNING if found.low >= warned or sure >= AHEAD else Severity.NOTE
    clock = " The ids follow the date column, so this is the target's drift over time." * bool(late)
    return [
        Finding(
            "id order",
            Severity.NOTE if late else severity,
            f"{what} foretells the target: {'AUC' if goal.classes else 'R2 of ranks'} {found} on rows that it did not learn from; "
            f"neighbours' targets correlate by {ahead:.2f}.{clock}",
            "Never give the id to a model. If test's ids go on where train's end, the order is a clock: use TimeBlocks or HoldOut with it. If they lie "
            "between train's, neighbours belong together: give each run of them one fold.",
            (subject.run.entry.competition.task.id,),
            numbers={"score": found.value, "error": found.error, "neighbours": ahead},
            charts=(by_blocks("Target by the order of ids", place, goal.z[:, 0], goal.names[0]),),
        )
    ]


def orders(ids: Array) -> dict[str, Array]:
    """By what it is: the place in the file, and where every id ends with a number that is not the same order, that of the numbers."""
    found = {"The order of the rows": np.arange(len(ids), dtype=np.float64)}
    digits = [re.search(r"(\d+)\D*$", one) for one in ids.tolist()]
    if len(ids) and all(digits):
        by_number = sorted(range(len(ids)), key=lambda row: int(digits[row].group(1)))  # type: ignore[union-attr]  # all are there
        place = np.empty(len(ids))
        place[by_number] = np.arange(len(ids))
        if (place != found["The order of the rows"]).any():
            found["The number in the id"] = place
    return found


def _neighbours(z: Array, place: Array) -> float:
    """Correlation of the targets of rows that follow each other, the mean over columns."""
    ordered = z[np.argsort(place, kind="stable")]
    return float(np.mean([_correlation(column[:-1], column[1:]) for column in ordered.T]))


def _correlation(a: Array, b: Array) -> float:
    if len(a) < 3 or not (np.ptp(a) > 0 and np.ptp(b) > 0):
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def by_blocks(title: str, place: Array, values: Array, of: str, blocks: int = 12) -> Chart:
    """Means of values (n,) over equal blocks of rows in the order of place (n,)."""
    parts = [part for part in np.array_split(values[np.argsort(place, kind="stable")], blocks) if len(part)]
    means = [float(part.mean()) for part in parts]
    errors = [1.96 * float(part.std() / np.sqrt(len(part))) for part in parts]
    return Chart(
        f"{title}: mean of {of}, with 95 % intervals",
        tuple(str(number) for number in range(1, len(parts) + 1)),
        tuple(means),
        tuple(m - e for m, e in zip(means, errors, strict=True)),
        tuple(m + e for m, e in zip(means, errors, strict=True)),
        ordered=True,
    )
