"""The loop over units: (model, seed, fold). A unit that is in the store and whole is done; a failing one leaves the others alone."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from pipeline import executor, identity, models
from pipeline.competition import Detection, Entry, Model, TargetTransformer
from pipeline.errors import BadPredictions, BadRecipe, PodiumError, StoreError, UnknownName
from pipeline.feature_cache import features_key, fold_features
from pipeline.predictions import Array, Table
from pipeline.run import Run
from pipeline.store import pack, to_json, unpack

UNIT_FORMAT = 1  # raise it when what a unit is made of changes without a change in the code that its key covers
State = Literal["done", "kept", "failed"]


@dataclass(frozen=True, eq=False)
class Unit:
    """One piece of work: fit this recipe with this seed on this fold, predict its validation rows and the test rows."""

    model: str
    recipe: Any
    seed: int
    fold: int
    key: str


@dataclass(frozen=True, eq=False)
class Trial:
    """Whether a recipe can be built at all, asked first: a misspelt parameter is an error now, not after an hour.

    It is asked where the units run, because the libraries that it loads are needed there, and only there.
    """

    recipe: Any


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a unit. score: the fold's natural score. seconds: of fitting and predicting. error: a sentence."""

    unit: Unit
    state: State
    score: float = float("nan")
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, eq=False)
class Member:
    """One model over all its folds and seeds. oof, test: predictions in the target's own unit. score: natural, of all oof rows."""

    name: str
    oof: Table
    test: Table
    score: float
    trimmed: float
    seconds: float
    keys: tuple[str, ...]


def recipes(entry: Entry, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The competition's recipes, or those of them that are wanted. Raises UnknownName with the nearest names."""
    known = entry.models()
    for name in wanted:
        if name not in known:
            raise UnknownName("model", name, known)
    return {name: known[name] for name in (wanted or known)}


def units(run: Run, named: Mapping[str, Any], seeds: int = 1) -> list[Unit]:
    """All units of these recipes, model by model, so that the first folds' features are made side by side."""
    shared = {"features": features_key(run), "target": run.entry.target and run.entry.target(), "format": UNIT_FORMAT}
    found = []
    for name, recipe in named.items():
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise BadRecipe(
                f"A model cannot be called {name!r}: its results are kept in a folder of that name. Use letters, digits and . + - _"
            )
        family = models.family(recipe)
        parts = {
            **shared,
            "recipe": [recipe.family, recipe.params] if isinstance(recipe, Model) else recipe,
            "code": identity.module_hash(f"pipeline.models.{family.module}"),
            "versions": identity.versions(family.libraries),
        }
        base = identity.key(parts)
        found += [
            Unit(name, recipe, seed, fold, identity.key({"of": base, "seed": seed, "fold": fold}))
            for seed in range(seeds)
            for fold in range(len(run.folds))
        ]
    return found


def train(
    run: Run,
    wanted: Sequence[str] | Mapping[str, Any] = (),
    seeds: int = 1,
    workers: int | None = None,
    fresh: bool = False,
    notify: Callable[[Outcome], None] = lambda outcome: None,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Member]:
    """Train the models named (all, without names; or recipes of your own by name) and return those that are complete.

    workers: processes, one unit and one thread each; the cores, without a number. fresh: forget these models' units first.
    notify: called with every unit's outcome, kept ones too. say: gets warnings. Failed models are left out: see `notify`.
    """
    named = wanted if isinstance(wanted, Mapping) else recipes(run.entry, wanted)
    todo = units(run, named, seeds)
    if fresh:
        for unit in todo:
            run.store.remove("units", unit.model, unit.key)
    missing: list[Unit] = []
    complete: dict[str, Member] = {}
    for name, parts in by_model(todo).items():
        files = [run.store.whole("units", unit.model, unit.key, damaged=say) for unit in parts]
        missing += [unit for unit, kept in zip(parts, files, strict=True) if kept is None]
        complete |= as_member(run, name, parts, files)
        for unit, kept in zip(parts, files, strict=True):
            if kept is not None:
                notify(as_outcome(unit, "kept", kept))
    if missing:
        trials = [Trial(recipe) for recipe in {unit.model: unit.recipe for unit in missing}.values()]
        tasks: list[Unit | Trial] = [*trials, *missing]
        workers = workers or executor.default_workers(len(missing))
        with contextlib.closing(executor.run_all(work, run, tasks, workers, partial(lost, run))) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, PodiumError):
                    raise outcome
                if outcome:
                    notify(outcome)
    complete |= members(run, [unit for unit in todo if unit.model not in complete], say)
    return {name: complete[name] for name in named if name in complete}


def work(run: Run, task: Unit | Trial) -> Outcome | PodiumError | None:
    """A unit's outcome, or what is wrong with a recipe."""
    if isinstance(task, Unit):
        return compute(run, task)
    try:
        models.build(task.recipe, run.classes, 0)
    except PodiumError as error:
        return error
    return None


def compute(run: Run, unit: Unit) -> Outcome:
    """Do one unit and keep its result. Any error of the model becomes a failed outcome, with the traceback in the store."""
    begin = time.perf_counter()
    try:
        files = logged(fit_and_predict, run, unit)
        run.store.write("units", unit.model, unit.key, files=files)
        run.store.remove("failures", unit.model, unit.key)
        return as_outcome(unit, "done", files)
    except (Exception, SystemExit) as error:  # a model that calls exit() shall not end the run
        message = str(error) if isinstance(error, PodiumError) else f"{type(error).__name__}: {error}"
        return _failed(run, unit, message, traceback.format_exc(), time.perf_counter() - begin)


def lost(run: Run, task: Unit | Trial, reason: str) -> Outcome | None:
    """What becomes of a unit that gave no outcome: its worker died, or it could not be sent to one."""
    return _failed(run, task, reason) if isinstance(task, Unit) else None  # the trial's units will say why


def _failed(run: Run, unit: Unit, error: str, trace: str = "", seconds: float = 0.0) -> Outcome:
    report = {**_about(run, unit), "error": error, "traceback": trace}
    with contextlib.suppress(StoreError):  # where the disk is what failed, the outcome says so
        run.store.remove("failures", unit.model, unit.key)
        run.store.write("failures", unit.model, unit.key, files={"failure.json": to_json(report)})
    return Outcome(unit, "failed", seconds=seconds, error=error)


def logged(work: Callable[[Run, Unit], dict[str, bytes]], run: Run, unit: Unit) -> dict[str, bytes]:
    """The files of a unit and log.txt: what its model printed and warned of, which would only tear up the screen."""
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        warnings.simplefilter("default")
        files = work(run, unit)
    said = [f"{warning.category.__name__}: {warning.message}" for warning in warned]
    return {**files, "log.txt": "\n".join([printed.getvalue(), *said]).strip().encode()}


def fit_and_predict(run: Run, unit: Unit) -> dict[str, bytes]:
    """The unit's files: oof.npz and test.npz (Tables), unit.json (what it was, its score, its time)."""
    fit, validate = run.folds.fit(unit.fold), run.folds.validate(unit.fold)
    raw, test = run.data.train, run.data.test
    X = fold_features(run, unit.fold)
    scale = fold_scale(run, unit.fold)
    rows, y = raw.iloc[fit], run.y[fit]
    z = scale.transform(rows, y) if scale else y
    if not np.isfinite(z).all():
        raise BadPredictions(f"The target's scale gives {int((~np.isfinite(z)).sum())} NaN or infinite values to learn.")
    begin = time.perf_counter()
    estimator = models.build(unit.recipe, run.classes, unit.seed)
    estimator.fit(X.fit, z)
    tables = []
    for ids, part, view in ((run.ids[validate], raw.iloc[validate], X.validate), (run.test_ids, test, X.test)):
        predicted = Table(ids, estimator.predict(view), run.columns)  # refuses what a scale or a limit could hide
        if scale:
            predicted = Table(ids, scale.inverse(part, predicted.values[:, 0]), run.columns)
        tables.append(Table(ids, _within(run, predicted.values), run.columns))
    seconds = time.perf_counter() - begin
    metric = run.entry.competition.metric
    about = {**_about(run, unit), "score": metric.natural(run.y[validate], tables[0].values), "seconds": seconds}
    return {"oof.npz": pack(tables[0].arrays()), "test.npz": pack(tables[1].arrays()), "unit.json": to_json(about)}


def fold_scale(run: Run, fold: int) -> TargetTransformer | None:
    """The competition's target scale fitted on a fold's training rows; once per process, since all models of the fold share it."""
    if run.entry.target is None:
        return None
    if fold not in run.scales:
        fit = run.folds.fit(fold)
        run.scales[fold] = run.entry.target().fit(run.data.train.iloc[fit], run.y[fit])
    return run.scales[fold]


def _within(run: Run, predicted: Array) -> Array:
    """Predictions kept to what the target can be."""
    task = run.entry.competition.task
    if isinstance(task, Detection) or run.classes:
        return predicted
    return np.clip(predicted, getattr(task, "low", -np.inf), getattr(task, "high", np.inf))


def _about(run: Run, unit: Unit) -> dict[str, Any]:
    return {
        "model": unit.model,
        "seed": unit.seed,
        "fold": unit.fold,
        "data": run.fingerprint,
        "folds": run.folds.hash,
        "of": len(run.folds),
        "recipe": repr(unit.recipe),
        "podium": importlib.metadata.version("podium"),
        "practice": run.practice,
    }


def as_outcome(unit: Unit, state: State, files: Mapping[str, bytes]) -> Outcome:
    about = json.loads(files["unit.json"])
    return Outcome(unit, state, about["score"], about["seconds"])


def members(run: Run, wanted: Iterable[Unit], say: Callable[[str], None] = lambda message: None) -> dict[str, Member]:
    """The models of which every unit is in the store: predictions over folds and seeds brought together."""
    complete: dict[str, Member] = {}
    for name, parts in by_model(wanted).items():
        files = [run.store.whole("units", unit.model, unit.key, damaged=say) for unit in parts]
        complete |= as_member(run, name, parts, files)
    return complete


def by_model(wanted: Iterable[Unit]) -> dict[str, list[Unit]]:
    found: dict[str, list[Unit]] = {}
    for unit in wanted:
        found.setdefault(unit.model, []).append(unit)
    return found


def as_member(run: Run, name: str, parts: Sequence[Unit], files: Sequence[Mapping[str, bytes] | None]) -> dict[str, Member]:
    """The model by its name; nothing where a unit lacks."""
    there = [file for file in files if file is not None]
    return {name: member(run, name, parts, there)} if len(there) == len(parts) else {}


def member(run: Run, name: str, parts: Sequence[Unit], files: Sequence[Mapping[str, bytes]]) -> Member:
    """Test predictions: the mean over folds and seeds. Out-of-fold: each row's mean over seeds and repeats.

    Means are taken on the metric's link scale, where an average is the best guess (of logs, for RMSLE).
    """
    metric = run.entry.competition.metric
    oof = [Table.from_arrays(unpack(file["oof.npz"])) for file in files]
    test = [Table.from_arrays(unpack(file["test.npz"])) for file in files]
    together = mean(oof, run.ids, metric.link, metric.unlink, run.columns)
    at = together.at(run.ids)
    validated = np.isfinite(at).all(axis=1)
    seconds = sum(as_outcome(unit, "kept", file).seconds for unit, file in zip(parts, files, strict=True))
    return Member(
        name,
        together,
        mean(test, run.test_ids, metric.link, metric.unlink, run.columns),
        metric.natural(run.y[validated], at[validated]),
        metric.trimmed(run.y[validated], at[validated]),
        seconds,
        tuple(unit.key for unit in parts),
    )


def mean(
    tables: Sequence[Table],
    ids: Array,
    link: Callable[[Array], Array],
    unlink: Callable[[Array], Array],
    columns: tuple[str, ...],
) -> Table:
    """Each id's mean over the tables that have it; ids that none has are left out."""
    total = np.zeros((len(ids), len(columns)))
    number = np.zeros(len(ids))
    for table in tables:
        values = table.at(ids)
        there = np.isfinite(values).all(axis=1)
        total[there] += link(values[there])
        number += there
    some = number > 0
    return Table(ids[some], unlink(total[some] / number[some, None]), columns)
