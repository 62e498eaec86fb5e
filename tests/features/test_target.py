"""Changes of the target's scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from features.target import LogRatio
from pipeline.errors import BadData

PRICES = st.lists(st.floats(0, 1e9), min_size=1, max_size=30)
CELLS = st.one_of(st.none(), st.floats(-1e9, 1e9), st.just(np.inf))


@settings(max_examples=60, deadline=None)
@given(PRICES, st.data())
def test_the_way_back_returns_the_target(prices, data) -> None:
    y = np.array(prices)
    X = pd.DataFrame({"listed": data.draw(st.lists(CELLS, min_size=len(y), max_size=len(y)))}, dtype=float)
    for column in (None, "listed", "absent"):
        target = LogRatio(column).fit(X, y)
        z = target.transform(X, y)
        assert np.isfinite(z).all()
        np.testing.assert_allclose(target.inverse(X, z), y, rtol=1e-9, atol=1e-6)


def listed(rows: int = 2000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    r = np.random.default_rng(seed)
    y = r.lognormal(13.5, 0.6, rows)
    return pd.DataFrame({"listed": y * np.exp(r.normal(0, 0.05, rows))}), y


def test_a_plausible_reference_leaves_the_ratio_and_an_implausible_one_the_distance_to_the_median() -> None:
    X, y = listed()
    X.iloc[:5, 0] = [0, 402_532_000, 12, np.nan, -3]
    target = LogRatio("listed").fit(X, y)
    z = target.transform(X, y)
    np.testing.assert_allclose(z[:5], np.log1p(y[:5]) - np.median(np.log1p(y)))
    ratio = np.log1p(y) - np.log(X["listed"].where(X["listed"] > 0))
    np.testing.assert_allclose(z[5:], ratio[5:])
    assert np.std(z[5:]) < 0.12 < np.std(np.log1p(y))


@pytest.mark.parametrize("X", [pd.DataFrame({"other": [1, 2]}), pd.DataFrame({"listed": [np.nan, 0.0]})])
def test_without_a_reference_it_is_the_log(X) -> None:
    y = np.array([10.0, 1000.0])
    np.testing.assert_allclose(LogRatio("listed").fit(X, y).transform(X, y), np.log1p(y))


def test_predictions_are_never_below_zero() -> None:
    X, y = listed(10)
    assert (LogRatio().fit(X, y).inverse(X, np.full(10, -3.0)) == 0).all()


def test_it_is_cloned_unfitted_and_refuses_targets_below_minus_one() -> None:
    X, y = listed(10)
    with pytest.raises(NotFittedError):
        clone(LogRatio("listed").fit(X, y)).transform(X, y)
    with pytest.raises(BadData, match="lowest is -2"):
        LogRatio().fit(X, np.full(10, -2.0))
