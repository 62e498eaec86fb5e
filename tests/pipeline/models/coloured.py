"""Pictures for the tests of picture families: a square of its class's colour somewhere on noise, which a tiny net tells apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image

from pipeline.models.place import Place
from pipeline.pictures.gallery import Gallery
from pipeline.pictures.index import make_index
from pipeline.store import Store

SIZE = 32
CLASSES = ("red", "green", "blue")
COLOURS = np.array([(220, 40, 40), (40, 200, 40), (40, 40, 220)])


def names(count: int) -> list[str]:
    return [f"{number}.png" for number in range(count)]


def draw(root: Path, count: int) -> Gallery:
    """Draw pictures 0.png and so on; number n is of class n % 3."""
    random = np.random.default_rng(0)
    for number, name in enumerate(names(count)):
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        top, left = random.integers(0, SIZE // 2, 2)
        pixels[top : top + 16, left : left + 16] = COLOURS[number % len(COLOURS)]
        PIL.Image.fromarray(pixels).save(root / name)
    return gallery(root, count)


def gallery(root: Path, count: int) -> Gallery:
    """The gallery of the pictures that were drawn there."""
    return Gallery(root, make_index(root, names(count), root / "kept", 1, lambda message: None), root / "cache", 10**8)


def place(pictures: Gallery, kept: Path, scratch: Path, say: Callable[[str], None] = lambda message: None) -> Place:
    """Where a family finds these pictures, each of which has a label; equal bytes are copies."""
    same = pictures.index.sha256
    return Place(pictures, "picture", "picture", CLASSES, Store(kept), scratch, same, np.ones(len(same), dtype=bool), say=say)
