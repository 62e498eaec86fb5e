"""How a net is trained to find boxes: what a recipe of the family "detector" may say besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.models.augment import strength
from pipeline.models.recipe import Ranges, Recipe

LADDER: Mapping[tuple[str, bool], Mapping[str, float]] = {  # by optimizer, and whether the body was trained before
    ("adamw", True): {"rate": 5e-4, "head_rate": 2, "layer_decay": 0.8, "weight_decay": 0.05},
    ("adamw", False): {"rate": 1e-3, "head_rate": 1, "layer_decay": 1, "weight_decay": 0.05},
    ("sgd", True): {"rate": 5e-3, "head_rate": 2, "layer_decay": 0.8, "weight_decay": 1e-4},
    ("sgd", False): {"rate": 1e-2, "head_rate": 1, "layer_decay": 1, "weight_decay": 5e-4},
}


@dataclass(frozen=True)
class BoxRecipe(Recipe):
    """augment: a name of `augment.STRENGTHS`, or its fields. mosaic: the share of the pictures that are made of four. plain: the last
    epochs, in which pictures are flipped at most: no mosaics, crops or colours, so that the net ends on pictures as they are. sizes: the
    sides of the pictures in training, as shares of `size`, each the nearest multiple of 32; each step draws one."""

    RANGES: ClassVar[Ranges] = {**Recipe.RANGES, "mosaic": (0, 1), "plain": (0, float("inf"))}
    WHOLE: ClassVar[tuple[str, ...]] = (*Recipe.WHOLE, "plain")

    epochs: int = 20
    batch: int = 8
    augment: str | Mapping[str, Any] = "mild"
    mosaic: float = 0.0
    plain: int = 2
    sizes: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        strength(self.augment)
