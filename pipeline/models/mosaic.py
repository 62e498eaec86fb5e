"""Mosaics: four pictures in one, so that a batch shows more objects, smaller ones, and none in its usual surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.models.augment import GREY
from pipeline.predictions import Array

MIDDLE = (0.3, 0.7)  # where the four meet, as a share of the side
ZOOM = (0.4, 1.0)  # of each picture
VISIBLE = 0.2  # share of a box that must be left
LEAST = 2.0  # pixels of its shorter side

Piece = tuple[Array, Array, Array]


def mosaic(four: Sequence[Piece], generator: np.random.Generator) -> Piece:
    """A picture (h, w, 3) uint8, boxes (n, 4) float32 as corners in pixels, labels (n,), of four of them (Bochkovskiy et al. 2020).

    It has the shape of the first. Each is shrunk by its own zoom and laid with one corner at the place where the four meet; what reaches beyond is cut off.
    """
    size = np.array(four[0][0].shape[1::-1])
    made = np.empty_like(four[0][0])
    made[:] = GREY
    low, high = (np.round(share * size).astype(int) for share in MIDDLE)
    middle = generator.integers(low, high + 1)
    boxes, labels = [], []
    for number, (image, corners, names) in enumerate(four):
        whole = np.array(image.shape[1::-1])
        side = np.maximum(1, np.round(whole * generator.uniform(*ZOOM)).astype(int))
        low = np.where([number & 1, number & 2], middle, middle - side)
        (left, top), (right, bottom) = np.maximum(0, low), np.minimum(size, low + side)
        small = cv2.resize(image, side.tolist(), interpolation=cv2.INTER_AREA)
        made[top:bottom, left:right] = small[top - low[1] : bottom - low[1], left - low[0] : right - low[0]]
        moved = corners * np.tile(side / whole, 2) + np.tile(low, 2)
        inside = np.clip(moved, [left, top, left, top], [right, bottom, right, bottom])
        kept = _area(inside) >= VISIBLE * np.maximum(_area(moved), 1e-9)
        kept &= (inside[:, 2:] - inside[:, :2]).min(axis=1, initial=np.inf) >= LEAST
        boxes.append(inside[kept])
        labels.append(names[kept])
    return made, np.concatenate(boxes).astype(np.float32), np.concatenate(labels)


def _area(corners: Array) -> Array:
    return np.prod(corners[:, 2:] - corners[:, :2], axis=1)
