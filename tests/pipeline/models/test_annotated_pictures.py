"""Batches of pictures with boxes: random by seed, epoch and place alone, and plain at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.models.annotated_pictures import AnnotatedPictures, Scenes, framed, resized, sides
from pipeline.models.box_recipe import LADDER, BoxRecipe
from pipeline.models.detection_nets import create
from pipeline.models.devices import Device
from pipeline.resample import Resample
from pipeline.resample.sampler import Sampler

N, SIZE = 10, 64
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (N, SIZE, SIZE, 3), dtype=np.uint8)
CORNERS = [np.array([[5, 8, 40, 30 + number], [20, 20, 60, 50]], dtype=np.float32) for number in range(N)]
PRESENCE = np.array([[True, number == 0] for number in range(N)])
WHOLE = np.tile([0, 0, SIZE, SIZE], (N, 1))
SCENES = Scenes(PIXELS, np.arange(N), WHOLE, CORNERS, [np.array([0, int(number == 0)]) for number in range(N)], PRESENCE, SIZE)
CPU = Device(torch.device("cpu"), bf16=False)


def lesson(sampler: Sampler | None = None, scenes: Scenes = SCENES, **params: Any) -> AnnotatedPictures:
    chosen = {**LADDER["adamw", False], "epochs": 4, "batch": 4, "plain": 1, "augment": "strong", "mosaic": 0.5, **params}
    torch.manual_seed(0)
    net = create("test_efficientnet", "fcos", 2, None, SIZE)
    return AnnotatedPictures(scenes, BoxRecipe(**chosen), net, CPU, 3, sampler)


def tensors(batches: Any) -> list[list[torch.Tensor]]:
    return [[images, *boxes, *labels] for images, boxes, labels in batches]


@pytest.mark.parametrize("epochs", [[0, 1, 2, 3], [2, 3]])
def test_an_epoch_looks_the_same_whoever_prepares_it_and_wherever_it_goes_on(epochs: list[int]) -> None:
    made = lesson()
    whole = tensors(made.batches([0, 1, 2, 3], workers=0))
    assert [len(batch[0]) for batch in whole[:3]] == list(made.sizes(0)) == [4, 3, 3]
    for workers in (0, 2):
        again = tensors(lesson().batches(epochs, workers=workers))
        for one, other in zip(whole[-len(again) :], again, strict=True):
            assert len(one) == len(other)
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_boxes_lie_in_their_pictures_and_have_their_labels() -> None:
    for images, boxes, labels in lesson().batches([0, 1, 2], workers=0):
        assert images.dtype == torch.uint8
        for corners, names in zip(boxes, labels, strict=True):
            assert corners.dtype == torch.float32
            assert names.dtype == torch.int64
            assert len(corners) == len(names)
            assert (corners >= 0).all()
            assert (corners <= SIZE).all()
            assert (corners[:, 2:] > corners[:, :2]).all()


def test_the_last_epochs_show_pictures_as_they_are() -> None:
    pictures = {PIXELS[row].tobytes(): row for row in range(N)}
    made = lesson(augment={"crop": 0.3, "colour": 0.3})
    seen = [image.numpy().tobytes() for images, _, _ in made.batches([3], workers=0) for image in images]
    assert sorted(pictures[image] for image in seen) == list(range(N))
    before = [image.numpy().tobytes() for images, _, _ in made.batches([2], workers=0) for image in images]
    assert not set(before) & set(pictures)


def test_rare_categories_are_seen_more_often() -> None:
    made = lesson(Sampler(Resample("copy", {"at": 0.5}), 2, 0), augment="none", mosaic=0.0)
    rare = sum(int((names == 1).any()) for _, _, labels in made.batches([0], workers=0) for names in labels)
    assert rare == 5
    assert sum(made.sizes(0)) == N + 4


def test_each_step_draws_its_size_and_boxes_grow_with_the_picture() -> None:
    made = lesson(sizes=(0.5, 1.0, 1.5), augment="none", mosaic=0.0)
    drawn = set()
    for step, batch in enumerate(made.batches([0, 1, 2, 3], workers=0)):
        x, y = made.ready(batch, 0, step)
        drawn.add(x.shape[-1])
        for one, boxes in zip(y, batch[1], strict=True):
            torch.testing.assert_close(one["boxes"], boxes * x.shape[-1] / SIZE)
    assert drawn == {32, 64, 96}
    assert sides(64, (0.7, 1.0)) == [32, 64]  # 44.8 pixels are nearer to one step than to two


def test_nothing_is_computed_of_padding_that_no_picture_of_a_batch_needs() -> None:
    """Wide pictures: their batches are wide, or high where they are turned, and boxes are where their pictures are."""
    pixels = np.full((N, SIZE, SIZE, 3), 255, dtype=np.uint8)
    pixels[:, 17:47] = 0
    pixels[:, 20:30, 5:45] = [200, 0, 0]
    parts = np.tile([0, 17, SIZE, 47], (N, 1))
    corners = [np.array([[5, 3, 45, 13]], dtype=np.float32)] * N
    scenes = Scenes(pixels, np.arange(N), parts, corners, [np.zeros(1, dtype=np.int64)] * N, PRESENCE[:, :1], SIZE)
    made = lesson(scenes=scenes, augment={"flips": "turns"}, mosaic=0.0, sizes=(1.0, 1.5))
    shapes = set()
    for step, batch in enumerate(made.batches([0, 1, 2, 3], workers=0)):
        images, boxes, _ = batch
        shapes.add(tuple(images.shape[1:3]))
        for image, (left, top, right, bottom) in zip(images, (one[0].int().tolist() for one in boxes), strict=True):
            red = image[..., 0] == 200
            assert red[top:bottom, left:right].all()
            assert red.sum() == 400
            assert not (image == 255).any()
        x, y = made.ready(batch, 0, step)
        assert all(side % 32 == 0 for side in x.shape[2:])
        scale = y[0]["boxes"][0, 2] / boxes[0][0, 2]
        assert float(scale) in (1.0, 1.5)
        assert sorted(x.shape[2:]) == ([32, 64] if scale == 1 else [64, 96])
    assert shapes == {(32, 64), (64, 32)}


def test_batches_of_several_shapes_have_room_for_each() -> None:
    images = [np.zeros((20, 40, 3), dtype=np.uint8), np.ones((64, 10, 3), dtype=np.uint8)]
    made = framed(images)
    assert made.shape == (2, 64, 64, 3)
    assert (made[0, :20, :40] == 0).all()
    assert (made[1, :, :10] == 1).all()
    assert (made[0, 20:] == 114).all()
    assert (made[1, :, 10:] == 114).all()


@pytest.mark.parametrize(("share", "shape"), [(1.0, (64, 96)), (0.5, (32, 64)), (1.25, (96, 128))])
def test_pictures_of_another_size_have_sides_that_a_net_takes(share: float, shape: tuple[int, int]) -> None:
    x = torch.ones(1, 3, 64, 90)
    made = resized(x, share)
    assert made.shape == (1, 3, *shape)
    height, width = round(64 * share), round(90 * share)
    torch.testing.assert_close(made[..., :height, :width], torch.ones(1, 3, height, width))
    assert made.sum() == pytest.approx(3 * height * width, rel=1e-5)
