"""Repairs and features of numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.numbers import Clip, ItemCounts, Logs, Numbers, Ratios, Repeats, Unit, UnitRepair
from pipeline.errors import BadContract


def test_acres_become_square_feet_and_lots_converted_twice_are_converted_back() -> None:
    X = pd.DataFrame({"Lot": [0.25, 5000.0, 43560.0**2, np.nan], "other": list("abcd")})
    made = UnitRepair({"Lot": Unit(43560, below=100, above=1e8)}).fit(X).transform(X)
    np.testing.assert_allclose(made["Lot"], [10890, 5000, 43560, np.nan])
    assert made["other"].tolist() == list("abcd")


def test_given_limits_are_kept_and_may_be_the_edge() -> None:
    X = pd.DataFrame({"year": [0, 1900, 9999, None]})
    limits = {"year": (1800, 2030)}
    np.testing.assert_array_equal(Clip(limits).fit(X).transform(X)["year"], [np.nan, 1900, np.nan, np.nan])
    np.testing.assert_array_equal(Clip(limits, outside="edge").fit(X).transform(X)["year"], [1800, 1900, 2030, np.nan])


def test_learned_limits_drop_gross_errors_and_nothing_else() -> None:
    areas = np.random.default_rng(0).lognormal(7.4, 0.4, 5000)
    train = pd.DataFrame({"area": [*areas, 176_416_400, 1, -5]})
    kept = Clip({"area": (None, None)}).fit(train).transform(train)["area"].notna().to_numpy()
    assert kept[:-3].mean() > 0.999
    assert not kept[-3:].any()


def test_one_limit_may_be_given_and_the_other_learned() -> None:
    train = pd.DataFrame({"year": [*range(1900, 2020), 9999]})
    low, high = Clip({"year": (1700, None)}).fit(train).limits_["year"]
    assert low == 1700
    assert 2020 < high < 3000


def test_a_column_without_spread_or_numbers_has_no_learned_limit() -> None:
    for cells in ([2.0, 2.0], ["no", "number"]):
        clip = Clip({"a": (None, None)}).fit(pd.DataFrame({"a": cells}))
        assert clip.transform(pd.DataFrame({"a": [50.0]}))["a"].tolist() == [50.0]


def test_an_unknown_way_to_clip_is_refused() -> None:
    with pytest.raises(BadContract, match=r"'nan'.*'missing' or 'edge'"):
        Clip({}, outside="nan").fit(pd.DataFrame())  # type: ignore[arg-type]


def test_cells_that_list_items_become_their_count() -> None:
    X = pd.DataFrame({"Bedrooms": ["3", "Ground Floor Bedroom, Master Bedroom, ", 4, None]})
    np.testing.assert_array_equal(ItemCounts(("Bedrooms",)).fit(X).transform(X)["Bedrooms"], [3, 2, 4, np.nan])


def test_numbers_pass_under_their_own_names() -> None:
    X = pd.DataFrame({"a": ["1", "x"], "b": [None, None]})
    made = Numbers(("a", "b", "c")).fit(X).transform(X)
    assert list(made.columns) == ["a"]
    np.testing.assert_array_equal(made["a"], np.array([1, np.nan], dtype=np.float32))


def test_logs_of_negative_numbers_are_missing() -> None:
    X = pd.DataFrame({"a": [-1.0, 0.0, np.e - 1]})
    np.testing.assert_allclose(Logs(("a",)).fit(X).transform(X)["log__a"], [np.nan, 0, 1])


def test_a_pair_gives_its_log_ratio() -> None:
    X = pd.DataFrame({"listed": [100.0, 100, 0, np.nan, 0], "tax": [50.0, 100.4, 10, 10, 0]})
    made = Ratios((("listed", "tax"),)).fit(X).transform(X)
    np.testing.assert_allclose(made["ratio__listed__tax"], [np.log(2), np.log(100 / 100.4), np.nan, np.nan, np.nan], atol=1e-7)


def test_a_price_that_repeats_another_is_flagged() -> None:
    X = pd.DataFrame({"listed": [100.0, 100, 0, np.nan, 0], "tax": [50.0, 100.4, 10, 10, 0]})
    made = Repeats((("listed", "tax"),)).fit(X).transform(X)
    np.testing.assert_array_equal(made["same__listed__tax"], [0, 1, 0, np.nan, 1])
