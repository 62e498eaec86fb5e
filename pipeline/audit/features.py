"""Do the competition's own features() see what they must not? They are made three times, of some rows of the first fold: as they are, with the targets
of all rows that are not learned from permuted, and with all targets permuted.

The first two must agree in every cell. With random targets no feature may go with the target of its own row: where validation rows do,
something learned from them; where training rows do, an encoder shows each row its own answer and models will lean on it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audit.finding import Finding, Severity, some
from pipeline.audit.subject import Goal, Subject, goal_of
from pipeline.competition import Classification, Detection
from pipeline.feature_cache import make
from pipeline.folds import Folds
from pipeline.predictions import Array
from pipeline.run import Run

MOST_FIT, MOST_JUDGED, MOST_TEST = 2_400, 1_200, 200
FEWEST = 30
BEYOND, STRONG = 5.0, 0.05  # standard errors of a correlation (there are hundreds of features), and what matters at all
OPPOSITE = 0.2  # what matters below zero


def findings(subject: Subject) -> list[Finding]:
    """Raises what features() raises."""
    run = small(subject.run, subject.seed)
    if min(len(run.folds.fit(0)), len(run.folds.validate(0))) < FEWEST:
        few = f"The first fold has {len(run.folds.fit(0)):,} rows to learn from and {len(run.folds.validate(0)):,} to judge: too few to test features()."
        return [Finding("features", Severity.NOTE, few, f"At least {FEWEST} of each are needed.")]
    first = dict(make(run, 0))
    if isinstance(run.y, np.ndarray) and not any(table.select_dtypes("number").columns.size for table in first.values()):
        return permuted(run, first, subject.seed)  # texts and pictures' names: nothing to correlate
    return [*permuted(run, first, subject.seed), *random_target(run, subject.seed)]


def small(run: Run, seed: int) -> Run:
    """The run with some rows of its first fold, and that fold alone."""
    rng = np.random.default_rng(seed)
    parts = [(run.folds.fit(0), MOST_FIT), (run.folds.validate(0), MOST_JUDGED)]
    rows = np.sort(np.concatenate([rng.permutation(part)[:most] for part, most in parts]))
    data = dataclasses.replace(
        run.data, train=run.data.train.iloc[rows].reset_index(drop=True), test=run.data.test.head(MOST_TEST)
    )
    folds = Folds(run.folds.ids[rows], run.folds.roles[rows][:, :1])
    return dataclasses.replace(run, data=data, ids=run.ids[rows], y=run.y[rows], folds=folds)


def permuted(run: Run, first: dict[Any, pd.DataFrame], seed: int) -> list[Finding]:
    """The permutation test: targets of rows that nobody learns from change no feature."""
    others = np.setdiff1d(np.arange(len(run.ids)), run.folds.fit(0))
    again = dict(make(with_targets(run, others, seed), 0))
    changed: dict[str, int] = {}
    for part, table in first.items():
        for name in different(table, again[part]):
            changed[name] = changed.get(name, 0) + 1
    if not changed:
        return []
    return [
        Finding(
            "features see validation targets",
            Severity.SEVERE,
            f"{len(changed)} features change when the targets of rows that are not learned from are permuted: {some(changed)}.",
            "Their transform() reads the target, or something that was made of all rows. Learn in fit(), from the rows given there, and from nothing else.",
            tuple(changed),
            numbers={"features": len(changed)},
        )
    ]


def random_target(run: Run, seed: int) -> list[Finding]:
    """With targets permuted over all rows, no feature goes with its own row's target."""
    everyone = np.arange(len(run.ids))
    other = with_targets(run, everyone, seed)
    parts, task = dict(make(other, 0)), run.entry.competition.task
    goal = goal_of(other.y, run.columns if isinstance(task, Classification) else None)
    found = []
    for part, rows, check, why, cure in (
        (
            "validate",
            other.folds.validate(0),
            "features leak on a random target",
            "validation rows' features go with their own random targets",
            "Something was learned from all rows before the split. Learn in fit(), from the rows given there.",
        ),
        (
            "fit",
            other.folds.fit(0),
            "features show rows their own target",
            "training rows' features go with their own random targets",
            "Encode training rows by the targets of other rows: inner folds in fit_transform, as features.fitting.InnerFolds does.",
        ),
    ):
        leaks = going_together(parts[part], goal, rows)
        if leaks:
            told = some(f"{name!r} r {leaks[name]:.2f}" for name in leaks)
            found.append(
                Finding(
                    check,
                    Severity.SEVERE,
                    f"The targets were permuted, yet {len(leaks)} {why}: {told} ({len(rows):,} rows).",
                    cure,
                    tuple(leaks),
                    numbers=leaks,
                )
            )
    return found


def with_targets(run: Run, rows: Array, seed: int) -> Run:
    """The run with the targets of these rows permuted among them."""
    task = run.entry.competition.task
    if isinstance(task, Detection):
        raise TypeError("Boxes have no target column.")
    train = run.data.train.copy()
    moved = rows[np.random.default_rng(seed + 1).permutation(len(rows))]
    train[task.target] = train[task.target].array.take(_placed(len(train), rows, moved))
    data = dataclasses.replace(run.data, train=train)
    y = run.y.copy()
    y[rows] = run.y[moved]
    return dataclasses.replace(run, data=data, y=y)


def _placed(n: int, rows: Array, moved: Array) -> Array:
    order = np.arange(n)
    order[rows] = moved
    return order


def different(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Names of columns of which any cell differs, or that only one of them has."""
    only = [str(name) for name in one.columns.symmetric_difference(other.columns)]
    return only + [str(name) for name in one.columns.intersection(other.columns) if not one[name].equals(other[name])]


def going_together(table: pd.DataFrame, goal: Goal, rows: Array) -> dict[str, float]:
    """Features whose correlation with the target of their own rows is surely above zero, or far below, the strongest first.

    A little below zero is no leak: encoders that leave out a row's own target stand lower where it is high.
    """
    z, found = goal.z[rows], {}
    for name in table.select_dtypes("number").columns:
        x = table[name].to_numpy(dtype=np.float64)
        known = np.isfinite(x)
        if known.sum() < FEWEST or not np.ptp(x[known]) > 0:
            continue
        order = pd.Series(x[known]).rank().to_numpy()
        each = [float(np.corrcoef(order, column[known])[0, 1]) for column in z.T if np.ptp(column[known]) > 0]
        r = max(each, key=lambda one: one / STRONG if one > 0 else -one / OPPOSITE, default=0.0)
        if (r >= STRONG or r <= -OPPOSITE) and abs(r) * np.sqrt(known.sum()) >= BEYOND:
            found[str(name)] = r
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))
