"""Rare categories are seen more often, as the papers say, and nothing is drawn that was not given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.predictions import Array
from pipeline.resample.often import TIMES, drawn, drawn_by_class, fewer, in_turn

# 100 images: all have the first category, 4 the second, 1 the third as well; and 10 have none.
PRESENCE = np.zeros((110, 3), dtype=bool)
PRESENCE[:100, 0] = PRESENCE[:4, 1] = PRESENCE[:1, 2] = True


def times(presence: Array, way: str, at: float) -> Array:
    return TIMES[way](presence, at)


def test_repeat_factors_are_the_square_root_of_how_rare_an_image_s_rarest_category_is() -> None:
    often = times(PRESENCE, "repeat-factor", 0.11)
    np.testing.assert_allclose(often[[0, 1, 4, 100]], [np.sqrt(0.11 * 110), np.sqrt(0.11 * 110 / 4), 1, 1])
    assert (times(PRESENCE, "repeat-factor", 1 / 110) == 1).all()  # a threshold below every share does nothing


def test_class_aware_sampling_shows_all_categories_alike() -> None:
    often = times(PRESENCE[:100], "class-aware", 1.0)
    assert often.sum() == pytest.approx(100)
    drawn_for = [(PRESENCE[:100, c] / PRESENCE[:100, c].sum()).sum() for c in range(3)]
    assert drawn_for == pytest.approx([1, 1, 1])
    np.testing.assert_allclose(often[[0, 1, 4]], np.array([1 / 100 + 1 / 4 + 1, 1 / 100 + 1 / 4, 1 / 100]) * 100 / 3)
    np.testing.assert_allclose(times(PRESENCE[:100], "class-aware", 0.25), 0.25 * often + 0.75)


def test_copies_bring_each_category_up_to_its_share() -> None:
    often = times(PRESENCE, "copy", 0.2)
    np.testing.assert_allclose(often[[0, 1, 4, 100]], [20, 5, 1, 1])


def test_of_images_without_any_category_each_is_seen_once() -> None:
    for way in TIMES:
        assert times(np.zeros((5, 3), dtype=bool), way, 1.0).tolist() == [1] * 5


def test_of_classes_copies_make_each_exactly_as_large_as_it_should_be() -> None:
    y = np.repeat([0, 1, 2], [10, 3, 1])
    chosen = drawn_by_class(TIMES["copy"](np.eye(3, dtype=bool)[y], 0.5), y, np.random.default_rng(0))
    assert np.bincount(y[chosen]).tolist() == [10, 5, 5]
    assert sorted(set(chosen)) == list(range(14))  # of each row one, before any is there twice
    assert np.bincount(chosen)[10:13].max() == 2


def test_undersampling_leaves_out_what_is_too_much_and_learns_no_row_twice() -> None:
    y = np.repeat([0, 1, 2], [100, 8, 4])
    chosen = drawn_by_class(fewer(np.eye(3, dtype=bool)[y], 0.5), y, np.random.default_rng(0))
    assert np.bincount(y[chosen]).tolist() == [8, 8, 4]
    assert len(set(chosen)) == len(chosen)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 30))
def test_in_turn_every_stretch_has_each_class_as_often_as_the_whole(seed: int, classes: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), draw.integers(1, 50, classes))
    places = draw.permutation(len(y))
    ordered = in_turn(places, y, draw)
    assert sorted(ordered) == sorted(places)
    share = np.bincount(y) / len(y)
    for start in range(0, len(y), size):
        part = y[ordered[start : start + size]]
        assert (np.abs(np.bincount(part, minlength=classes) - share * len(part)) < 2 + 1e-9).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([*TIMES]), st.floats(0.01, 1))
def test_an_epoch_has_each_image_about_as_often_as_it_should(seed: int, way: str, at: float) -> None:
    draw = np.random.default_rng(seed)
    presence = draw.random((int(draw.integers(1, 40)), int(draw.integers(1, 5)))) < draw.random()
    often = times(presence, way, at)
    assert np.isfinite(often).all()
    places = drawn(often, draw)
    count = np.bincount(places, minlength=len(presence))
    assert len(count) == len(presence)
    assert (count >= np.floor(often)).all()
    assert (count <= np.ceil(often)).all()
