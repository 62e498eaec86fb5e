"""What a whole run needs of time and memory, and how that grows with the rows."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

import competitions
from pipeline import models
from pipeline.executor import default_workers
from pipeline.tables import read_text
from tests.bench_setting import NAME, PODIUM, Setting, limit, table

MINUTES, GIB = 3, 2
TIMES_AS_LONG, TIMES_AS_MUCH = 12, 4
GROWTH = 10
NETS = {"mlp", "tabular_nets"}
EVERY = 1.0  # seconds between two looks at the processes; a look takes time from them
MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """seconds: wall time. tree: peak bytes of all processes together, a page that several share counted once (Linux's PSS; elsewhere
    the sum of their own pages). largest: peak resident bytes of any one process, what it shares included."""

    seconds: float
    tree: int
    largest: int


def cost(command: Sequence[str], folder: Path) -> Cost:
    """Run a command in `folder` and watch it and all its children. Raises RuntimeError with its last words if it fails."""
    tree = largest = 0
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = psutil.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            family = list(looked_at(process))
            tree, largest = max(tree, sum(shared for shared, _ in family)), max(largest, *(alone for _, alone in family), 0)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(EVERY)
        seconds = time.perf_counter() - begin
        said.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-800:].decode()}")
    return Cost(seconds, tree, largest)


def looked_at(process: psutil.Process) -> Iterator[tuple[int, int]]:
    """(share of the family's memory, resident memory) of a process and of those it started; those that just ended are left out."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                memory = one.memory_full_info()
                yield getattr(memory, "pss", memory.uss), memory.rss


def practice(setting: Setting) -> Iterator[str]:
    """`podium run house-prices` on practice data from an empty run folder: wall time and peak memory."""
    runs = setting.scratch / "practice-runs"
    shutil.rmtree(runs, ignore_errors=True)
    whole = cost([PODIUM, "run", NAME, *setting.models, "--rows", str(setting.rows), "--runs", str(runs)], setting.scratch)
    yield table(
        (f"{setting.rows} practice rows, {default_workers(10**6)} workers", "measured", "limit"),
        [
            ("wall time", f"{whole.seconds:.0f} s", f"{MINUTES * 60} s"),
            ("peak memory of all processes (PSS)", f"{whole.tree / MIB:,.0f} MiB", f"{GIB * 1024:,} MiB"),
            ("peak memory of the largest process (RSS)", f"{whole.largest / MIB:,.0f} MiB", ""),
        ],
    )
    yield limit(f"{MINUTES} minutes and {GIB} GiB for all processes", whole.seconds <= MINUTES * 60 and whole.tree <= GIB * 2**30)


def rows(setting: Setting) -> Iterator[str]:
    """Ten times the practice rows: how much longer, and how much more memory for each byte of table. No nets without --full."""
    wanted = setting.models or (() if setting.full else without_nets())
    sizes = (setting.rows, setting.rows * GROWTH)
    data = [setting.practice(size) for size in sizes]
    costs = [
        cost(
            [PODIUM, "run", NAME, *wanted, "--data", str(root), "--runs", str(setting.scratch / f"rows-{root.name}")],
            setting.scratch,
        )
        for root in data
    ]
    tables = [table_bytes(root) for root in data]
    yield table(
        ("practice rows", "seconds", "processes (PSS), MiB", "largest process (RSS), MiB", "table, MiB"),
        [
            (f"{size:,}", f"{one.seconds:.0f}", *(f"{value / MIB:,.0f}" for value in (one.tree, one.largest, raw)))
            for size, one, raw in zip(sizes, costs, tables, strict=True)
        ],
    )
    longer = costs[1].seconds / costs[0].seconds
    more = (costs[1].tree - costs[0].tree) / (tables[1] - tables[0])
    yield f"Models: {', '.join(wanted) or 'all'}; {default_workers(10**6)} workers. Table: train and test in pandas, cells as Python's texts, deep."
    yield f"{longer:.1f} times as long; memory grows by {more:.2f} bytes for every byte of table."
    yield limit(
        f"{TIMES_AS_LONG} times as long for {GROWTH} times the rows, memory {TIMES_AS_MUCH} times the table's growth",
        longer <= TIMES_AS_LONG and more <= TIMES_AS_MUCH,
    )


def without_nets() -> tuple[str, ...]:
    """The default recipe's models but the neural nets, of which one epoch after another only takes long."""
    return tuple(name for name, recipe in competitions.find(NAME).models().items() if models.family(recipe).module not in NETS)


def table_bytes(root: Path) -> int:
    """What the train and test tables take in pandas with each cell a Python text that equal cells share (`dtype=object`, deep)."""
    return sum(int(read_text(root / f"{part}.csv").astype(object).memory_usage(deep=True).sum()) for part in ("train", "test"))
