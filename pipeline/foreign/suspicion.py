"""Is it too good to be true? Predictions that saw their own answers look like a discovery, and would carry a whole ensemble.

A suspicion refuses nothing: it is told when the file comes, kept with it, and told again wherever the member stands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.metrics import Metric
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.run import Run

SAME = 1e-9  # relative: a file that was read and written again may differ in the last bits
LEAST_EQUAL = 0.01  # share of rows that equal the target, below which nothing is thought of it
BY_CHANCE = 2  # times as often as the most frequent target value stands, which always guessing it would reach
CERTAIN = 0.5  # share of rows in which the true class has all of the probability
ERRORS = 6.0  # standard errors by which one fold is better than the others
HALF = 0.5  # of the error that is to be expected in that fold


def oddities(run: Run, oof: Table | Boxes, best: Table | Boxes | None) -> list[str]:
    """What is odd about out-of-fold predictions by themselves, and beside those of our best member, a sentence each."""
    found = _copied(run, oof)
    if isinstance(oof, Table) and isinstance(best, Table):
        found += one_fold(oof, best, run.ids, run.y, run.folds.fold_of, run.entry.competition.metric)
    return found


def too_good(score: float, interval: tuple[float, float], metric: Metric) -> list[str]:
    """Better than the 95 % interval of our best member by more than this interval is wide."""
    low, high = interval
    bound = high if metric.higher_is_better else low
    if not metric.sign * (score - bound) > high - low:  # no number is none
        return []
    return [
        f"its {metric.name} of {score:.5g} is far better than our best member's interval, {low:.5g} to {high:.5g}: "
        "may its features, or its folds, have known the answers?"
    ]


def _copied(run: Run, oof: Table | Boxes) -> list[str]:
    if isinstance(oof, Boxes):
        return _copied_boxes(run.y.of(oof.images), oof)
    at = oof.at(run.ids)
    there = np.isfinite(at).all(axis=1)
    y, p = run.y[there], at[there]
    if run.classes:
        share = float((p[np.arange(len(y)), y] >= 1 - SAME).mean())
        wrong = float((p.max(axis=1) >= 1 - SAME).mean()) - share
        if share <= CERTAIN or wrong > share / 20:
            return []
        return [f"{share:.1%} of its rows give the true class all of the probability, and {wrong:.1%} a wrong one."]
    share = float(np.isclose(p[:, 0], y, rtol=SAME, atol=0).mean())
    guess = float(np.unique(y, return_counts=True)[1].max() / len(y))
    if share <= max(LEAST_EQUAL, BY_CHANCE * guess):
        return []
    return [
        f"{share:.1%} of its rows equal the target to nine digits; the most frequent value of the target stands in {guess:.1%}."
    ]


def _copied_boxes(truth: Truth, oof: Boxes) -> list[str]:
    def rows(image: Array, category: Array, box: Array) -> set[tuple[Any, ...]]:
        return set(zip(image.tolist(), category.tolist(), *np.round(box, 3).T.tolist(), strict=True))

    true = rows(truth.image, truth.category, truth.box)
    share = len(true & rows(oof.image, oof.category, oof.box)) / max(1, len(true))
    return [f"{share:.1%} of the true boxes are among its boxes, to a thousandth of a pixel."] if share > LEAST_EQUAL else []


def one_fold(oof: Table, best: Table, ids: Array, y: Array, fold_of: Array, metric: Metric) -> list[str]:
    """Folds in which it beats our best member by far more than in the others: their rows may have been learned."""
    mine, ours = oof.at(ids), best.at(ids)
    there = np.isfinite(mine).all(axis=1) & np.isfinite(ours).all(axis=1) & (fold_of >= 0)
    errors = np.full((2, len(ids)), np.nan)
    folds = np.unique(fold_of[there])
    for fold in folds:
        rows = there & (fold_of == fold)
        for side, p in enumerate((mine, ours)):
            told = metric.rows(y[rows], p[rows])
            errors[side, rows] = 1 - told if metric.higher_is_better else told
    found = []
    for fold in folds if len(folds) > 1 else []:
        here, elsewhere = there & (fold_of == fold), there & (fold_of != fold)
        expected = errors[1, here].mean() * errors[0, elsewhere].mean() / max(errors[1, elsewhere].mean(), np.finfo(float).tiny)
        gain = errors[1] - errors[0]
        spread = np.sqrt(gain[here].var() / here.sum() + gain[elsewhere].var() / elsewhere.sum())
        sure = gain[here].mean() - gain[elsewhere].mean() > ERRORS * spread
        if sure and errors[0, here].mean() < HALF * expected:
            found.append(
                f"in fold {fold} its error is {errors[0, here].mean():.3g}, where {expected:.3g} is to be expected after the other "
                "folds: may these rows have been learned?"
            )
    return found
