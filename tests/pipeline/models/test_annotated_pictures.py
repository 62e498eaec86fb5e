"""Batches of pictures with boxes: random by seed, epoch and place alone, and plain at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.models.annotated_pictures import AnnotatedPictures, Scenes, resized, sides
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
SCENES = Scenes(PIXELS, np.arange(N), CORNERS, [np.array([0, int(number == 0)]) for number in range(N)], PRESENCE, SIZE)
CPU = Device(torch.device("cpu"), bf16=False)


def lesson(sampler: Sampler | None = None, **params: Any) -> AnnotatedPictures:
    chosen = {**LADDER["adamw", False], "epochs": 4, "batch": 4, "plain": 1, "augment": "strong", "mosaic": 0.5, **params}
    torch.manual_seed(0)
    net = create("test_efficientnet", "fcos", 2, None, SIZE)
    return AnnotatedPictures(SCENES, BoxRecipe(**chosen), net, CPU, 3, sampler)


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
    assert resized(torch.zeros(1, 3, 64, 64), 32)[0].shape == (1, 3, 32, 32)
