"""The recipes that tuning found, as files in the run folder: MODEL's is known by the name MODEL-tuned to every command of that data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import identity
from pipeline.competition import Entry, Model
from pipeline.errors import PodiumError
from pipeline.store import Store, refusing, replace_file, to_json

FOLDER = "tuned"
ENDING = "-tuned"
FORMAT = 1


def tuned_name(model: str) -> str:
    return f"{model}{ENDING}"


def base_key(recipe: Model) -> str:
    """Of the recipe that was tuned: a file of values for another one is not taken."""
    return identity.key({"family": recipe.family, "params": recipe.params, "more": repr((recipe.pseudo, recipe.resample))})


def with_values(recipe: Model, values: Mapping[str, Any]) -> Model:
    """The recipe with these values of its parameters."""
    return dataclasses.replace(recipe, params={**recipe.params, **values})


def write(store: Store, model: str, recipe: Model, values: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Keep the values that tuning chose for this model's recipe, whole, in place of those before. Raises StoreError."""
    path = store.path(FOLDER, f"{model}.json")
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        **about,
        "format": FORMAT,
        "model": model,
        "base": base_key(recipe),
        "values": dict(values),
        "recipe": repr(with_values(recipe, values)),
    }
    replace_file(path, _signed(told))


def any_tuned(store: Store) -> bool:
    return any(_files(store))


def _files(store: Store) -> list[Path]:
    return sorted(store.path(FOLDER).glob("*.json"))


def with_tuned(
    entry: Entry, store: Store, fingerprint: str | None = None, say: Callable[[str], None] = lambda message: None
) -> Entry:
    """The entry, its models with those that were tuned on the data of this fingerprint (on any data, without one).

    say: gets a sentence for every file that is not taken: damaged, of other data, or of a recipe that is another one now.
    """
    files = _files(store)
    if not files:
        return entry
    known, found = entry.models(), dict[str, Any]()
    for file in files:
        told = _read(file.read_bytes())
        recipe = _recipe(str(told["model"]), known) if told else None
        if recipe is None:
            say(f"{file} is damaged, or of a model that is no more, and is not taken. Tune again, or remove it.")
        elif told["base"] != base_key(recipe):
            say(f"{tuned_name(told['model'])} was tuned from a recipe that has changed since, and is left out. Tune it again.")
        elif fingerprint not in (None, told["data"]):
            say(f"{tuned_name(told['model'])} was tuned on other data, and is left out. Tune it on these.")
        else:
            values = {name: tuple(value) if isinstance(value, list) else value for name, value in told["values"].items()}
            found[tuned_name(told["model"])] = with_values(recipe, values)
    return dataclasses.replace(entry, models=partial(_models, entry.models, found)) if found else entry


def _models(own: Callable[[], dict[str, Any]], tuned: Mapping[str, Any]) -> dict[str, Any]:
    return {**own(), **tuned}


def _recipe(model: str, known: Mapping[str, Any]) -> Model | None:
    from pipeline.train import resampled

    try:
        recipe = known[model] if model in known else resampled(model, known)
    except PodiumError:  # it was renamed, or removed
        return None
    return recipe if isinstance(recipe, Model) else None


def _signed(told: Mapping[str, Any]) -> bytes:
    """With their sum: a digit that changed would be another recipe."""
    return to_json({**told, "sum": hashlib.sha256(to_json(dict(told))).hexdigest()})


def _read(content: bytes) -> dict[str, Any]:
    """What was written; nothing where it is not as it was."""
    try:
        told = dict(json.loads(content))
    except (ValueError, TypeError):
        return {}
    told.pop("sum", None)
    return told if content == _signed(told) else {}
