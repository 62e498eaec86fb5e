"""Boxes find their way into the part of a map that their picture fills, and back, whatever the picture's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.frames import WAYS, frames, of_part
from pipeline.pictures.reading import fitted

sides = st.integers(1, 3000)


@settings(max_examples=100, deadline=None)
@given(sides, sides, st.integers(32, 640), st.sampled_from(WAYS))
def test_there_and_back_is_the_same_place(width: int, height: int, size: int, how: str) -> None:
    fitting = frames(np.array([width]), np.array([height]), size, how)
    corners = np.array([[0, 0, width, height], [0.3 * width, 0.1 * height, 0.4 * width, 0.9 * height]], dtype=np.float64)
    there = fitting.to_part(corners, np.zeros(2, dtype=int))
    left, top, right, bottom = fitting.parts[0]
    assert 0 <= left < right <= size
    assert 0 <= top < bottom <= size
    assert fitting.shapes.tolist() == [[bottom - top, right - left]]
    np.testing.assert_allclose(there[0], [0, 0, right - left, bottom - top], atol=1e-9)
    np.testing.assert_allclose(fitting.to_picture(there, np.zeros(2, dtype=int)), corners, atol=1e-6)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("width", "height"), [(200, 100), (90, 210), (128, 128)])
def test_a_box_lies_where_its_pixels_are(tmp_path: Path, how: str, width: int, height: int) -> None:
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[20:60, 30:70] = 255
    if how == "pad":
        picture[..., 0] = 200  # so that the white border is told from it
        picture[20:60, 30:70, 0] = 255
    small = fitted(Image.fromarray(picture), 128, how)
    fitting = frames(np.array([width]), np.array([height]), 128, how)
    left, top, right, bottom = fitting.to_part(np.array([[30.0, 20, 70, 60]]), np.zeros(1, dtype=int))[0]
    small = small[of_part(fitting.parts[0])]
    assert not (small == 255).all(axis=2)[[0, -1]].any()  # nothing of the border
    assert not (small == 255).all(axis=2)[:, [0, -1]].any()
    inside = small[int(np.ceil(top + 2)) : int(bottom - 2), int(np.ceil(left + 2)) : int(right - 2)]
    assert (inside > 240).all()
    across = small[int((top + bottom) / 2), :, 1].astype(int)
    edges = np.flatnonzero(np.abs(np.diff(across)) > 60)
    assert np.abs(edges - (left - 0.5)).min() <= 1.5
    assert np.abs(edges - (right - 0.5)).min() <= 1.5


def test_ways_that_cut_objects_off_are_refused() -> None:
    with pytest.raises(BadRecipe, match="would cut objects off"):
        frames(np.ones(1), np.ones(1), 64, "crop")
    with pytest.raises(UnknownName, match="squash"):
        frames(np.ones(1), np.ones(1), 64, "squish")
