"""Pictures of coloured squares and discs on noise, for the tests of detectors: nothing here is real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import PIL.Image

from pipeline.models.place import Place
from pipeline.pictures.gallery import Gallery
from pipeline.pictures.index import make_index
from pipeline.predictions import Truth
from pipeline.store import Store

CATEGORIES = ("30", "4")  # ids, not in the order of their numbers: squares and discs
WIDTH, HEIGHT = 120, 90


def draw(root: Path, count: int, seed: int = 0) -> tuple[pd.DataFrame, Truth]:
    """Pictures below root, the last without anything in it; the rows that name them, with ids beyond 2^63, and the boxes."""
    random = np.random.default_rng(seed)
    ids = np.array([str(2**64 - 1 - number) for number in range(count)])
    names = [f"{number}.png" for number in range(count)]
    found: list[tuple[str, str, list[float]]] = []
    for number, name in enumerate(names):
        picture = random.integers(90, 130, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        for half in range(2 if number < count - 1 else 0):
            side = int(random.integers(22, 40))
            left, top = int(random.integers(half * 60, half * 60 + 60 - side)), int(random.integers(0, HEIGHT - side))
            kind = int(random.integers(2))
            if kind == 0:
                picture[top : top + side, left : left + side] = (230, 40, 40)
            else:
                cv2.circle(picture, (left + side // 2, top + side // 2), side // 2, (40, 60, 240), -1)
            found.append((ids[number], CATEGORIES[kind], [left, top, side, side]))
        PIL.Image.fromarray(picture).save(root / name)
    image, category, box = zip(*found, strict=True)
    truth = Truth(ids, np.array(CATEGORIES), np.array(image), np.array(category), np.array(box, float), np.zeros(len(box), bool))
    return pd.DataFrame({"image_id": ids, "image": names}), truth


def place(root: Path, rows: pd.DataFrame, scratch: Path, say: Callable[[str], None] = lambda message: None) -> Place:
    """Where a family finds them."""
    index = make_index(root, rows["image"], root / "kept", 1, lambda message: None)
    gallery = Gallery(root, index, root / "cache", 10**9)
    alone = np.ones(len(index), dtype=bool)
    return Place(
        gallery, "image_id", "image", CATEGORIES, Store(root / "kept"), scratch, index.sha256, alone, boxes=True, say=say
    )
