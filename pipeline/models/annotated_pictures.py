"""The lesson of the family "detector": where are which objects in the picture?"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from pipeline.errors import BadRecipe
from pipeline.models.augment import GREY, BoxAugment, Strength, box_augment, strength, transposed
from pipeline.models.batches import CHANGE, MIX, ORDER, TURN, ahead, generator, in_batches
from pipeline.models.box_recipe import BoxRecipe
from pipeline.models.detection_nets import STEP, Detector
from pipeline.models.devices import Device
from pipeline.models.frames import of_part
from pipeline.models.mosaic import Piece, mosaic
from pipeline.predictions import Array
from pipeline.resample.often import drawn

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler


@dataclass(frozen=True, eq=False)
class Scenes:
    """pixels: (m, kept, kept, 3) uint8, of all pictures; they are trained on at `size` pixels. rows: (n,) which of them are trained on.
    parts: (n, 4) left, top, right and bottom of each of these, beyond which is padding. corners: the boxes of each, (k, 4) float32 in pixels
    of the part, labels: (k,) int64. presence: (n, c) bool, which categories are in which."""

    pixels: Array
    rows: Array
    parts: Array
    corners: Sequence[Array]
    labels: Sequence[Array]
    presence: Array
    size: int


@dataclass(frozen=True)
class Batch:
    """A batch's pictures: their epoch, their places (b,) among the training pictures, and the first one's number in the epoch."""

    epoch: int
    first: int
    places: Array


class Prepared(Dataset):
    """Pixels (b, h, w, 3) uint8 of the i-th batch, augmented, and for each of its pictures boxes and labels. h and w are multiples of 32 and
    at most the size: where no picture of a batch is as high as wide, nothing is computed of padding."""

    def __init__(self, scenes: Scenes, batches: Sequence[Batch], recipe: BoxRecipe, seed: int) -> None:
        self.scenes, self.batches, self.recipe, self.seed = scenes, batches, recipe, seed
        self.augment = strength(recipe.augment)
        self.flip = dataclasses.replace(strength("none"), flips=self.augment.flips)
        self.known: dict[tuple[Strength, tuple[int, int]], BoxAugment] = {}

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        batch = self.batches[number]
        made = [self._picture(batch.epoch, batch.first + place, row) for place, row in enumerate(batch.places.tolist())]
        if self.augment.flips == "turns" and generator(TURN, self.seed, batch.epoch, batch.first).random() < 0.5:
            made = [transposed(*piece) for piece in made]
        images, boxes, labels = zip(*made, strict=True)
        return torch.from_numpy(framed(images)), [*map(torch.from_numpy, boxes)], [*map(torch.from_numpy, labels)]

    def _picture(self, epoch: int, number: int, place: int) -> Piece:
        """What comes out depends on the seed, the epoch and the number in it alone."""
        draw = generator(CHANGE, self.seed, epoch, number)
        if epoch >= self.recipe.epochs - self.recipe.plain:
            return self._changed(self.flip, self._piece(place), draw)
        if draw.random() < self.recipe.mosaic:
            others = draw.integers(len(self.scenes.rows), size=3).tolist()
            return self._changed(self.augment, mosaic([self._piece(one) for one in (place, *others)], draw), draw)
        return self._changed(self.augment, self._piece(place), draw)

    def _piece(self, place: int) -> Piece:
        pixels = np.array(self.scenes.pixels[self.scenes.rows[place]][of_part(self.scenes.parts[place])])
        return pixels, self.scenes.corners[place], self.scenes.labels[place]

    def _changed(self, chosen: Strength, piece: Piece, draw: np.random.Generator) -> Piece:
        share = self.scenes.size / self.scenes.pixels.shape[1]
        height, width = (max(1, round(side * share)) for side in piece[0].shape[:2])
        change = self.known.get((chosen, (height, width)))
        if change is None:
            change = self.known[chosen, (height, width)] = box_augment(chosen, (height, width), shrink=share < 1)
        return change(*piece, draw)


@dataclass(frozen=True, eq=False)
class AnnotatedPictures:
    """Each picture as often as resampling says (see `fine_tuning.Lesson`)."""

    scenes: Scenes
    recipe: BoxRecipe
    net: Detector
    device: Device
    seed: int
    sampler: Sampler | None = None

    def sizes(self, epoch: int) -> Sequence[int]:
        return [len(batch.places) for batch in self._epoch(epoch)]

    def batches(self, epochs: Sequence[int], workers: int) -> Generator[Any, None, None]:
        """Triples as `Prepared` makes them."""
        return ahead(
            Prepared(self.scenes, [one for epoch in epochs for one in self._epoch(epoch)], self.recipe, self.seed), workers
        )

    def ready(self, batch: Any, epoch: int, step: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
        images, boxes, labels = batch
        x, recipe = self.device.pictures(images, self.net), self.recipe
        known = sides(self.scenes.size, recipe.sizes)
        scale = known[generator(MIX, self.seed, epoch, step).integers(len(known))] / self.scenes.size
        x = resized(x, scale)
        where = x.device
        y = [{"boxes": b.to(where) * scale, "labels": names.to(where)} for b, names in zip(boxes, labels, strict=True)]
        return x, y

    def loss(self, net: Any, x: Tensor, y: Any) -> Tensor:
        total: Tensor = sum(part.float() for part in net(x, y).values())
        return total

    def _epoch(self, epoch: int) -> list[Batch]:
        """An epoch's batches, as equal as can be."""
        presence = self.scenes.presence
        times = self.sampler.often(presence) if self.sampler else np.ones(len(presence))
        places = drawn(times, generator(ORDER, self.seed, epoch))
        some = in_batches(places, self.recipe.batch)
        first = np.cumsum([0, *map(len, some)])
        return [Batch(epoch, int(at), few) for at, few in zip(first, some, strict=False)]


def sides(size: int, shares: Sequence[float]) -> list[int]:
    """Of pictures with sides of these shares of `size` pixels, each the nearest multiple of 32. Raises BadRecipe for what is no share
    from 0.25 to 4, and for two that come to the same side."""
    if (
        not isinstance(shares, list | tuple)
        or not shares
        or not all(isinstance(one, int | float) and 0.25 <= one <= 4 for one in shares)
    ):
        raise BadRecipe(f"Shares of the size are {shares!r}; give a list of one or more from 0.25 to 4.")
    found = [max(STEP, STEP * round(size * share / STEP)) for share in shares]
    if len(set(found)) < len(found):
        raise BadRecipe(
            f"Of {size} pixels the shares {list(shares)} are sides of {found}; give shares that lie further apart, or one of them."
        )
    return found


def framed(images: Sequence[Array]) -> Array:
    """(b, h, w, 3) uint8: each picture in the upper left corner, below and beside it grey up to multiples of 32."""
    height, width = (-(-max(image.shape[axis] for image in images) // STEP) * STEP for axis in (0, 1))
    made = np.empty((len(images), height, width, 3), dtype=np.uint8)
    for place, image in enumerate(images):
        if image.shape[:2] != (height, width):
            made[place] = GREY
        made[place, : image.shape[0], : image.shape[1]] = image
    return made


def resized(x: Tensor, share: float) -> Tensor:
    """Normalised pictures (b, c, h, w) with sides of this share; below and beside them a colour of no meaning up to multiples of 32."""
    if share != 1:
        shape = [max(1, round(side * share)) for side in x.shape[-2:]]
        x = functional.interpolate(x, shape, mode="bilinear", antialias=share < 1)
    down, right = (-side % STEP for side in x.shape[-2:])
    return functional.pad(x, (0, right, 0, down)).contiguous(memory_format=torch.channels_last)
