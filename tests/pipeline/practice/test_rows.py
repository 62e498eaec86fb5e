"""Made-up rows: of the kinds that are asked for, each a little like the answer, none of anybody's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pipeline.practice import Category, Columns, Date, Number, Text, of_kind
from pipeline.practice.rows import made_up

COLUMNS: Columns = {
    "price": Number(100.0, 500.0, 90_000.0),
    "rooms": Number(1, 3, 9),
    "city": Category(("a", "b", "c"), missing=0.2),
    "street": Category(40),
    "when": Date("2014-01-01", "2015-06-30", format="%d.%m.%Y"),
    "words": Text(7),
    "y": Number(0, 10, 20),
}


def test_the_same_seed_gives_the_same_cells_and_another_one_others() -> None:
    one, same, other = (made_up(COLUMNS, "y", 50, seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, same)
    assert (one != other).to_numpy().mean() > 0.5


def test_cells_are_of_their_kind() -> None:
    made = made_up(COLUMNS, "y", 2000, 0)
    assert np.quantile(made["price"], [0.01, 0.5, 0.99]) == pytest.approx([100, 500, 90_000], rel=0.2)
    assert made["rooms"].dtype == np.int64
    assert set(made["city"]) == {"a", "b", "c", ""}
    assert (made["city"] == "").mean() == pytest.approx(0.2, abs=0.03)
    assert made["street"].nunique() == 40
    assert pd.to_datetime(made["when"], format="%d.%m.%Y").between("2014-01-01", "2015-06-30").all()
    assert made["words"].str.split().str.len().mean() == pytest.approx(7, abs=0.3)


def test_every_column_says_a_little_of_the_answer_and_none_says_it_all() -> None:
    made = made_up(COLUMNS, "y", 3000, 0)
    first = made["words"].str.split().str[0].rank(method="dense")
    for column in (made["price"], made["rooms"], made["street"]):
        assert 0.5 < spearmanr(column.rank(), made["y"]).statistic < 0.8
    assert made.groupby(first)["y"].mean().std() > 0.5


@given(st.integers(2, 12), st.integers(30, 200), st.integers(0, 10))
@settings(deadline=None, max_examples=20)
def test_classes_of_an_answer_are_equally_frequent(classes: int, rows: int, seed: int) -> None:
    counts = made_up({"y": Category(classes)}, "y", rows, seed)["y"].value_counts()
    assert len(counts) == classes
    assert counts.max() - counts.min() <= 1


def test_names_are_found_by_kind() -> None:
    assert of_kind(COLUMNS, Number) == ["price", "rooms", "y"]
    assert of_kind(COLUMNS, Text) == ["words"]
