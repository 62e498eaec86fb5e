"""The real command, killed again and again until it is done: nothing finished is lost, and the end is the same to the byte."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from pipeline.run import open_run
from pipeline.store import MANIFEST, Store
from pipeline.train import train
from tests.reliability.conftest import Proof
from tests.reliability.small import Small, finished, litter, start, sums

ROWS = 60
UNITS = "units/*/*/*.npz"
KILLS = 4
SLOW = """

class Slow(Ridge):
    def fit(self, X, y):
        import time
        time.sleep(PAUSE)
        return super().fit(X, y)

def models():
    return {f"slow{number}": Slow(alpha=number + 1, solver="cholesky") for number in range(NUMBER)}
"""


def slow_down(toy: Path, pause: float, number: int) -> None:
    toy.write_text(toy.read_text() + SLOW.replace("PAUSE", str(pause)).replace("NUMBER", str(number)))


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    """Whether these processes end by themselves; a zombie that nobody asks after has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            return True
        time.sleep(0.1)
    return False


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_for_units(process: subprocess.Popen[str], runs: Path, more: int) -> None:
    """Until so many units were finished since, so that every life gets on; or until the command ended by itself."""
    before = len(finished(runs / "toy"))
    while process.poll() is None and len(finished(runs / "toy")) < before + more:
        time.sleep(0.01)


def train_toy(runs: Path, *more: str) -> subprocess.Popen[str]:
    return start("train", "toy", "--rows", str(ROWS), "--runs", str(runs), *more)


def kill_until_done(toy: Path, folder: Path, kills: int, seed: int) -> dict[str, int]:
    rng, runs = random.Random(seed), folder / "killed"
    done: dict[Path, int] = {}
    survived = killed = 0
    while True:
        process = train_toy(runs, "--workers", str(1 + killed % 2))
        if killed < kills:
            wait_for_units(process, runs, rng.choice([0, 0, 1, 2]))
            time.sleep(rng.uniform(0, 0.3))
        else:
            process.wait(120)
        workers = workers_of(process)
        if process.poll() is None:
            (os.killpg if rng.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
            killed += 1
        _, err = process.communicate(timeout=30)
        assert gone(workers), "workers outlive their parent"
        now = finished(runs / "toy")
        assert {place: now.get(place) for place in done} == done, "a finished unit was lost or changed"
        survived += len(now)
        done = now
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    assert killed == kills
    assert survived
    store = Store(runs / "toy")
    assert not litter(store.root)
    for place in done:
        store.read_folder(place)
    assert set(train(open_run("toy", runs=folder / "whole", rows=ROWS), workers=1)) == {place.parent.name for place in done}
    assert sums(runs / "toy", UNITS) == sums(folder / "whole" / "toy", UNITS)
    assert len(done) == len(sums(runs / "toy", UNITS)) // 2
    return {"kills survived": kills, "units": len(done), "units lost or changed": 0, "bytes that differ at the end": 0}


def test_killed_five_times_it_loses_nothing_and_ends_the_same(toy: Path, tmp_path: Path, proof: Proof) -> None:
    slow_down(toy, 0.05, 4)
    proof(1, "kill -9 at random moments, 12 short units", kill_until_done(toy, tmp_path, kills=5, seed=1), kind="tables")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_thirty_times_it_loses_nothing_and_ends_the_same(toy: Path, tmp_path: Path, proof: Proof) -> None:
    slow_down(toy, 0.1, 24)
    proof(1, "kill -9 at random moments, 72 short units", kill_until_done(toy, tmp_path, kills=30, seed=2), kind="tables")


def epochs(root: Path) -> set[Path]:
    """The checkpoints of nets that are in the middle of their training."""
    return {file.parent for file in root.glob(f"scratch/*/*/*/epoch-*/{MANIFEST}")}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("small", ["images", "boxes"], indirect=True)
def test_a_net_that_is_killed_goes_on_from_its_last_epoch_and_ends_the_same(small: Small, tmp_path: Path, proof: Proof) -> None:
    """Each life but the last ends a random while after it finished an epoch or a unit more."""
    rng, runs, whole = random.Random(3), tmp_path / "killed", tmp_path / "whole"
    root, done, killed, resumed = runs / small.name, dict[Path, int](), 0, 0
    more = ("--workers", "1", "--folds", "2")
    process = start(*small.words("train", "net", small.quick[0], runs=whole), *more)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    while True:
        process = start(*small.words("train", "net", small.quick[0], runs=runs), *more)
        seen = epochs(root) | set(finished(root))
        while process.poll() is None and (killed >= KILLS or not (epochs(root) | set(finished(root))) - seen):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2) * (killed < KILLS))
        if process.poll() is None:
            process.kill()
            killed += 1
        out, err = process.communicate(timeout=30)
        resumed += out.count("It goes on after epoch")
        now = finished(root)
        assert {place: now.get(place) for place in done} == done, "a finished unit was lost or changed"
        done = now
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    assert resumed
    assert killed > 2
    assert not litter(root)
    assert not epochs(root)
    assert sums(root) == sums(whole / small.name)
    found = {"kills survived": killed, "trainings taken up after an epoch": resumed, "units": len(done)}
    proof(1, "kill -9 of a net's training", {**found, "units lost or changed": 0, "bytes that differ at the end": 0}, small.kind)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_it_with_130_says_what_is_kept_and_the_next_start_goes_on(toy: Path, tmp_path: Path, workers: str) -> None:
    slow_down(toy, 0.2, 3)
    process = train_toy(tmp_path, "--workers", workers)
    wait_for_units(process, tmp_path, 2)
    assert process.poll() is None, process.communicate()
    at_work = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == ""
    assert gone(at_work)
    kept = finished(tmp_path / "toy")
    said = out.strip().splitlines()[-1]
    assert said.startswith("Stopped. ")
    assert re.search(r"\b\d of 9 folds are kept", said)
    assert str(tmp_path / "toy") in said
    assert 2 <= len(kept) < 9
    states = Counter[str]()
    train(open_run("toy", runs=tmp_path, rows=ROWS), workers=1, notify=lambda outcome: states.update([outcome.state]))
    assert states == {"kept": len(kept), "done": 9 - len(kept)}
    assert {place: time for place, time in finished(tmp_path / "toy").items() if place in kept} == kept


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_ctrl_c_while_workers_start_leaves_no_traceback(toy: Path, tmp_path: Path, delay: float) -> None:
    slow_down(toy, 0.2, 3)
    process = train_toy(tmp_path, "--workers", "2")
    while process.poll() is None and not workers_of(process):
        time.sleep(0.005)
    time.sleep(delay)
    at_work = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert gone(at_work)
