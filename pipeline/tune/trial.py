"""One trial: fold after fold in the order of the plan, each a unit of the store, until it is clear that the recipe is no good."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.trial import Trial, TrialState

from pipeline.run import Run
from pipeline.store import unpack
from pipeline.train import compute
from pipeline.tune import kept
from pipeline.tune import study as studies
from pipeline.tune.study import ERROR, UNITS, Where
from pipeline.tune.subject import UNTUNED, Subject

State = Literal["complete", "pruned", "failed", "stopped"]


@dataclass(frozen=True, eq=False)
class Turn:
    """A worker's turn: one trial, if there is one to be had. most: trials of the study in all. until: by `time.time`, when no more begin.
    threads: of the machine, for families that take all of it."""

    where: Where
    subject: Subject
    most: int
    until: float
    seed: int
    threads: int = 1


@dataclass(frozen=True)
class Result:
    """What became of a trial. score: natural, of the folds it came to. folds: how many these are. seconds: of this turn."""

    number: int
    state: State
    score: float
    folds: int
    seconds: float
    values: Mapping[str, Any]
    untuned: bool = False
    error: str = ""


def take_turn(run: Run, turn: Turn, say: Callable[[str], None] = lambda message: None) -> Result | None:
    """None where the time is over, or the study has all its trials."""
    if time.time() >= turn.until:
        return None
    study = opened(turn.where)
    trial = studies.next_trial(turn.where, study, turn.subject, turn.most, turn.seed)
    if trial is None:
        return None
    begun = time.perf_counter()
    values = turn.subject.values_of(trial)
    try:
        state, score, folds, error = _trained(run, turn, trial, values, say)
    except BaseException:  # Ctrl-C, in a process that may go on
        studies.release(trial)
        raise
    untuned = bool(trial.user_attrs.get(UNTUNED))
    return Result(trial.number, state, score, folds, time.perf_counter() - begun, values, untuned, error)


@functools.cache
def opened(where: Where) -> optuna.Study:
    """Once per process."""
    return studies.open_study(where)


def _trained(
    run: Run, turn: Turn, trial: Trial, values: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[State, float, int, str]:
    """The trial's state, the score of the folds it came to, how many these are, and what went wrong."""
    todo = turn.subject.units(run, values)
    trial.set_user_attr(UNITS, [unit.key for unit in todo])
    before = kept.oof(run, turn.subject, values)
    if before is not None:  # of an earlier trial with the same recipe
        return _complete(run, turn, trial, before, values)
    reported = studies.reported(trial)
    parts: list[Any] = []
    score = math.nan
    for unit in todo:
        files = run.store.whole("units", unit.model, unit.key, damaged=say)
        if files is None and time.time() >= turn.until:
            studies.release(trial)
            return "stopped", score, len(parts), ""
        error = "" if files else compute(run, unit, turn.threads, say).error
        files = files or run.store.whole("units", unit.model, unit.key)
        if files is not None:
            parts.append(run.answers.read(unpack(files["oof.npz"])))
            score = run.answers.score(run.answers.together(parts, run.ids))
        if files is None or math.isnan(score):
            error = f"fold {unit.fold + 1}: {error or 'its score is no number'}"
            trial.set_user_attr(ERROR, error)
            trial.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            return "failed", score, len(parts), error
        if unit.fold not in reported:
            trial.report(score, unit.fold)
        if unit is not todo[-1] and trial.should_prune():
            trial.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            kept.forget(run, turn.subject, [one.key for one in todo])
            return "pruned", score, len(parts), ""
    return _complete(run, turn, trial, run.answers.together(parts, run.ids), values)


def _complete(run: Run, turn: Turn, trial: Trial, oof: Any, values: Mapping[str, Any]) -> tuple[State, float, int, str]:
    kept.keep(run, turn.subject, values, oof)  # before it is told: what the study calls complete is there
    score = run.answers.score(oof)
    trial.study.tell(trial, score, skip_if_finished=True)
    kept.settle(run, turn.subject, turn.where, trial.study)
    return "complete", score, len(run.folds), ""


def lost(turn: Turn, reason: str) -> Result | None:
    """The trial that killed its worker twice is a failed one; None where there is none to be blamed."""
    study = opened(turn.where)
    with studies.locked(turn.where):
        number = studies.last_left(study, turn.where)
        if number is None:
            return None
        study.tell(number, state=TrialState.FAIL)
    one = study.get_trials(deepcopy=False)[number]
    values = turn.subject.values_of(one)
    return Result(number, "failed", math.nan, 0, 0.0, values, bool(one.user_attrs.get(UNTUNED)), reason)
