"""Rare categories are seen more often, as the papers say, and nothing is drawn that was not given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecipe, UnknownName
from pipeline.resample import WAYS, drawn, times

# 100 images: all have the first category, 4 the second, 1 the third as well; and 10 have none.
PRESENCE = np.zeros((110, 3), dtype=bool)
PRESENCE[:100, 0] = PRESENCE[:4, 1] = PRESENCE[:1, 2] = True


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
    for way in WAYS:
        assert times(np.zeros((5, 3), dtype=bool), way, 1.0).tolist() == [1] * 5


def test_without_a_way_each_image_is_seen_once() -> None:
    assert sorted(drawn(times(PRESENCE, None, 0.5), np.random.default_rng(0))) == list(range(110))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([*WAYS, None]), st.floats(0.01, 1))
def test_an_epoch_has_each_image_about_as_often_as_it_should(seed: int, way: str | None, at: float) -> None:
    draw = np.random.default_rng(seed)
    presence = draw.random((int(draw.integers(1, 40)), int(draw.integers(1, 5)))) < draw.random()
    often = times(presence, way, at)
    assert np.isfinite(often).all()
    places = drawn(often, draw)
    count = np.bincount(places, minlength=len(presence))
    assert len(count) == len(presence)
    assert (count >= np.floor(often)).all()
    assert (count <= np.ceil(often)).all()


@pytest.mark.parametrize("at", [0, -1, 1.5, float("nan"), "much"])
def test_a_share_that_cannot_be_is_refused(at: float) -> None:
    with pytest.raises(BadRecipe, match="resample_at is"):
        times(PRESENCE, "copy", at)


def test_an_unknown_way_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="repeat-factor"):
        times(PRESENCE, "repeat_factors", 0.1)
