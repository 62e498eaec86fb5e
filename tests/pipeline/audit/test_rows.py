"""Copies are found whatever the columns hold, and their groups follow the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audit.rows import Cells, agreement, coarsened, hashed
from pipeline.audit.subject import Kind, Subject, straddling
from pipeline.folds import Folds, TimeBlocks
from tests.pipeline.audit.made import run_of, tables


def codes(seed: int, n: int, columns: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 10**6, (n, columns))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), copies=st.lists(st.integers(0, 199), min_size=1, max_size=30))
def test_exact_copies_and_only_they_are_grouped(seed: int, copies: list[int]) -> None:
    table = codes(seed, 200)
    both = np.concatenate([table, table[copies]])
    order = np.random.default_rng(seed).permutation(len(both))
    group = Cells(both[order], both[order], 0).copies(near=False)
    source = np.concatenate([np.arange(200), copies])[order]
    assert ((group >= 0) == np.isin(source, copies)).all()
    for one in np.unique(group[group >= 0]):
        assert len(set(source[group == one])) == 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), column=st.integers(0, 5))
def test_near_copies_differ_in_one_column_whichever_it_is(seed: int, column: int) -> None:
    table = codes(seed, 200)
    other = table[:10].copy()
    other[:, column] += 1
    both = np.concatenate([table, other])
    assert (Cells(both, both, 0).copies(near=False) < 0).all()
    assert np.flatnonzero(Cells(both, both, 0).copies(near=True) >= 0).tolist() == [*range(10), *range(200, 210)]


def test_chance_is_estimated_also_where_columns_go_together() -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, 30, 2000)
    cells = hashed(np.column_stack([place, place // 3, place // 10, rng.integers(0, 4, 2000)]), 0)
    np.testing.assert_allclose(agreement(cells), 1 / 30 / 4, rtol=0.2)


def test_numbers_are_equal_to_three_digits_and_texts_by_letters() -> None:
    numbers = coarsened(pd.Series([1234.0, 1234.4, -1234.0, 0.0, 1e-20, 1e-22, np.nan, 1e300]), Kind.NUMBER)
    assert numbers[0] == numbers[1]
    assert numbers.dropna().nunique() == 6
    assert coarsened(pd.Series(["12, Main St.", "12 main-st", None]), Kind.TEXT).iloc[0] == "12MainSt"


def test_what_straddles_is_judged_by_a_fold_that_learned_its_copy() -> None:
    folds = Folds(np.array(list("abcd")), np.array([[1, 2], [2, 1], [2, 1], [0, 1]]))
    assert straddling(folds, np.array([5, 5, -1, -1])).tolist() == [True, True, False, False]
    assert straddling(folds, np.array([-1, -1, 7, 7])).tolist() == [False, False, False, False]


def test_kinds_of_columns_are_seen_whatever_their_type(tmp_path: Path) -> None:
    train, test = tables(0, 60, 60)
    train["zip"], train["price"] = "98101", "$1,250"
    train["empty"], train["inf"], train["stamp"] = None, np.inf, pd.Timestamp("2021-01-01")
    train["Nothing"] = np.nan
    kinds = Subject(run_of(tmp_path, train, test, TimeBlocks("when", k=2))).kinds
    assert kinds == {
        **dict.fromkeys(("size", "quality", "count", "flag", "zip", "price"), Kind.NUMBER),
        **dict.fromkeys(("town", "street", "mixed"), Kind.CATEGORY),
        **dict.fromkeys(("when", "stamp"), Kind.DATE),
        **dict.fromkeys(("empty", "inf", "Nothing"), Kind.EMPTY),
        "said": Kind.TEXT,
    }
