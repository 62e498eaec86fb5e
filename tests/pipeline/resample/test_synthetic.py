"""Rows made up stand between rows of their class, given rows stay as they are, and what cannot be made up is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecipe
from pipeline.predictions import Array
from pipeline.resample import Resample
from pipeline.resample.synthetic import more_rows

Y = np.repeat([0, 1, 2], [60, 15, 6])


def table(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame({"a": draw.normal(Y, 1), "b": (1000 * draw.normal(Y, 1)).astype(np.float32)})


def mixed(seed: int = 0) -> pd.DataFrame:
    return table(seed).assign(
        town=pd.Categorical(np.array(["x", "y", None])[np.random.default_rng(seed).integers(3, size=len(Y))])
    )


@pytest.mark.parametrize("way", ["smote", "borderline-smote", "smotenc"])
def test_each_class_comes_to_its_share_and_given_rows_are_as_they_were(way: str) -> None:
    X = mixed() if way == "smotenc" else table()
    X.loc[3, "a"] = np.nan
    more, labels = more_rows(Resample(way, {"at": 0.5}), X, Y, 0)
    assert np.bincount(labels).tolist() == [60, 30, 30]
    pd.testing.assert_frame_equal(more[: len(X)], X)
    assert labels[: len(Y)].tolist() == Y.tolist()
    assert list(more.dtypes) == list(X.dtypes)
    assert np.isfinite(more[["a", "b"]][len(X) :]).all(axis=None)  # the gap is in a row of the largest class
    again, _ = more_rows(Resample(way, {"at": 0.5}), X, Y, 0)
    pd.testing.assert_frame_equal(again, more)


def test_adasyn_makes_about_as_many() -> None:
    _, labels = more_rows(Resample("adasyn"), table(), Y, 0)
    assert np.abs(np.bincount(labels) - 60).max() < 15


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_rows_made_up_lie_within_their_class(seed: int, neighbours: int) -> None:
    X = table(seed % 1000)
    more, labels = more_rows(Resample("smote", {"neighbours": neighbours}), X, Y, seed % 2**31)
    for label in (1, 2):
        own, made = X[label == Y], more[len(X) :][labels[len(Y) :] == label]
        for column in X:
            assert made[column].between(own[column].min() - 1e-3, own[column].max() + 1e-3).all()


def test_an_array_of_numbers_is_taken_too() -> None:
    X: Array = table().to_numpy(dtype=np.float32)
    more, labels = more_rows(Resample("smote"), X, Y, 0)
    assert more.dtype == np.float32
    assert more.shape == (180, 2)
    assert np.bincount(labels).tolist() == [60] * 3


def test_categories_alone_are_made_up_too() -> None:
    more, labels = more_rows(Resample("smotenc"), mixed()[["town"]], Y, 0)
    assert np.bincount(labels).tolist() == [60] * 3
    assert set(more["town"].dropna()) <= {"x", "y"}


def test_few_rows_have_as_many_neighbours_as_there_are_and_one_row_is_copied(capsys: pytest.CaptureFixture[str]) -> None:
    y = np.repeat([0, 1, 2], [77, 3, 1])
    more, labels = more_rows(Resample("smote"), table(), y, 0)
    assert np.bincount(labels).tolist() == [77] * 3
    assert len(more[labels == 2].drop_duplicates()) == 1
    said = capsys.readouterr().out
    assert "class 1 has 3 rows, so 2 neighbours instead of 5" in said
    assert "class 2 has 1 row; it is copied 76 times" in said


@pytest.mark.parametrize("way", ["adasyn", "borderline-smote"])
def test_a_class_that_stands_alone_stays_as_it_is(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = table(), np.minimum(Y, 1)
    X["a"] += 1000 * y
    _, labels = more_rows(Resample(way), X, y, 0)
    assert labels.tolist() == y.tolist()
    assert "stands among other classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("way", "column", "says"),
    [
        (
            "smote",
            pd.Categorical(np.where(Y > 0, "x", "y")),
            "smote knows numbers alone, and the features have categories: 'c'. Choose smotenc",
        ),
        ("smotenc", Y + 3, "would make up values between codes: 'c' hold whole numbers"),
        ("smotenc", np.where(Y > 0, "some", "words"), "cannot make words up, and the features have columns of text: 'c'"),
    ],
)
def test_columns_between_whose_values_nothing_can_stand_are_refused(way: str, column: Any, says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        more_rows(Resample(way), table().assign(c=column), Y, 0)


def test_flags_and_large_whole_numbers_are_numbers() -> None:
    X = table().assign(flag=Y > 0, year=np.arange(len(Y)))
    more, _ = more_rows(Resample("smote"), X, Y, 0)
    assert more["year"].dtype.kind == "f"
    assert more["flag"].dtype == np.float64  # and no column of objects, which a family would leave out
    assert more["flag"].between(0, 1).all()
    nullable = table().astype({"a": "Float64"}).assign(flag=pd.array(Y > 0, dtype="boolean"))
    assert np.bincount(more_rows(Resample("smote"), nullable, Y, 0)[1]).tolist() == [60] * 3


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
def test_few_whole_numbers_are_codes_unless_they_are_said_to_count_something(kind: type) -> None:
    """Encoders give floats: 0.0, 1.0, 2.0 are codes as well as 0, 1, 2."""
    X = table().assign(c=(np.arange(len(Y)) % 4).astype(kind))
    if kind != np.int64:
        X.loc[5, "c"] = np.nan
    with pytest.raises(BadRecipe, match="say smote:counts=yes if they count something"):
        more_rows(Resample("smote"), X, Y, 0)
    more, _ = more_rows(Resample("smote", counts=True), X, Y, 0)
    assert more["c"].max() <= 3


def test_rows_made_up_have_gaps_like_those_of_their_class() -> None:
    """Else a column that is there only in rows made up, or always in these, would tell the rare class by itself."""
    draw = np.random.default_rng(0)
    X = table().assign(half=np.where(draw.random(len(Y)) < 0.5, np.nan, draw.normal(size=len(Y))), never=np.nan)
    X.loc[Y == 2, "half"] = 1.0
    more, labels = more_rows(Resample("smote"), X, Y, 0)
    made = np.arange(len(more)) >= len(X)
    assert more["never"].isna().all()
    assert more["half"][made & (labels == 2)].notna().all()
    given_share, made_share = (more["half"][rows & (labels == 1)].isna().mean() for rows in (~made, made))
    assert abs(given_share - made_share) < 0.3
