"""What the families that train nets on pictures have in common: building from a recipe's parameters, decoding, and a training's key.

Such a family is a dataclass with the fields classes, seed, place, recipe, size, how, weights and device, and others of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from pipeline import identity
from pipeline.models import devices, refuse_unknown
from pipeline.models.checkpoints import key_of
from pipeline.models.place import Place
from pipeline.models.recipe import Recipe
from pipeline.predictions import Array

GIVEN = {"classes", "seed", "place", "recipe"}
Ladder = Mapping[tuple[str, bool], Mapping[str, float]]


def build(
    kind: Any, recipe: type[Recipe], ladder: Ladder, family: str, classes: int, seed: int, params: Mapping[str, Any], place: Place
) -> Any:
    """A `kind` with a `recipe`, each with the parameters that are its own; what the ladder says where a recipe is silent.

    Raises UnknownName for a parameter, a net or a choice that is not known, BadRecipe for a number that cannot be.
    """
    tuned = {field.name for field in dataclasses.fields(recipe)}
    refuse_unknown(family, params, own(kind) | tuned)
    step = (params.get("optimizer", recipe.optimizer), params.get("weights", kind.weights) is not None)
    chosen = {**ladder.get(step, ladder["adamw", True]), **params}
    trained = recipe(**{name: value for name, value in chosen.items() if name in tuned})
    return kind(classes, seed, place, trained, **{name: value for name, value in params.items() if name in own(kind)})


def own(kind: Any) -> set[str]:
    """The parameters that are the family's rather than its recipe's."""
    return {field.name for field in dataclasses.fields(kind)} - GIVEN


def prepare(kind: Any, params: Mapping[str, Any], place: Place) -> None:
    """Decode the pictures once, for all units."""
    place.gallery.pixels(params.get("size", kind.size), params.get("how", kind.how), say=place.say)


def settings(model: Any) -> AbstractContextManager[torch.device]:
    """Within: the device, threads and algorithms of a model of such a family."""
    return devices.settings(devices.located(model.device), model.place.threads)


def key(
    model: Any, net: nn.Module, computing: devices.Device, libraries: Iterable[str], data: Iterable[Array], resampled: str | None
) -> str:
    """Of a training: of the recipe, the parameters, the pictures and the data, where it computes, and the net's first weights."""
    facts = {
        "recipe": model.recipe,
        "params": {name: getattr(model, name) for name in own(type(model))},
        "seed": model.seed,
        "pictures": model.place.gallery.index.fingerprint,
        "rows": tuple(data),
        "resampled": resampled,
        "computing": (computing.device.type, computing.bf16),
        "versions": identity.versions(libraries),
    }
    return key_of(net, facts)
