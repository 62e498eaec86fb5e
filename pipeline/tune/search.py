"""The search: turns for workers, each a trial, until the study has as many as it shall have or the time is over."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
import sqlalchemy

from pipeline import executor, heap, models
from pipeline.errors import BadStorage, NothingUsable, PodiumError
from pipeline.preparing import prepare
from pipeline.run import Run
from pipeline.train import train
from pipeline.tune import kept
from pipeline.tune import study as studies
from pipeline.tune.honest import Verdict, verdict
from pipeline.tune.page import write_page
from pipeline.tune.recipes import tuned_name
from pipeline.tune.study import Where
from pipeline.tune.subject import UNTUNED, Subject, place, subject
from pipeline.tune.trial import Result, Turn, lost, opened, take_turn

DATABASE, PAGE = "study.db", "tuning.html"


@dataclass(frozen=True, eq=False)
class Search:
    """A study that is open. most: trials in all, those of earlier commands and of other processes too."""

    run: Run
    subject: Subject
    where: Where
    study: optuna.Study
    most: int
    seed: int

    @property
    def finished(self) -> int:
        return len(studies.finished(self.study))

    @property
    def name(self) -> str:
        return tuned_name(self.subject.model)


def begin(run: Run, model: str, most: int, storage: str | None = None, seed: int = 0) -> Search:
    """Open the study of this model, made if there is none for this data, folds, features, recipe and ranges.

    storage: a URL that Optuna knows; a file of SQLite in the run folder without. Raises UnknownName, BadRecipe, BadStorage.
    """
    one = subject(run, model)
    folder = place(run, one)
    where = Where(
        url=storage or studies.sqlite_url(folder / DATABASE),
        name=f"podium {run.name} {one.folder}",
        maximize=run.entry.competition.metric.higher_is_better,
        folder=folder,
        command=os.getpid(),
    )
    return Search(run, one, where, opened(where), most, seed)


def others(search: Search) -> list[Path]:
    """The folders of this model's studies that were made of other data, folds, features, recipes or ranges."""
    like = re.compile(rf"{re.escape(search.subject.model)}-[0-9a-f]{{{len(search.subject.fingerprint)}}}")
    folders = search.where.folder.parent.iterdir()
    return sorted(each for each in folders if each != search.where.folder and like.fullmatch(each.name))


def go_on(
    search: Search,
    timeout: float | None = None,
    jobs: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Iterator[Result]:
    """Trials as they come. timeout: seconds after which none begins, and those that run stop at their fold's end. jobs: trials side by side,
    one fold and one thread each; the cores, without a number.

    Raises NothingUsable where the untuned recipe itself fails.
    """
    until = math.inf if timeout is None else time.time() + timeout
    run, one = search.run, search.subject
    kept.settle(run, one, search.where, search.study)  # what a process that was killed has left
    alone, threads = models.family(one.recipe).alone, jobs or executor.default_workers(10**6)
    if one.sources:
        train(run, one.sources, workers=threads, say=say)
    prepare(run, {search.name: one.recipe}, threads, say)
    turn = Turn(search.where, one, search.most, until, search.seed, threads if alone else 1)
    turns = [turn] * max(0, search.most - search.finished)
    if alone:
        results: Generator[Result | PodiumError | None, None, None] = (work(run, each, say) for each in turns)
    else:
        workers = min(jobs or executor.default_workers(len(turns)), max(1, len(turns)))
        results = executor.run_all(work, run, turns, workers, blame, run.store.root)
    with contextlib.closing(results):
        for result in results:
            if isinstance(result, PodiumError):
                raise result
            if result is None:
                continue
            yield result
            if result.untuned and result.state == "failed":
                raise NothingUsable(f"The untuned recipe of {one.model} fails, in {result.error}. Mend that first.")
            if alone:
                heap.give_back()


def work(run: Run, turn: Turn, say: Callable[[str], None] = lambda message: None) -> Result | PodiumError | None:
    """A turn's result, or what is wrong with all of them."""
    try:
        with answering(turn.where.url):
            return take_turn(run, turn, say)
    except PodiumError as error:
        return error


@contextlib.contextmanager
def answering(url: str) -> Iterator[None]:
    """Within, a storage that does not answer is a BadStorage: locked for a minute, full, read-only, or its server gone."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        first = str(error.__cause__ or error).splitlines()[0]
        raise BadStorage(
            f"The storage {studies.shown(url)} no longer answers: {first}. The same command goes on when it does."
        ) from error


def blame(turn: Turn, reason: str) -> Result | PodiumError | None:
    """What becomes of a turn that gave no result."""
    return lost(turn, reason) or NothingUsable(f"A trial could not be begun: {reason}. The same command goes on.")


def conclude(search: Search) -> tuple[Verdict, Path]:
    """Write the best recipe and the page; what tuning is worth, and the page's path. Raises NothingUsable without a complete trial."""
    run, one = search.run, search.subject
    complete = studies.complete(search.study)
    untuned = next((each for each in complete if each.user_attrs.get(UNTUNED)), None)
    reading = [(each.number, partial(kept.oof, run, one, one.values_of(each))) for each in complete]
    there = [(number, read) for number, read in reading if read() is not None]
    oof = None if untuned is None else kept.oof(run, one, {})
    if untuned is None or oof is None:
        raise NothingUsable(
            f"The untuned recipe of {one.model} is not through its folds yet, so nothing can be compared. Give it more time: the same "
            "command goes on from there."
        )
    kept.settle(run, one, search.where, search.study)
    found = verdict(run, there, oof)
    return found, write_page(search.where.folder / PAGE, run, one, search.study, found)
