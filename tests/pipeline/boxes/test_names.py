"""Names get the numbers that numpy's own sort gives them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.boxes.names import numbered
from pipeline.predictions import Array

letters = some.text(some.characters(exclude_categories=["Cs"]), max_size=4)  # also NUL, which numpy drops at the end alone


def equal_to_numpys(text: Array) -> None:
    names, number = numbered(text)
    expected, inverse = np.unique(text, return_inverse=True)
    assert names.dtype == text.dtype
    assert names.tolist() == expected.tolist()
    assert number.tolist() == inverse.tolist()


@settings(deadline=None)
@given(some.lists(some.one_of(letters, some.sampled_from(["a", "b", "a\0b", "é", "𝄞"])), max_size=40))
def test_names_are_sorted_and_numbered(text: list[str]) -> None:
    equal_to_numpys(np.array(text, dtype=np.str_))


@pytest.mark.parametrize("width", ["U1", "U3", "U20"])
def test_thousands_of_names_in_any_order_and_width(width: str) -> None:
    text = np.random.default_rng(0).integers(2**62, size=5000).astype(width)
    equal_to_numpys(np.concatenate([text, text[::-1]]))
    equal_to_numpys(text[::2])


def test_no_names_are_no_error() -> None:
    equal_to_numpys(np.array([], dtype=np.str_))
