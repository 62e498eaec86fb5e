"""Where every model of a competition stands on this data and these folds: score with interval, time, state."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.foreign import imports
from pipeline.predictions import Array
from pipeline.run import Run
from pipeline.train import Member, Unit, by_model, members, recipes, resampled_before, units

UNTRAINED = "not trained"


@dataclass(frozen=True)
class Standing:
    """score, trimmed, low, high: natural, None while folds are lacking. seconds: of all its units. state: a few words."""

    model: str
    state: str
    score: float | None = None
    trimmed: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None


def standings(run: Run, seeds: int = 1, say: Callable[[str], None] = lambda message: None) -> list[Standing]:
    """The best first; models that are not complete after them. Whatever else was trained on the same data and folds comes last.

    say: gets a message for every damaged result.
    """
    named = recipes(run.entry, [*recipes(run.entry), *resampled_before(run)])
    expected = recipes(run.entry, practice=run.practice)
    todo = units(run, named, seeds)
    complete = members(run, todo, say)
    metric = run.entry.competition.metric
    rows = [standing(run, member) for member in complete.values()]
    best = max((row for row in rows if row.score is not None), key=lambda row: metric.sign * (row.score or 0.0), default=None)
    interval = None if best is None or best.low is None or best.high is None else (best.low, best.high)
    foreign = imports.doubted(run, imports.members(run, say=say), interval).values()
    rows += [dataclasses.replace(standing(run, one), state=one.state) for one in foreign]
    rows.sort(key=lambda row: -metric.sign * (row.score or 0.0))
    lacking = {name: unfinished(run, [u for u in todo if u.model == name]) for name in named if name not in complete}
    rows += [Standing(name, state) for name, state in lacking.items() if name in expected or state != UNTRAINED]
    rows += [Standing(name, state) for name, state in imports.elsewhere(run)]
    return rows + others(run, {unit.key for unit in todo})


def standing(run: Run, member: Member) -> Standing:
    low, high = run.answers.interval(member.oof)
    return Standing(member.name, "complete", member.score, member.trimmed, low, high, member.seconds)


def unfinished(run: Run, parts: list[Unit]) -> str:
    done = sum(run.store.has("units", unit.model, unit.key) for unit in parts)
    for unit in parts:
        failure = run.store.whole("failures", unit.model, unit.key)
        if failure is not None:
            return f"failed in fold {unit.fold + 1}: {json.loads(failure['failure.json'])['error']}"
    return f"{done} of {len(parts)} folds" if done else UNTRAINED


def others(run: Run, known: set[str]) -> list[Standing]:
    """Units of the same data and folds that no current recipe asks for: earlier recipes, other seeds, models given in Python."""
    found: Counter[tuple[str, str]] = Counter()
    for model in run.store.list("units"):
        for key in run.store.list("units", model):
            files = None if key in known else run.store.whole("units", model, key)
            if files is not None:
                about: dict[str, Any] = json.loads(files["unit.json"])
                if (about["data"], about["folds"]) == (run.fingerprint, run.folds.hash):
                    found[model, about["recipe"]] += 1
    return [Standing(model, f"another recipe, {count} folds: {recipe[:60]}") for (model, recipe), count in sorted(found.items())]


@dataclass(frozen=True, eq=False)
class Counts:
    """What a step of resampling made of the classes of one model's folds: before, after (f, k), rows, epochs' mean times, or weights; NaN
    in the rows of folds that are not trained."""

    model: str
    before: Array
    after: Array


def counts(run: Run, seeds: int = 1) -> list[Counts]:
    """Of the models that resample, the folds of the first seed that are trained."""
    named = recipes(run.entry, [*recipes(run.entry), *resampled_before(run)])
    found = []
    for name, parts in by_model(units(run, named, seeds)).items():
        told = {}
        for unit in parts:
            files = run.store.whole("units", unit.model, unit.key) if unit.seed == 0 else None
            about = json.loads(files["unit.json"]) if files else {}
            if "resampled" in about:
                told[unit.fold] = about["resampled"]
        if told:
            lacking = [np.nan] * len(next(iter(told.values()))["before"])
            sides = (
                [told[fold][side] if fold in told else lacking for fold in range(len(run.folds))] for side in ("before", "after")
            )
            found.append(Counts(name, *map(np.array, sides)))
    return found
