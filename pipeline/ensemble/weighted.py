"""Blends that are a weighted sum, and the two that need no fitting to speak of: the mean and the best member.

A blender is a function fit(P, y, metric) -> Blender, here and in the modules beside this one. P is (m, n, k): m members'
predictions of n rows in k columns, on the metric's link scale (class probabilities: rows that sum to 1). y is (n,), on the
natural scale. What it returns predicts (n, k) on the link scale for other rows of the same members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np

from pipeline.metrics import Metric
from pipeline.predictions import Array


class Blender(Protocol):
    """A fitted blend. weights: (m,), what each member counts."""

    @property
    def weights(self) -> Array: ...

    def predict(self, P: Array) -> Array: ...


Fit: TypeAlias = Callable[[Array, Array, Metric], Blender]


@dataclass(frozen=True, eq=False)
class Weighted:
    """The members' sum by weight (m,), plus an offset, kept within low and high."""

    weights: Array
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    def predict(self, P: Array) -> Array:
        return np.clip(weighed(self.weights, P) + self.offset, self.low, self.high)

    def without_zeros(self) -> Weighted:
        """The same blend of only the members that count."""
        return replace(self, weights=self.weights[self.weights != 0])


def weighed(weights: Array, P: Array) -> Array:
    """(n, k): the sum of P (m, n, k) by weight (m,), member after member. A product of matrices would add in an order that depends on
    where a row stands, and the same row would not always be the same bits."""
    total = np.zeros(P.shape[1:])
    for weight, p in zip(weights, P, strict=True):
        total += weight * p
    return total


def mean(P: Array, y: Array, metric: Metric) -> Weighted:  # noqa: ARG001 - every blender is asked in the same way
    """Every member counts the same."""
    return Weighted(np.full(len(P), 1 / len(P)))


def best(P: Array, y: Array, metric: Metric) -> Weighted:
    """The one member that scores best on these rows; of equals the first."""
    scores = [metric.sign * metric.finish(metric.rows(y, metric.unlink(p)).mean()) for p in P]
    return Weighted(np.eye(len(P))[int(np.argmax(scores))])


def true_class(P: Array, y: Array) -> Array:
    """(m, n), the probability that each member gives to each row's own class, at least the machine's epsilon."""
    return np.maximum(P[:, np.arange(len(y)), y], np.finfo(np.float64).eps)
