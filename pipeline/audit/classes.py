"""What the loader said, columns that say nothing, and classes that a fold cannot learn."""

from __future__ import annotations

import numpy as np

from pipeline.audit.finding import MATTERS, Finding, Severity, graded, some
from pipeline.audit.subject import Kind, Subject


def notes(subject: Subject) -> list[Finding]:
    """What load() repaired, left out or found odd."""
    return [
        Finding("loader", Severity.NOTE, note, "Check that this is what you expect of the files.")
        for note in subject.run.data.notes
    ]


def useless(subject: Subject) -> list[Finding]:
    """Columns without a value in train, or with one only."""
    found = []
    empty = subject.of_kind(Kind.EMPTY)
    constant = [name for name in subject.kinds if name not in empty and subject.cells(name)[0].nunique(dropna=False) == 1]
    for names, what in ((empty, "have no value in train"), (constant, "have the same value in every train row")):
        if names:
            found.append(
                Finding(
                    "columns that say nothing",
                    Severity.NOTE,
                    f"{len(names)} columns {what}: {some(names)}.",
                    "Leave them out.",
                    tuple(names),
                    numbers={"columns": len(names)},
                )
            )
    return found


def unlearnt(subject: Subject) -> list[Finding]:
    """Classes of which a fold judges rows and learns none."""
    if subject.goal is None or not subject.goal.classes:
        return []
    y, folds, rows = subject.run.y, subject.folds, 0
    lacking: dict[str, int] = {}
    for fold in range(len(folds)):
        judged = y[folds.validate(fold)]
        strange = np.setdiff1d(judged, y[folds.fit(fold)])
        rows += int(np.isin(judged, strange).sum())
        for label in strange.tolist():
            lacking[subject.run.columns[label]] = lacking.get(subject.run.columns[label], 0) + 1
    if not lacking:
        return []
    share = rows / len(y)
    told = some(f"{name} ({count} of {len(folds)} folds)" for name, count in lacking.items())
    return [
        Finding(
            "classes in folds",
            graded(share, MATTERS, MATTERS / 10),
            f"{len(lacking)} classes are judged in folds that have no row of them to learn from: {told}; {rows:,} rows ({share:.2%} of train) cannot "
            "but be wrong there.",
            "Spread them: KFold(strata=1), fewer folds, or fewer groups kept whole.",
            numbers={"classes": len(lacking), "rows": rows, "share": share},
        )
    ]
