"""Before the units of picture families run: the place they work in, and what they share, made once with all cores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pipeline import models
from pipeline.run import IMAGE, Run

if TYPE_CHECKING:
    from pipeline.models.place import Place

SCRATCH = "scratch"


def place_of(run: Run, model: str, key: str, threads: int = 1, say: Callable[[str], None] = lambda message: None) -> Place | None:
    """Where a unit with this key finds pictures and keeps checkpoints; None where rows have no pictures."""
    if run.gallery is None:
        return None
    from pipeline.models.place import Place

    return Place(run.gallery, IMAGE, run.columns, run.store, run.store.path(SCRATCH, model, key), threads, say)


def clear(run: Run, model: str, key: str) -> None:
    """The checkpoints of a unit that is done, or to be done anew, are of no more use."""
    shutil.rmtree(run.store.path(SCRATCH, model, key), ignore_errors=True)


def prepare(run: Run, recipes: Mapping[str, Any], threads: int, say: Callable[[str], None]) -> None:
    """Decode pictures and compute features of frozen nets for these recipes; what is there already is left as it is.

    Every recipe is built first: a misspelt parameter is an error now, not after an hour. Raises PodiumError.
    """
    wanted = {name: recipe for name, recipe in recipes.items() if models.family(recipe).pictures}
    for name, recipe in wanted.items():
        models.build(recipe, run.classes, 0, place_of(run, name, "", threads, say))
    for name, recipe in wanted.items():
        place = place_of(run, name, "", threads, say)
        if place:
            models.prepare(recipe, place)
