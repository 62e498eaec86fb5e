"""Comparables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.neighbours import Comparables
from pipeline.errors import BadContract


def market(rows: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    r = np.random.default_rng(seed)
    X = pd.DataFrame({"area": r.lognormal(7, 0.4, rows), "year": r.integers(1900, 2020, rows), "zip": r.integers(0, 3, rows)})
    return X, np.exp(np.log(X["area"]) + X["zip"] + (X["year"] - 1960) / 100).to_numpy()


def test_similar_houses_of_the_same_zip_tell_the_price() -> None:
    X, y = market()
    new, truth = market(100, seed=1)
    made = Comparables({"area": 0.2, "year": 0.2}, groups=("zip",), per="area").fit(X, y).transform(new)
    assert list(made.columns) == ["near__mean", "near__median", "near__weight", "near__times"]
    assert np.abs(made["near__times"] - np.log1p(truth)).mean() < 0.15


def test_a_training_row_is_encoded_without_its_own_target() -> None:
    X, y = market()
    lone = y.copy()
    lone[7] *= 1000
    near = Comparables({"area": 0.2, "year": 0.2}, groups=("zip",))
    before, after = near.fit_transform(X, y), near.fit_transform(X, lone)
    pd.testing.assert_series_equal(before.iloc[7], after.iloc[7])
    assert (near.fit(X, lone).transform(X).iloc[7] > near.fit(X, y).transform(X).iloc[7])["near__mean"]


def test_mean_median_and_weight_are_those_of_the_neighbours() -> None:
    X, y = pd.DataFrame({"a": [0.0, 0, 0, 0]}), np.array([1.0, 2, 3, 10])
    made = Comparables({"a": 1.0}, log=False).fit(X, y).transform(pd.DataFrame({"a": [0.0]}))
    np.testing.assert_allclose(made.to_numpy()[0], [4, 2.5, np.log1p(4)], rtol=1e-6)


def test_the_prior_draws_a_row_without_like_ones_to_its_groups_mean() -> None:
    X, y = pd.DataFrame({"a": [0.0, 0.1, 5.0]}), np.array([1.0, 1.0, 10.0])
    strong, weak = (Comparables({"a": 0.1}, log=False, prior=prior).fit(X, y).transform(X)["near__mean"] for prior in (100, 0.01))
    assert abs(strong.iloc[2] - y.mean()) < 0.2
    assert abs(weak.iloc[2] - 10) < 0.2


def test_nearer_neighbours_weigh_more() -> None:
    X, y = pd.DataFrame({"a": [0.0, 1, 2, 3, 4, 5]}), np.array([0.0, 0, 0, 0, 0, 100])
    made = Comparables({"a": 1.0}, neighbours=6, log=False).fit(X, y).transform(pd.DataFrame({"a": [0.0, 5.0]}))
    assert made["near__mean"].iloc[0] < 100 / 6 < made["near__mean"].iloc[1]


def test_a_small_group_looks_in_the_wider_group_and_then_among_all() -> None:
    X = pd.DataFrame(
        {"a": np.zeros(30), "zip": [1] * 10 + [2] * 2 + [3] * 2 + [4] * 16, "city": ["A"] * 12 + ["B"] * 2 + ["C"] * 16}
    )
    y = np.array([10.0] * 10 + [20] * 2 + [30] * 2 + [40] * 16)
    fitted = Comparables({"a": 1.0}, groups=("zip", "city"), neighbours=30, min_group=5, log=False).fit(X, y)
    new = pd.DataFrame({"a": 0.0, "zip": [1, 2, 3, 9, np.nan], "city": ["A", "A", "B", "C", np.nan]})
    np.testing.assert_allclose(fitted.transform(new)["near__mean"], [10, 140 / 12, y.mean(), 40, y.mean()], rtol=1e-6)


def test_rows_without_an_area_are_no_neighbours_but_have_some() -> None:
    X = pd.DataFrame({"area": [10.0, 10.0, 0.0, np.nan]})
    made = Comparables({"area": 1.0}, log=False, per="area").fit_transform(X, np.array([5.0, 6.0, 7.0, 8.0]))
    assert made["near__mean"].notna().all()
    assert made["near__times"].notna().tolist() == [True, True, False, False]


def test_a_gross_error_is_only_so_far_away() -> None:
    X, y = market()
    wild = X.iloc[[0]].assign(area=1e15)
    made = Comparables({"area": 1.0, "year": 1.0}, name="far").fit(X, y).transform(wild)
    assert made["far__weight"].iloc[0] > 0.01


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"columns": {"a": 0.0}}])
def test_no_neighbours_and_no_length_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadContract, match="at least 1 neighbour"):
        Comparables(**({"columns": {"a": 1.0}} | wrong)).fit(*market())  # type: ignore[arg-type]
