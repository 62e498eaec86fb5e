"""Detectors as a family: they learn what is in pictures, answer under our ids in the pictures' own pixels, and survive a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import models
from pipeline.boxes.evaluation import evaluate
from pipeline.competition import Model
from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.detector import VIEWS, ObjectDetector, alike, seen, turned
from pipeline.predictions import Boxes, Truth
from pipeline.resample import Resample
from pipeline.resample.sampler import Sampler
from tests.pipeline.models.scenes import CATEGORIES, HEIGHT, WIDTH, draw, place

TINY = {"net": "test_efficientnet", "weights": None, "size": 64, "epochs": 1, "batch": 4, "plain": 0, "views": ("plain",)}
COUNT = 9


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def drawn(root: Path) -> tuple[pd.DataFrame, Truth]:
    return draw(root, COUNT)


def detector(root: Path, rows: pd.DataFrame, scratch: Path, say: Any = lambda message: None, **params: Any) -> ObjectDetector:
    made = models.build(Model("detector", {**TINY, **params}), 0, 1, place(root, rows, scratch, say))
    assert isinstance(made, ObjectDetector)
    return made


def bits(found: Boxes) -> list[bytes]:
    return [values.tobytes() for values in found.arrays().values()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{"head": "fcos", "width": 64, "convolutions": 1, "rate": 1e-3, "how": "pad"}, {"head": "ssd", "rate": 3e-3}]
)
def test_it_finds_what_it_has_learned(
    root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path, more: dict[str, Any]
) -> None:
    """A net that begins with random weights: towers as deep as usual may, on so few pictures, learn nothing."""
    rows, truth = drawn
    found = detector(root, rows, tmp_path, epochs=90, augment="none", **more).fit(rows, truth).predict(rows)
    assert evaluate(truth, found).ap50 > 0.9


def test_what_it_says_is_under_our_ids_and_in_the_pictures_own_pixels(
    root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path
) -> None:
    rows, truth = drawn
    made = detector(root, rows, tmp_path, views=VIEWS, scales=(1.0, 1.5), how="pad", mosaic=0.5, augment={"flips": "turns"})
    found = made.fit(rows, truth).predict(rows.iloc[:5])
    assert found.images.tolist() == rows["image_id"][:5].tolist()
    assert set(found.category) <= set(CATEGORIES)
    assert np.bincount(np.searchsorted(np.sort(found.images), found.image)).max() <= 100
    assert (found.box[:, :2] + found.box[:, 2:] <= np.array([WIDTH, HEIGHT]) + 40).all()  # cut off at the edge when they are kept
    other = made.predict(rows.iloc[[3, 1]])
    for row in (1, 3):
        image = rows["image_id"].to_numpy()[[row]]
        alone = [each.of(image) for each in (found, other)]
        np.testing.assert_allclose(np.sort(alone[0].score), np.sort(alone[1].score), rtol=1e-3, atol=1e-4)
    turned_round = made.predict(rows.iloc[4::-1])
    for image in found.images:
        assert bits(turned_round.of(np.array([image]))) == bits(found.of(np.array([image])))
    assert len(made.predict(rows.iloc[:0])) == 0


def test_pictures_can_be_kept_larger_than_they_are_learned(root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path) -> None:
    rows, truth = drawn
    made = detector(
        root, rows, tmp_path, detail=1.5, scales=(1.0, 1.5), augment={"flips": "both", "crop": 0.5}, mosaic=0.5, epochs=2, plain=1
    )
    found = made.fit(rows, truth).predict(rows)
    assert made._pictures(rows)[0].shape[1] == 96
    assert (found.box[:, :2] + found.box[:, 2:] <= np.array([WIDTH, HEIGHT]) + 40).all()
    with pytest.raises(BadRecipe, match=r"detail is 0\.5"):
        detector(root, rows, tmp_path, detail=0.5)


def test_killed_after_an_epoch_it_ends_with_the_same_boxes(root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path) -> None:
    rows, truth = drawn
    params: dict[str, Any] = {"epochs": 3, "mosaic": 0.5, "sizes": (1.0, 1.5), "ema": 0.9, "plain": 1}
    whole = (
        detector(root, rows, tmp_path / "whole", **params).fit(rows, truth, Sampler(Resample("class-aware"), 3, 0)).predict(rows)
    )

    def killed(message: str) -> None:
        if message.startswith("epoch 2 of"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        detector(root, rows, tmp_path / "killed", killed, **params).fit(rows, truth, Sampler(Resample("class-aware"), 3, 0))
    said: list[str] = []
    again = (
        detector(root, rows, tmp_path / "killed", said.append, **params)
        .fit(rows, truth, Sampler(Resample("class-aware"), 3, 0))
        .predict(rows)
    )
    assert said[0] == "It goes on after epoch 2 of 3."
    assert bits(again) == bits(whole)


def test_a_crowd_is_not_learned(root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path) -> None:
    rows, truth = drawn
    box = np.vstack([truth.box, [[0, 0, 100, 80]]])
    more = Truth(
        truth.images,
        truth.categories,
        np.append(truth.image, truth.images[0]),
        np.append(truth.category, CATEGORIES[0]),
        box,
        np.append(truth.crowd, True),
    )
    found = [detector(root, rows, tmp_path / name).fit(rows, y).predict(rows) for name, y in (("a", truth), ("b", more))]
    assert bits(found[0]) == bits(found[1])


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        ({"size": 100}, BadRecipe, "multiples of 32"),
        ({"how": "crop"}, BadRecipe, "would cut objects off"),
        ({"views": ("plain", "sideways")}, UnknownName, "No view is called 'sideways'"),
        ({"views": ()}, BadRecipe, "give one or more, each once"),
        ({"views": ("plain", "plain")}, BadRecipe, "give one or more, each once"),
        ({"scales": (9.0,)}, BadRecipe, "a list of one or more from 0.25 to 4"),
        ({"scales": 1.0}, BadRecipe, "a list of one or more from 0.25 to 4"),
        ({"sizes": ()}, BadRecipe, "a list of one or more from 0.25 to 4"),
        ({"sizes": (1.0, 1.2)}, BadRecipe, r"are sides of \[64, 64\]; give shares that lie further apart"),
        ({"size": 64.0}, BadRecipe, "multiples of 32"),
        ({"net": "resnet99"}, UnknownName, "resnet"),
        ({"head": "fcoss"}, UnknownName, "fcos"),
        ({"net": "torchvision/fcos_resnet50_fpn"}, BadRecipe, "give head=None"),
        ({"norm": "group"}, UnknownName, "norm of a detector"),
        ({"width": 50}, BadRecipe, "give 64, 96, 128"),
        ({"width": 32}, BadRecipe, "normalise 32 groups of channels"),
        ({"head": "ssd", "convolutions": 2}, BadRecipe, "convolutions is for"),
        ({"weights": "nowhere.pth"}, BadRecipe, "nowhere.pth"),
        ({"mosaic": 2}, BadRecipe, "mosaic is 2"),
        ({"plain": 1.5}, BadRecipe, "plain is 1.5; give a whole number"),
        ({"precision": "fp8"}, UnknownName, "precision"),
        ({"epoch": 3}, UnknownName, "epochs"),
        ({"augment": "wild"}, UnknownName, "strength of augmentation"),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(
    root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path, params: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        detector(root, drawn[0], tmp_path, **params)


def test_it_learns_boxes_alone(root: Path, drawn: tuple[pd.DataFrame, Truth], tmp_path: Path) -> None:
    here = place(root, drawn[0], tmp_path)
    for family in ("probe", "ridge"):
        with pytest.raises(BadRecipe, match=f"'{family}' learns no boxes, .* Choose another one: detector"):
            models.build(Model(family), 0, 1, here)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_s_boxes_are_turned_back(view: str) -> None:
    corners = torch.tensor([[1.0, 2, 10, 20]])
    image = torch.zeros(1, 1, 64, 96)
    image[..., 2:20, 1:10] = 1
    y, x = torch.nonzero(seen(image, view)[0, 0], as_tuple=True)
    found = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()[None]
    assert torch.equal(turned(found, view, 64, 96), corners)


def test_pictures_of_one_shape_are_looked_at_together() -> None:
    parts = np.array([[0, 8, 64, 56], [0, 0, 64, 64], [0, 9, 64, 57], [8, 0, 56, 64], [0, 8, 64, 56]])
    assert [some.tolist() for some in alike(parts, 2)] == [[3], [0, 2], [4], [1]]
    assert [some.tolist() for some in alike(parts[:0], 2)] == []
