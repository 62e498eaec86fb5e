"""The mean of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from pipeline.ensemble import ranks
from pipeline.ensemble.ranks import rank_mean
from pipeline.metrics import METRICS


@given(members=st.integers(1, 4), rows=st.integers(1, 40), seed=st.integers(0, 99))
def test_rows_are_ordered_by_their_mean_rank_ties_included(members: int, rows: int, seed: int) -> None:
    P = np.random.default_rng(seed).integers(0, 9, (members, rows, 1)).astype(float)
    predicted = rank_mean(P, np.zeros(rows), METRICS["rmse"]).predict(P)[:, 0]
    mean = np.mean([rankdata(p[:, 0]) for p in P], axis=0)
    assert (np.diff(predicted[np.argsort(mean)]) >= -1e-9).all()
    assert P.mean(axis=0).min() <= predicted.min() <= predicted.max() <= P.mean(axis=0).max()


def test_the_scale_of_a_member_does_not_matter_to_the_order() -> None:
    random = np.random.default_rng(0)
    y = random.integers(2, size=300)
    positive = np.clip(0.5 + 0.2 * (y - 0.5) + 0.2 * random.normal(size=(2, 300)), 0.01, 0.99)
    metric = METRICS["auc"]
    scores = []
    for power in (1, 5):
        p = np.stack([positive[0], positive[1] ** power])
        P = np.stack([1 - p, p], axis=2)
        scores.append(metric.natural(y, rank_mean(P, y, metric).predict(P)))
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)


def test_one_member_is_left_as_it_is() -> None:
    P = np.random.default_rng(0).normal(size=(1, 50, 1))
    np.testing.assert_allclose(rank_mean(P, P[0, :, 0], METRICS["rmse"]).predict(P), P[0])


def test_a_prediction_does_not_depend_on_the_rows_it_is_made_with() -> None:
    random = np.random.default_rng(0)
    P, more = random.normal(size=(3, 50, 1)), random.normal(size=(3, 20, 1))
    blended = rank_mean(P, P[0, :, 0], METRICS["rmse"])
    np.testing.assert_array_equal(blended.predict(more)[:5], blended.predict(more[:, :5]))


def test_few_knots_are_close_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    P = np.random.default_rng(0).normal(size=(3, 1000, 1))
    exact = rank_mean(P, P[0, :, 0], METRICS["rmse"]).predict(P)
    monkeypatch.setattr(ranks, "KNOTS", 101)
    np.testing.assert_allclose(rank_mean(P, P[0, :, 0], METRICS["rmse"]).predict(P), exact, atol=0.1)


def test_class_rows_sum_to_one_even_where_every_column_is_lowest() -> None:
    P = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1.0]]])
    predicted = rank_mean(P, np.arange(3), METRICS["log_loss"]).predict(np.zeros((1, 2, 3)))
    np.testing.assert_allclose(predicted, 1 / 3)
