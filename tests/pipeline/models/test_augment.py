"""Augmentation depends on its generator alone, and changes what it was asked to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.augment import STRENGTHS, augment, box_augment, strength, transposed
from pipeline.predictions import Array

SIZE = 32
IMAGE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def changed(asked: str | Mapping[str, Any], seed: int) -> Array:
    return augment(asked, SIZE)(IMAGE.copy(), np.random.default_rng(seed))


@pytest.mark.parametrize("asked", list(STRENGTHS))
def test_the_generator_alone_decides(asked: str) -> None:
    several = augment(asked, SIZE)
    shown = [several(IMAGE.copy(), np.random.default_rng(seed)) for seed in (1, 2, 1)]
    assert all(each.shape == IMAGE.shape and each.dtype == np.uint8 for each in shown)
    assert (shown[0] == shown[2]).all()
    assert (shown[0] == changed(asked, 1)).all()


def test_none_leaves_a_picture_as_it_is() -> None:
    assert (changed("none", 0) == IMAGE).all()


def test_flips_are_all_that_flips_do() -> None:
    wanted = {each.tobytes() for each in (IMAGE, IMAGE[::-1], IMAGE[:, ::-1], IMAGE[::-1, ::-1])}
    assert {changed("flips", seed).tobytes() for seed in range(30)} == wanted


@pytest.mark.parametrize("asked", [{"crop": 0.5}, {"rotate": 90}, {"colour": 0.5}, {"erase": 1.0}, "mild", "strong"])
def test_every_choice_changes_something(asked: str | dict[str, Any]) -> None:
    assert any((changed(asked, seed) != IMAGE).any() for seed in range(5))


@pytest.mark.parametrize("asked", ["wild", {"crops": 0.5}, {"flips": "vertical"}])
def test_an_unknown_choice_is_refused(asked: str | dict[str, Any]) -> None:
    with pytest.raises(UnknownName):
        augment(asked, SIZE)


@pytest.mark.parametrize("asked", [{"crop": 0.0}, {"rotate": 200}, {"erase": 2}])
def test_a_number_out_of_range_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadRecipe, match=f"{next(iter(asked))} is .*; give a number from"):
        augment(asked, SIZE)


@pytest.mark.parametrize("asked", ["none", "flips", {"crop": 0.5}])
def test_boxes_follow_pictures_that_are_kept_larger_than_they_are_learned(asked: str | Mapping[str, Any]) -> None:
    """A white square is where its box says, in pixels of the smaller picture."""
    picture = np.zeros((60, 60, 3), dtype=np.uint8)
    picture[21:39, 12:36] = 255
    boxes = np.array([[12.0, 21.0, 36.0, 39.0]], dtype=np.float32)
    made, found, labels = box_augment(strength(asked), (40, 40), shrink=True)(
        picture, boxes, np.array([1]), np.random.default_rng(3)
    )
    assert made.shape == (40, 40, 3)
    assert labels.tolist() == [1]
    down, across = np.nonzero(made[..., 0] > 127)
    np.testing.assert_allclose(found[0], [across.min(), down.min(), across.max() + 1, down.max() + 1], atol=1.5)


def test_a_box_grows_little_where_its_picture_is_turned() -> None:
    picture, boxes = np.zeros((80, 80, 3), dtype=np.uint8), np.array([[30.0, 30.0, 50.0, 50.0]], dtype=np.float32)
    change = box_augment(strength({"rotate": 45}), (80, 80))
    areas = [
        np.prod(np.diff(change(picture, boxes, np.array([0]), np.random.default_rng(seed))[1].reshape(2, 2), axis=0))
        for seed in range(20)
    ]
    assert max(areas) < 1.1 * 400  # corners and all it would be 800


def test_crops_of_a_picture_that_is_not_square_have_its_shape_on_average() -> None:
    """A cell that is as wide as high stays so, but for what crops of squares do to it too."""
    picture, boxes = np.zeros((60, 120, 3), dtype=np.uint8), np.array([[55.0, 25.0, 65.0, 35.0]], dtype=np.float32)
    change = box_augment(strength({"crop": 0.5}), (60, 120))
    shapes = []
    for seed in range(200):
        made, found, _ = change(picture, boxes, np.array([0]), np.random.default_rng(seed))
        assert made.shape == picture.shape
        if len(found):
            shapes.append(np.log((found[0, 2] - found[0, 0]) / (found[0, 3] - found[0, 1])))
    assert abs(np.mean(shapes)) < 0.05
    assert np.abs(shapes).max() < np.log(4 / 3) + 0.15


@pytest.mark.parametrize("flips", ["both", "turns"])
def test_pictures_with_boxes_keep_their_shape_and_are_transposed_apart(flips: str) -> None:
    """With flips and rows as columns every quarter turn is reached."""
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    change, boxes = box_augment(strength({"flips": flips}), (20, 30)), np.array([[2.0, 3, 12, 7]], dtype=np.float32)
    seen = set()
    for seed in range(40):
        made, found, labels = change(picture, boxes, np.array([5]), np.random.default_rng(seed))
        assert made.shape == picture.shape
        for image, corners, names in ((made, found, labels), transposed(made, found, labels)):
            left, top, right, bottom = corners[0].astype(int)
            assert sorted(image[top:bottom, left:right].reshape(-1).tolist()) == sorted(picture[3:7, 2:12].reshape(-1).tolist())
            assert names.tolist() == [5]
            seen.add(image.tobytes())
    turns = {np.ascontiguousarray(np.rot90(side, k)).tobytes() for side in (picture, picture[:, ::-1]) for k in range(4)}
    assert seen == turns
