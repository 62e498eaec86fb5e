"""Reading columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.columns import centre_and_scale, frame, keys, numbers, present, present_keys, signed_log, texts
from pipeline.errors import BadContract


def test_numbers_are_read_from_text_and_what_is_none_is_missing() -> None:
    X = pd.DataFrame({"a": ["$1,250", " 3 ", "three", None, "inf", 7]})
    np.testing.assert_array_equal(numbers(X, "a"), [1250, 3, np.nan, np.nan, np.nan, 7])


def test_an_absent_column_is_missing_in_every_row() -> None:
    X = pd.DataFrame(index=[5, 6])
    assert numbers(X, "a").isna().tolist() == [True, True]
    assert texts(X, "a").tolist() == ["", ""]
    assert keys(X, ("a", "b")).isna().tolist() == [True, True]


def test_numbers_of_dates_booleans_and_nullable_columns() -> None:
    X = pd.DataFrame({"date": pd.to_datetime(["2020-01-01", None]), "flag": [True, False]})
    X["nullable"] = pd.array([1, None], dtype="Int64")
    assert numbers(X, "date").isna().all()
    assert numbers(X, "flag").tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(numbers(X, "nullable"), [1.0, np.nan])


def test_a_zip_code_is_one_category_whatever_its_type() -> None:
    for cells in ([98133, 98119], [98133.0, 98119.0], ["98133", " 98119 "], pd.Categorical([98133, 98119])):
        assert keys(pd.DataFrame({"zip": cells}), "zip").tolist() == ["98133", "98119"]
    assert texts(pd.DataFrame({"zip": [98133, np.nan]}), "zip").tolist() == ["98133", ""]
    assert texts(pd.DataFrame({"x": [0.5]}), "x").tolist() == ["0.5"]


def test_a_combined_category_is_missing_where_a_part_is() -> None:
    X = pd.DataFrame({"a": ["x", "y", None], "b": [1.0, np.nan, 2.0]})
    assert keys(X, ("a", "b")).fillna("missing").tolist() == ["x | 1", "missing", "missing"]


def test_columns_without_a_value_are_not_present() -> None:
    X = pd.DataFrame({"a": [1, None], "b": [None, None]})
    assert present(X, ("a", "b", "c")) == ["a"]
    assert present_keys(X, ("a", ("a", "b"), "c")) == ["a"]


@pytest.mark.parametrize("question", [present, present_keys])
def test_a_text_for_a_list_of_columns_is_refused(question) -> None:
    with pytest.raises(BadContract, match=r"not 'Zip'. Write \('Zip',\)"):
        question(pd.DataFrame({"Zip": [1]}), "Zip")


def test_what_float32_cannot_hold_is_missing() -> None:
    made = frame({"a": np.array([1e300, -1e300, 2.0])}, pd.RangeIndex(3))
    np.testing.assert_array_equal(made["a"], np.array([np.nan, np.nan, 2], dtype=np.float32))


def test_the_signed_log_is_odd_and_takes_zero() -> None:
    np.testing.assert_allclose(signed_log([-np.e + 1, 0, np.e - 1]), [-1, 0, 1])


def test_the_robust_scale_ignores_gross_errors_and_falls_back_where_most_values_agree() -> None:
    values = np.random.default_rng(0).normal(10, 2, 10_000)
    values[:50] = 1e9
    np.testing.assert_allclose(centre_and_scale(values), (10, 2), rtol=0.05)
    assert centre_and_scale(np.array([1.0, 1, 1, 1, 5, 5, 1, 5])) == (1.0, pytest.approx(4 / 1.349))
    assert centre_and_scale(np.array([3.0, 3, 3])) == (3.0, 0.0)
    assert np.isnan(centre_and_scale(np.array([np.nan]))[0])
