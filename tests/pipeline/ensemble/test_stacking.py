"""Ridge stacking: the right minimum, drawn to the mean, and sane where rows are few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import Ridge

from pipeline.ensemble import stacking
from pipeline.ensemble.stacking import PENALTIES, _loss, _solutions, linear, pool, ridge
from pipeline.metrics import METRICS


def members(m: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target = random.normal(10, 2, n)
    return target + random.normal(size=(m, n)), target


def test_the_moments_give_what_ridge_on_the_rows_gives() -> None:
    P, target = members(4, 50)
    rows = np.vstack([P, target, np.ones(50)])
    variance = np.linalg.eigvalsh(np.cov(P, bias=True)).mean()
    for v, penalty in zip(_solutions(rows @ rows.T), PENALTIES, strict=True):
        oracle = Ridge(alpha=penalty * variance * 50).fit(P.T, target)
        np.testing.assert_allclose(-v[:4], oracle.coef_, atol=1e-8)
        assert -v[5] == pytest.approx(oracle.intercept_, abs=1e-6)


def test_a_wrong_scale_and_offset_are_put_right() -> None:
    """Of a variance of 4 under a mean noise of 1/3, 4 / (4 + 1/3) is what the mean member should count."""
    P, target = members(3, 4000)
    blended = linear(2 * P + 5, target)
    np.testing.assert_allclose(blended.weights.sum(), 0.5 * 4 / (4 + 1 / 3), atol=0.01)
    assert np.mean((blended.predict(2 * P[:, :, None] + 5)[:, 0] - target) ** 2) < 0.35


@pytest.mark.parametrize("n", [1, 2, 3])
def test_with_a_row_or_two_it_stays_near_the_mean_of_the_members(n: int) -> None:
    P, target = members(6, n)
    np.testing.assert_allclose(linear(P, target).weights, 1 / 6, atol=0.2)


def test_identical_members_share_the_weight() -> None:
    P, target = members(1, 300)
    weights = linear(np.repeat(P, 3, axis=0), target).weights
    np.testing.assert_allclose(weights, weights[0], atol=1e-6)


def test_constant_members_leave_the_offset_to_do_the_work() -> None:
    blended = linear(np.full((2, 40), 3.0), np.linspace(0, 10, 40))
    np.testing.assert_allclose(blended.predict(np.full((2, 5, 1), 3.0)), 5.0)


def test_errors_that_round_below_zero_still_choose_a_penalty() -> None:
    assert linear(np.zeros((3, 3)), np.full(3, np.log(2))).predict(np.zeros((3, 1, 1))) == pytest.approx(np.log(2))


def test_predictions_stay_within_the_range_that_was_seen() -> None:
    P, target = members(3, 100)
    blended = linear(P, target)
    predictions = blended.predict(np.array([-1e6, 1e6])[None, :, None].repeat(3, axis=0))
    assert predictions.min() >= min(P.min(), target.min())
    assert predictions.max() <= max(P.max(), target.max())


def test_the_gradient_of_the_pool_is_right() -> None:
    random = np.random.default_rng(0)
    logs, y, x = np.log(random.dirichlet(np.ones(3), (4, 20))), random.integers(3, size=20), random.normal(size=7)
    assert check_grad(lambda x: _loss(x, logs, y, 0.1)[0], lambda x: _loss(x, logs, y, 0.1)[1], x) < 1e-5


def test_the_pool_undoes_overconfidence() -> None:
    """Labels drawn from p; one member says p, sharpened four times: its weight should be a quarter."""
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(3), 20_000)
    y = (random.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)
    sharp = p**4 / (p**4).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(pool(np.maximum(sharp, 1e-7)[None], y).weights, [0.25], atol=0.02)


def test_the_pool_of_many_rows_chooses_its_penalty_on_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    P, y = random.dirichlet(np.ones(3), (2, 400)), random.integers(3, size=400)
    full = pool(P, y).weights
    monkeypatch.setattr(stacking, "SAMPLE", 200)
    np.testing.assert_allclose(pool(P, y).weights, full, atol=0.1)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_the_pool_of_few_rows_and_unseen_classes_still_gives_probabilities(n: int) -> None:
    P = np.random.default_rng(0).dirichlet(np.ones(4), (3, n))
    P[0, 0] = [1, 0, 0, 0]
    predicted = ridge(P, np.zeros(n, dtype=int), METRICS["accuracy"]).predict(P)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    assert (predicted > 0).all()
