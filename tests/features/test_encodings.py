"""Encodings of categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.encodings import RARE, Categories, Frequency, GroupMedian, TargetEncoding
from pipeline.errors import BadContract, BadData


def test_the_mean_of_a_category_is_drawn_to_the_mean_of_all() -> None:
    X, y = pd.DataFrame({"c": ["a", "a", "b"]}), np.array([1.0, 3.0, 8.0])
    fitted = TargetEncoding(("c",), strength=2.0).fit(X, y)
    made = fitted.transform(pd.DataFrame({"c": ["a", "b", "new", None]}))["mean__c"]
    np.testing.assert_allclose(made, [0.5 * 2 + 0.5 * 4, 8 / 3 + 2 / 3 * 4, 4, np.nan], rtol=1e-6)


def test_the_strength_is_learned_from_what_the_categories_explain() -> None:
    r = np.random.default_rng(0)
    group = r.integers(0, 200, 4000)
    X, noise = pd.DataFrame({"g": group}), r.normal(0, 2, 4000)
    effect = r.normal(0, 1, 200)[group]
    for y, expected in ((effect + noise, 4.0), (effect, 0.0)):
        table = TargetEncoding(("g",)).fit(X, y).tables_["g"]
        n, mean = (pd.Series(y).groupby(group.astype(str)).agg(how) for how in ("size", "mean"))
        kept = np.polyfit(mean - y.mean(), table - y.mean(), 1)[0]
        assert kept == pytest.approx((n / (n + expected)).mean(), abs=0.04)
    assert np.ptp(TargetEncoding(("g",)).fit(pd.DataFrame({"g": np.arange(4000)}), noise).tables_["g"]) == 0


def test_combinations_and_logs_and_values_per_area() -> None:
    X = pd.DataFrame({"a": ["x", "x"], "b": [1, 2], "area": [10.0, 100.0]})
    y = np.array([99.0, 999.0])
    made = TargetEncoding((("a", "b"),), strength=0.0, log=True, per="area").fit(X, y).transform(X)
    np.testing.assert_allclose(made["mean__a+b__per__area"], [np.log(10), np.log(10)], rtol=1e-6)


def test_classes_as_0_and_1_become_their_share() -> None:
    X = pd.DataFrame({"c": ["a"] * 4})
    assert TargetEncoding(("c",)).fit(X, np.array([0, 1, 1, 1])).transform(X)["mean__c"].tolist() == [0.75] * 4


def test_a_small_group_leans_on_the_wider_one_and_an_unseen_one_is_it() -> None:
    X = pd.DataFrame({"zip": [1] * 50 + [2], "city": ["A"] * 51})
    y = np.array([100.0] * 50 + [900.0])
    fitted = GroupMedian(("zip", "city"), strength=4.0, log=False).fit(X, y)
    new = pd.DataFrame({"zip": [1, 2, 3, None, 3], "city": ["A", "A", "A", "A", None]})
    np.testing.assert_allclose(fitted.transform(new)["median__zip"], [100, 100 + 800 / 5, 100, 100, 100], rtol=1e-6)


def test_the_median_per_area_times_the_area_is_the_value_expected() -> None:
    r = np.random.default_rng(0)
    X = pd.DataFrame({"zip": r.integers(0, 3, 300), "area": r.lognormal(7, 0.3, 300)})
    y = np.exp(X["zip"] + 5) * X["area"].to_numpy() - 1
    made = GroupMedian(("zip",), strength=0.0, per="area").fit_transform(X, y.to_numpy())
    np.testing.assert_allclose(made["median__zip__per__area"], X["zip"] + 5, rtol=1e-4)
    np.testing.assert_allclose(made["median__zip__times__area"], np.log1p(y), rtol=1e-4)


def test_the_finest_level_that_has_values_names_the_median() -> None:
    X = pd.DataFrame({"zip": [None, None], "city": ["A", "B"]})
    assert list(GroupMedian(("zip", "city")).fit_transform(X, np.ones(2)).columns) == ["median__city"]
    assert GroupMedian(("zip",)).fit_transform(X, np.ones(2)).shape == (2, 0)


def test_a_row_does_not_count_itself() -> None:
    X = pd.DataFrame({"c": ["a", "a", "b", None]})
    fitted = Frequency(("c",))
    np.testing.assert_allclose(fitted.fit_transform(X)["rows__c"], [np.log(2), np.log(2), 0, np.nan], rtol=1e-6)
    new = pd.DataFrame({"c": ["a", "z", None]})
    np.testing.assert_allclose(fitted.transform(new)["rows__c"], [np.log(3), 0, np.nan], rtol=1e-6)


def test_rare_values_are_one_level_and_unseen_ones_are_missing() -> None:
    X = pd.DataFrame({"c": ["a"] * 3 + ["b"] * 2 + ["x", "y"]})
    fitted = Categories(("c",), min_rows=2).fit(X)
    made = fitted.transform(pd.DataFrame({"c": ["b", "x", "new", None]}))["c"]
    assert list(made.cat.categories) == ["a", "b", RARE]
    assert made.astype(object).fillna("missing").tolist() == ["b", RARE, "missing", "missing"]


def test_the_number_of_levels_is_limited_to_the_most_frequent() -> None:
    X = pd.DataFrame({"c": ["a"] * 2 + ["b"] * 3 + ["c"] * 3})
    made = Categories(("c",), min_rows=1, max_levels=2).fit_transform(X)["c"]
    assert list(made.cat.categories) == ["b", "c", RARE]
    assert made.iloc[0] == RARE
    with pytest.raises(BadContract, match="max_levels=0"):
        Categories(("c",), max_levels=0).fit(X)


@pytest.mark.parametrize("encoder", [TargetEncoding(("c",)), GroupMedian(("c",))])
def test_targets_that_do_not_fit_are_refused(encoder) -> None:
    X = pd.DataFrame({"c": ["a", "b"]})
    with pytest.raises(BadData, match="2 rows came with none"):
        encoder.fit(X)
    with pytest.raises(BadData, match="2 rows came with 3"):
        encoder.fit_transform(X, np.ones(3))
    with pytest.raises(BadData, match="lowest is -5"):
        encoder.set_params(log=True).fit(X, np.array([-5.0, 1.0]))
    with pytest.raises(BadContract, match="inner=1"):
        encoder.set_params(inner=1).fit_transform(X, np.ones(2))
