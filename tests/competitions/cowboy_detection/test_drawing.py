"""Drawn scenes: every box is tight around what is seen of its thing, whatever stands before it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from competitions.cowboy_detection.drawing import LEAST, SCALE, SPANS, Brush, Canvas, Person, Thing, jpeg, scene

ALL = frozenset(SPANS)
SIZE = (320, 240)


def canvas() -> Canvas:
    return Canvas(np.zeros((SIZE[1] * SCALE, SIZE[0] * SCALE, 3), dtype=np.uint8))


def square(left: float, top: float, side: float) -> list[tuple[float, float]]:
    """The corners of so many pixels; cv2 fills the points themselves too, and so SCALE times a side has one more."""
    last = side - 1 / SCALE
    return [(left, top), (left + last, top), (left + last, top + last), (left, top + last)]


# --------------------------------------------------------------------------------------------------------------------------- boxes


def test_a_box_is_around_the_pixels_that_show_the_thing() -> None:
    drawn = canvas()
    drawn.fill(square(10, 20, 30), (200, 0, 0), drawn.begin("belt"))
    drawn.settle()
    assert drawn.seen() == [Thing("belt", (10, 20, 30, 30))]
    assert (drawn.image[..., 0] > 0).sum() == (30 * SCALE) ** 2


@pytest.mark.parametrize(("edge", "seen"), [(20, True), (30, False), (40, False)])
def test_what_stands_before_a_thing_makes_its_box_smaller_or_hides_it(edge: float, seen: bool) -> None:
    drawn = canvas()
    drawn.fill(square(10, 20, 30), (200, 0, 0), drawn.begin("belt"))
    drawn.settle()
    drawn.fill([(0, 0), (edge - 0.5, 0), (edge - 0.5, 100), (0, 100)], (0, 200, 0), drawn.begin("jacket"))
    drawn.settle()
    assert drawn.seen() == [Thing("belt", (edge, 20, 40 - edge, 30))] * seen + [Thing("jacket", (0, 0, edge, 100.5))]


@pytest.mark.parametrize(("left", "seen"), [(-10, True), (-15, True), (-25, False), (-40, False), (SIZE[0] - 5, False)])
def test_a_thing_of_which_the_picture_has_too_little_gets_no_box(left: float, seen: bool) -> None:
    drawn = canvas()
    drawn.fill(square(left, 20, 30), (200, 0, 0), drawn.begin("belt"))
    drawn.settle()
    assert drawn.seen() == [Thing("belt", (0, 20, 30 + left, 30))] * seen


@pytest.mark.parametrize(("side", "seen"), [(LEAST, True), (LEAST - 0.5, False)])
def test_a_thing_too_small_to_be_seen_gets_no_box(side: float, seen: bool) -> None:
    drawn = canvas()
    drawn.fill(square(50, 50, side), (200, 0, 0), drawn.begin("belt"))
    drawn.settle()
    assert bool(drawn.seen()) == seen


def test_a_brush_begins_only_what_the_person_wears() -> None:
    brush = Brush(canvas(), Person(50, 50, 100, 0, frozenset({"belt"})))
    assert (brush.thing("jacket"), brush.thing("belt")) == (0, 1)
    assert brush.canvas.names == ["belt"]


# -------------------------------------------------------------------------------------------------------------------------- scenes

worn = st.frozensets(st.sampled_from(sorted(SPANS)))


@settings(max_examples=25, deadline=None)
@given(people=st.lists(worn, max_size=5), size=st.sampled_from([SIZE, (240, 320), (256, 256)]), seed=st.integers(0, 2**32))
def test_boxes_lie_in_the_picture_and_are_of_what_is_worn(people: list[frozenset[str]], size: tuple[int, int], seed: int) -> None:
    width, height = size
    picture, things = scene(np.random.default_rng(seed), width, height, people)
    assert (picture.shape, picture.dtype) == ((height, width, 3), np.uint8)
    for name in SPANS:
        assert sum(thing.name == name for thing in things) <= sum(name in wears for wears in people)
    for left, top, wide, high in (thing.box for thing in things):
        assert min(left, top) >= 0
        assert min(wide, high) >= LEAST
        assert left + wide <= width
        assert top + high <= height


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(SPANS)), seed=st.integers(0, 2**32))
def test_what_someone_alone_wears_is_seen(name: str, seed: int) -> None:
    _, things = scene(np.random.default_rng(seed), *SIZE, [frozenset({name})])
    assert [thing.name for thing in things] == [name]


@settings(max_examples=25, deadline=None)
@given(others=st.lists(worn.map(lambda wears: wears - {"belt"}), max_size=4), wears=worn, seed=st.integers(0, 2**32))
def test_a_belt_is_seen_in_any_crowd(others: list[frozenset[str]], wears: frozenset[str], seed: int) -> None:
    for width, height in (SIZE, (213, 320)):
        _, things = scene(np.random.default_rng(seed), width, height, [wears | {"belt"}, *others])
        assert "belt" in [thing.name for thing in things]


def test_the_same_stream_draws_the_same_scene() -> None:
    one, same, other = (scene(np.random.default_rng(seed), *SIZE, [ALL, ALL]) for seed in (0, 0, 1))
    assert (one[0] == same[0]).all()
    assert one[1] == same[1]
    assert (one[0] != other[0]).any()


def test_nobody_is_a_scene_too() -> None:
    assert scene(np.random.default_rng(0), *SIZE, [])[1] == []


def test_a_jpeg_has_red_first() -> None:
    picture = np.zeros((16, 24, 3), dtype=np.uint8)
    picture[..., 0] = 200
    with Image.open(io.BytesIO(jpeg(picture, 90))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (24, 16))
        assert np.abs(np.asarray(image).astype(int) - picture).max() < 10
