"""Hill climbing: add, again and again, the member that helps the blend most (Caruana et al., ICML 2004).

Members may be added many times; how often one was added is its weight. Every round tries every member, so what a round
costs decides. For the metrics named in `SEARCHES` it is kept low by what their loss allows; every other metric is asked
itself, which is as right and slower. Where a round must look at rows, compiled loops do, and of many members and rows at `WORK` numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numba
import numpy as np

from pipeline.ensemble.weighted import Weighted, true_class
from pipeline.metrics import Metric
from pipeline.predictions import Array

ROUNDS = 100
EQUAL = 1e-9  # relative difference of losses that is rounding, not merit
SAMPLE = 20_000  # rows that stand for all where a round must sort them
WORK = 4_000_000  # numbers that a round may look at; of more members or classes fewer rows stand for all
EXACT = 2_000  # rows up to which AUC is counted pair by pair; beyond, scores in the same one of `BINS` are taken as equal
BINS = 4096
NATS = 1e-12  # of log loss, that is rounding
TOGETHER = 16  # numbers whose product is taken before its logarithm; none is so small that it would be 0

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
    P, y = _some(P, y)
    errors = np.ascontiguousarray(P[:, :, 0] - metric.link(y))

    def losses(counts: Array) -> Array:
        return _sums_of_sizes(counts @ errors, errors) / (errors.shape[1] * (counts.sum() + 1))

    return losses


def logs(P: Array, y: Array, metric: Metric) -> Losses:  # noqa: ARG001 - every search is asked in the same way
    """Rows sum to 1, so log loss sees only the probability of the true class."""
    p = true_class(*_some(P, y))

    def losses(counts: Array) -> Array:
        found = np.log(counts.sum() + 1) - _sums_of_logs(counts @ p, p) / p.shape[1]
        return np.where(np.abs(found) < NATS, 0.0, found)

    return losses


@numba.njit(cache=True, nogil=True)
def _sums_of_sizes(held: Array, errors: Array) -> Array:
    """(m,) sums over n of abs(held (n,) + errors (m, n)), in four at a time, which a processor adds side by side."""
    m, n = errors.shape
    out = np.empty(m)
    for j in range(m):
        a = b = c = d = 0.0
        for i in range(0, n - 3, 4):
            a += abs(held[i] + errors[j, i])
            b += abs(held[i + 1] + errors[j, i + 1])
            c += abs(held[i + 2] + errors[j, i + 2])
            d += abs(held[i + 3] + errors[j, i + 3])
        for i in range(n - n % 4, n):
            a += abs(held[i] + errors[j, i])
        out[j] = (a + b) + (c + d)
    return out


@numba.njit(cache=True, nogil=True)
def _sums_of_logs(held: Array, p: Array) -> Array:
    """(m,) sums over n of log(held (n,) + p (m, n)): the logarithm of the product of `TOGETHER` of them at a time."""
    m, n = p.shape
    out = np.empty(m)
    for j in range(m):
        total = 0.0
        for start in range(0, n, TOGETHER):
            a = b = 1.0
            stop = min(n, start + TOGETHER)
            for i in range(start, stop - 1, 2):
                a *= held[i] + p[j, i]
                b *= held[i + 1] + p[j, i + 1]
            if (stop - start) % 2:
                a *= held[stop - 1] + p[j, stop - 1]
            total += np.log(a * b)
        out[j] = total
    return out


def _some(P: Array, y: Array) -> tuple[Array, Array]:
    """As many rows of P and y, evenly, as keep a round within `WORK`."""
    rows = spread(np.arange(len(y)), max(1, WORK // len(P)))
    return (P, y) if len(rows) == len(y) else (P.take(rows, axis=1), y[rows])


def hits(P: Array, y: Array, metric: Metric) -> Losses:  # noqa: ARG001 - every search is asked in the same way
    """A row whose class leads by more than 1 cannot be turned by one more member, so fewer rows are looked at every round."""
    P, y = _some(P, y)
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
    """AUC by sorting integers, on `SAMPLE` rows, half of each side; classes as in `pipeline.metrics`. Of more than `EXACT` rows by
    counting in bins."""
    columns, most = [], max(1, min(SAMPLE, WORK // len(P)) // 2)
    for c in range(P.shape[2]) if P.shape[2] > 2 else [P.shape[2] - 1]:
        sides = [spread(np.flatnonzero((y == c) == mine), most) for mine in (False, True)]
        if all(map(len, sides)):
            columns.append((P[:, :, c].take(np.concatenate(sides), axis=1), np.repeat([0, 1], [len(side) for side in sides])))

    def losses(counts: Array) -> Array:
        areas = np.zeros(len(P))
        for p, mine in columns:
            held = counts @ p
            if len(mine) > EXACT:
                areas += _binned_areas(held, p, mine, counts.sum() + 1)
            else:
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


@numba.njit(cache=True, nogil=True)
def _binned_areas(held: Array, p: Array, mine: Array, top: float) -> Array:
    """(m,) AUC of the scores held (n,) + p (m, n) from 0 to top, where mine (n,) says the class."""
    m, n = p.shape
    out, scale = np.empty(m), (BINS - 1) / top
    positives = mine.sum()
    for j in range(m):
        counts = np.zeros((BINS, 2), dtype=np.int64)
        for i in range(n):
            counts[min(BINS - 1, int((held[i] + p[j, i]) * scale)), mine[i]] += 1
        won, below = 0.0, 0
        for b in range(BINS):
            won += counts[b, 1] * (below + counts[b, 0] / 2)
            below += counts[b, 0]
        out[j] = won / (positives * (n - positives))
    return out


def any_metric(P: Array, y: Array, metric: Metric) -> Losses:
    """The metric itself, member by member. One that is no mean over rows is asked on `SAMPLE` rows, with each class's share."""
    if metric.loss is None:
        rows = spread(np.argsort(y, kind="stable"), SAMPLE)
        P, y = P.take(rows, axis=1), y[rows]

    def losses(counts: Array) -> Array:
        held, size = np.tensordot(counts, P, 1), counts.sum() + 1
        blends = (metric.unlink((held + p) / size) for p in P)
        return np.array([-metric.sign * metric.rows(y, blend).mean() for blend in blends])

    return losses


def spread(rows: Array, size: int) -> Array:
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
