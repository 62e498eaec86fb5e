"""The mean of ranks: for members that order rows alike but disagree in scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.metrics import Metric
from pipeline.predictions import Array

KNOTS = 1001  # points that a distribution is kept by; between them it is a straight line


@dataclass(frozen=True, eq=False)
class Ranked:
    """knots: by member and column, its (values, ranks). grid: (q,) ranks, quantiles: (k, q) what they become."""

    knots: tuple[tuple[tuple[Array, Array], ...], ...]
    grid: Array
    quantiles: Array
    probabilities: bool

    @property
    def weights(self) -> Array:
        return np.full(len(self.knots), 1 / len(self.knots))

    def predict(self, P: Array) -> Array:
        columns = []
        for column, quantiles in enumerate(self.quantiles):
            ranks = [np.interp(p[:, column], *member[column]) for p, member in zip(P, self.knots, strict=True)]
            columns.append(np.interp(np.mean(ranks, axis=0), self.grid, quantiles))
        p = np.stack(columns, axis=1)
        if self.probabilities:
            p = np.maximum(p, np.finfo(np.float64).eps)
            p /= p.sum(axis=1, keepdims=True)
        return p


def rank_mean(P: Array, y: Array, metric: Metric) -> Ranked:  # noqa: ARG001 - every blender is asked in the same way
    """Each column's ranks are averaged and mapped back through the quantiles of the members' mean.

    So the order is that of the mean rank (all that AUC sees) and the values stay in the scale of the target, where RMSE or
    log loss can judge them. Ranks are those among the fitted rows: a row's prediction never depends on which other rows are
    predicted with it. Beyond the fitted rows' lowest and highest the ranks stay theirs.
    """
    place = np.linspace(0, P.shape[1] - 1, min(P.shape[1], KNOTS)).astype(np.intp)
    grid = place + 0.5  # whole and half ranks, whose sums are exact: equal mean ranks stay equal
    knots = tuple(tuple(_ranks(np.sort(column)[place], grid) for column in member.T) for member in P)
    return Ranked(knots, grid, np.sort(P.mean(axis=0), axis=0)[place].T, metric.kind != "value")


def _ranks(values: Array, ranks: Array) -> tuple[Array, Array]:
    """Distinct values and their ranks; equal values share the mean of theirs."""
    values, first, count = np.unique(values, return_index=True, return_counts=True)
    return values, (ranks[first] + ranks[first + count - 1]) / 2
