"""Weights of at least 0 that sum to 1 are the best such weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pipeline.ensemble import simplex
from pipeline.ensemble.simplex import GAP, mixture, nnls, smallest
from pipeline.metrics import METRICS


def dirichlet(members: int, rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(3), (members, rows))


@given(members=st.integers(1, 8), rows=st.integers(1, 30), seed=st.integers(0, 999), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_least_squares_on_the_simplex_meets_the_conditions_of_optimality(
    members: int, rows: int, seed: int, scale: float
) -> None:
    """No member could take weight from the others and lower the error: gram @ w is least where w is above 0."""
    errors = scale * np.random.default_rng(seed).normal(size=(members, rows))
    gram = errors @ errors.T / rows
    w = smallest(gram)
    assert w.min() >= 0
    assert w.sum() == pytest.approx(1)
    assert (gram @ w).min() >= w @ gram @ w - 1e-9 * np.trace(gram)


@given(members=st.integers(1, 8), rows=st.integers(1, 40), seed=st.integers(0, 999), sure=st.booleans())
def test_the_mixture_is_within_the_gap_of_the_least_log_loss(members: int, rows: int, seed: int, sure: bool) -> None:
    """The largest mean ratio less 1 bounds the distance to the minimum, whatever the data."""
    p = np.random.default_rng(seed).random((members, rows)) ** (40 if sure else 1)
    w = mixture(np.maximum(p, np.finfo(float).eps))
    assert w.min() >= 0
    assert w.sum() == pytest.approx(1)
    assert (np.maximum(p, np.finfo(float).eps) / (w @ np.maximum(p, np.finfo(float).eps))).mean(axis=1).max() - 1 <= GAP


def test_the_mixture_is_what_a_general_optimiser_finds() -> None:
    p = np.random.default_rng(0).random((4, 200)) ** 3
    found = minimize(
        lambda w: -np.log(w @ p).mean(),
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(mixture(p), found.x, atol=1e-4)


def test_where_newton_finds_no_step_the_mixture_still_goes_downhill(monkeypatch: pytest.MonkeyPatch) -> None:
    p = np.random.default_rng(0).random((4, 200)) ** 3
    exact = mixture(p)
    monkeypatch.setattr(simplex, "smallest", lambda gram: np.eye(4)[3] * 1e-300 + np.eye(4)[0] * 1e-300)
    monkeypatch.setattr(simplex, "STEPS", 5000)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(mixture(p), exact, atol=1e-2)


def test_a_member_that_is_the_truth_gets_all_weight() -> None:
    y = np.arange(1.0, 9.0)
    P = np.stack([y[::-1], y, y + 1])[:, :, None]
    np.testing.assert_allclose(nnls(P, y, METRICS["rmse"]).weights, [0, 1, 0], atol=1e-9)


def test_members_that_are_all_the_truth_count_the_same() -> None:
    y = np.arange(4.0)
    assert nnls(np.stack([y, y])[:, :, None], y, METRICS["rmse"]).weights.tolist() == [0.5, 0.5]


def test_classes_are_fitted_to_log_loss() -> None:
    P, y = dirichlet(5, 80, 0), np.random.default_rng(1).integers(3, size=80)
    metric = METRICS["log_loss"]
    fitted = metric.natural(y, nnls(P, y, metric).predict(P))
    for w in np.random.default_rng(2).dirichlet(np.ones(5), 200):
        assert fitted <= metric.natural(y, np.tensordot(w, P, 1)) + GAP
