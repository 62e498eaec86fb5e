"""Made-up pictures: a thing of a class before a noisy ground. Its colour and its shape tell the class, its place and size do not."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96  # pixels
SHAPES = ("disc", "box", "wedge", "ring")


def draw(folder: Path, names: Sequence[str], labels: Sequence[str], seed: int) -> None:
    """A picture for each name below the folder, in the format that its ending says, of a thing of its label's class."""
    classes = sorted(set(labels))
    for number, (name, label) in enumerate(zip(names, labels, strict=True)):
        place = classes.index(label)
        picture = ground(np.random.default_rng([seed, number]), SIDE, SIDE)
        paint(picture, np.random.default_rng([seed, number, 1]), colour_of(place, len(classes)), SHAPES[place % len(SHAPES)])
        save(folder / name, picture)


def ground(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Noise around a colour of its own, which says nothing."""
    pixels = rng.normal(rng.uniform(90, 160, 3), 12, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def paint(picture: Image.Image, rng: np.random.Generator, colour: tuple[int, int, int], shape: str) -> tuple[int, int, int, int]:
    """A thing somewhere in the picture; its box: left, top, width, height in pixels."""
    edge = np.array(picture.size)
    wide, high = (int(side) for side in rng.uniform(0.25, 0.5, 2) * edge)
    left, top = (int(rng.integers(1, limit - side)) for limit, side in zip(edge, (wide, high), strict=True))
    right, bottom = left + wide - 1, top + high - 1
    brush = ImageDraw.Draw(picture)
    if shape == "box":
        brush.rectangle((left, top, right, bottom), fill=colour)
    elif shape == "wedge":
        brush.polygon([(left, bottom), (right, bottom), (left + wide // 2, top)], fill=colour)
    elif shape == "ring":
        brush.ellipse((left, top, right, bottom), outline=colour, width=max(2, min(wide, high) // 5))
    else:
        brush.ellipse((left, top, right, bottom), fill=colour)
    return left, top, wide, high


def colour_of(place: int, of: int) -> tuple[int, int, int]:
    """One of so many colours around the wheel."""
    red, green, blue = colorsys.hsv_to_rgb(place / of, 0.85, 0.9 if place % 2 else 0.55)
    return int(255 * red), int(255 * green), int(255 * blue)


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
