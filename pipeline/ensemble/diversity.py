"""How alike members are: what errs alike adds nothing to a blend, however good it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.ensemble.climbing import spread
from pipeline.metrics import Metric
from pipeline.predictions import Array

LOOKED_AT = 10_000_000  # errors, of all members together
PAIRS = 3  # that a person is told of
ALIKE = 0.98  # correlation from which two members are as good as one


def correlations(P: Array, y: Array, metric: Metric) -> Array:
    """(m, m) correlations of the members' errors on the link scale; of classes, of what the true class lacks of all probability. 0
    beside a member whose error is the same everywhere."""
    rows = spread(np.arange(len(y)), max(2, LOOKED_AT // len(P)))
    errors = P[:, rows, 0] - metric.link(y[rows]) if metric.kind == "value" else 1 - P[:, rows, y[rows]]
    errors = errors - errors.mean(axis=1, keepdims=True)
    length = np.sqrt((errors**2).sum(axis=1, keepdims=True))
    errors = np.divide(errors, length, out=np.zeros_like(errors), where=length > 0)
    found: Array = np.clip(errors @ errors.T, -1, 1)
    np.fill_diagonal(found, 1.0)
    return found


def pairs(names: Sequence[str], correlations: Array) -> list[tuple[str, str, float]]:
    """All pairs, the most alike first."""
    first, second = np.triu_indices(len(names), 1)
    values = correlations[first, second]
    order = np.argsort(-values, kind="stable")
    return [(names[first[at]], names[second[at]], float(values[at])) for at in order.tolist()]


def told(names: Sequence[str], correlations: Array) -> tuple[str, ...]:
    """What a person should know of it: the most and the least alike, and how many are as good as one."""
    found = pairs(names, correlations)
    if not found:
        return ()
    most = ", ".join(f"{a} and {b} ({value:.3f})" for a, b, value in found[:PAIRS])
    a, b, value = found[-1]
    least = f"; the least: {a} and {b} ({value:.3f})" if len(found) > 1 else ""
    same = sum(value >= ALIKE for _, _, value in found)
    many = f" {same} of {len(found)} pairs err alike to {ALIKE:g} or more: one of two would do." if same else ""
    return (f"Errors correlate the most: {most}{least}.{many}",)
