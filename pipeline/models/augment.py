"""Augmentation of one training picture: crops, flips, turns, mild colour. What comes out depends on the generator alone.

So a picture looks the same in an epoch whoever prepares it: one thread, or any number of worker processes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import refuse_unknown
from pipeline.predictions import Array

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for a newer version
import albumentations

Augment: TypeAlias = Callable[[Array, np.random.Generator], Array]
BoxAugment: TypeAlias = Callable[[Array, Array, Array, np.random.Generator], tuple[Array, Array, Array]]

FLIPS = ("none", "horizontal", "both", "turns")
SHAPES = (3 / 4, 4 / 3)  # of a crop: width over height, beside the picture's own
LEAST_AREA = 1  # square pixels of a box: what is smaller cannot be seen
VISIBLE = 0.1  # share of a box that must be left
GREY = (114, 114, 114)  # beyond the edges of a turned picture with boxes


@dataclass(frozen=True)
class Strength:
    """flips: "none", "horizontal", "both" where up and down mean nothing, or "turns" for quarter turns too. crop: the smallest share of the picture's area that a
    random crop keeps (1: no crops). rotate: the largest turn in degrees. colour: the largest change of brightness, contrast and
    saturation, as a share; the hue changes by a tenth of it. erase: how often a rectangle is blotted out (Zhong et al. 2020).
    """

    flips: str = "none"
    crop: float = 1.0
    rotate: float = 0.0
    colour: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        if self.flips not in FLIPS:
            raise UnknownName("choice of flips", str(self.flips), FLIPS)
        for name, low, high in (("crop", 0.01, 1), ("rotate", 0, 180), ("colour", 0, 1), ("erase", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise BadRecipe(f"augment: {name} is {getattr(self, name)}; give a number from {low} to {high}.")


STRENGTHS: Mapping[str, Strength] = {
    "none": Strength(),
    "flips": Strength(flips="both"),
    "mild": Strength(flips="horizontal", crop=0.6, rotate=10, colour=0.1),
    "strong": Strength(flips="both", crop=0.3, rotate=45, colour=0.3, erase=0.25),
}


def strength(asked: str | Mapping[str, Any]) -> Strength:
    """A strength by name, or by the fields of `Strength`. Raises UnknownName for another name, BadRecipe for a number out of range."""
    if isinstance(asked, Mapping):
        refuse_unknown("augment", asked, {field.name for field in dataclasses.fields(Strength)})
        return Strength(**asked)
    if asked not in STRENGTHS:
        raise UnknownName("strength of augmentation", str(asked), STRENGTHS)
    return STRENGTHS[asked]


def augment(asked: str | Mapping[str, Any], size: int) -> Augment:
    """A function from a picture (size, size, 3) uint8 and a generator to a picture of that shape. Not for several threads at once."""
    chosen = strength(asked)
    steps = _steps(chosen, (size, size))
    if not steps:
        return _unchanged
    return _Augmentation(albumentations.Compose(steps))


def _unchanged(image: Array, generator: np.random.Generator) -> Array:  # noqa: ARG001 - every augmentation is given one
    return image


def box_augment(chosen: Strength, shape: tuple[int, int], shrink: bool = False) -> BoxAugment:
    """A function from a picture (h, w, 3) uint8, its boxes (n, 4) as corners in pixels, their labels (n,) and a generator to
    the same of the changed picture, of this shape: boxes are cut off at its edges (also by what is blotted out at a side), and those of which less
    than a tenth is left, or less than LEAST_AREA, are gone. shrink: whether pictures come larger than that. Of turns only flips are made
    here: what a quarter turn lacks is `transposed`, for all pictures of a batch or none, so that they have one shape."""
    steps = _steps(chosen, shape, boxes=True, shrink=shrink)
    if not steps:
        return lambda image, boxes, labels, generator: (image, boxes, labels)
    care = albumentations.BboxParams(
        "pascal_voc", label_fields=["labels"], clip=True, filter_invalid_bboxes=True, min_area=LEAST_AREA, min_visibility=VISIBLE
    )
    change = _Augmentation(albumentations.Compose(steps, bbox_params=care))

    def changed(image: Array, boxes: Array, labels: Array, generator: np.random.Generator) -> tuple[Array, Array, Array]:
        found = change.all(generator, image=image, bboxes=boxes, labels=labels)
        kept = np.asarray(found["bboxes"], dtype=np.float32).reshape(-1, 4)
        return found["image"], kept, np.asarray(found["labels"]).astype(np.int64)

    return changed


def transposed(image: Array, boxes: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Rows as columns: with flips before, a quarter turn."""
    return image.swapaxes(0, 1), boxes[:, [1, 0, 3, 2]], labels


class _Augmentation:
    def __init__(self, compose: albumentations.Compose) -> None:
        self.compose = compose

    def __call__(self, image: Array, generator: np.random.Generator) -> Array:
        changed: Array = self.all(generator, image=image)["image"]
        return changed

    def all(self, generator: np.random.Generator, **given: Array) -> dict[str, Any]:
        for step in (
            self.compose.transforms
        ):  # each its own: seeded as one, all would draw the same, and every mirrored picture turn over
            step.set_random_seed(int(generator.integers(2**32)))
        changed: dict[str, Any] = self.compose(**given)
        return changed


def _steps(chosen: Strength, shape: tuple[int, int], boxes: bool = False, shrink: bool = False) -> list[Any]:
    """shrink: whether pictures are larger than `shape` before. Only the ones that change something. Beside a turned picture lies its mirror image, but for boxes, since objects there have none."""
    steps: list[Any] = []
    if chosen.crop < 1:
        area = "image" if shrink else None  # several pixels become one by their mean
        ratio = tuple(one * shape[1] / shape[0] for one in SHAPES)
        steps.append(albumentations.RandomResizedCrop(shape, scale=(chosen.crop, 1.0), ratio=ratio, area_for_downscale=area))
    elif shrink:
        steps.append(albumentations.Resize(*shape, interpolation=cv2.INTER_AREA))
    if chosen.flips != "none":
        steps.append(albumentations.HorizontalFlip())
    if chosen.flips in ("both", "turns"):
        steps.append(albumentations.VerticalFlip())
    if chosen.flips == "turns" and not boxes:
        steps.append(albumentations.RandomRotate90(p=1.0))
    if chosen.rotate:
        # What is in a box is nearer to an ellipse than to a rectangle, whose corners would make the turned box far too large.
        grey = {"border_mode": cv2.BORDER_CONSTANT, "fill": GREY, "rotate_method": "ellipse"}
        beyond: dict[str, Any] = grey if boxes else {"border_mode": cv2.BORDER_REFLECT_101}
        steps.append(albumentations.Rotate((-chosen.rotate, chosen.rotate), **beyond))
    if chosen.colour:
        around = (1 - chosen.colour, 1 + chosen.colour)
        steps.append(albumentations.ColorJitter(around, around, around, hue=(-chosen.colour / 10, chosen.colour / 10), p=0.8))
    if chosen.erase:
        steps.append(albumentations.Erasing(p=chosen.erase))
    return steps
