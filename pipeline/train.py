"""The loop over units: (model, seed, fold). A unit that is in the store and whole is done; a failing one leaves the others alone."""

from __future__ import annotations

import contextlib
import dataclasses
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
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pipeline import executor, heap, identity, models
from pipeline.answers import inside
from pipeline.competition import Entry, Model, PseudoLabels, Regression, TargetTransformer
from pipeline.credentials import hidden
from pipeline.errors import BadPredictions, BadRecipe, PodiumError, StoreError, UnknownName
from pipeline.feature_cache import Part, features_key, fold_features
from pipeline.folds import moments
from pipeline.inner import clock_of
from pipeline.models.resampled import Resampled
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.preparing import clear, clear_abandoned, desk_of, place_of, prepare
from pipeline.resample import parse
from pipeline.resample.sampler import NO_CLOCK, Sampler
from pipeline.run import Run
from pipeline.store import pack, to_json, unpack

if TYPE_CHECKING:
    from pipeline.models.desk import Desk
    from pipeline.models.place import Place

RESAMPLING = ("imbalanced-learn", "lightgbm", "numpy", "scikit-learn", "scipy")
UNIT_FORMAT = 1  # raise it when what a unit is made of changes without a change in the code that its key covers
LARGEST = 1e150  # of a prediction: its square is a number still
State = Literal["done", "kept", "failed"]
BY_FAMILY = tuple(name for name, family in models.FAMILIES.items() if family.desk)  # recipes of every competition of tables


@dataclass(frozen=True, eq=False)
class Unit:
    """One piece of work: fit this recipe with this seed on this fold, predict its validation rows and the test rows.

    source: the unit whose predictions of the test rows it learns too (`PseudoLabels`).
    """

    model: str
    recipe: Any
    seed: int
    fold: int
    key: str
    source: Unit | None = None

    @property
    def round(self) -> int:
        return self.source.round + 1 if self.source else 0


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
    """One model over all its folds and seeds. oof, test: predictions in the target's own unit; test is None only for what was made
    elsewhere. score: natural, of all oof rows. by_seed: of each seed alone, where there are several."""

    name: str
    oof: Table | Boxes
    test: Table | Boxes | None
    score: float
    trimmed: float
    seconds: float
    keys: tuple[str, ...]
    by_seed: tuple[float, ...] = ()


def recipes(entry: Entry, wanted: Sequence[str] = (), practice: bool = False) -> dict[str, Any]:
    """The competition's recipes (for practice data the quick ones, where it names some), or those of them that are wanted and those
    whose pseudo-labels these learn. Raises UnknownName with the nearest names.
    """
    known = entry.models()
    found: dict[str, Any] = {}
    waiting = list(wanted or (practice and entry.competition.practice_models) or known)
    while waiting:
        name = waiting.pop(0)
        recipe = known[name] if name in known else resampled(name, known)
        if name not in found:
            found[name] = recipe
            waiting += [pseudo.of for pseudo in [_pseudo(recipe)] if pseudo]
    return found


def resampled(name: str, known: Mapping[str, Any]) -> Any:
    """The recipe that a name such as "lightgbm+smote:at=0.5" stands for: a known one, resampled like that; or, as "autogluon", a family
    with its own defaults. Raises UnknownName, BadRecipe."""
    if name in BY_FAMILY:
        return Model(name)
    base, plus, step = name.partition("+")
    if not plus or base not in known:
        raise UnknownName("model", base, [*known, *BY_FAMILY])
    recipe = known[base]
    if not isinstance(recipe, Model):
        raise BadRecipe(
            f"{base!r} is an estimator by itself, which says how it resamples: put it behind a sampler in imbalanced-learn's Pipeline."
        )
    return dataclasses.replace(recipe, resample=parse(step))


def with_steps(names: Sequence[str], steps: Sequence[str], known: Iterable[str]) -> list[str]:
    """Names of models, each resampled in these ways; of all that are known where none is named. "none" is the recipe as it is."""
    chosen = [parse(step) for step in steps]
    return [f"{name}+{step}" if step else name for name in names or known for step in chosen] if steps else list(names)


def resampled_before(run: Run) -> list[str]:
    """Names such as "lightgbm+smote" or "autogluon" under which something is in the store; they are no recipes of the competition's own."""
    known, found = run.entry.models(), []
    for name in run.store.list("units"):
        with contextlib.suppress(PodiumError):  # another name with a plus, from other code
            if ("+" in name or name in BY_FAMILY) and name not in known and resampled(name, known) is not None:
                found.append(name)
    return sorted(found)


def _pseudo(recipe: Any) -> PseudoLabels | None:
    return recipe.pseudo if isinstance(recipe, Model) else None


def units(run: Run, named: Mapping[str, Any], seeds: int = 1) -> list[Unit]:
    """All units of these recipes, model by model, so that the first folds' features are made side by side."""
    shared = {"features": features_key(run), "target": run.entry.target and run.entry.target(), "format": UNIT_FORMAT}
    found: dict[str, list[Unit]] = {}
    for name, recipe in _sources_first(named, run.classes).items():
        if not re.fullmatch(r"\w[\w.+:=,-]*", name):
            raise BadRecipe(
                f"A model cannot be called {name!r}: its results are kept in a folder of that name. Use letters, digits and . + - _"
            )
        family, step = models.family(recipe), models.resampling(recipe)
        parts = {
            **shared,
            "recipe": [recipe.family, recipe.params] if isinstance(recipe, Model) else recipe,
            "code": identity.module_hash(f"pipeline.models.{family.module}"),
            "versions": identity.versions(family.libraries),
        }
        if step:
            code = "pipeline.models.resampled"  # and with it the sampler
            parts["resample"] = [str(step), identity.module_hash(code), identity.versions(RESAMPLING), clock_of(run)]
        if family.pictures:
            parts["weights"] = _hashes(recipe.params.get("weights"))
        base = identity.key(parts)
        pseudo = _pseudo(recipe)
        sources = found[pseudo.of] if pseudo else [None] * (seeds * len(run.folds))
        found[name] = []
        for source, (seed, fold) in zip(sources, product(range(seeds), range(len(run.folds))), strict=True):
            key = {"of": base, "seed": seed, "fold": fold}
            if source and pseudo:
                key |= {"source": source.key, "at least": pseudo.at_least}
            found[name].append(Unit(name, recipe, seed, fold, identity.key(key), source))
    return [unit for name in named for unit in found[name]]


def _hashes(weights: Any) -> dict[str, str]:
    """Of a file of weights, and of FILE.labels.txt, which says what the rows of its head stand for; nothing if it is no file."""
    named = [Path(f"{weights}{ending}") for ending in ("", ".labels.txt")] if weights not in (None, "hub", "package") else []
    return {path.name: identity.file_hash(path) for path in named if path.is_file()}


def _sources_first(named: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """The recipes, each after the one whose pseudo-labels it learns. Raises BadRecipe where that is not among them."""
    ordered: dict[str, Any] = {}

    def take(name: str, above: tuple[str, ...]) -> None:
        pseudo = _pseudo(named[name])
        if pseudo and (pseudo.of not in named or pseudo.of in above or not classes):
            why = (
                "only classes can be pseudo-labels"
                if not classes
                else "it learns from itself in the end"
                if pseudo.of in named
                else f"the models trained are {', '.join(named)}"
            )
            raise BadRecipe(f"{name!r} wants the pseudo-labels of {pseudo.of!r}, but {why}.")
        if pseudo:
            take(pseudo.of, (*above, name))
        ordered[name] = named[name]

    for name in named:
        take(name, (name,))
    return ordered


def train(
    run: Run,
    wanted: Sequence[str] | Mapping[str, Any] = (),
    seeds: int = 1,
    workers: int | None = None,
    fresh: bool = False,
    notify: Callable[[Outcome], None] = lambda outcome: None,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Member]:
    """Train the models named (all, without names, or those for practice data; or recipes of your own by name) and return those that are complete.

    workers: processes, one unit and one thread each; the cores, without a number. fresh: forget these models' units first.
    notify: called with every unit's outcome, kept ones too. say: gets warnings. Failed models are left out: see `notify`.
    """
    named = wanted if isinstance(wanted, Mapping) else recipes(run.entry, wanted, run.practice)
    if isinstance(run.y, Truth):
        run.sizes(run.data.train[:0])  # without pictures there is nothing to learn boxes from: say so now
    steps = [models.resampling(recipe) for recipe in named.values()]
    if clock_of(run) is None and any(step and step.way == "recency" for step in steps):
        raise BadRecipe(NO_CLOCK)
    todo = units(run, named, seeds)
    if fresh:
        for unit in todo:
            run.store.remove("units", unit.model, unit.key)
            clear(run, unit.model, unit.key)
    missing: list[Unit] = []
    complete: dict[str, Member] = {}
    for name, parts in by_model(todo).items():
        files = [run.store.whole("units", unit.model, unit.key, damaged=say) for unit in parts]
        missing += [unit for unit, kept in zip(parts, files, strict=True) if kept is None]
        complete |= as_member(run, name, parts, files)
        for unit, kept in zip(parts, files, strict=True):
            if kept is not None:
                notify(as_outcome(unit, "kept", kept))
    threads = workers or executor.default_workers(10**6)
    clear_abandoned(run, {(unit.model, unit.key) for unit in todo})
    prepare(run, {unit.model: unit.recipe for unit in missing}, threads, say)
    for number in sorted({unit.round for unit in missing}):
        ready = [unit for unit in missing if unit.round == number]
        side_by_side = [unit for unit in ready if not models.family(unit.recipe).alone]
        _train_side_by_side(run, side_by_side, workers or executor.default_workers(len(side_by_side)), notify)
        for unit in ready:
            if models.family(unit.recipe).alone:
                notify(compute(run, unit, threads, say))
                heap.give_back()
    complete |= members(run, [unit for unit in todo if unit.model not in complete], say)
    return {name: complete[name] for name in named if name in complete}


def _train_side_by_side(run: Run, missing: Sequence[Unit], workers: int, notify: Callable[[Outcome], None]) -> None:
    if not missing:
        return
    trials = [
        Trial(recipe)
        for recipe in {unit.model: unit.recipe for unit in missing}.values()
        if not models.family(recipe).pictures  # those were built before
    ]
    tasks: list[Unit | Trial] = [*trials, *missing]
    with contextlib.closing(executor.run_all(work, run, tasks, workers, partial(lost, run), run.store.root)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, PodiumError):
                raise outcome
            if outcome:
                notify(outcome)


def work(run: Run, task: Unit | Trial) -> Outcome | PodiumError | None:
    """A unit's outcome, or what is wrong with a recipe."""
    if isinstance(task, Unit):
        return compute(run, task)
    try:
        models.build(task.recipe, run.classes, 0, place_of(run, "", ""))
    except PodiumError as error:
        return error
    return None


def compute(run: Run, unit: Unit, threads: int = 1, say: Callable[[str], None] = lambda message: None) -> Outcome:
    """Do one unit and keep its result. Any error of the model becomes a failed outcome, with the traceback in the store.

    threads, say: for families that work alone, and take long.
    """
    begin = time.perf_counter()

    def tell(message: str) -> None:
        say(f"{unit.model} fold {unit.fold + 1}: {message}")

    try:
        place = place_of(run, unit.model, unit.key, threads, tell)
        desk = desk_of(run, unit.recipe, unit.model, unit.key, unit.fold, threads, tell)
        files = logged(fit_and_predict, run, unit, place, desk)
        run.store.write("units", unit.model, unit.key, files=files)
        run.store.remove("failures", unit.model, unit.key)
        clear(run, unit.model, unit.key)
        return as_outcome(unit, "done", files)
    except (Exception, SystemExit) as error:  # a model that calls exit() shall not end the run
        elsewhere = run.store.whole("units", unit.model, unit.key)
        if elsewhere is not None:  # another process was first, and has cleared this unit's checkpoints
            return as_outcome(unit, "kept", elsewhere)
        if models.family(unit.recipe).desk:
            clear(run, unit.model, unit.key)  # nothing can go on from what it has left
        message = str(error) if isinstance(error, PodiumError) else f"{type(error).__name__}: {error}"
        return _failed(run, unit, message, traceback.format_exc(), time.perf_counter() - begin)


def lost(run: Run, task: Unit | Trial, reason: str) -> Outcome | None:
    """What becomes of a unit that gave no outcome: its worker died, or it could not be sent to one."""
    return _failed(run, task, reason) if isinstance(task, Unit) else None  # the trial's units will say why


def _failed(run: Run, unit: Unit, error: str, trace: str = "", seconds: float = 0.0) -> Outcome:
    error = hidden(error)
    report = {**_about(run, unit), "error": error, "traceback": hidden(trace)}
    with contextlib.suppress(StoreError):  # where the disk is what failed, the outcome says so
        run.store.remove("failures", unit.model, unit.key)
        run.store.write("failures", unit.model, unit.key, files={"failure.json": to_json(report)})
    return Outcome(unit, "failed", seconds=seconds, error=error)


def logged(work: Callable[..., dict[str, bytes]], *about: Any) -> dict[str, bytes]:
    """The files of a unit and log.txt: what its model printed and warned of, which would only tear up the screen."""
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        warnings.simplefilter("default")
        files = work(*about)
    said = [f"{warning.category.__name__}: {warning.message}" for warning in warned]
    return {**files, "log.txt": hidden("\n".join([printed.getvalue(), *said])).strip().encode()}


def fit_and_predict(run: Run, unit: Unit, place: Place | None = None, desk: Desk | None = None) -> dict[str, bytes]:
    """The unit's files: oof.npz and test.npz (a Table or Boxes each), unit.json (what it was, its score, its time)."""
    fit, validate = run.folds.fit(unit.fold), run.folds.validate(unit.fold)
    raw, test = run.data.train, run.data.test
    scale, X, y = fold_scale(run, unit.fold), fold_features(run, unit.fold, "fit"), run.y[fit]
    if scale:
        y = scale.transform(raw.iloc[fit], y)
    if isinstance(y, np.ndarray) and not np.isfinite(y).all():
        raise BadPredictions(f"The target's scale gives {int((~np.isfinite(y)).sum())} NaN or infinite values to learn.")
    begin = time.perf_counter()
    estimator, sampler = models.build(unit.recipe, run.classes, unit.seed, place, desk), None
    X, y, sure = with_pseudo_labels(run, unit, X, y)
    step = models.resampling(unit.recipe)
    if step:
        sampler = Sampler(step, run.classes, unit.seed, when_of(run, fit, sure), lambda: fold_features(run, unit.fold, "test"))
        estimator = Resampled(estimator, sampler, models.family(unit.recipe).inside)
    estimator.fit(X, y)
    del X  # a part of a large table at a time
    kept = []
    views: tuple[tuple[Part, Array, pd.DataFrame], ...] = (
        ("validate", run.ids[validate], raw.iloc[validate]),
        ("test", run.test_ids, test),
    )
    for part, ids, rows in views:
        kept.append(as_kept(run, scale, ids, rows, estimator.predict(fold_features(run, unit.fold, part))))
    seconds = time.perf_counter() - begin
    score = run.answers.score(kept[0])
    about = {**_about(run, unit), "score": None if np.isnan(score) else score, "seconds": seconds}  # NaN is no JSON
    if sampler and sampler.before is not None and sampler.after is not None:
        about["resampled"] = {"before": sampler.before.tolist(), "after": sampler.after.tolist()}
    return {"oof.npz": pack(kept[0].arrays()), "test.npz": pack(kept[1].arrays()), "unit.json": to_json(about)}


def as_kept(run: Run, scale: TargetTransformer | None, ids: Array, rows: pd.DataFrame, found: Any) -> Table | Boxes:
    """What a model found for these rows, as it is kept: on the target's own scale and within what it can be, or within the images."""
    if isinstance(run.y, Truth):
        return inside(found, ids, run.columns, *run.sizes(rows))
    predicted = Table(ids, found, run.columns)  # refuses what a scale or a limit could hide
    if scale:
        predicted = Table(ids, scale.inverse(rows, predicted.values[:, 0]), run.columns)  # noqa: PD011 - no pandas here
    task, values = run.entry.competition.task, predicted.values  # noqa: PD011
    if isinstance(task, Regression):
        values = np.clip(values, task.low, task.high)
    elif (values < 0).any() or not values.any(axis=1).all():
        raise BadPredictions(f"Class probabilities must be 0 or more, and not all 0 in a row; the lowest is {values.min():g}.")
    with np.errstate(all="ignore"):
        linked = np.abs(run.entry.competition.metric.link(values)).max(axis=1)
    beyond = ~(linked <= LARGEST)  # NaN too
    if beyond.any():
        raise BadPredictions(
            f"{int(beyond.sum())} of {len(ids)} predictions are nothing that {task.metric} can judge or a mean be made of, first at id "
            f"{ids[beyond][0]}: {values[beyond][0].tolist()}."
        )
    return Table(ids, values, run.columns)


def when_of(run: Run, fit: Array, sure: Array) -> Array | None:
    """(n + m,) when the rows to fit were, and below them the test rows whose pseudo-labels are learned; None without a clock."""
    clock = clock_of(run)
    if clock is None:
        return None
    rows = [run.data.train.iloc[fit], run.data.test[sure]]
    return np.concatenate([moments(part, clock) for part in rows if len(part)])


def with_pseudo_labels(run: Run, unit: Unit, X: pd.DataFrame, y: Any) -> tuple[pd.DataFrame, Any, Array]:
    """X (n + m, p) and y (n + m,) with the m test rows of whose class the unit's source is sure enough, and which of test these are."""
    source, pseudo = unit.source, _pseudo(unit.recipe)
    if source is None or pseudo is None:
        return X, y, np.zeros(len(run.data.test), dtype=bool)
    files = run.store.whole("units", source.model, source.key)
    if files is None:
        raise BadRecipe(f"It learns the pseudo-labels of {source.model!r}, of which fold {source.fold + 1} is not trained.")
    chances = Table.from_arrays(unpack(files["test.npz"])).at(run.test_ids)
    sure = chances.max(axis=1) >= pseudo.at_least
    more = fold_features(run, unit.fold, "test")[sure]
    labels = chances[sure].argmax(axis=1).astype(y.dtype)
    return pd.concat([X, more], ignore_index=True), np.concatenate([y, labels]), sure


def fold_scale(run: Run, fold: int) -> TargetTransformer | None:
    """The competition's target scale fitted on a fold's training rows; once per process, since all models of the fold share it."""
    if run.entry.target is None:
        return None
    if fold not in run.scales:
        fit = run.folds.fit(fold)
        run.scales[fold] = run.entry.target().fit(run.data.train.iloc[fit], run.y[fit])
    return run.scales[fold]


def _about(run: Run, unit: Unit) -> dict[str, Any]:
    return {
        "model": unit.model,
        "seed": unit.seed,
        "fold": unit.fold,
        "data": run.fingerprint,
        "folds": run.folds.hash,
        "of": len(run.folds),
        "recipe": hidden(repr(unit.recipe)),
        "podium": importlib.metadata.version("podium"),
        "practice": run.practice,
    }


def as_outcome(unit: Unit, state: State, files: Mapping[str, bytes]) -> Outcome:
    about = json.loads(files["unit.json"])
    return Outcome(unit, state, np.nan if about["score"] is None else about["score"], about["seconds"])


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
    """Test predictions: of all folds and seeds together. Out-of-fold: each row's over seeds and repeats (see `Answers.together`)."""
    answers = run.answers
    places = [run.store.path("units", name, unit.key) for unit in parts]
    oof, test = (
        [answers.read(unpack(file[kind], place / kind)) for place, file in zip(places, files, strict=True)]
        for kind in ("oof.npz", "test.npz")
    )
    together = answers.together(oof, run.ids)
    seeds = sorted({unit.seed for unit in parts})
    of_seed = [[one for one, unit in zip(oof, parts, strict=True) if unit.seed == seed] for seed in seeds]
    return Member(
        name,
        together,
        answers.together(test, run.test_ids),
        answers.score(together),
        answers.trimmed(together),
        sum(as_outcome(unit, "kept", file).seconds for unit, file in zip(parts, files, strict=True)),
        tuple(unit.key for unit in parts),
        tuple(answers.score(answers.together(one, run.ids)) for one in of_seed) if len(seeds) > 1 else (),
    )
