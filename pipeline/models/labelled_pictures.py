"""The lesson of the family "image": which class is in the picture?"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.models.batches import MIX, ORDER, Labelled, Pictures, ahead, epoch_batches, generator, in_batches
from pipeline.models.devices import Device
from pipeline.models.image_recipe import ImageRecipe
from pipeline.models.mixing import mix, soft_targets
from pipeline.models.nets import Net
from pipeline.predictions import Array

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Each picture once an epoch, or as often as resampling says, augmented, with MixUp, CutMix and soft targets (see
    `fine_tuning.Lesson`). weight: (k,) of each class in the loss."""

    pictures: Pictures
    recipe: ImageRecipe
    net: Net
    device: Device
    seed: int
    sampler: Sampler | None = None
    weight: Tensor | None = None

    def sizes(self, epoch: int) -> Sequence[int]:
        return [len(places) for places in self._epoch(epoch)]

    def batches(self, epochs: Sequence[int], workers: int) -> Generator[Any, None, None]:
        """Pairs: places (b,) among the pictures, and their pixels (b, s, s, 3) uint8."""
        batches = [(epoch, places) for epoch in epochs for places in self._epoch(epoch)]
        images = ahead(Labelled(self.pictures, batches, self.recipe.augment, self.seed), workers)
        try:
            yield from zip((places for _, places in batches), images, strict=True)
        finally:
            images.close()

    def ready(self, batch: Any, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        places, images = batch
        recipe, x = self.recipe, self.device.pictures(images, self.net)
        y = torch.from_numpy(self.pictures.y[places])
        targets = soft_targets(y.to(x.device), self.pictures.classes, recipe.smoothing)
        draw = generator(MIX, self.seed, epoch, step)
        x, targets = mix(x, targets, draw, mixup=recipe.mixup, cutmix=recipe.cutmix, share=recipe.mix)
        return x.contiguous(memory_format=self.net.format), targets

    def loss(self, net: Any, x: Tensor, y: Tensor) -> Tensor:
        if self.weight is None:
            return functional.cross_entropy(net(x).float(), y)
        return -(functional.log_softmax(net(x).float(), 1) * y * self.weight.to(y.device)).sum(1).mean()

    def _epoch(self, epoch: int) -> list[Array]:
        """An epoch's batches: places (b,) among the pictures."""
        if self.sampler is None:
            return epoch_batches(len(self.pictures), self.recipe.batch, self.seed, epoch)
        return in_batches(self.sampler.epoch(self.pictures.y, generator(ORDER, self.seed, epoch)), self.recipe.batch)
