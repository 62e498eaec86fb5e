"""Drawn pictures: the same for the same seed, and their classes can be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.practice.pictures import SIDE, draw

NAMES = [f"a/{number}.png" for number in range(40)]
LABELS = [f"kind-{number % 4}" for number in range(40)]


def pixels(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / name).convert("RGB")) for name in NAMES]).astype(float)


def test_pictures_follow_their_seed(tmp_path: Path) -> None:
    for folder, seed in (("one", 0), ("same", 0), ("other", 1)):
        draw(tmp_path / folder, NAMES, LABELS, seed)
    one, same, other = (pixels(tmp_path / folder) for folder in ("one", "same", "other"))
    assert one.shape == (40, SIDE, SIDE, 3)
    assert (one == same).all()
    assert (one != other).mean() > 0.5


def test_the_strongest_colour_tells_the_class(tmp_path: Path) -> None:
    draw(tmp_path, NAMES, LABELS, 0)
    seen = pixels(tmp_path).reshape(40, -1, 3)
    strong = np.argmax(seen.max(axis=2) - seen.min(axis=2), axis=1)
    colours = seen[np.arange(40), strong]
    means = np.stack([colours[np.array(LABELS) == label].mean(axis=0) for label in sorted(set(LABELS))])
    nearest = np.linalg.norm(colours[:, None] - means, axis=2).argmin(axis=1)
    assert (nearest == np.arange(40) % 4).mean() > 0.9
