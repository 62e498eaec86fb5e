"""The real command, killed again and again until it is done: nothing finished is lost, and the end is the same to the byte."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from pipeline.run import open_run
from pipeline.store import MANIFEST, STRAY, Store
from pipeline.train import train

ROWS = 60
COMMAND = "from pipeline.cli import main; main()"
ROOT = Path(__file__).resolve().parents[2]
SLOW = """

class Slow(Ridge):
    def fit(self, X, y):
        import time
        time.sleep(PAUSE)
        return super().fit(X, y)

def models():
    return {f"slow{number}": Slow(alpha=number + 1, solver="cholesky") for number in range(NUMBER)}
"""


def start(runs: Path, *more: str) -> subprocess.Popen[str]:
    """`podium train toy` as a shell would start it, the leader of a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "train", "toy", "--rows", str(ROWS), "--runs", str(runs), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def slow_down(toy: Path, pause: float, number: int) -> None:
    toy.write_text(toy.read_text() + SLOW.replace("PAUSE", str(pause)).replace("NUMBER", str(number)))


def sums(runs: Path) -> dict[str, str]:
    """SHA-256 of every prediction, by unit."""
    units = runs / "toy" / "units"
    return {
        str(file.relative_to(units)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(units.rglob("*/*/*.npz"))
    }


def finished(runs: Path) -> dict[Path, int]:
    """Every finished unit, with the time of its last change."""
    return {file.parent: file.stat().st_mtime_ns for file in (runs / "toy" / "units").glob(f"*/[!.]*/{MANIFEST}")}


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
    before = len(finished(runs))
    while process.poll() is None and len(finished(runs)) < before + more:
        time.sleep(0.01)


def kill_until_done(toy: Path, folder: Path, kills: int, seed: int) -> None:
    rng, runs = random.Random(seed), folder / "killed"
    done: dict[Path, int] = {}
    survived = killed = 0
    while True:
        process = start(runs, "--workers", str(1 + killed % 2))
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
        now = finished(runs)
        assert {place: now.get(place) for place in done} == done, "a finished unit was lost or changed"
        survived += len(now)
        done = now
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    assert killed == kills
    assert survived
    store = Store(runs / "toy")
    assert not list(store.root.rglob(f"{STRAY}*"))
    assert not list(store.root.rglob(".damaged-*"))
    for place in done:
        store.read_folder(place)
    assert set(train(open_run("toy", runs=folder / "whole", rows=ROWS), workers=1)) == {place.parent.name for place in done}
    assert sums(runs) == sums(folder / "whole")
    assert len(done) == len(sums(runs)) // 2


def test_killed_five_times_it_loses_nothing_and_ends_the_same(toy: Path, tmp_path: Path) -> None:
    slow_down(toy, 0.05, 4)
    kill_until_done(toy, tmp_path, kills=5, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_fifty_times_it_loses_nothing_and_ends_the_same(toy: Path, tmp_path: Path) -> None:
    slow_down(toy, 0.1, 40)
    kill_until_done(toy, tmp_path, kills=50, seed=2)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_it_with_130_says_what_is_kept_and_the_next_start_goes_on(toy: Path, tmp_path: Path, workers: str) -> None:
    slow_down(toy, 0.2, 3)
    process = start(tmp_path, "--workers", workers)
    wait_for_units(process, tmp_path, 2)
    assert process.poll() is None, process.communicate()
    at_work = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == ""
    assert gone(at_work)
    kept = finished(tmp_path)
    said = out.strip().splitlines()[-1]
    assert said.startswith("Stopped. ")
    assert re.search(r"\b\d of 9 folds are kept", said)
    assert str(tmp_path / "toy") in said
    assert 2 <= len(kept) < 9
    states = Counter[str]()
    train(open_run("toy", runs=tmp_path, rows=ROWS), workers=1, notify=lambda outcome: states.update([outcome.state]))
    assert states == {"kept": len(kept), "done": 9 - len(kept)}
    assert {place: time for place, time in finished(tmp_path).items() if place in kept} == kept


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_ctrl_c_while_workers_start_leaves_no_traceback(toy: Path, tmp_path: Path, delay: float) -> None:
    slow_down(toy, 0.2, 3)
    process = start(tmp_path, "--workers", "2")
    while process.poll() is None and not workers_of(process):
        time.sleep(0.005)
    time.sleep(delay)
    at_work = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert gone(at_work)
