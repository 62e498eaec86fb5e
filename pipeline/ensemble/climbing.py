"""Hill climbing: add, again and again, the member that helps the blend most (Caruana et al., ICML 2004).

Members may be added many times; how often one was added is its weight. Every round tries every member, so what a round
costs decides. For the metrics named in `SEARCHES` it is kept low by what their loss allows; every other metric is asked
itself, which is as right and slower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from pipeline.ensemble.weighted import Weighted, true_class
from pipeline.metrics import Metric
from pipeline.predictions import Array

ROUNDS = 100
EQUAL = 1e-9  # relative difference of losses that is rounding, not merit
SAMPLE = 20_000  # rows that stand for all where a round must sort them

Losses: TypeAlias = Callable[[Array], Array]
"""How often each member is in the blend (m,) -> the loss (m,) of the blend with each of them added once more."""


def hill_climbing(P: Array, y: Array, metric: Metric) -> Weighted:
    """Shares among `ROUNDS` picks with replacement, cut after the pick that was best.

    The paper also starts from the best few members; measured on other rows, three or more only lose.
    """
    search = SEARCHES.get(metric.name, any_metric)
    counts = climb(search(P, y, metric), len(P))
    return Weighted(counts / counts.sum())


def climb(losses: Losses, members: int, rounds: int = ROUNDS) -> Array:
    """How often (m,) each member is in the best blend on the way; of equal blends the shortest.

    Of members that would help the same, the better one alone is taken, then the first: an order of the members is all it
    takes to make the result the same everywhere.
    """
    counts = np.zeros(members)
    alone = losses(counts)
    kept, least = np.zeros(members), np.inf
    for _ in range(rounds):
        loss = losses(counts)
        helpful = _least(loss)
        pick = helpful[_least(alone[helpful])[0]]
        counts[pick] += 1
        if not kept.any() or loss[pick] < least - EQUAL * abs(least):
            kept, least = counts.copy(), loss[pick]
    return kept


def _least(values: Array) -> Array:
    low = values.min()
    return np.flatnonzero(values <= low + EQUAL * abs(low))


def squares(P: Array, y: Array, metric: Metric) -> Losses:
    """A mean of squares is a quadratic form in the weights: after one matrix product no round looks at a row again."""
    errors = P[:, :, 0] - metric.link(y)
    products = errors @ errors.T / len(y)

    def losses(counts: Array) -> Array:
        pull = products @ counts
        return (counts @ pull + 2 * pull + products.diagonal()) / (counts.sum() + 1) ** 2

    return losses


def absolutes(P: Array, y: Array, metric: Metric) -> Losses:
    errors = P[:, :, 0] - metric.link(y)

    def losses(counts: Array) -> Array:
        held = counts @ errors
        return np.array([np.abs(held + error).mean() for error in errors]) / (counts.sum() + 1)

    return losses


def logs(P: Array, y: Array, metric: Metric) -> Losses:  # noqa: ARG001 - every search is asked in the same way
    """Rows sum to 1, so log loss sees only the probability of the true class."""
    p = true_class(P, y)

    def losses(counts: Array) -> Array:
        held = counts @ p
        return np.log(counts.sum() + 1) - np.array([np.log(held + member).mean() for member in p])

    return losses


def hits(P: Array, y: Array, metric: Metric) -> Losses:  # noqa: ARG001 - every search is asked in the same way
    """A row whose class leads by more than 1 cannot be turned by one more member, so fewer rows are looked at every round."""
    each = np.arange(len(y))
    own = P[:, each, y]
    all_classes = P.transpose(0, 2, 1).copy()  # (m, k, n), so that the most probable class is taken along whole rows of memory

    def losses(counts: Array) -> Array:
        held, others = counts @ own, np.tensordot(counts, P, 1).T.copy()
        others[y, each] = -np.inf
        lead = held - others.max(axis=0)
        certain = np.count_nonzero(lead > 1 + EQUAL)
        rows = np.flatnonzero(np.abs(lead) <= 1 + EQUAL)
        held, others = held[rows], others[:, rows]
        return -np.array([certain + won(member, rows, held, others) for member in range(len(P))]) / len(y)

    def won(member: int, rows: Array, held: Array, others: Array) -> int:
        ours, theirs = held + own[member, rows], others + all_classes[member][:, rows]
        rival = theirs.max(axis=0)
        tied = np.flatnonzero(ours == rival)
        first = theirs[:, tied].argmax(axis=0) > y[rows[tied]]  # of equal classes the first is predicted
        return int(np.count_nonzero(ours > rival) + np.count_nonzero(first))

    return losses


def orders(P: Array, y: Array, metric: Metric) -> Losses:  # noqa: ARG001 - every search is asked in the same way
    """AUC by sorting integers, on `SAMPLE` rows, half of each side; classes as in `pipeline.metrics`."""
    columns = []
    for c in range(P.shape[2]) if P.shape[2] > 2 else [P.shape[2] - 1]:
        sides = [_spread(np.flatnonzero((y == c) == mine), SAMPLE // 2) for mine in (False, True)]
        if all(map(len, sides)):
            columns.append((P[:, :, c].take(np.concatenate(sides), axis=1), np.repeat([0, 1], [len(side) for side in sides])))

    def losses(counts: Array) -> Array:
        areas = np.zeros(len(P))
        for p, mine in columns:
            held = counts @ p
            areas += [_area(held + member, mine) for member in p]
        return -areas / max(1, len(columns))

    return losses


def _area(scores: Array, mine: Array) -> float:
    """AUC of scores (n,) >= 0. Such floats sort like the integers of the same bits; the last bit carries the class."""
    n, positives = len(mine), int(mine.sum())
    codes = np.sort((scores.view(np.int64) & -2) | mine)
    sides = codes & 1
    won = np.flatnonzero(sides).sum() - positives * (positives - 1) / 2
    edge = np.flatnonzero((np.diff(codes) == 1) & (sides[1:] == 1)) + 1  # equal scores of both classes: such a pair counts half
    below = edge - np.searchsorted(codes, codes[edge - 1], side="left")
    above = np.searchsorted(codes, codes[edge], side="right") - edge
    return float((won - (below * above).sum() / 2) / (positives * (n - positives)))


def any_metric(P: Array, y: Array, metric: Metric) -> Losses:
    """The metric itself, member by member. One that is no mean over rows is asked on `SAMPLE` rows, with each class's share."""
    if metric.loss is None:
        rows = _spread(np.argsort(y, kind="stable"), SAMPLE)
        P, y = P.take(rows, axis=1), y[rows]

    def losses(counts: Array) -> Array:
        held, size = np.tensordot(counts, P, 1), counts.sum() + 1
        blends = (metric.unlink((held + p) / size) for p in P)
        return np.array([-metric.sign * metric.rows(y, blend).mean() for blend in blends])

    return losses


def _spread(rows: Array, size: int) -> Array:
    """At most `size` of the rows, evenly."""
    return rows[np.linspace(0, len(rows) - 1, size).astype(np.intp)] if len(rows) > size else rows


SEARCHES: Mapping[str, Callable[[Array, Array, Metric], Losses]] = {
    "rmse": squares,
    "rmsle": squares,
    "mae": absolutes,
    "log_loss": logs,
    "accuracy": hits,
    "auc": orders,
}
