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
from pipeline.models.augment import box_augment, strength
from pipeline.models.batches import CHANGE, MIX, ORDER, ahead, generator, in_batches
from pipeline.models.box_recipe import BoxRecipe
from pipeline.models.detection_nets import STEP, Detector
from pipeline.models.devices import Device
from pipeline.models.mosaic import Piece, mosaic
from pipeline.predictions import Array
from pipeline.resample.often import drawn

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler


@dataclass(frozen=True, eq=False)
class Scenes:
    """pixels: (m, kept, kept, 3) uint8, of all pictures; they are trained on at `size` pixels. rows: (n,) which of them are trained on. corners: of each of these the boxes
    (k, 4) float32 in pixels of the map, labels: (k,) int64. presence: (n, c) bool, which categories are in which."""

    pixels: Array
    rows: Array
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
    """Pixels (b, size, size, 3) uint8 of the i-th batch, augmented, and for each of its pictures boxes and labels."""

    def __init__(self, scenes: Scenes, batches: Sequence[Batch], recipe: BoxRecipe, seed: int) -> None:
        self.scenes, self.batches, self.recipe, self.seed = scenes, batches, recipe, seed
        chosen, sizes = strength(recipe.augment), (scenes.size, scenes.pixels.shape[1])
        self.augment = box_augment(recipe.augment, *sizes)
        self.flip = box_augment(dataclasses.asdict(dataclasses.replace(strength("none"), flips=chosen.flips)), *sizes)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        batch = self.batches[number]
        made = [self._picture(batch.epoch, batch.first + place, row) for place, row in enumerate(batch.places.tolist())]
        images, boxes, labels = zip(*made, strict=True)
        return torch.from_numpy(np.stack(images)), [*map(torch.from_numpy, boxes)], [*map(torch.from_numpy, labels)]

    def _picture(self, epoch: int, number: int, place: int) -> Piece:
        """What comes out depends on the seed, the epoch and the number in it alone."""
        draw = generator(CHANGE, self.seed, epoch, number)
        if epoch >= self.recipe.epochs - self.recipe.plain:
            return self.flip(*self._piece(place), draw)
        if draw.random() < self.recipe.mosaic:
            others = draw.integers(len(self.scenes.rows), size=3).tolist()
            return self.augment(*mosaic([self._piece(one) for one in (place, *others)], draw), draw)
        return self.augment(*self._piece(place), draw)

    def _piece(self, place: int) -> Piece:
        pixels = np.array(self.scenes.pixels[self.scenes.rows[place]])
        return pixels, self.scenes.corners[place], self.scenes.labels[place]


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
        known = sides(x.shape[-1], recipe.sizes)
        x, scale = resized(x, known[generator(MIX, self.seed, epoch, step).integers(len(known))])
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


def resized(x: Tensor, side: int) -> tuple[Tensor, float]:
    """Pictures (b, c, s, s) with sides of so many pixels; and by how much boxes grow with them."""
    size = x.shape[-1]
    if side == size:
        return x, 1.0
    made = functional.interpolate(x, (side, side), mode="bilinear", antialias=side < size)
    return made.contiguous(memory_format=torch.channels_last), side / size
