"""What the sections of the benchmark share: where and how large, the machine, commands that are timed, tables of text."""

from __future__ import annotations

import datetime
import itertools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import competitions
from pipeline.competition import Model
from pipeline.cores import cores
from pipeline.doctor import findings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
KING_COUNTY, LEAVES = SHARED / "house-prices-king-county", SHARED / "leaf-classification"
CELLS = SHARED / "detection-bccd"
PODIUM = str(Path(sys.executable).with_name("podium"))
NAME, LEAF, COWBOY = "house-prices", "leaf-classification", "cowboy-detection"


@dataclass(frozen=True)
class Setting:
    """scratch: an empty folder for runs and data. king_county: the folder of real sales. full: also what takes an hour.

    rows: of the practice data. models: of the default recipe, all without. repeats: of everything that is timed. leaves, cells: the
    folders of real leaves and blood cells. runs: where what is trained on these is kept, below `scratch` without. quick: less of it. budget: seconds of each training of AutoML. against: of AutoML, all without. detectors: instead of the recipes for cells.
    """

    scratch: Path
    king_county: Path = KING_COUNTY
    full: bool = False
    rows: int = 4_000
    models: tuple[str, ...] = ()
    repeats: int = 3
    leaves: Path = LEAVES
    cells: Path = CELLS
    runs: Path | None = None
    quick: bool = False
    budget: float = 900.0
    against: tuple[str, ...] = ()
    detectors: Mapping[str, Model] = field(default_factory=dict)

    def practice(self, rows: int | None = None, name: str = NAME) -> Path:
        """A folder of practice data, made when it is first asked for."""
        folder = self.scratch / f"practice-{name}-{rows or self.rows}"
        if not folder.is_dir():
            timed([PODIUM, "data", name, "--practice", str(folder), "--rows", str(rows or self.rows)], self.scratch)
        return folder

    def pictures(self) -> Path:
        """A folder of pictures: the real leaves if they are there, else practice."""
        return self.leaves if self.leaves.is_dir() else self.practice(self.drawn, LEAF)

    @property
    def drawn(self) -> int:
        """Rows of practice pictures: as many as asked for, up to the competition's own number."""
        return min(self.rows, competitions.find(LEAF).competition.practice_rows)


@dataclass(frozen=True)
class Times:
    """Wall times of one thing, in seconds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.seconds):.2f} - {max(self.seconds):.2f})"


def machine() -> str:
    """The header of every report: what the figures were measured on."""
    pairs = [
        ("date", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"),
        ("load", f"{os.getloadavg()[0]:.1f} processes in the minute before"),
        ("processor", processor()),
        ("memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB"),
    ]
    return table(("machine", ""), [*pairs, *itertools.takewhile(lambda pair: pair[0] != "memory", findings())])


def machine_in_short() -> str:
    """The same as one sentence, for where a section stands alone."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}: {cores()} cores of an {processor()}, {memory:.1f} GiB, "
        f"Python {platform.python_version()}."
    )


def processor() -> str:
    """The model as Linux names it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def timed(command: Sequence[str], folder: Path, codes: Iterable[int] = (0,), env: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes, started in `folder`. Raises RuntimeError, with its last words, on an exit code not in `codes`."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
    return seconds


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown that can be read as it is: columns padded, the first one to the left, the others to the right."""
    cells = [list(map(str, header)), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| "
        + " | ".join(cell.rjust(w) if at else cell.ljust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in cells
    ]
    ruler = "|" + "|".join("-" * (w + 1) + ":" if at else "-" * (w + 2) for at, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], ruler, *lines[1:]])


def limit(what: str, met: bool) -> str:
    """The last line of a section."""
    return f"limit {what}: {'met' if met else 'not met'}"
