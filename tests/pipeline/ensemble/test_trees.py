"""Trees find what no weighted sum can say, end at the mean where there is nothing, and never ask for what they cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.ensemble import trees as module
from pipeline.ensemble.stacking import ridge
from pipeline.ensemble.trees import Trees, trees
from pipeline.ensemble.weighted import Weighted
from pipeline.metrics import METRICS

N = 6000


def test_members_that_are_right_in_different_places_are_told_apart() -> None:
    """A weighted sum cannot: each member is right where the other says nothing."""
    random, metric = np.random.default_rng(0), METRICS["rmse"]
    y = random.normal(size=N)
    low = np.where(y < 0, y, 0.5) + 0.05 * random.normal(size=N)
    high = np.where(y < 0, -0.5, y) + 0.05 * random.normal(size=N)
    P, cut = np.stack([low, high])[:, :, None], N * 2 // 3
    errors = [metric.natural(y[cut:], fit(P[:, :cut], y[:cut], metric).predict(P[:, cut:])) for fit in (trees, ridge)]
    assert errors[0] < 0.6 * errors[1]


@pytest.mark.parametrize("classes", [2, 3])
def test_chances_stay_chances_and_are_better_than_the_mean(classes: int) -> None:
    random, metric = np.random.default_rng(0), METRICS["log_loss"]
    y = random.integers(classes, size=N)
    sharp = random.dirichlet(np.ones(classes), (2, N)) * 0.6 + 0.4 * np.eye(classes)[y]
    P, cut = np.concatenate([sharp, random.dirichlet(np.ones(classes), (1, N))]), N * 2 // 3
    blender = trees(P[:, :cut], y[:cut], metric)
    assert isinstance(blender, Trees)
    predicted = blender.predict(P[:, cut:])
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    assert metric.natural(y[cut:], predicted) < metric.natural(y[cut:], P[:, cut:].mean(axis=0))
    assert blender.weights.sum() == pytest.approx(1)
    assert blender.weights[2] < 0.2


def test_a_row_has_the_same_bits_wherever_it_stands_and_every_time() -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=N)
    P = (y + random.normal(size=(3, N)))[:, :, None]
    first, second = (trees(P, y, METRICS["mae"]) for _ in range(2))
    order = random.permutation(N)
    assert first.predict(P[:, order]).tobytes() == first.predict(P)[order].tobytes() == second.predict(P)[order].tobytes()
    assert first.predict(P[:, :1]).tobytes() == first.predict(P)[:1].tobytes()
    far = first.predict(P * 1000)
    assert min(P.min(), y.min()) <= far.min() <= far.max() <= max(P.max(), y.max())


def test_few_rows_or_many_classes_are_left_to_the_mean() -> None:
    random = np.random.default_rng(0)
    few = random.normal(size=(3, module.LEAST_ROWS - 1, 1))
    assert isinstance(trees(few, few[0, :, 0], METRICS["rmse"]), Weighted)
    many = random.dirichlet(np.ones(module.MOST_CLASSES + 1), (2, module.LEAST_ROWS))
    blender = trees(many, np.zeros(module.LEAST_ROWS, dtype=int), METRICS["accuracy"])
    assert blender.weights.tolist() == [0.5, 0.5]
