"""Tasks run here or in workers: every one gives one result, whatever the others do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import psutil
import pytest
from threadpoolctl import threadpool_info

from pipeline import executor
from pipeline.errors import StoreError
from pipeline.executor import default_workers, run_all, share, shared
from pipeline.tables import TEXT

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test


def work(state: dict[str, Any], task: int) -> tuple[int, int]:
    if task in state.get("killers", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    if task in state.get("unsendable", ()):
        return lambda: task, Unsendable()  # type: ignore[return-value]
    return task, os.getpid()


class Unsendable:
    def __reduce__(self) -> Any:
        raise TypeError("not to be sent")


def died(task: int, reason: str) -> tuple[int, str]:
    return task, reason


def test_one_worker_is_this_process_and_one_thread(tmp_path: Path) -> None:
    def threads(state: None, task: int) -> int:
        return max((library["num_threads"] for library in threadpool_info()), default=1)

    assert {pid for _, pid in run_all(work, {}, range(3), 1, died, tmp_path)} == {os.getpid()}
    assert set(run_all(threads, None, range(2), 1, died, tmp_path)) == {1}


def test_workers_are_other_processes_and_are_gone_afterwards(tmp_path: Path) -> None:
    found = dict(run_all(work, {}, range(6), 2, died, tmp_path))
    assert sorted(found) == list(range(6))
    pids = set(found.values())
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2
    assert_gone(pids)


def assert_gone(pids: set[Any]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and any(alive(pid) for pid in pids):
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_only_the_tasks_that_kill_their_worker_are_lost(tmp_path: Path) -> None:
    found = dict(run_all(work, {"killers": {1, 4}}, range(7), 2, died, tmp_path))
    assert sorted(found) == list(range(7))
    said = {task: reason for task, reason in found.items() if isinstance(reason, str)}
    assert set(said) == {1, 4}
    assert "its worker process died" in said[1]
    assert "--workers 1" in said[1]


def test_a_result_that_cannot_be_sent_back_is_that_tasks_error(tmp_path: Path) -> None:
    found = dict(run_all(work, {"unsendable": {1}}, range(3), 2, lambda task, reason: (task, reason), tmp_path))
    assert "not to be sent" in str(found[1])
    assert all(isinstance(found[task], int) for task in (0, 2))


class Unreadable:
    """Can be sent, but not read."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_a_task_that_a_worker_cannot_read_is_said_to_be_that(tmp_path: Path) -> None:
    [(task, reason)] = run_all(
        lambda state, task: ("", ""), {}, [Unreadable()], 2, lambda task, reason: ("lost", reason), tmp_path
    )
    assert task == "lost"
    assert "could not begin" in reason
    assert "memory" not in reason


def test_closing_early_stops_the_workers(tmp_path: Path) -> None:
    def slowly(state: None, task: int) -> int:
        time.sleep(0.2 if task < 2 else 60)
        return os.getpid()

    results = run_all(slowly, None, range(6), 2, lambda task, reason: -1, tmp_path)
    pid = next(results)
    results.close()
    assert_gone({pid})


def test_workers_never_see_ctrl_c(tmp_path: Path) -> None:
    def mask(state: None, task: int) -> bool:
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()) or signal.getsignal(signal.SIGINT) == signal.SIG_IGN

    assert all(run_all(mask, None, range(2), 2, lambda task, reason: False, tmp_path))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("cores", "gigabytes", "units", "workers"), [(8, 100, 3, 3), (8, 2, 30, 2), (2, 100, 30, 2), (8, 0, 5, 1)]
)
def test_workers_are_as_many_as_cores_units_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: int, units: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores), raising=False)
    memory = psutil.virtual_memory()._replace(available=gigabytes * executor.MEMORY_PER_WORKER)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert default_workers(units) == workers


def test_ctrl_c_during_a_start_comes_when_it_is_over_whichever_thread_takes_it() -> None:
    stop, steps = threading.Event(), list[str]()
    other = threading.Thread(target=stop.wait)  # takes the signal that this thread blocks
    other.start()
    handler = signal.getsignal(signal.SIGINT)
    try:
        with executor._without_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            steps.append("started")
        steps.append("never came")
    except KeyboardInterrupt:
        steps.append("came")
    stop.set()
    other.join()
    assert steps == ["started", "came"]
    assert signal.getsignal(signal.SIGINT) == handler


def look(state: dict[str, Any], task: int) -> Any:
    """What a worker sees of the state, and that writing into it is its own affair."""
    table, numbers = state["table"], state["numbers"]
    seen = (table.to_dict("list"), numbers.tolist(), state["none"].shape, numbers.flags.writeable, state["view"].tolist())
    numbers[:] = task
    return seen


def test_workers_see_the_state_as_it_is_and_none_sees_what_another_writes(tmp_path: Path) -> None:
    table = pd.DataFrame({"t": pd.array(["a", None, "sea"], dtype=TEXT), "x": [1.0, np.nan, 3]})
    state = {"table": table, "numbers": np.arange(5), "none": np.zeros((0, 3)), "view": np.arange(10)[::2]}
    seen = list(run_all(look, state, range(4), 2, died, tmp_path))
    assert repr(seen[0]) == repr((table.to_dict("list"), [0, 1, 2, 3, 4], (0, 3), True, [0, 2, 4, 6, 8]))
    assert {repr(other[0]) for other in seen} == {repr(table.to_dict("list"))}
    assert state["numbers"].tolist() == [0, 1, 2, 3, 4]
    assert not list(tmp_path.iterdir())


def test_what_workers_share_is_a_file_they_map(tmp_path: Path) -> None:
    share({"big": np.arange(1_000_000), "small": 1}, tmp_path / "state")
    assert (tmp_path / "state" / "pickled").stat().st_size < 5_000
    found = shared(tmp_path / "state")["big"]
    assert not found.flags.owndata
    assert found[-1] == 999_999


def test_where_the_state_cannot_be_written_nobody_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="Cannot write"):
        list(run_all(work, {}, range(2), 2, died, tmp_path / "file"))
