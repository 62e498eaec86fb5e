"""Weights of at least 0 that sum to 1, fitted to a proper loss: squared error, or log loss for classes."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls as least_squares

from pipeline.ensemble.climbing import spread
from pipeline.ensemble.weighted import Weighted, true_class
from pipeline.metrics import Metric
from pipeline.predictions import Array

GAP = 1e-7  # nats that the mixture may be above the least log loss
STEPS = 100
WORK = 4_000_000  # probabilities that the mixture is fitted to; of more members fewer rows stand for all


def nnls(P: Array, y: Array, metric: Metric) -> Weighted:
    """Least squares on the link scale for values, least log loss for classes, whatever function of them the metric is.

    Breiman (1996), Stacked regressions: weights of at least 0 are what makes stacking hold on other rows.
    """
    if metric.kind == "value":
        errors = P[:, :, 0] - metric.link(y)
        return Weighted(smallest(errors @ errors.T / len(y)))
    rows = spread(np.arange(len(y)), max(1, WORK // len(P)))
    return Weighted(mixture(true_class(P if len(rows) == len(y) else P.take(rows, axis=1), y[rows])))


def smallest(gram: Array) -> Array:
    """w (m,) >= 0 with sum 1 and the least w' gram w, for a positive semidefinite gram (m, m).

    Over v = s w, v' gram v + (sum(v) - 1)^2 is least at q / (1 + q), which grows with q = w' gram w. So unconstrained sums
    and a division give exactly the constrained weights, and plain non-negative least squares solves it.
    """
    size = np.trace(gram) / len(gram)
    if size == 0:
        return np.full(len(gram), 1 / len(gram))
    values, vectors = np.linalg.eigh(gram / size)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    v, _ = least_squares(np.vstack([root, np.ones(len(gram))]), np.eye(len(gram) + 1)[-1])
    return v / v.sum()


def mixture(p: Array) -> Array:
    """Weights (m,) of the mixture with the least mean -log(w @ p), for the members' probabilities p (m, n) of what happened.

    Newton's method: to second order in the weights, the loss is that of fitting the number 2 by the ratios p / (w @ p), so
    each step is a least squares problem on the simplex (Kim, Carbonetto, Stephens and Anitescu 2020, mix-SQP). The loss is
    convex, and the largest mean ratio less 1 bounds how far it is above its minimum, which is when to stop. Where no step
    downhill is found, a step of expectation maximisation is one.
    """
    w = np.full(len(p), 1 / len(p))
    for _ in range(STEPS):
        mixed = w @ p
        ratios = p / mixed
        pull = ratios.mean(axis=1)
        if pull.max() - 1 <= GAP:
            break
        ratios -= 2
        towards = smallest(ratios @ ratios.T / p.shape[1])
        gained = (towards @ p) / mixed
        for step in 0.5 ** np.arange(12):
            if np.log(1 - step + step * gained).mean() >= 1e-4 * step * (towards @ pull - 1):
                w = (1 - step) * w + step * towards
                break
        else:
            w = w * pull / (w @ pull)
    return w
