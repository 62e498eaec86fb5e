"""What is tuned: a recipe, the ranges of its parameters, and everything that decides what a trial of it would score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import identity
from pipeline.competition import Model
from pipeline.errors import BadRecipe
from pipeline.models.spaces import Choice, Range, rounded, space, spelled
from pipeline.run import Run
from pipeline.train import Unit, recipes, units
from pipeline.tune.recipes import ENDING, tuned_name, with_values

FOLDER = "tuning"
UNTUNED = "untuned"  # attribute of the trial that is the recipe as it was


@dataclass(frozen=True, eq=False)
class Subject:
    """recipe: the untuned one of `model`. ranges: by parameter; `default` is where the recipe stands. sources: recipes by name of the models
    whose pseudo-labels it learns. fingerprint: of the untuned recipe's units (data, folds, features, code, versions) and the ranges: a
    study of another one says nothing of this.
    """

    model: str
    recipe: Model
    ranges: Mapping[str, Range]
    sources: Mapping[str, Any]
    fingerprint: str

    @property
    def folder(self) -> str:
        return f"{self.model}-{self.fingerprint}"

    @cached_property
    def start(self) -> dict[str, Any]:
        """The untuned recipe as a point of the ranges."""
        return {name: label(one, one.default) for name, one in self.ranges.items()}

    def values(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """What a recipe says at this point, under the names that the untuned one uses."""
        found = {}
        for name, one in self.ranges.items():
            value = (
                next(each for each in one.options if label(one, each) == point[name]) if isinstance(one, Choice) else point[name]
            )
            found[spelled(self.recipe.params, name, one)] = rounded(value)
        return found

    def values_of(self, trial: Any) -> dict[str, Any]:
        """What the recipe of a trial of Optuna's says besides the untuned one; nothing for the untuned one itself."""
        return {} if trial.user_attrs.get(UNTUNED) else self.values(trial.params)

    def units(self, run: Run, values: Mapping[str, Any]) -> list[Unit]:
        """Of one seed, in the order of the folds. The untuned recipe's are the model's own; all others are those of MODEL-tuned."""
        name = tuned_name(self.model) if values else self.model
        return [unit for unit in units(run, {**self.sources, name: with_values(self.recipe, values)}) if unit.model == name]


def label(one: Range, value: Any) -> Any:
    """The value as the study keeps it: databases know no tuples."""
    return str(value) if isinstance(one, Choice) else value


def subject(run: Run, model: str) -> Subject:
    """Raises UnknownName for a model that is not there, BadRecipe for one that has no search space."""
    if model.endswith(ENDING):
        raise BadRecipe(f"{model!r} is what tuning found. Tune {model.removesuffix(ENDING)!r}, with more --trials to go on.")
    named = recipes(run.entry, [model])
    recipe = named.pop(model)
    ranges = space(recipe, run.classes)
    if not isinstance(recipe, Model):
        raise BadRecipe(f"{model!r} is no Model(family, params).")
    own = [unit.key for unit in units(run, {**named, model: recipe}) if unit.model == model]
    return Subject(model, recipe, ranges, named, identity.key({"units": own, "ranges": repr(ranges)}))


def place(run: Run, one: Subject) -> Path:
    return run.store.path(FOLDER, one.folder)
