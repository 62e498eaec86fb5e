"""Sides of boxes are learned from images that others are not judged on, and only where there is something to learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.boxes.evaluation import evaluate, matches
from pipeline.ensemble.sides import ENOUGH, FARTHEST, Sides, learned
from pipeline.predictions import Array, Boxes, Truth

IMAGES = np.array([f"{number:02d}" for number in range(60)])
CATEGORIES = np.array(["b", "a"])
WIDTH, EDGE, EACH = 400.0, 4.0, 6
NOISE = 0.02  # of a box's size, which is how exactly it was found


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Boxes of which none was drawn left of, or above, the fourth pixel."""
    random, n = np.random.default_rng(0), len(IMAGES) * EACH
    size = random.uniform(40, 80, (n, 2))
    corner = random.uniform(-40, WIDTH - 80, (n, 2))
    inside = np.maximum(corner, EDGE)
    return Truth(
        IMAGES,
        CATEGORIES,
        np.repeat(IMAGES, EACH),
        random.choice(CATEGORIES, n),
        np.hstack([inside, corner + size - inside]),
        np.zeros(n, dtype=bool),
    )


def found(truth: Truth, off: Array | float = 0.0, seed: int = 1) -> Boxes:
    """Of every true box one that is nearly right, its left side off by shares (n,) of the width. It begins where the thing does: that is 0
    where nobody drew it."""
    random, n = np.random.default_rng(seed), len(truth.box)
    near = truth.box[:, :2] - EDGE * (truth.box[:, :2] == EDGE) + random.normal(0, NOISE, (n, 2)) * truth.box[:, 2:]
    box = np.hstack([np.maximum(near, 0), truth.box[:, 2:] * (1 + random.normal(0, NOISE, (n, 2)))])
    box[:, 0] += off * box[:, 2]
    box[:, 2] -= off * box[:, 2]
    return Boxes(IMAGES, truth.image, truth.category, box, random.uniform(0.1, 1.0, n))


def fit(boxes: Boxes, truth: Truth) -> Sides | None:
    return learned(boxes, truth, matches(truth, boxes))


def test_what_is_off_in_one_category_or_at_the_edge_is_put_right_in_images_that_were_not_learned_from(truth: Truth) -> None:
    boxes = found(truth, np.where(truth.category == "a", 0.08, 0.0))
    known, others = IMAGES[::2], IMAGES[1::2]
    sides = fit(boxes.of(known), truth.of(known))
    assert sides is not None
    before, unseen = boxes.of(others), truth.of(others)
    after = sides.moved(before)
    assert evaluate(unseen, after).ap > evaluate(unseen, before).ap + 0.05
    left = (after.box - before.box)[:, 0] / before.box[:, 2]
    inner = before.box[:, 0] > 20
    assert np.median(left[inner & (before.category == "a")]) == pytest.approx(-0.08 / 0.92, abs=0.02)
    assert np.median(left[inner & (before.category == "b")]) == pytest.approx(0.0, abs=0.02)
    edge = unseen.box[:, 1] == EDGE
    assert edge.sum() > 5
    assert abs(after.box - unseen.box)[edge, 1].mean() < 0.5 * abs(before.box - unseen.box)[edge, 1].mean()
    for same in ("images", "image", "category", "score"):
        assert getattr(after, same) is getattr(before, same)


def test_where_nothing_is_off_or_little_is_known_nothing_is_learned(truth: Truth) -> None:
    inner = Truth(truth.images, CATEGORIES, truth.image, truth.category, truth.box + np.array([50, 50, 0, 0]), truth.crowd)
    assert fit(found(inner), inner) is None
    few = IMAGES[: ENOUGH // EACH]
    off = found(truth, 0.1)
    assert fit(off, truth) is not None
    assert fit(off.of(few), truth.of(few)) is None
    one = dataclasses.replace(off, image=np.repeat(IMAGES[:1], len(off)))  # of one image nothing can be held out
    assert fit(one, dataclasses.replace(truth, image=one.image)) is None
    nothing = off.of(IMAGES[:0])
    assert fit(dataclasses.replace(nothing, images=IMAGES), truth) is None
    assert len(fit(off, truth).moved(nothing)) == 0  # type: ignore[union-attr]


def test_the_same_boxes_teach_the_same_in_any_order_of_categories(truth: Truth) -> None:
    boxes = found(truth, 0.1)
    one, other = fit(boxes, truth), fit(boxes, truth)
    assert one == other
    assert hash(one) == hash(other)
    turned = fit(boxes, dataclasses.replace(truth, categories=CATEGORIES[::-1]))
    assert one is not None
    assert turned is not None
    assert turned.categories == ("a", "b")
    # The numbers of two categories are exchanged; what is learned of each is not.
    np.testing.assert_allclose(turned.moved(boxes).box, one.moved(boxes).box, atol=0.5)


@settings(deadline=None)
@given(
    box=arrays(np.float64, (5, 4), elements=st.floats(0.01, 1e6)),
    category=st.lists(st.sampled_from(["a", "b"]), min_size=5, max_size=5),
)
def test_whatever_box_comes_a_middle_of_it_is_left(taught: Sides, box: Array, category: list[str]) -> None:
    boxes = Boxes(IMAGES, IMAGES[:5], np.array(category), box, np.full(5, 0.5))
    after = taught.moved(boxes).box
    assert (after[:, 2:] >= (1 - 2 * FARTHEST - 1e-9) * box[:, 2:]).all()
    assert (after[:, 2:] <= (1 + 2 * FARTHEST + 1e-9) * box[:, 2:]).all()


@pytest.fixture(scope="module")
def taught(truth: Truth) -> Sides:
    sides = fit(found(truth, 0.3), truth)
    assert sides is not None
    return sides
