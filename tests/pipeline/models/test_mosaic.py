"""A mosaic's boxes lie where its pieces are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.mosaic import LEAST, Piece, mosaic

SIZE = 64
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], dtype=np.uint8)


def piece(number: int, draw: np.random.Generator, shape: tuple[int, int] = (SIZE, SIZE)) -> Piece:
    """A square of its own colour on black."""
    low = draw.integers(0, 30, 2)
    high = low + draw.integers(8, 30, 2)
    image = np.zeros((*shape, 3), dtype=np.uint8)
    image[low[1] : high[1], low[0] : high[0]] = COLOURS[number]
    return image, np.array([[*low, *high]], dtype=np.float32), np.array([number])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([(SIZE, SIZE), (SIZE, 90), (80, SIZE)]), min_size=4, max_size=4))
def test_boxes_are_around_what_is_left_of_their_objects(seed: int, shapes: list[tuple[int, int]]) -> None:
    draw = np.random.default_rng(seed)
    image, boxes, labels = mosaic([piece(number, draw, shape) for number, shape in enumerate(shapes)], draw)
    assert image.shape == (*shapes[0], 3)
    assert boxes.dtype == np.float32
    assert len(boxes) == len(labels) == len(set(labels.tolist()))
    assert (boxes >= 0).all()
    assert (boxes <= np.tile(shapes[0][::-1], 2)).all()
    for box, label in zip(boxes, labels.tolist(), strict=True):
        assert (box[2:] - box[:2] >= LEAST).all()
        y, x = np.nonzero(((image > 127) == (COLOURS[label] > 127)).all(axis=2))
        found = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert np.abs(found - box).max() <= 2  # what the shrinking blurs


def test_it_follows_its_generator() -> None:
    made = [
        mosaic([piece(number, np.random.default_rng(1)) for number in range(4)], np.random.default_rng(seed))
        for seed in (5, 5, 6)
    ]
    assert (made[0][0] == made[1][0]).all()
    assert (made[0][0] != made[2][0]).any()


def test_pieces_without_boxes_are_welcome() -> None:
    empty = np.zeros((SIZE, SIZE, 3), dtype=np.uint8), np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.int64)
    _, boxes, labels = mosaic([empty] * 4, np.random.default_rng(0))
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)
