"""How a net is trained to tell classes of pictures: what a recipe of the family "image" may say besides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.models.augment import strength
from pipeline.models.recipe import Ranges, Recipe


@dataclass(frozen=True)
class ImageRecipe(Recipe):
    """mixup, cutmix: their alpha, 0 for off; mix: share of the batches that are mixed. smoothing: of the labels. patience: epochs without
    a better loss on the rows held out before it stops, 0 for never; the best epoch's weights are kept. augment: a name of
    `augment.STRENGTHS`, or its fields."""

    RANGES: ClassVar[Ranges] = {
        **Recipe.RANGES,
        "mixup": (0, math.inf),
        "cutmix": (0, math.inf),
        "mix": (0, 1),
        "smoothing": (0, 1),
        "patience": (0, math.inf),
    }
    WHOLE: ClassVar[tuple[str, ...]] = (*Recipe.WHOLE, "patience")

    mixup: float = 0.2
    cutmix: float = 1.0
    mix: float = 0.5
    smoothing: float = 0.1
    patience: int = 0
    augment: str | Mapping[str, Any] = "mild"

    def __post_init__(self) -> None:
        super().__post_init__()
        strength(self.augment)
