"""The lesson of the family "image": which class is in the picture?"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.models.batches import MIX, Labelled, Pictures, ahead, epoch_batches, generator
from pipeline.models.devices import Device
from pipeline.models.image_recipe import ImageRecipe
from pipeline.models.mixing import mix, soft_targets
from pipeline.models.nets import Net


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Each picture once an epoch, augmented, with MixUp, CutMix and soft targets (see `fine_tuning.Lesson`)."""

    pictures: Pictures
    recipe: ImageRecipe
    net: Net
    device: Device
    seed: int

    def sizes(self, epoch: int) -> Sequence[int]:
        return [len(places) for places in epoch_batches(len(self.pictures), self.recipe.batch, self.seed, epoch)]

    def batches(self, epochs: Sequence[int], workers: int) -> Generator[Any, None, None]:
        """Pairs: places (b,) among the pictures, and their pixels (b, s, s, 3) uint8."""
        batches = [
            (epoch, places)
            for epoch in epochs
            for places in epoch_batches(len(self.pictures), self.recipe.batch, self.seed, epoch)
        ]
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
        return functional.cross_entropy(net(x).float(), y)
