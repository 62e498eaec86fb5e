"""What a model sees of a table is decided by the rows it was fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadRecipe
from pipeline.models import views
from pipeline.models.views import FAR, Coded, Numbers, Sparse, kinds, probabilities

MIXED = pd.DataFrame(
    {
        "n": [1.0, np.nan, 3.0, np.inf],
        "i": [1, 2, 3, 4],
        "b": [True, False, True, False],
        "c": pd.Categorical(["x", None, "y", "x"]),
        "t": ["one word", None, "two words", ""],
    }
)


def test_a_columns_type_says_what_it_is() -> None:
    assert kinds(MIXED) == (["n", "i", "b"], ["c"], ["t"])


def test_codes_keep_their_meaning_where_new_rows_have_other_levels() -> None:
    view = Coded().fit(MIXED)
    assert view.categories == [3]
    new = MIXED.assign(c=pd.Categorical(["y", "new", "x", None]))
    assert view.transform(MIXED)[:, 3].tolist()[::2] == [0.0, 1.0]
    np.testing.assert_array_equal(view.transform(new)[:, 3], [1, np.nan, 0, np.nan])


def test_infinities_and_gaps_are_gaps() -> None:
    np.testing.assert_array_equal(Coded().fit(MIXED).transform(MIXED)[:, 0], np.float32([1, np.nan, 3, np.nan]))


def test_a_table_of_text_cannot_be_coded() -> None:
    with pytest.raises(BadRecipe, match="only 't'"):
        Coded().fit(MIXED[["t"]])
    with pytest.raises(BadRecipe, match="none at all"):
        Coded().fit(MIXED[[]])


COLUMN = st.lists(st.one_of(st.floats(width=32), st.none()), min_size=1, max_size=12)


@given(COLUMN, COLUMN)
def test_scaled_numbers_are_finite_and_bounded_whatever_was_learned_and_comes(learned: list[float], new: list[float]) -> None:
    numbers = Numbers().fit(pd.DataFrame({"x": np.array(learned, dtype=np.float64)}))
    for values in (learned, new):
        scaled = numbers.transform(pd.DataFrame({"x": np.array(values, dtype=np.float64)}))
        assert scaled.dtype == np.float32
        assert (np.abs(scaled) <= FAR).all()


@pytest.mark.parametrize("rows", [100, 5_000])
def test_a_gross_error_stands_at_the_edge_and_moves_no_other_row(rows: int) -> None:
    x = np.arange(float(rows))
    wild = np.append(x[:-1], 1e12)
    plain, beside = (Numbers().fit(pd.DataFrame({"x": seen})).transform(pd.DataFrame({"x": seen}))[:, 0] for seen in (x, wild))
    np.testing.assert_allclose(plain[:-1], beside[:-1], atol=0.05)
    assert beside[-1] == FAR


def test_gaps_are_filled_with_the_mean_and_flagged() -> None:
    view = Numbers().fit(pd.DataFrame({"x": [1.0, 2.0, np.nan, 9.0], "all": [1.0, 2, 3, 4], "none": np.nan}))
    assert view.transform(pd.DataFrame({"x": [np.nan], "all": [2.5], "none": [1.0]})).tolist() == [[0, 0, 1]]


def test_rare_and_new_levels_are_one_and_words_are_weighed() -> None:
    X = pd.DataFrame({"c": pd.Categorical(["x"] * 9 + ["rare"]), "t": ["sea view"] * 5 + ["garden"] * 5})
    view = Sparse().fit(X)
    new = pd.DataFrame({"c": pd.Categorical(["new", "rare"]), "t": ["sea", None]})
    seen = view.transform(new).toarray()
    assert (seen[0, :2] == seen[1, :2]).all()
    assert seen[0, 2:].any()
    assert not seen[1, 2:].any()


def test_rows_are_the_same_in_however_many_blocks_they_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    X = pd.DataFrame({"n": [1.0, np.nan, 3.0] * 5, "c": pd.Categorical(["x", "y", "z"] * 5), "t": ["sea view", "sea", None] * 5})
    view = Sparse().fit(X)
    whole = view.transform(X)
    assert whole.dtype == np.float32
    for rows in (1, 4, 15):
        monkeypatch.setattr(views, "BLOCK", rows)
        np.testing.assert_array_equal(view.transform(X).toarray(), whole.toarray())


def test_a_matrix_of_numbers_has_no_more_cells_than_the_numbers_and_their_gaps() -> None:
    X = pd.DataFrame({"x": [0.0, 0, 0, 5, 5, np.nan], "same": 3.0})
    assert Sparse().fit(X).transform(X).nnz == 5 + 1  # x is nowhere at its mean but in its gap, which is flagged


def test_texts_in_which_no_word_comes_back_give_nothing() -> None:
    X = pd.DataFrame({"n": np.arange(6.0), "t": list("abcdef")})
    assert Sparse().fit(X).transform(X).shape == (6, 1)


class Model:
    classes_ = np.array([1, 3])

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), 2), 0.5)


def test_classes_absent_in_training_get_no_probability() -> None:
    assert probabilities(Model(), np.zeros((1, 1)), 4).tolist() == [[0, 0.5, 0, 0.5]]
    assert probabilities(Model(), np.zeros((1, 1)), 4, np.array([0, 1])).tolist() == [[0.5, 0.5, 0, 0]]
