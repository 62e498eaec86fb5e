"""How well one column alone predicts, scored on rows that its table of means was not made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audit.finding import SURE
from pipeline.audit.subject import Goal, Kind
from pipeline.metrics import metric
from pipeline.predictions import Array

BINS = ((64, 20), (256, 4))  # at most so many, with so many rows each: to see what is faint, and what is exact
SHRUNK = 10.0  # rows that the mean of all rows weighs in a category's mean
EMPTY = 0.01  # and in a bin's, which has enough rows of its own, or none
Splits = Sequence[tuple[Array, Array]]  # rows to learn from and rows to be judged on, of each fold


@dataclass(frozen=True)
class Score:
    """R2 of ranks, where chance is 0, or the area under the ROC curve, where chance is 0.5. error: its standard error."""

    value: float
    error: float
    chance: float

    @property
    def low(self) -> float:
        """What the score surely is, `SURE` standard errors below what was measured."""
        return self.value - SURE * self.error

    @property
    def certain(self) -> bool:
        return self.low > self.chance

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % {self.value - 1.96 * self.error:.3f} to {self.value + 1.96 * self.error:.3f})"


def splits_of(n: int, k: int, seed: int) -> list[tuple[Array, Array]]:
    """k random folds of n rows; none where there are not enough."""
    if n < 2 * k:
        return []
    fold = np.random.default_rng(seed).permutation(np.arange(n) % k)
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(k)]


def alone(column: pd.Series, kind: Kind, goal: Goal, splits: Splits, bins: int | None = None) -> Score | None:
    """The score of a column, (n,), as `Subject.cells` reads it; of numbers the better one of coarse and fine bins. bins: of numbers, at most;
    few see what is faint and smooth. None where there is nothing to score."""
    ways = BINS if bins is None else ((bins, BINS[0][1]),)
    found = [score(goal, *predicted(column, kind, goal.z, splits, *way)) for way in ways if splits]
    return max((one for one in found if one is not None), key=lambda one: one.value, default=None)


def predicted(column: pd.Series, kind: Kind, z: Array, splits: Splits, bins: int, fewest: int) -> tuple[Array, Array, Array]:
    """Rows that were judged, the predictions for them, and the means of the rows that they were learned from: (m,), (m, k), (m, k)."""
    parts = []
    numbers = kind in (Kind.NUMBER, Kind.DATE)
    cells: Array = column.to_numpy(dtype=np.float64) if numbers else pd.factorize(column)[0]
    for fit, judged in splits:
        guess = (
            _by_bin(cells[fit], z[fit], cells[judged], int(np.clip(len(fit) // fewest, 2, bins)))
            if numbers
            else _means(cells[fit] + 1, z[fit], cells[judged] + 1, SHRUNK)
        )
        parts.append((judged, guess, np.tile(z[fit].mean(axis=0), (len(judged), 1))))
    rows, means, base = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(means), np.concatenate(base)


def score(goal: Goal, rows: Array, guess: Array, base: Array) -> Score | None:
    """Of predictions guess (m, k) for these rows. Of several classes the mean over them, each weighed by its rows; of several numbers the
    one that is foretold best."""
    z = goal.z[rows]
    if not goal.classes:
        each_r2 = [r2(*columns) for columns in zip(z.T, guess.T, base.T, strict=True)]
        return max((one for one in each_r2 if one is not None), key=lambda one: one.value, default=None)
    weight = np.where((z.min(axis=0) < z.max(axis=0)), z.sum(axis=0), 0.0)
    if not weight.any():
        return None
    judge = metric("auc")
    each = np.column_stack([judge.rows(z[:, at].astype(np.int64), guess[:, at]) for at in np.flatnonzero(weight)])
    by_row = each @ (weight[weight > 0] / weight.sum())
    return Score(float(by_row.mean()), _error(by_row), 0.5)


def r2(z: Array, guess: Array, base: Array) -> Score | None:
    """Share of the variance of z (m,) that is explained, beside the mean `base` of the rows learned from; its error by the delta method."""
    wrong, spread = (z - guess) ** 2, (z - base) ** 2
    if not spread.mean() > 0:
        return None
    ratio = wrong.mean() / spread.mean()
    return Score(float(1 - ratio), _error((wrong - ratio * spread) / spread.mean()), 0.0)


def _error(by_row: Array) -> float:
    return float(by_row.std() / np.sqrt(len(by_row)))


def _by_bin(x: Array, z: Array, new: Array, bins: int) -> Array:
    """Means of z by quantile bins of x; a value that many rows share, and the missing ones, have a bin of their own."""
    known = x[~np.isnan(x)]
    edges: Array = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else np.empty(0)
    places = [
        np.where(np.isnan(v), 0, 1 + np.searchsorted(edges, v, side="left") + np.searchsorted(edges, v, side="right"))
        for v in (x, new)
    ]
    return _means(places[0], z, places[1], EMPTY)


def _means(place: Array, z: Array, new: Array, weight: float) -> Array:
    """Means of z (n, k) by place (n,), drawn towards that of all rows, which counts as `weight` rows; for places new (m,)."""
    size = int(max(place.max(initial=0), new.max(initial=0))) + 1
    rows = np.bincount(place, minlength=size) + weight
    sums = np.column_stack([np.bincount(place, weights=z[:, at], minlength=size) for at in range(z.shape[1])])
    means: Any = (sums + weight * z.mean(axis=0)) / rows[:, None]
    return means[new]
