"""Bagged climbing: the same picks as a climb by hand, an honest stop, and less fitted to noise than one long climb."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ensemble import bagging
from pipeline.ensemble.bagging import _products, bagged_climbing, climbs, drawn
from pipeline.ensemble.climbing import hill_climbing
from pipeline.metrics import METRICS
from tests.pipeline.ensemble.test_climbing import problem


@settings(deadline=None, max_examples=40)
@given(members=st.integers(1, 6), rows=st.integers(2, 20), seed=st.integers(0, 999), name=st.sampled_from(sorted(METRICS)))
def test_the_products_give_the_squared_errors_of_every_blend(members: int, rows: int, seed: int, name: str) -> None:
    metric = METRICS[name]
    P, y = problem(metric, members, rows, seed)
    weights = np.random.default_rng(seed).dirichlet(np.ones(members))
    blend = np.tensordot(weights, P, 1)
    truth = metric.link(y)[:, None] if metric.kind == "value" else np.eye(P.shape[2])[y]
    assert weights @ _products(P, y, metric) @ weights == pytest.approx(((blend - truth) ** 2).sum(), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_every_bag_climbs_as_by_hand_among_its_own(seed: int) -> None:
    P, y = problem(METRICS["rmse"], 6, 50, seed)
    products, bags = _products(P, y, METRICS["rmse"]), drawn(6)
    counts = np.zeros(bags.shape)
    for share in climbs(products, bags, 7):
        for bag, held in zip(bags, counts, strict=True):
            losses = [(held + one) @ products @ (held + one) if bag[j] else np.inf for j, one in enumerate(np.eye(6))]
            held[int(np.argmin(losses))] += 1
        np.testing.assert_allclose(share, (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0))
    assert bags[0].all()
    assert (counts[~bags] == 0).all()


@pytest.mark.parametrize("name", METRICS)
def test_weights_are_shares_and_the_same_every_time(name: str) -> None:
    P, y = problem(METRICS[name], 8, 200, seed=1)
    weights = bagged_climbing(P, y, METRICS[name]).weights
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights.tolist() == bagged_climbing(P, y, METRICS[name]).weights.tolist()


def test_of_many_members_and_few_rows_it_is_better_on_others_than_one_long_climb() -> None:
    """Forty members of equal merit, sixty rows."""
    metric, gains = METRICS["rmse"], []
    for seed in range(8):
        random = np.random.default_rng(seed)
        y = random.normal(size=2060)
        P = (y + random.normal(size=(40, 2060)))[:, :, None]
        one, many = (fit(P[:, :60], y[:60], metric).predict(P[:, 60:]) for fit in (hill_climbing, bagged_climbing))
        gains.append(metric.natural(y[60:], one) - metric.natural(y[60:], many))
    assert np.mean(gains) > 0


def test_it_stops_where_other_rows_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One member is right and the others are noise: the first pick is the best."""
    random = np.random.default_rng(0)
    y = random.normal(size=400)
    P = np.concatenate([y[None] + 0.01 * random.normal(size=400), random.normal(size=(9, 400))])[:, :, None]
    monkeypatch.setattr(bagging, "BAGS", 1)
    assert bagged_climbing(P, y, METRICS["rmse"]).weights.tolist() == [1, *[0] * 9]
