"""How sure a score is: bootstrap intervals, by drawing the scored rows again and again."""

from __future__ import annotations

import numpy as np

from pipeline.metrics import Metric
from pipeline.predictions import Array

LEVEL = 0.95
DRAWS = 1000
HELD = 4_000_000  # row counts in memory at a time, 32 MB of each kind


def interval(metric: Metric, y: Array, p: Array, seed: int = 0, draws: int = DRAWS) -> tuple[float, float]:
    """The 95 % interval (low, high) of the natural score of predictions p (n, k) for truth y (n,).

    The percentile bootstrap (Efron 1979) over rows. A score that is no mean over rows (AUC) is drawn through each row's
    influence on it, which is equal to first order and needs one sort instead of one for every draw.
    """
    low, high = bounds(metric.finish(resampled(metric.rows(y, p)[:, None], seed, draws)))
    return float(low[0]), float(high[0])


def bounds(drawn: Array) -> tuple[Array, Array]:
    """The outer percentiles (c,), (c,) of draws (draws, c)."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def resampled(rows: Array, seed: int = 0, draws: int = DRAWS) -> Array:
    """Means (draws, c) of rows (n, c) drawn n times with replacement; the columns share their draws, so they can be compared.

    Only how often each row was drawn matters, so all columns cost one matrix product, in blocks of bounded memory.
    """
    n = len(rows)
    random = np.random.default_rng(seed)
    means = np.empty((draws, rows.shape[1]))
    block = max(1, HELD // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = random.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        means[start : start + size] = counts.astype(np.float64) @ rows / n
    return means
