"""The study: trials in a database, which several processes ask for more of. Who has a trial is written beside it, so that another
process can go on with the trial of one that is no more."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import sqlalchemy
from filelock import FileLock
from optuna.trial import FrozenTrial, Trial, TrialState

from pipeline.credentials import hidden
from pipeline.errors import BadStorage
from pipeline.models.spaces import Choice, Range, Whole
from pipeline.store import refusing
from pipeline.tune.subject import UNTUNED, Subject, label

OWNER, UNITS, ERROR = "owner", "units", "error"  # attributes of a trial, beside UNTUNED
ENOUGH = 4  # trials that are complete before any is pruned
PATIENT = 60  # seconds that a process waits for another one to be done with the database
GOING = 10.0  # seconds in which the workers of a process that was killed leave
DAY = 86_400
NOBODY: dict[str, Any] = {}


@dataclass(frozen=True)
class Where:
    """A study as it travels to worker processes. url: of its storage, as Optuna knows it. folder: in the run folder, for the lock and what is
    kept of trials. command: the process that started the workers."""

    url: str
    name: str
    maximize: bool
    folder: Path
    command: int


class Pooled(optuna.pruners.BasePruner):
    """Ends a trial whose score of the folds so far is worse than the median of the complete trials' after the same folds.

    The median stopping rule (Golovin et al. 2017), but at the same step alone: a fold that is easy for all helps none. Never the
    untuned recipe, and not before `ENOUGH` trials are complete.
    """

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        step = trial.last_step
        if step is None or trial.user_attrs.get(UNTUNED):
            return False
        others = [one.intermediate_values[step] for one in complete(study) if step in one.intermediate_values]
        if len(others) < ENOUGH:
            return False
        worse = trial.intermediate_values[step] - float(np.median(others))
        return worse < 0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else worse > 0


def sqlite_url(file: Path) -> str:
    return sqlalchemy.URL.create("sqlite", database=str(file.resolve())).render_as_string(hide_password=False)


def open_study(where: Where) -> optuna.Study:
    """The study, made where there is none yet. Raises BadStorage where there is no such database, or it cannot be reached."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a trial is one line, and we say it
    with refusing(where.folder):
        where.folder.mkdir(parents=True, exist_ok=True)
    sqlite = {"connect_args": {"timeout": PATIENT}} if where.url.startswith("sqlite") else {}
    direction = optuna.study.StudyDirection.MAXIMIZE if where.maximize else optuna.study.StudyDirection.MINIMIZE
    try:
        if in_memory(where.url):
            raise ValueError("a database in memory ends with its process, and each worker would have its own")
        with locked(where):  # two processes would make the tables at a time
            storage = optuna.storages.RDBStorage(where.url, engine_kwargs=sqlite)
            return optuna.create_study(
                storage=storage, study_name=where.name, direction=direction, pruner=Pooled(), load_if_exists=True
            )
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, ValueError, RuntimeError, optuna.exceptions.OptunaError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadStorage(
            f"No study can be kept in the storage {shown(where.url)}: {hidden(first)}. Give a URL that Optuna knows, such as "
            "sqlite:///tuning.db or postgresql://user@host/name (with its driver installed), or leave --storage out."
        ) from error


def in_memory(url: str) -> bool:
    """Raises SQLAlchemyError on what is no URL."""
    made = sqlalchemy.engine.make_url(url)
    return made.get_backend_name() == "sqlite" and made.database in (None, "", ":memory:")


def shown(url: str) -> str:
    """Without its password."""
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return repr(hidden(url))


@contextmanager
def locked(where: Where) -> Iterator[None]:
    """One process of this run folder at a time."""
    with refusing(where.folder), FileLock(where.folder / ".lock"):
        yield


def complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def finished(study: optuna.Study) -> list[FrozenTrial]:
    return [one for one in study.get_trials(deepcopy=False) if one.state.is_finished()]


def best(study: optuna.Study) -> FrozenTrial | None:
    """The complete trial with the best score; the earliest of equal ones."""
    sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
    return max(complete(study), key=lambda one: (sign * (one.value or 0.0), -one.number), default=None)


def next_trial(where: Where, study: optuna.Study, subject: Subject, most: int, seed: int) -> Trial | None:
    """One that its process left in the middle, else a new one; None where the study has as many as there shall be.

    What is proposed depends on the seed, the trial's number and what is finished by then, not on how often the search was stopped.
    """
    with locked(where):
        trials = study.get_trials(deepcopy=False)
        left = next((one for one in trials if one.state == TrialState.RUNNING and is_left(one)), None)
        waiting = any(one.state == TrialState.WAITING for one in trials)
        if not any(one.user_attrs.get(UNTUNED) and one.state != TrialState.FAIL for one in trials):
            study.enqueue_trial(subject.start, user_attrs={UNTUNED: True})
            waiting = True
        if left is None and not waiting and len(trials) >= most:
            return None
        number = left.number if left else len(trials)
        study.sampler = optuna.samplers.TPESampler(seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        trial = Trial(study, left._trial_id) if left else study.ask()
        trial.set_user_attr(OWNER, owner(where))
        for name, one in subject.ranges.items():
            suggest(trial, name, one)
        return trial


def reported(trial: Trial) -> set[int]:
    """The steps that a trial has reported, in an earlier life too."""
    return set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)


def last_left(study: optuna.Study, where: Where) -> int | None:
    """The number of the trial that a worker of ours took up last and did not bring to an end."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    ours = [one for one in running if one.user_attrs.get(OWNER, NOBODY).get("command") == where.command and is_left(one)]
    return max(ours, key=lambda one: one.user_attrs[OWNER]["begun"]).number if ours else None


def suggest(trial: Trial, name: str, one: Range) -> Any:
    if isinstance(one, Choice):
        return trial.suggest_categorical(name, [label(one, each) for each in one.options])
    if isinstance(one, Whole):
        return trial.suggest_int(name, one.low, one.high, log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


# ------------------------------------------------------------------------------------------------------------------------- owners


def owner(where: Where) -> dict[str, Any]:
    """This process, and the one whose worker it is: they end together."""
    this = psutil.Process()
    return {
        "host": socket.gethostname(),
        "process": this.pid,
        "started": this.create_time(),
        "command": where.command,
        "begun": time.time(),
    }


def is_left(trial: FrozenTrial) -> bool:
    """Whether nobody works on a running trial any more. Another machine's processes cannot be asked: theirs are left alone for a day."""
    had: Mapping[str, Any] = trial.user_attrs.get(
        OWNER, NOBODY
    )  # none yet: killed as it was asked for, since that is under the lock
    if had == NOBODY:
        return True
    if had["host"] != socket.gethostname():
        return time.time() - float(had["begun"]) > DAY  # since it was taken up, which may be long after the trial began
    until = time.monotonic() + GOING
    while _lives(had) and not psutil.pid_exists(had["command"]) and time.monotonic() < until:
        time.sleep(0.05)  # its command is gone, and it is about to follow
    return not _lives(had)


def _lives(had: Mapping[str, Any]) -> bool:
    try:
        process = psutil.Process(had["process"])
        return abs(process.create_time() - had["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def release(trial: Trial) -> None:
    """Leave a trial for whoever comes next."""
    trial.set_user_attr(OWNER, NOBODY)
