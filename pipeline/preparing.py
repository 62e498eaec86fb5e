"""Before units run: the place or desk that some families work at, and what picture families share, made once with all cores."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import models
from pipeline.inner import inner_folds
from pipeline.models.desk import Desk
from pipeline.predictions import Truth
from pipeline.run import IMAGE, Run, kept_twins

if TYPE_CHECKING:
    from pipeline.models.place import Place

SCRATCH = "scratch"
ABANDONED = 86_400  # seconds after which nobody comes back to checkpoints that no unit of today has


def place_of(run: Run, model: str, key: str, threads: int = 1, say: Callable[[str], None] = lambda message: None) -> Place | None:
    """Where a unit with this key finds pictures and keeps checkpoints; None where rows have no pictures."""
    if run.gallery is None:
        return None
    from pipeline.models.place import Place

    index = run.gallery.index
    labelled = np.zeros(len(index), dtype=bool)
    labelled[index.rows(run.data.train[IMAGE])] = True
    scratch = run.store.path(SCRATCH, model, key)
    return Place(
        run.gallery,
        id=run.entry.competition.task.id,
        column=IMAGE,
        labels=run.columns,
        kept=run.store,
        scratch=scratch,
        same=kept_twins(index, run.store),
        labelled=labelled,
        boxes=isinstance(run.y, Truth),
        threads=threads,
        say=say,
    )


def desk_of(
    run: Run, recipe: Any, model: str, key: str, fold: int, threads: int = 1, say: Callable[[str], None] = lambda message: None
) -> Desk | None:
    """Where a unit of a family with a process of its own works, and by what it judges there; None for other families."""
    if not models.family(recipe).desk:
        return None
    inner, later = inner_folds(run, fold)
    return Desk(run.store.path(SCRATCH, model, key), threads, say, inner, later)


def clear(run: Run, model: str, key: str) -> None:
    """The checkpoints of a unit that is done, or to be done anew, are of no more use."""
    shutil.rmtree(run.store.path(SCRATCH, model, key), ignore_errors=True)


def clear_abandoned(run: Run, units: Collection[tuple[str, str]]) -> None:
    """Remove old checkpoints of units that were given up: of none of these (model, key), and untouched for a day."""
    for model in run.store.list(SCRATCH):
        for key in run.store.list(SCRATCH, model):
            folder = run.store.path(SCRATCH, model, key)
            with suppress(FileNotFoundError):  # another process was first, or is in the middle of it
                touched = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
                if (model, key) not in units and time.time() - touched > ABANDONED:
                    clear(run, model, key)


def prepare(run: Run, recipes: Mapping[str, Any], threads: int, say: Callable[[str], None]) -> None:
    """Decode pictures and compute features of frozen nets for these recipes; what is there already is left as it is.

    Every recipe is built first: a misspelt parameter is an error now, not after an hour. Raises PodiumError. What else goes wrong, such
    as a net too large for the memory, is said; the units of that recipe will fail by it, and the others are trained.
    """
    wanted = {name: recipe for name, recipe in recipes.items() if models.family(recipe).pictures}
    for name, recipe in recipes.items():
        if models.family(recipe).pictures or models.family(recipe).desk:
            models.build(recipe, run.classes, 0, place_of(run, name, "", threads, say), desk_of(run, recipe, name, "", 0))
    for name, recipe in wanted.items():
        place = place_of(run, name, "", threads, say)
        if place:
            try:
                models.prepare(recipe, place)
            except (RuntimeError, MemoryError) as error:
                say(f"{name} could not be prepared ({type(error).__name__}: {error}).")
