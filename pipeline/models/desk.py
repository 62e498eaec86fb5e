"""What a family that trains a table in a process of its own is given besides the features table and the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.predictions import Array


def _silent(message: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Desk:
    """scratch: this unit's own folder, removed when the unit is done. threads: of the CPU. say: what a person reads while it works.

    inner: (n,) from 0, by which fold each row to learn from is to be judged inside the fold; None where the library may choose.
    later: instead of that, what is judged are the rows of fold 1, which are the latest ones, and those of fold 0 are learned.
    """

    scratch: Path
    threads: int = 1
    say: Callable[[str], None] = _silent
    inner: Array | None = None
    later: bool = False
