"""What tests that put a fault into a competition share: its text changed for this process, and what a run has left behind."""

from __future__ import annotations

import csv
import importlib
import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import identity
from tests.reliability.small import Small, answer


@contextmanager
def spoilt(one: Small, more: str) -> Iterator[None]:
    """The competition's file ends with this, for this process and those that it starts; then it is as it was."""
    before = one.file.read_text(encoding="utf-8")
    one.change(more)
    forget(one.name)
    try:
        yield
    finally:
        one.file.write_text(before, encoding="utf-8")
        forget(one.name)


def forget(name: str) -> None:
    """As a new process: nothing is known of the competition's text."""
    sys.modules.pop(f"competitions.{name}", None)
    importlib.invalidate_caches()
    identity.module_hash.cache_clear()


def submissions(runs: Path | str) -> list[Path]:
    """Every file of a submission that was kept."""
    return sorted(path for path in Path(runs).rglob("submissions/[!.]*/*") if path.suffix in (".csv", ".zip"))


def numbers(file: Path) -> list[float]:
    """All numbers of a submission's answers."""
    if file.suffix == ".zip":
        return [number for one in json.loads(answer(file)) for number in (*one["bbox"], one["score"])]
    cells = [cell for row in list(csv.reader(io.StringIO(answer(file).decode())))[1:] for cell in row[1:]]
    return [float(cell) for cell in cells if is_number(cell)]


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def finite(file: Path) -> bool:
    return all(map(math.isfinite, numbers(file)))


def rewritten(file: Path, change: Callable[[str], str]) -> None:
    """The file with another text; the change must be one."""
    before = file.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    file.write_text(after, encoding="utf-8")
