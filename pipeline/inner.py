"""Folds inside a fold: by what a family that chooses and stacks for itself judges its own models, without leaving our plan."""

from __future__ import annotations

import numpy as np

from pipeline.folds import moments
from pipeline.predictions import Array
from pipeline.run import Run

LATEST = 0.2  # share of the training part that is held out where folds follow a clock


def clock_of(run: Run) -> str | None:
    """The column that says when a row was, where the folds follow one."""
    return getattr(run.plan, "clock", None)


def inner_folds(run: Run, fold: int) -> tuple[Array | None, bool]:
    """For the rows that a fold's models learn from: (n,) numbers of inner folds, and whether 1 is the latest rows and 0 all before.

    These are the plan's other folds, so what the plan keeps together (copies, addresses) stays together inside too. Where the plan
    follows a clock, the latest fifth is held out. None where there are no two other folds.
    """
    fit, clock = run.folds.fit(fold), clock_of(run)
    if clock is not None:
        when = moments(run.data.train.iloc[fit], clock)
        later = when >= np.quantile(when, 1 - LATEST, method="higher")
        return (None, False) if later.all() else (later.astype(np.int64), True)
    mine = np.zeros(len(run.ids), dtype=bool)
    mine[run.folds.validate(fold)] = True
    inner, found = np.full(len(run.ids), -1), 0
    for other in range(len(run.folds)):
        rows = run.folds.validate(other)
        rows = rows[inner[rows] < 0]
        # A fold of another repeat has rows that this fold's models must not see.
        if other != fold and not mine[run.folds.validate(other)].any() and np.isin(rows, fit).any():
            inner[rows] = found
            found += 1
    if found < 2:
        return None, False
    inner = inner[fit]
    free = np.flatnonzero(inner < 0)
    inner[free] = np.arange(len(free)) % found
    return inner, False
