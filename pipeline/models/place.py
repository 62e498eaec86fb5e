"""What a family of image models is given besides the features table and the target: the pictures, and where to keep things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.pictures.gallery import Gallery
from pipeline.predictions import Array
from pipeline.store import Store


def _silent(message: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Place:
    """gallery: all pictures of train and test. column: X's column that names each row's picture. labels: the classes' names, in
    the order of y's numbers. kept: for what several units share (embeddings). scratch: this unit's own folder, for epoch
    checkpoints; it outlives a kill and is removed when the unit is done. threads: of the CPU. say: what a person reads while it works.
    twins: (m,) for each picture of the gallery, equal for copies; without, those of equal bytes are. train: (m,) which pictures have a
    label of their own; without, all.
    """

    gallery: Gallery
    column: str
    labels: tuple[str, ...]
    kept: Store
    scratch: Path
    threads: int = 1
    say: Callable[[str], None] = _silent
    twins: Array | None = None
    train: Array | None = None

    @cached_property
    def same(self) -> Array:
        """(m,) equal for pictures that are copies of each other."""
        return self.gallery.index.sha256 if self.twins is None else self.twins

    @cached_property
    def labelled(self) -> Array:
        """(m,) bool: whether a picture's label is its own."""
        return np.ones(len(self.gallery.index), dtype=bool) if self.train is None else self.train
