"""How pictures lie in the square maps that they are kept as, so that boxes find their way there and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import BadRecipe, UnknownName
from pipeline.predictions import Array

WAYS = ("squash", "pad")


@dataclass(frozen=True, eq=False)
class Frames:
    """Of n pictures. parts: (n, 4) int64, left, top, right and bottom of each within its map; beyond is padding. scale: (n, 2) of x and
    y: pixels of the part for one of the picture."""

    parts: Array
    scale: Array

    def to_part(self, corners: Array, of: Array) -> Array:
        """Corners (k, 4) in pixels of the pictures `of` (k,) -> in pixels of their parts, counted from the part's own corner."""
        return (corners.reshape(-1, 2, 2) * self.scale[of, None]).reshape(-1, 4)

    def to_picture(self, corners: Array, of: Array) -> Array:
        """The way back."""
        return (corners.reshape(-1, 2, 2) / self.scale[of, None]).reshape(-1, 4)

    @property
    def shapes(self) -> Array:
        """(n, 2) height and width of each part."""
        return self.parts[:, [3, 2]] - self.parts[:, [1, 0]]


def frames(width: Array, height: Array, size: int, how: str) -> Frames:
    """Of pictures of width and height (n,) in maps of `size` pixels, made as `reading.fitted` makes them.

    Raises BadRecipe for "crop", which cuts objects off, UnknownName for what is no way of fitting a picture.
    """
    if how == "crop":
        raise BadRecipe(f'how is "crop", which would cut objects off at the sides. Choose one of {", ".join(WAYS)}.')
    if how not in WAYS:
        raise UnknownName("way of fitting a picture with boxes", how, WAYS)
    sides = np.column_stack([width, height]).astype(np.float64)
    inner = np.full_like(sides, size)
    if how == "pad":
        inner = np.maximum(1, np.round(sides * (size / sides.max(axis=1, keepdims=True))))
    corner = (size - inner) // 2
    return Frames(np.hstack([corner, corner + inner]).astype(np.int64), inner / sides)


def of_part(part: Array) -> tuple[slice, slice]:
    """Rows and columns of a map, for a part (4,)."""
    left, top, right, bottom = part.tolist()
    return slice(top, bottom), slice(left, right)
