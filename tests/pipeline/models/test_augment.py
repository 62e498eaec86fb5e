"""Augmentation depends on its generator alone, and changes what it was asked to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.augment import STRENGTHS, augment, box_augment
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
    made, found, labels = box_augment(asked, 40, 60)(picture, boxes, np.array([1]), np.random.default_rng(3))
    assert made.shape == (40, 40, 3)
    assert labels.tolist() == [1]
    down, across = np.nonzero(made[..., 0] > 127)
    np.testing.assert_allclose(found[0], [across.min(), down.min(), across.max() + 1, down.max() + 1], atol=1.5)


def test_a_box_grows_little_where_its_picture_is_turned() -> None:
    picture, boxes = np.zeros((80, 80, 3), dtype=np.uint8), np.array([[30.0, 30.0, 50.0, 50.0]], dtype=np.float32)
    change = box_augment({"rotate": 45}, 80)
    areas = [
        np.prod(np.diff(change(picture, boxes, np.array([0]), np.random.default_rng(seed))[1].reshape(2, 2), axis=0))
        for seed in range(20)
    ]
    assert max(areas) < 1.1 * 400  # corners and all it would be 800
