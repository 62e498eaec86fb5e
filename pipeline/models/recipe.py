"""How a net is trained, whatever it learns: what a recipe may say of rates, epochs and batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.schedules import BODY

OPTIMIZERS = ("adamw", "sgd")
LADDER: Mapping[tuple[str, bool], Mapping[str, float]] = {  # by optimizer, and whether the body was trained before
    ("adamw", True): {"rate": 3e-4, "head_rate": 10, "layer_decay": 0.8, "weight_decay": 0.05},
    ("adamw", False): {"rate": 1e-3, "head_rate": 1, "layer_decay": 1, "weight_decay": 0.05},
    ("sgd", True): {"rate": 1e-2, "head_rate": 10, "layer_decay": 0.8, "weight_decay": 1e-4},
    ("sgd", False): {"rate": 5e-2, "head_rate": 1, "layer_decay": 1, "weight_decay": 5e-4},
}
MORE_THAN_NONE = 1e-12
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Recipe:
    """rate: the highest learning rate of the body's last stage; layer_decay: what each stage before it has of the next one's;
    head_rate: the head's, as a multiple of `rate`. freeze: the number of first stages that do not learn, or "body" for all but the
    head, during freeze_epochs (None: all epochs). warm_up: share of the steps. ema: how much of the averaged weights stays at each
    step, 0 for no average. clip: the longest gradient, 0 for any. Raises BadRecipe or UnknownName for what cannot be.
    """

    RANGES: ClassVar[Ranges] = {
        "rate": (MORE_THAN_NONE, math.inf),
        "head_rate": (MORE_THAN_NONE, math.inf),
        "layer_decay": (MORE_THAN_NONE, 1),
        "weight_decay": (0, math.inf),
        "momentum": (0, 1),
        "epochs": (1, math.inf),
        "batch": (1, math.inf),
        "warm_up": (0, 1),
        "ema": (0, 1),
        "clip": (0, math.inf),
    }
    WHOLE: ClassVar[tuple[str, ...]] = ("epochs", "batch")

    rate: float
    head_rate: float
    layer_decay: float
    weight_decay: float
    optimizer: str = "adamw"
    momentum: float = 0.9
    epochs: int = 20
    batch: int = 64
    freeze: int | str = 0
    freeze_epochs: int | None = None
    warm_up: float = 0.1
    ema: float = 0.0
    clip: float = 1.0
    compile: bool = False

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UnknownName("optimizer", str(self.optimizer), OPTIMIZERS)
        for name, (low, high) in self.RANGES.items():
            value, kind = getattr(self, name), int if name in self.WHOLE else int | float
            if not isinstance(value, kind) or not low <= value <= high:
                what = "whole number" if name in self.WHOLE else "number"
                raise BadRecipe(f"{name} is {value!r}; give a {what} from {low:g} to {high:g}.")
        if not (self.freeze == BODY or (isinstance(self.freeze, int) and self.freeze >= 0)):
            raise BadRecipe(f"freeze is {self.freeze!r}; give the number of first stages that do not learn, or {BODY!r}.")
        if self.freeze_epochs is not None and not (isinstance(self.freeze_epochs, int) and self.freeze_epochs >= 0):
            raise BadRecipe(f"freeze_epochs is {self.freeze_epochs!r}; give a whole number of epochs, or None for all.")
