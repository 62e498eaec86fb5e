"""Ridge stacking: free weights and offsets, drawn towards the plain mean as strongly as other rows ask for (Wolpert 1992)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from pipeline.ensemble.climbing import spread
from pipeline.ensemble.weighted import Blender, Weighted, weighed
from pipeline.metrics import Metric
from pipeline.predictions import Array

PENALTIES = 10.0 ** np.arange(2, -9, -1)  # in units of the members' mean variance, strongest first
POOL_PENALTIES = 10.0 ** np.arange(0, -6, -1)  # in nats, strongest first
EQUAL = 1e-6  # relative difference of errors that does not ask for a weaker penalty
PARTS = 5  # every fifth row is held out to choose the penalty
SURE = 1e-7  # float32 tells probabilities no closer than this from 0 or 1, and one log of 0 would outweigh all else
SAMPLE = 20_000  # rows that choose the pool's penalty; one number needs no more
WORK = 8_000_000  # logarithms that the pool is fitted to; of more members and classes fewer rows stand for all
CHOOSING = 4  # of these, one in so many chooses the penalty


def ridge(P: Array, y: Array, metric: Metric) -> Blender:
    """Least squares on the link scale for values; for classes, the logarithmic pool with the least log loss."""
    return linear(P[:, :, 0], metric.link(y)) if metric.kind == "value" else pool(P, y)


def linear(P: Array, target: Array) -> Weighted:
    """P (m, n) weighted freely with an intercept; the penalty is on how far each weight is from 1 / m.

    So with few rows it ends at the mean of the members, not at a constant. Rows enter through their second moments alone,
    which can be added and taken away: the inner cross-validation costs as little as one fit. Predictions stay within the
    range of the fitted rows and members.
    """
    m, n = P.shape
    prior = np.full(m, 1 / m)
    centre = target.mean()
    rows = np.vstack([P - centre, target - prior @ P, np.ones(n)])  # the target is what the mean leaves
    moments = np.stack([rows[:, part::PARTS] @ rows[:, part::PARTS].T for part in range(PARTS)])
    whole = moments.sum(axis=0)
    errors = np.zeros(len(PENALTIES))
    for held in moments[: n if n > 1 else 0]:
        errors += [v @ held @ v for v in _solutions(whole - held)]
    *change, _, offset = _solutions(whole)[np.flatnonzero(errors <= errors.min() + EQUAL * abs(errors.min()))[0]]
    weights = prior - np.array(change)
    return Weighted(weights, -offset - centre * (weights - prior).sum(), min(P.min(), target.min()), max(P.max(), target.max()))


def _solutions(moments: Array) -> Array:
    """By penalty, v (m + 2,) such that v @ (members, target, 1) is a row's error: target less prediction."""
    n, sums = moments[-1, -1], moments[-1, :-1]
    covariance = moments[:-1, :-1] / n - np.outer(sums, sums) / n**2
    values, vectors = np.linalg.eigh(covariance[:-1, :-1])
    values = np.maximum(values, 0)
    strength = PENALTIES[:, None] * (values.mean() or 1)
    weights = (covariance[-1, :-1] @ vectors / (values + strength)) @ vectors.T
    v = np.hstack([-weights, np.ones((len(weights), 1))])
    return np.hstack([v, -(v @ sums / n)[:, None]])


@dataclass(frozen=True, eq=False)
class Pool:
    """Class probabilities in proportion to exp(offset) times the product of the members' to the power of their weight."""

    weights: Array
    offsets: Array

    def predict(self, P: Array) -> Array:
        return softmax(weighed(self.weights, _logs(P)) + self.offsets, axis=1)


def pool(P: Array, y: Array) -> Pool:
    """Multinomial logistic regression on the members' log probabilities, one weight a member and one offset a class.

    A weight for every pair of classes, as in the usual stacker, is 31,000 a member for 176 classes. The sum of the weights
    is free and sharpens or softens; the penalty is on the distance to the geometric mean.
    """
    fitting_rows = spread(np.arange(len(y)), max(PARTS, WORK // (len(P) * P.shape[2])))
    if len(fitting_rows) < len(y):
        P, y = P.take(fitting_rows, axis=1), y[fitting_rows]
    logs = _logs(P)
    rows = spread(np.arange(len(y)), min(SAMPLE, max(PARTS, WORK // CHOOSING // (len(P) * P.shape[2]))))
    penalty = POOL_PENALTIES[0]
    if len(rows) >= PARTS:
        held = np.arange(len(rows)) % PARTS == PARTS - 1
        fitting, judging = ((logs.take(rows[some], axis=1), y[rows[some]]) for some in (~held, held))
        losses, start = [], _start(P)
        for strength in POOL_PENALTIES:
            start = _pooled(*fitting, strength, start)
            losses.append(_loss(start, *judging, 0.0)[0])
        penalty = POOL_PENALTIES[np.flatnonzero(losses <= np.min(losses) * (1 + EQUAL))[0]]
    fitted = _pooled(logs, y, penalty, _start(P))
    return Pool(fitted[: len(P)], fitted[len(P) :])


def _logs(P: Array) -> Array:
    return np.log(np.maximum(P, SURE))


def _start(P: Array) -> Array:
    return np.concatenate([np.full(len(P), 1 / len(P)), np.zeros(P.shape[2])])


def _pooled(logs: Array, y: Array, penalty: float, start: Array) -> Array:
    return minimize(_loss, start, (logs, y, penalty), jac=True, method="L-BFGS-B").x


def _loss(x: Array, logs: Array, y: Array, penalty: float) -> tuple[float, Array]:
    """Mean log loss and penalty of x, weights (m,) and offsets (k,) in one, and their gradient."""
    m, n, _ = logs.shape
    each = np.arange(n)
    predicted = log_softmax(np.tensordot(x[:m], logs, 1) + x[m:], axis=1)
    surplus = np.exp(predicted)
    surplus[each, y] -= 1
    away = x - np.concatenate([np.full(m, 1 / m), np.zeros(len(x) - m)])
    gradient = np.concatenate([np.tensordot(logs, surplus, 2), surplus.sum(axis=0)]) / n + penalty * away
    return -predicted[each, y].mean() + penalty / 2 * (away @ away), gradient
