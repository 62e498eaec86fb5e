"""What a family of image models is given besides the features table and the target: the pictures, and where to keep things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.pictures.gallery import Gallery
from pipeline.predictions import Array
from pipeline.store import Store


def _silent(message: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Place:
    """gallery: all pictures of train and test. id, column: X's columns with each row's id and the name of its picture. labels: the classes'
    names, or the categories' ids, in the order of y's numbers. boxes: whether the answer is boxes in the pictures. kept: for what several units share (embeddings). scratch: this unit's own folder, for epoch
    checkpoints; it outlives a kill and is removed when the unit is done. threads: of the CPU. say: what a person reads while it works.
    same: (m,) for each picture of the gallery, equal for copies. labelled: (m,) bool, whether a picture has a label of its own.
    """

    gallery: Gallery
    id: str
    column: str
    labels: tuple[str, ...]
    kept: Store
    scratch: Path
    same: Array
    labelled: Array
    boxes: bool = False
    threads: int = 1
    say: Callable[[str], None] = _silent
