"""Stacking by trees: small boosted trees on the members' out-of-fold predictions, for what no weighted sum can say (Wolpert 1992).

They start from the members' mean and learn what it leaves: which member is to be trusted where. So they end at the mean where other rows
see nothing to learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from pipeline.ensemble.climbing import spread
from pipeline.ensemble.weighted import Blender, mean, weighed
from pipeline.metrics import Metric
from pipeline.predictions import Array

LEAST_ROWS = 2_000  # below, trees learn noise
MOST_CLASSES = 8  # each is a tree of its own in every round
SAMPLE = 20_000  # rows that are learned from: so small trees need no more
WORK = 2_000_000  # numbers of P that are learned from; of more members fewer rows stand for all
ROUNDS, PATIENCE = 100, 10
PARTS = 5  # every fifth row is held out to say how many trees
SURE = 1e-7  # as for the logarithmic pool
RECIPE = {
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "seed": 0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,  # the same sums whatever the cores
    "verbosity": -1,
}


@dataclass(frozen=True, eq=False)
class Trees:
    """weights: (m,) each member's share of what the trees gained. low, high: values are kept within them."""

    weights: Array
    booster: Any
    probabilities: bool
    low: float = -np.inf
    high: float = np.inf

    def predict(self, P: Array) -> Array:
        found = _start(P, self.probabilities) + self.booster.predict(_meta(P), raw_score=True).reshape(P.shape[1], -1)
        if not self.probabilities:
            return np.clip(found, self.low, self.high)
        return softmax(np.hstack([np.zeros_like(found), found]) if found.shape[1] == 1 else found, axis=1)


def trees(P: Array, y: Array, metric: Metric) -> Blender:
    """The mean of the members where there are under `LEAST_ROWS` rows, or more classes than `MOST_CLASSES`."""
    m, n, k = P.shape
    if n < LEAST_ROWS or k > MOST_CLASSES:
        return mean(P, y, metric)
    import lightgbm

    rows = spread(np.arange(n), min(SAMPLE, max(LEAST_ROWS, WORK // (m * k))))
    P, y = P.take(rows, axis=1), y[rows]
    values = metric.kind == "value"
    target = metric.link(y) if values else y
    objective: dict[str, Any] = {"objective": "regression_l1" if metric.name == "mae" else "regression"}
    if not values:
        objective = {"objective": "binary"} if k == 2 else {"objective": "multiclass", "num_class": k}
    held = np.arange(len(y)) % PARTS == PARTS - 1

    def data(some: Array) -> Any:
        start = _start(P[:, some], not values).ravel(order="F")
        return lightgbm.Dataset(_meta(P[:, some]), target[some], init_score=start, free_raw_data=True)

    recipe = {**RECIPE, **objective, "boost_from_average": False}
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    tried = lightgbm.train(recipe, data(~held), ROUNDS, valid_sets=[data(held)], callbacks=[stop])
    booster = lightgbm.train(recipe, data(np.full(len(y), True)), max(1, tried.best_iteration))
    gained = booster.feature_importance("gain").reshape(m, -1).sum(axis=1)
    weights = gained / gained.sum() if gained.sum() > 0 else np.full(m, 1 / m)
    if not values:
        return Trees(weights, booster, True)
    return Trees(weights, booster, False, min(P.min(), target.min()), max(P.max(), target.max()))


def _meta(P: Array) -> Array:
    """(n, m * c) what the trees see; of two classes the second."""
    seen = P[:, :, 1:] if P.shape[2] == 2 else P
    return np.ascontiguousarray(seen.transpose(1, 0, 2).reshape(P.shape[1], -1))


def _start(P: Array, probabilities: bool) -> Array:
    """(n, c) what the trees start from: the mean, of classes its logarithm, of two classes the logarithm of their odds."""
    middle = weighed(np.full(len(P), 1 / len(P)), P)
    if not probabilities:
        return middle
    logs = np.log(np.maximum(middle, SURE))
    return logs[:, 1:] - logs[:, :1] if P.shape[2] == 2 else logs
