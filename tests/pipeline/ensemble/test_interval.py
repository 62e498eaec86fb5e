"""Bootstrap intervals, and the values by row that they draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pipeline.ensemble import interval as module
from pipeline.ensemble.interval import interval, resampled
from pipeline.errors import BadContract, BadPredictions
from pipeline.metrics import METRICS, Metric


def scored(metric: Metric, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    if metric.kind == "value":
        y = random.exponential(2, rows)
        return y, np.abs(y + random.normal(size=rows))[:, None]
    labels = random.integers(2, size=rows)
    p = np.clip(0.5 + 0.2 * (labels - 0.5) + 0.2 * random.normal(size=rows), 0.01, 0.99)
    return labels, np.stack([1 - p, p], axis=1)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_values_by_row_whose_mean_is_its_score(name: str) -> None:
    metric = METRICS[name]
    y, p = scored(metric, 200)
    assert metric.finish(metric.rows(y, p).mean()) == pytest.approx(metric.natural(y, p), rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_it_is_the_bootstrap_that_draws_rows_one_by_one(name: str) -> None:
    """For means over rows to the last digit; for AUC to first order."""
    metric = METRICS[name]
    y, p = scored(metric, 400)
    drawn = np.random.default_rng(0).integers(400, size=(1000, 400))
    naive = np.quantile([metric.natural(y[rows], p[rows]) for rows in drawn], [0.025, 0.975])
    np.testing.assert_allclose(interval(metric, y, p, seed=0), naive, rtol=1e-9 if metric.loss else 5e-3)


@given(classes=st.integers(2, 4), rows=st.integers(2, 30), grain=st.sampled_from([2, 8]), seed=st.integers(0, 99))
def test_auc_is_that_of_scikit_learn_ties_included(classes: int, rows: int, grain: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), random.integers(classes, size=rows)])
    p = (1 + random.multinomial(grain, np.full(classes, 1 / classes), len(y))) / (grain + classes)
    expected = roc_auc_score(y, p[:, 1] if classes == 2 else p, multi_class="ovr")
    assert METRICS["auc"].natural(y, p) == pytest.approx(expected, abs=1e-12)


def test_auc_of_one_class_is_refused() -> None:
    with pytest.raises(BadPredictions, match="two classes; all 3 rows are of class 1"):
        METRICS["auc"].natural(np.ones(3, dtype=int), np.full((3, 2), 0.5))


def test_auc_intervals_stay_within_0_and_1() -> None:
    y = np.array([0, 0, 1, 0, 1])
    low, high = interval(METRICS["auc"], y, np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]]))
    assert 0 <= low < high <= 1


def test_a_metric_that_says_nothing_of_rows_is_refused() -> None:
    with pytest.raises(BadContract, match="'odd' has no value by row"):
        interval(Metric("odd", "value", higher_is_better=False, whole=lambda y, p: 0.0), np.zeros(2), np.zeros(2))


def test_it_holds_the_true_score_about_95_times_of_100() -> None:
    random = np.random.default_rng(0)
    held = []
    for _ in range(300):
        low, high = interval(METRICS["mae"], np.zeros(100), random.normal(size=100), draws=400)
        held.append(low <= np.sqrt(2 / np.pi) <= high)
    assert 0.91 <= np.mean(held) <= 0.98


def test_the_memory_it_may_use_does_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    whole = resampled(rows, seed=4)
    monkeypatch.setattr(module, "HELD", 70)
    np.testing.assert_allclose(resampled(rows, seed=4), whole, rtol=1e-12)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    y, p = scored(METRICS["rmse"], 50)
    assert interval(METRICS["rmse"], y, p, seed=1) == interval(METRICS["rmse"], y, p, seed=1)
    assert interval(METRICS["rmse"], y, p, seed=1) != interval(METRICS["rmse"], y, p, seed=2)


def test_one_row_has_no_width() -> None:
    assert interval(METRICS["rmse"], np.zeros(1), np.full(1, 3.0)) == (3.0, 3.0)
