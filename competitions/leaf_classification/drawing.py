"""Pictures of drawn leaves: one leaf on paper, on a light table, or under a phone, as the real collection has them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from competitions.leaf_classification.shapes import Leaf, Species, grow, turn

SIZE = 224
FINE = 2  # lines and outlines are drawn this many times larger, then averaged: smooth edges
SHIFT = 4  # fractional bits of a point's coordinates


class Setting(NamedTuple):
    """How a picture was taken. share: of all pictures. paper: blue, green and red of the background, spread: how much they vary
    from picture to picture, fall: how much over one picture. dark: leaves are darker by one of these shares. shadow: that the leaf
    casts, 0 to 1. ruler: how often a grey scale lies below. square: were all pictures square?"""

    share: float
    paper: tuple[float, float, float]
    spread: float
    fall: float
    dark: tuple[float, float]
    shadow: float
    ruler: float
    square: bool


SETTINGS = (
    Setting(0.40, (196, 206, 198), 8, 8, (0.0, 0.15), 0.1, 0.4, False),  # on paper, greyish
    Setting(0.35, (254, 253, 253), 1, 2, (0.3, 0.8), 0.0, 0.5, True),  # on a light table, near to a silhouette
    Setting(0.25, (150, 138, 128), 18, 30, (0.15, 0.4), 0.35, 0.0, False),  # under a phone
)


def draw(rng: np.random.Generator, species: Species) -> np.ndarray:
    """A picture (SIZE, SIZE, 3) uint8, blue first, of a new leaf of the species."""
    setting = SETTINGS[rng.choice(len(SETTINGS), p=[setting.share for setting in SETTINGS])]
    leaf = placed(rng, grow(rng, species))
    mask, veins = masks(rng, leaf)
    picture = background(rng, setting)
    shade = cv2.GaussianBlur(np.roll(mask, rng.integers(-5, 6, 2), (0, 1)), (0, 0), 4)
    picture *= 1 - setting.shadow * shade[..., None]
    picture += mask[..., None] * (coloured(rng, species, setting, veins) - picture)
    if rng.random() < setting.ruler:
        ruler(rng, picture)
    if not setting.square:
        picture = margined(rng, picture)
    blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.35, 0.8))
    grain = rng.normal(0, rng.uniform(0.8, 2.0), (SIZE, SIZE, 1))
    return np.clip(blurred + grain, 0, 255).astype(np.uint8)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """The picture as a JPEG file's bytes."""
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def placed(rng: np.random.Generator, leaf: Leaf) -> Leaf:
    """The leaf turned, mirrored or not, and scaled into the picture, in pixels of the fine grid."""
    move = turn(rng.uniform(0, 2 * np.pi)) * rng.choice([1, -1], 2)
    turned = leaf.through(move, np.zeros(2))
    points = np.concatenate([*turned.blades, *turned.stalks])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = FINE * SIZE * rng.uniform(0.5, 0.92) / (high - low).max()
    room = FINE * SIZE - scale * (high - low)
    at = room * rng.uniform(0.2, 0.8, 2) - scale * low
    return turned.through(scale * np.eye(2), at)


def masks(rng: np.random.Generator, leaf: Leaf) -> tuple[np.ndarray, np.ndarray]:
    """(SIZE, SIZE) float32 from 0 to 1: where the leaf is, and where its veins are."""
    whole, veins = np.zeros((2, FINE * SIZE, FINE * SIZE), dtype=np.uint8)
    for blade in leaf.blades:
        cv2.fillPoly(whole, [fixed(blade)], 255, cv2.LINE_AA, SHIFT)
    if rng.random() < 0.15:
        eaten(rng, whole, leaf.blades[0])
    cv2.polylines(whole, [fixed(stalk) for stalk in leaf.stalks], False, 255, 2 * FINE - 1, cv2.LINE_AA, SHIFT)
    cv2.polylines(veins, [fixed(vein) for vein in leaf.veins[1:]], False, 170, 1, cv2.LINE_AA, SHIFT)
    cv2.polylines(veins, [fixed(vein) for vein in leaf.veins[:1]], False, 255, FINE, cv2.LINE_AA, SHIFT)
    small, lines = (cv2.resize(layer, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for layer in (whole, veins))
    return small.astype(np.float32) / 255, lines.astype(np.float32) / 255


def fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << SHIFT)).astype(np.int32)


def eaten(rng: np.random.Generator, mask: np.ndarray, blade: np.ndarray) -> None:
    """Holes near the margin."""
    for x, y in rng.permutation(blade)[: rng.integers(2, 6)]:
        cv2.circle(mask, (int(x), int(y)), int(rng.integers(3, 12)), 0, -1, cv2.LINE_AA)


def cloud(rng: np.random.Generator, cells: int) -> np.ndarray:
    """(SIZE, SIZE) float32: smooth noise about 0 with bumps of SIZE / cells pixels."""
    return cv2.resize(rng.normal(size=(cells, cells)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def slope(rng: np.random.Generator) -> np.ndarray:
    """(SIZE, SIZE) float32 from -1 to 1: light that falls off in some direction."""
    angle = rng.uniform(0, 2 * np.pi)
    at = np.linspace(-1, 1, SIZE, dtype=np.float32) / np.sqrt(2)
    return np.cos(angle) * at[:, None] + np.sin(angle) * at[None, :]


def background(rng: np.random.Generator, setting: Setting) -> np.ndarray:
    paper = np.array(setting.paper) + rng.normal(0, setting.spread) + rng.normal(0, setting.spread / 3, 3)
    light = setting.fall * (slope(rng) + 0.08 * cloud(rng, 4))
    return (paper + light[..., None]).astype(np.float32)


def coloured(rng: np.random.Generator, species: Species, setting: Setting, veins: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE, 3): the leaf's own colour everywhere, with veins, blotches and light."""
    hue = species.hue + rng.normal(0, 9) - (rng.random() < 0.12) * rng.uniform(15, 40)  # some have turned yellow
    value = (0.3 + 0.4 * species.light) * rng.lognormal(0, 0.16) * (1 - rng.uniform(*setting.dark))
    saturation = np.clip(rng.normal(0.5, 0.12), 0.15, 0.85)
    hsv = np.array([[[hue, saturation, min(value, 0.9)]]], dtype=np.float32)
    green = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
    light = 1 + 0.14 * slope(rng) + 0.05 * cloud(rng, 5) + 0.03 * cloud(rng, 40)
    light += rng.uniform(-0.15, 0.6) * veins
    return green * light[..., None]


def ruler(rng: np.random.Generator, picture: np.ndarray) -> None:
    """A grey scale along the lower edge, as on many of the real pictures."""
    start, height = int(rng.integers(0, SIZE // 2)), int(rng.integers(2, 14))
    steps = np.floor(np.linspace(0, 12, SIZE - start)) / 12 * rng.uniform(20, 200)
    picture[SIZE - height :, start:] = steps[:, None]


def margined(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Half of them three by four, filled up to a square with grey, below or at the right."""
    short = int(SIZE * rng.choice([1.0, 0.75]))
    if short == SIZE:
        return picture
    below = bool(rng.random() < 0.7)
    size = (SIZE, short) if below else (short, SIZE)
    filled = np.full_like(picture, picture.mean())
    filled[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return filled
