"""Where units run: here, or in worker processes of one thread each.

Workers are loky's: they need no `if __name__ == "__main__"` in a user's script, carry estimators defined in a notebook, and a
worker that dies (killed for memory, say) is an error of its unit, not the end of the run.
"""

from __future__ import annotations

import mmap
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import psutil
from threadpoolctl import threadpool_limits

from pipeline import heap
from pipeline.cores import cores
from pipeline.store import refusing, stray_beside

Task = TypeVar("Task")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
ARRAYS, PICKLED, ALIGNED = "arrays", "pickled", 64
MEMORY_PER_WORKER = 2**30  # a worker with torch and a competition's tables; more workers than memory would be killed

_state: Any = None  # what this worker process works on, set once when it starts


def default_workers(units: int) -> int:
    """One per core that this process may use, as far as units and memory go."""
    return max(1, min(cores(), units, int(psutil.virtual_memory().available // MEMORY_PER_WORKER)))


def run_all(
    work: Callable[[Any, Task], Result],
    state: Any,
    tasks: Sequence[Task],
    workers: int,
    died: Callable[[Task, str], Result],
    folder: Path,
) -> Generator[Result, None, None]:
    """work(state, task) for every task; results as they come. `state` travels to each worker once, its arrays as one file below
    `folder` that all of them map: of a large table the workers together hold one copy. Raises StoreError.

    A worker that dies takes the units in flight with it; these are tried again one at a time, so that only the unit that
    kills its worker is given to `died`, with the reason, and the others are done. So is a unit that cannot be sent to a
    worker. On Ctrl-C the workers are stopped at once.
    """
    if workers == 1:
        with threadpool_limits(1):  # as in the workers: the number of threads decides the order of sums
            for task in tasks:
                yield work(state, task)
        return
    todo = deque(tasks)
    place = stray_beside(folder / "state")  # the next start sweeps it away if we are killed
    try:
        with refusing(place):
            share(state, place)
        heap.give_back()  # what reading the data has left behind, before workers need it
        while todo:
            for suspect, _ in (yield from _round(work, place, todo, workers, died)):
                for culprit, reason in (yield from _round(work, place, deque([suspect]), 1, died)):
                    yield died(culprit, reason)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def share(state: Any, folder: Path) -> None:
    """Write `state` so that `shared` can read it: its arrays, as they are, after each other, and how all else is pickled."""
    folder.mkdir(parents=True)
    ends = [0]
    arrays: list[pickle.PickleBuffer] = []
    pickled = cloudpickle.dumps(state, protocol=5, buffer_callback=arrays.append)
    with (folder / ARRAYS).open("wb") as file:
        for array in arrays:
            file.write(array.raw())
            file.write(bytes(-file.tell() % ALIGNED))
            ends.append(file.tell())
    (folder / PICKLED).write_bytes(pickle.dumps((pickled, ends, [array.raw().nbytes for array in arrays])))


def shared(folder: Path) -> Any:
    """What `share` wrote there. Its arrays are the file itself, mapped: whoever writes into one gets a page of his own."""
    pickled, places, sizes = pickle.loads((folder / PICKLED).read_bytes())  # noqa: S301 - our parent wrote it a moment ago
    if not places[-1]:
        return pickle.loads(pickled, buffers=[memoryview(b"")] * len(sizes))  # noqa: S301
    with (folder / ARRAYS).open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    return pickle.loads(pickled, buffers=[mapped[at : at + size] for at, size in zip(places, sizes, strict=False)])  # noqa: S301


def _round(
    work: Callable[[Any, Task], Result], state: Path, todo: deque[Task], workers: int, died: Callable[[Task, str], Result]
) -> Generator[Result, None, list[tuple[Task, str]]]:
    """Results of the tasks it takes from `todo`, until none is left or a worker dies; returns those in flight then, and why."""
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(state, os.getpid()), env=ONE_THREAD | heap.LEAN)
    flying: dict[Future[Result], Task] = {}
    lost: list[tuple[Task, str]] = []
    try:
        while flying or (todo and not lost):
            while todo and len(flying) < workers and not lost:
                task = todo.popleft()
                try:
                    with _without_interrupts():
                        flying[pool.submit(_work, work, task)] = task
                except BrokenProcessPool as error:
                    lost.append((task, _reason(error)))
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                task = flying.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool as error:
                    lost.append((task, _reason(error)))
                except Exception as error:
                    yield died(task, f"{type(error).__name__}: {error}")
        return lost
    finally:
        pool.shutdown(wait=False, kill_workers=True)


def _reason(error: BrokenProcessPool) -> str:
    from loky.process_executor import TerminatedWorkerError

    if isinstance(error, TerminatedWorkerError):
        return "its worker process died; the system may have run out of memory (try --workers 1)"
    return f"its worker process could not begin: {error} {error.__cause__ or ''}".strip()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits until this is over, since it would tear up a start; and workers started in here never see it.

    They inherit the mask, from before `_start`. The mask alone is not enough for us: another thread would take the signal.
    """
    from multiprocessing import resource_tracker

    from loky.backend import resource_tracker as loky_tracker

    came: list[int] = []
    ours = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) or signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        for tracker in (resource_tracker, loky_tracker):
            tracker.ensure_running()  # their start would undo the mask
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        if ours:
            signal.signal(signal.SIGINT, handler)
    for number in came[:1]:
        signal.raise_signal(number)


def _start(state: Path, parent: int) -> None:
    from loky import process_executor

    global _state
    _state = shared(state)
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize  # loading torch is no leak; a restarted worker would load it again
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops us
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    """A parent that was killed cannot stop its workers; they leave by themselves."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(work: Callable[[Any, Task], Result], task: Task) -> Result:
    try:
        return work(_state, task)
    finally:
        heap.give_back()
