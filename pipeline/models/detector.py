"""The family "detector": torchvision's heads over any convolutional body, or its own detectors, trained on boxes in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.boxes.fusion import Pool, fuse, top
from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import detection_nets, devices, picture_family
from pipeline.models.annotated_pictures import AnnotatedPictures, Scenes, resized, sides
from pipeline.models.augment import LEAST_AREA
from pipeline.models.box_recipe import LADDER, BoxRecipe
from pipeline.models.fine_tuning import FineTuning
from pipeline.models.frames import Frames, frames, of_part
from pipeline.models.place import Place
from pipeline.predictions import Array, Boxes, Truth, places

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler

VIEWS = ("plain", "mirror", "upside", "transposed")
AGREED = 0.65  # overlap of the boxes that one net finds of an object in several views; two nets differ more (fusion's 0.55)
LIBRARIES = ("albumentations", "numpy", "opencv-python-headless", "pillow", "timm", "torch", "torchvision")


@dataclass
class ObjectDetector:
    """net, head, weights, norm, width, convolutions: see `detection_nets.create`. size: of the pictures in pixels, a multiple of 32. how:
    "squash" makes them squares; with "pad" they keep their shape, and the longer side has this size. detail: how many times larger they
    are kept, so that crops and larger scales show what is in the files rather than enlarged pixels. views: as it is, mirrored, upside down,
    rows as columns; scales: shares of the size, each the nearest multiple of 32; of each view at each scale the boxes are found, and fused.
    precision: "auto", "bf16" or "fp32". device: "auto", "cpu", "cuda".
    """

    classes: int
    seed: int
    place: Place
    recipe: BoxRecipe
    net: str = "tf_efficientnet_lite0"
    head: str | None = "fcos"
    weights: str | None = "package"
    size: int = 320
    how: str = "squash"
    detail: float = 1.0
    norm: str | None = None
    width: int | None = None
    convolutions: int | None = None
    views: tuple[str, ...] = ("plain", "mirror")
    scales: tuple[float, ...] = (1.0,)
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        devices.located(self.device)
        detection_nets.check(self.net, self.head, self.weights, self.size, self.norm, self.width, self.convolutions)
        sides(self.size, self.recipe.sizes)
        sides(self.size, self.scales)
        frames(np.ones(1), np.ones(1), self.size, self.how)
        if not isinstance(self.detail, int | float) or not 1 <= self.detail <= 4:
            raise BadRecipe(
                f"detail is {self.detail!r}; give a number from 1 to 4, by which pictures are kept larger than trained on."
            )
        for kind, chosen, known in (("precision", [self.precision], devices.PRECISIONS), ("view", self.views, VIEWS)):
            for name in set(chosen) - set(known):
                raise UnknownName(kind, str(name), known)
        if not self.views or len(set(self.views)) < len(self.views):
            raise BadRecipe(f"views is {self.views}; give one or more, each once.")

    def fit(self, X: pd.DataFrame, y: Truth, sampler: Sampler | None = None) -> ObjectDetector:
        """Crowds are not learned. Raises BadRecipe, BadPicture, BadWeights."""
        pixels, rows, fitting = self._pictures(X)
        truth = y.of(X[self.place.id].to_numpy())
        with picture_family.settings(self) as device:
            torch.manual_seed(self.seed)
            options: dict[str, Any] = {"norm": self.norm, "width": self.width, "convolutions": self.convolutions}
            net = detection_nets.create(self.net, self.head, self.classes, self.weights, self.size, **options)
            self.trained = net.to(device)
            self.computing = devices.choose(device, self.precision, self.trained)
            self.most = self.recipe.batch
            scenes = scenes_of(pixels, rows, truth, fitting, self.size)
            training = FineTuning(self.trained, self.recipe, self.computing, self.seed, self.place.say)
            lesson = AnnotatedPictures(scenes, self.recipe, self.trained, self.computing, self.seed, sampler)
            workers = self.place.threads if self.computing.is_gpu else 0
            data = (rows, scenes.parts, *scenes.corners, *scenes.labels)
            key = picture_family.key(self, self.trained, self.computing, LIBRARIES, data, str(sampler.step) if sampler else None)
            training.run(lesson, self.place.scratch, key, workers)
            self.most = training.micro
        return self

    def predict(self, X: pd.DataFrame) -> Boxes:
        """In pixels of the pictures as they are on the disk; batch by batch."""
        pixels, rows, fitting = self._pictures(X)
        ids = X[self.place.id].to_numpy(dtype=np.str_)
        categories = np.array(self.place.labels)
        # in the gallery's order: the same bits, however the rows are ordered
        once, first, back = np.unique(rows, return_index=True, return_inverse=True)
        seen = []
        with picture_family.settings(self):
            self.trained.eval()
            for view in self.views:
                for side in sides(self.size, self.scales):
                    of, *parts = self._found(pixels, once, fitting.parts[first], view, side)
                    starts = np.searchsorted(of, np.arange(len(once) + 1))
                    of_row = [np.arange(starts[place], starts[place + 1]) for place in back]
                    image = np.repeat(np.arange(len(rows)), [len(one) for one in of_row])
                    label, corners, score = (part[np.concatenate([np.zeros(0, dtype=np.int64), *of_row])] for part in parts)
                    corners = fitting.to_picture(corners, image)
                    box = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
                    whole = (box[:, 2:] > 0).all(axis=1)
                    seen.append(Boxes(ids, ids[image[whole]], categories[label[whole]], box[whole], score[whole]))
        return seen[0] if len(seen) == 1 else top(fuse(Pool.of(seen), iou=AGREED)).of(ids)

    @torch.no_grad()
    def _found(self, pixels: Array, rows: Array, parts: Array, view: str, side: int) -> tuple[Array, Array, Array, Array]:
        """Of all boxes (n,) the place of the picture among the rows, ascending, label, corners (n, 4) in pixels of the part, and score."""
        image, found = [np.zeros(0, dtype=np.int64)], [[np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0)]]
        most = max(1, int(self.most / max(1.0, side / self.size) ** 2))  # larger pictures take more memory than in training
        grown = side / pixels.shape[1]
        for some in alike(parts, most):
            pictures = np.stack([pixels[rows[place]][of_part(parts[place])] for place in some])
            x = self.computing.pictures(torch.from_numpy(pictures), self.trained)
            x = resized(seen(x, view), grown)
            with self.computing.autocast():
                made = self.trained(x)
            for place, one in zip(some, made, strict=True):
                corners = turned(one["boxes"].float() / grown, view, *pictures.shape[1:3])
                image.append(np.full(len(corners), place))
                found.append([part.cpu().numpy() for part in (one["labels"], corners.double(), one["scores"].double())])
        of = np.concatenate(image)
        order = np.argsort(of, kind="stable")
        label, corners, score = (np.concatenate(part)[order] for part in zip(*found, strict=True))
        return of[order], label, corners, np.clip(score, 0, 1)

    def _pictures(self, X: pd.DataFrame) -> tuple[Array, Array, Frames]:
        """Pixels of all pictures, which of them are these rows', and how these lie in them."""
        gallery = self.place.gallery
        rows = gallery.rows(X[self.place.column])
        kept = kept_size(self.size, self.detail)
        fitting = frames(gallery.index.width[rows], gallery.index.height[rows], kept, self.how)
        return gallery.pixels(kept, self.how, say=self.place.say), rows, fitting


def build(family: str, classes: int, seed: int, params: dict[str, Any], place: Place) -> ObjectDetector:
    """Raises UnknownName for a parameter, a net or a choice that is not known, BadRecipe for a number that cannot be."""
    made: ObjectDetector = picture_family.build(ObjectDetector, BoxRecipe, LADDER, family, classes, seed, params, place)
    return made


def prepare(params: dict[str, Any], place: Place) -> None:
    """Decode the pictures once, for all units."""
    size = kept_size(params.get("size", ObjectDetector.size), params.get("detail", ObjectDetector.detail))
    picture_family.prepare(ObjectDetector, {**params, "size": size}, place)


def kept_size(size: int, detail: float) -> int:
    return round(size * detail)


def scenes_of(pixels: Array, rows: Array, truth: Truth, fitting: Frames, size: int) -> Scenes:
    """What is to be learned of the pictures `rows` (n,), of which the truth has the images in the same order."""
    real = ~truth.crowd
    image, label = places(truth.images, truth.image[real]), places(truth.categories, truth.category[real])
    corners = truth.box[real].copy()
    corners[:, 2:] += corners[:, :2]
    edge = np.tile(fitting.shapes[image, ::-1], 2)
    corners = np.clip(fitting.to_part(corners, image), 0, edge).astype(np.float32)
    there = np.prod(corners[:, 2:] - corners[:, :2], axis=1) >= LEAST_AREA
    image, label, corners = image[there], label[there], corners[there]
    of = [np.flatnonzero(image == place) for place in range(len(rows))]
    presence = np.zeros((len(rows), len(truth.categories)), dtype=bool)
    presence[image, label] = True
    return Scenes(pixels, rows, fitting.parts, [corners[at] for at in of], [label[at] for at in of], presence, size)


def alike(parts: Array, most: int) -> Iterator[Array]:
    """Places among the parts (n, 4), so many at most at a time, of equal shape: what a picture's boxes are does not depend on its neighbours'
    shapes."""
    shapes, of = np.unique(parts[:, 2:] - parts[:, :2], axis=0, return_inverse=True)
    for number in range(len(shapes)):
        places = np.flatnonzero(of.reshape(-1) == number)
        yield from (places[start : start + most] for start in range(0, len(places), most))


def seen(x: Tensor, view: str) -> Tensor:
    """Pictures (b, c, h, w) as this view shows them."""
    if view == "transposed":
        x = x.transpose(2, 3)
    elif view != "plain":
        x = x.flip(3 if view == "mirror" else 2)
    return x.contiguous(memory_format=torch.channels_last)


def turned(corners: Tensor, view: str, height: int, width: int) -> Tensor:
    """Corners (n, 4) found in this view, where they are in the picture itself, of this height and width."""
    if view == "plain":
        return corners
    if view == "transposed":
        return corners[:, [1, 0, 3, 2]]
    back = corners.clone()
    first, second, size = (0, 2, width) if view == "mirror" else (1, 3, height)
    back[:, first], back[:, second] = size - corners[:, second], size - corners[:, first]
    return back
