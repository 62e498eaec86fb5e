"""`podium tune`, killed in the middle of a trial: the same command ends with the same trials, and no fold is trained twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest

from pipeline.tune.study import OWNER, sqlite_url
from tests.reliability.conftest import Proof
from tests.reliability.small import start

TRIALS, KILLS = 5, 3
WATCHED = """

import time
from pathlib import Path

import pipeline.train

trained = pipeline.train.fit_and_predict


def watched(run, unit, place=None, desk=None):
    there = run.store.has("units", unit.model, unit.key)
    with run.store.path("trained.txt").open("a") as file:
        print("twice" if there else "begun", unit.model, unit.key, file=file, flush=True)
    time.sleep(0.3)
    return trained(run, unit, place, desk)


if pipeline.train.fit_and_predict.__name__ != "watched":
    pipeline.train.fit_and_predict = watched
"""
DEADLY = """

import os

import pipeline.train

trained = pipeline.train.fit_and_predict


def deadly(run, unit, place=None, desk=None):
    if unit.model.endswith("-tuned"):
        os.kill(os.getpid(), 9)
    return trained(run, unit, place, desk)


if pipeline.train.fit_and_predict.__name__ != "deadly":
    pipeline.train.fit_and_predict = deadly
"""


def tune(runs: Path, jobs: int) -> subprocess.Popen[str]:
    return start("tune", "toy", "ridge", "--trials", str(TRIALS), "-j", str(jobs), "--rows", "60", "--runs", str(runs))


def trained(runs: Path, what: str) -> list[str]:
    log = runs / "toy" / "trained.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.removeprefix(f"{what} ") for line in lines if line.startswith(what)]


def trials(runs: Path) -> list[optuna.trial.FrozenTrial]:
    """Read without the competition's file, which would watch this process too."""
    (file,) = (runs / "toy").glob("tuning/ridge-*/study.db")
    storage = optuna.storages.RDBStorage(sqlite_url(file))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).get_trials()


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_in_the_middle_of_a_trial_it_goes_on_with_that_trial(toy: Path, tmp_path: Path, proof: Proof, jobs: int) -> None:
    toy.write_text(toy.read_text() + WATCHED)
    whole, runs = tmp_path / "whole", tmp_path / "killed"
    kills = 0
    while True:
        process = tune(runs, jobs)
        more = len(trained(runs, "begun")) + 2  # in the middle of a fold, the one before it being kept; a trial has three
        while process.poll() is None and (kills >= KILLS or len(trained(runs, "begun")) < more):
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        _, err = process.communicate(timeout=300)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    assert kills == KILLS
    assert trained(runs, "twice") == []
    ended = trials(runs)
    assert len(ended) == TRIALS
    assert all(one.state.is_finished() for one in ended)
    if jobs == 1:  # side by side, what is proposed depends on what is finished by then
        process = tune(whole, jobs)
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert [(one.params, one.value, one.state) for one in ended] == [
            (one.params, one.value, one.state) for one in trials(whole)
        ]
        assert set(trained(runs, "begun")) == set(trained(whole, "begun"))
        again = Counter(trained(runs, "begun"))
        assert sum(again.values()) - len(again) <= KILLS  # the folds that a kill fell into, and no other
    proof(
        1,
        f"kill -9 of a search in mid-trial, {jobs} at a time",
        {"kills survived": kills, "trials": TRIALS, "folds trained twice": 0},
    )


@pytest.mark.timeout(900)
def test_two_commands_share_a_study_and_together_make_its_number(toy: Path, tmp_path: Path, proof: Proof) -> None:
    toy.write_text(toy.read_text() + WATCHED)
    both = [tune(tmp_path, 1) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    ended = trials(tmp_path)
    assert [one.number for one in ended] == list(range(TRIALS))
    assert all(one.state.is_finished() for one in ended)
    assert len({one.user_attrs[OWNER]["process"] for one in ended}) == 2
    assert trained(tmp_path, "twice") == []
    proof(7, "two searches on one study", {"trials": TRIALS, "trials too many": 0, "folds trained twice": 0})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_trial_that_kills_its_worker_fails_alone(toy: Path, tmp_path: Path) -> None:
    toy.write_text(toy.read_text() + DEADLY)
    process = tune(tmp_path, 2)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert out.count("FAILED: its worker process died") == TRIALS - 1
    states = [one.state for one in trials(tmp_path)]
    assert states == [optuna.trial.TrialState.COMPLETE, *[optuna.trial.TrialState.FAIL] * (TRIALS - 1)]
    assert "the untuned recipe as it is; nothing was better" in out
