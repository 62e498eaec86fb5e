"""The honest score: a blend is fitted without the rows that it is scored on, and so is the choice of the method."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.cores import cores
from pipeline.ensemble.weighted import Fit
from pipeline.errors import NothingUsable
from pipeline.metrics import Metric
from pipeline.predictions import Array

PARTS = 10
FIRST = "mean"  # the method where nothing is known yet: it has nothing to learn
LARGE = 1_000_000  # numbers of the members' predictions from which parts are worth a thread each
NOISE = 1e-4  # relative difference of scores within which the simpler method is taken


def parts(fold: Array, ordered: bool = False) -> Array:
    """(n,) the part 0.. that each row is held out with, for its fold number (n,).

    A fold is never cut, so rows that the plan keeps together stay together; folds beyond the tenth share a part with
    others, in time (ordered) with their neighbours. If one fold holds all rows (a single hold-out), the rows are dealt out in turn.
    Raises NothingUsable for one row.
    """
    if len(fold) < 2:
        raise NothingUsable("One row cannot both fit an ensemble and score it. Give the members more rows in common.")
    folds, part = np.unique(fold, return_inverse=True)
    if ordered and part.any():
        return part * min(PARTS, len(folds)) // len(folds)
    return (part if part.any() else np.arange(len(fold))) % PARTS


def judged(part: Array, ordered: bool) -> Array:
    """(n,) bool: the rows that an honest score is of. In blocks of time nothing comes before the first, so it is of the others."""
    return part > part.min() if ordered and part.any() else np.ones(len(part), dtype=bool)


def seen_by(part: Array, held_out: int, ordered: bool) -> Array:
    """(n,) bool: the rows that may fit what predicts that part: the other parts', or in blocks of time those before it."""
    return part < held_out if ordered else part != held_out


def cross_fitted(
    methods: Mapping[str, Fit], P: Array, y: Array, metric: Metric, part: Array, ordered: bool = False
) -> dict[str, Array]:
    """By method, predictions (n, k) on the natural scale, each row's by a blend fitted on the other parts' rows; where the parts are
    ordered in time, on those of earlier parts alone, and NaN for the first part."""
    out = {name: np.full(P.shape[1:], np.nan) for name in methods}

    def fill(held_out: int) -> None:
        held, fitting = part == held_out, seen_by(part, held_out, ordered)
        others, seen, unseen = P.compress(fitting, axis=1), y[fitting], P.compress(held, axis=1)
        for name, fit in methods.items():
            out[name][held] = metric.unlink(fit(others, seen, metric).predict(unseen))

    with ThreadPoolExecutor(cores() if P.size > LARGE else 1) as threads:  # what computes lets go of Python's lock
        for _ in threads.map(fill, np.unique(part[judged(part, ordered)]).tolist()):
            pass
    return out


def choice(rows: Mapping[str, Array], metric: Metric) -> str:
    """The method with the best score, from each one's values by row (`Metric.rows`); within `NOISE` of it the simplest."""
    scores = {name: metric.sign * float(metric.finish(values.mean())) for name, values in rows.items()}
    best = max(scores.values())
    return next(name for name, score in scores.items() if score >= best - NOISE * abs(best))


def chosen(predictions: Mapping[str, Array], y: Array, metric: Metric, part: Array, ordered: bool = False) -> Array:
    """(n, k) predictions by the method that is best on the other parts' rows, part by part; ordered in time, on earlier parts' rows,
    and where there are none, by `FIRST`.

    The best of several scores flatters itself. What is chosen without a row's own part does not.
    """
    out = np.empty_like(next(iter(predictions.values())))
    for held_out in np.unique(part):
        held, seen = part == held_out, seen_by(part, held_out, ordered)
        name = FIRST if FIRST in predictions else next(iter(predictions))
        if seen.any():
            name = choice({name: metric.rows(y[seen], p[seen]) for name, p in predictions.items()}, metric)
        out[held] = predictions[name][held]
    return out
