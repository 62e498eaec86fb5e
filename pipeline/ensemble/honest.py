"""The honest score: a blend is fitted without the rows that it is scored on, and so is the choice of the method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.ensemble.weighted import Fit
from pipeline.errors import NothingUsable
from pipeline.metrics import Metric
from pipeline.predictions import Array

PARTS = 10
NOISE = 1e-4  # relative difference of scores within which the simpler method is taken


def parts(fold: Array) -> Array:
    """(n,) the part 0.. that each row is held out with, for its fold number (n,).

    A fold is never cut, so rows that the plan keeps together stay together; folds beyond the tenth share a part with
    others. If one fold holds all rows (a single hold-out), the rows are dealt out in turn. Raises NothingUsable for one row.
    """
    if len(fold) < 2:
        raise NothingUsable("One row cannot both fit an ensemble and score it. Give the members more rows in common.")
    _, part = np.unique(fold, return_inverse=True)
    return (part if part.any() else np.arange(len(fold))) % PARTS


def cross_fitted(methods: Mapping[str, Fit], P: Array, y: Array, metric: Metric, part: Array) -> dict[str, Array]:
    """By method, predictions (n, k) on the natural scale, each row's by a blend fitted on the other parts' rows."""
    out = {name: np.empty(P.shape[1:]) for name in methods}
    for held_out in np.unique(part):
        held = part == held_out
        others, seen, unseen = P.compress(~held, axis=1), y[~held], P.compress(held, axis=1)
        for name, fit in methods.items():
            out[name][held] = metric.unlink(fit(others, seen, metric).predict(unseen))
    return out


def choice(rows: Mapping[str, Array], metric: Metric) -> str:
    """The method with the best score, from each one's values by row (`Metric.rows`); within `NOISE` of it the simplest."""
    scores = {name: metric.sign * float(metric.finish(values.mean())) for name, values in rows.items()}
    best = max(scores.values())
    return next(name for name, score in scores.items() if score >= best - NOISE * abs(best))


def chosen(predictions: Mapping[str, Array], y: Array, metric: Metric, part: Array) -> Array:
    """(n, k) predictions by the method that is best on the other parts' rows, part by part.

    The best of several scores flatters itself. What is chosen without a row's own part does not.
    """
    out = np.empty_like(next(iter(predictions.values())))
    for held_out in np.unique(part):
        held = part == held_out
        name = choice({name: metric.rows(y[~held], p[~held]) for name, p in predictions.items()}, metric)
        out[held] = predictions[name][held]
    return out
