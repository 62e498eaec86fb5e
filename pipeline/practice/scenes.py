"""Made-up pictures with boxes: coloured things of some categories before a noisy ground, and the COCO annotations of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.practice.pictures import SHAPES, colour_of, ground, paint, save

WIDTH, HEIGHT = 128, 96  # pixels
MOST = 3  # things in a picture


def scenes(folder: Path, names: Mapping[int, str], categories: Mapping[int, str], seed: int) -> dict[str, Any]:
    """Draw a picture under each name below the folder, by its id; the content of a COCO file of them. categories: names by id.

    Every category is in one picture of so many as there are categories, at least.
    """
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number, (one, name) in enumerate(names.items()):
        rng = np.random.default_rng([seed, number])
        picture = ground(rng, WIDTH, HEIGHT)
        for place in _shown(rng, number, len(categories)):
            box = paint(picture, rng, colour_of(place, len(categories)), SHAPES[place % len(SHAPES)])
            fact = {"id": len(boxes) + 1, "image_id": one, "category_id": list(categories)[place], "iscrowd": 0}
            boxes.append({**fact, "bbox": list(box), "area": box[2] * box[3]})
        images.append({"id": one, "file_name": name, "width": WIDTH, "height": HEIGHT})
        save(folder / name, picture)
    listed = [{"id": one, "name": name} for one, name in categories.items()]
    return {"images": images, "annotations": boxes, "categories": listed}


def _shown(rng: np.random.Generator, number: int, categories: int) -> Sequence[int]:
    """Which categories are in the picture of this number: one in turn, others by chance."""
    others = rng.integers(categories, size=int(rng.integers(0, MOST)))
    return sorted({number % categories, *others.tolist()})
