"""The outlines of drawn leaves: a dozen made-up species, and one leaf after another of each.

A leaf lies along the x axis, from its base at 0 to its tip at 1, before it is turned and scaled. It is made of blades
(outlines), stalks and veins (lines). No two are alike: every figure of a species varies from leaf to leaf.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

POINTS = 260  # of half an outline: enough for thirty teeth
VARIETY = 0.11  # standard deviation of the log of a figure, from leaf to leaf


class Blade(NamedTuple):
    """One outline. width: beside a length of 1. base, tip: below 0.6 blunt, above 1 drawn out. ears: how far a heart's base
    reaches back. teeth: on each margin, bite: their height. lobes: on each margin, cut: how deep between them, 0 to 1."""

    width: float
    base: float = 0.6
    tip: float = 0.8
    ears: float = 0.0
    teeth: float = 0.0
    bite: float = 0.0
    lobes: float = 0.0
    cut: float = 0.0


class Species(NamedTuple):
    """plan: one blade ("single"), a hand with `number` lobes ("palm"), `number` pairs of leaflets along a stalk ("feather"),
    or a bundle of `number` needles ("needles"). share: how common it is, beside the others.
    veins: pairs of side veins. hue: of its green, in degrees. light: 0 dark to 1 light. stalk: its length beside the blade's."""

    name: str
    share: float
    plan: str
    blade: Blade
    number: float = 0.0
    veins: float = 7.0
    hue: float = 85.0
    light: float = 0.5
    stalk: float = 0.2


SPECIES = (
    Species("drawn-spoon-smooth", 7.0, "single", Blade(0.48, base=1.1, tip=0.45), veins=6, hue=92, light=0.35, stalk=0.12),
    Species("drawn-oval-toothed", 4.2, "single", Blade(0.5, base=0.6, tip=0.8, teeth=24, bite=0.03), veins=11, hue=80),
    Species("drawn-oval-smooth", 3.6, "single", Blade(0.5, base=0.6, tip=0.8), veins=7, hue=84, light=0.45),
    Species("drawn-spear-toothed", 3.0, "single", Blade(0.26, base=0.7, tip=1.1, teeth=15, bite=0.028), veins=14, hue=76),
    Species("drawn-spear-smooth", 2.6, "single", Blade(0.22, base=0.8, tip=1.1), veins=9, hue=78, light=0.4, stalk=0.08),
    Species("drawn-heart-smooth", 2.4, "single", Blade(0.85, base=0.65, tip=1.0, ears=0.3), veins=5, hue=88, stalk=0.5),
    Species("drawn-heart-toothed", 2.0, "single", Blade(0.8, 0.65, 1.0, 0.26, teeth=17, bite=0.04), veins=6, hue=82, stalk=0.45),
    Species("drawn-lobed-round", 2.2, "single", Blade(0.62, 0.9, 0.45, lobes=3.5, cut=0.6), veins=4, hue=80, stalk=0.12),
    Species("drawn-hand-deep", 1.8, "palm", Blade(0.55, teeth=11, bite=0.05, cut=0.75), number=5, hue=78, light=0.45, stalk=0.7),
    Species("drawn-hand-shallow", 1.5, "palm", Blade(0.95, teeth=15, bite=0.035, cut=0.5), number=5, hue=86, stalk=0.6),
    Species("drawn-feather", 1.2, "feather", Blade(0.4, 0.6, 0.9), number=4.5, veins=5, hue=90, light=0.45, stalk=0.25),
    Species("drawn-needles", 1.0, "needles", Blade(0.012, 0.2, 0.3), number=3, veins=0, hue=95, light=0.3, stalk=0.0),
)  # fmt: skip


class Leaf(NamedTuple):
    """Lines of points (n, 2): blades are closed and filled, stalks and veins are open."""

    blades: list[np.ndarray]
    stalks: list[np.ndarray]
    veins: list[np.ndarray]

    def through(self, move: np.ndarray, at: np.ndarray, bend: float = 0.0) -> Leaf:
        """The leaf bent into a bow, then under the linear map `move` (2, 2) and shifted to `at` (2,)."""
        return Leaf(*([bowed(line, bend) @ move.T + at for line in lines] for lines in self))


def bowed(line: np.ndarray, bend: float) -> np.ndarray:
    return np.column_stack([line[:, 0], line[:, 1] + bend * line[:, 0] ** 2])


def grow(rng: np.random.Generator, species: Species) -> Leaf:
    """A leaf of the species, about 1 long without its stalk."""
    blade = varied(rng, species.blade)
    whole = {"single": simple, "palm": palm, "feather": feather, "needles": needles}[species.plan](rng, blade, species)
    length = species.stalk * rng.lognormal(0, 0.25)
    stalks = [line(-length, 0.0, rng.normal(0, 0.12) * length), *whole.stalks] if species.stalk else whole.stalks
    return Leaf(whole.blades, stalks, whole.veins).through(np.eye(2), np.zeros(2), rng.normal(0, 0.08))


def varied(rng: np.random.Generator, blade: Blade) -> Blade:
    """The blade with each of its figures a little off; the cut stays below 1, where a blade would fall apart."""
    figures = np.array(blade) * rng.lognormal(0, VARIETY, len(blade))
    return Blade(*figures.tolist())._replace(cut=blade.cut * rng.uniform(0.8, 1.1))


def line(start: float, end: float, sag: float) -> np.ndarray:
    """(12, 2): along the x axis, sagging between its ends."""
    x = np.linspace(start, end, 12)
    return np.column_stack([x, sag * np.sin(np.pi * np.linspace(0, 1, 12))])


# ------------------------------------------------------------------------------------------------------------------ outlines


def wave(rng: np.random.Generator, at: np.ndarray, size: float) -> np.ndarray:
    """A slow random wave over `at` from 0 to 1: what makes one margin unlike the next."""
    turns = np.arange(1, 5)
    return (np.sin(2 * np.pi * (at[:, None] * turns + rng.random(4))) * rng.normal(0, size, 4) / turns).sum(axis=1)


def saw(at: np.ndarray) -> np.ndarray:
    """Teeth that lean to the tip: 0 to 1 over three quarters of each step of 1, then back."""
    part = at % 1
    return np.where(part < 0.75, part / 0.75, (1 - part) / 0.25)


def margin(rng: np.random.Generator, blade: Blade) -> np.ndarray:
    """(POINTS, 2): one margin from base to tip, on the side of positive y."""
    t = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, POINTS))
    height = t**blade.base * (1 - t) ** blade.tip
    height = height / height.max() * blade.width / 2 * (1 + wave(rng, t, 0.05))
    between = 0.5 + 0.5 * np.cos(2 * np.pi * (blade.lobes * t**0.9 + rng.normal(0, 0.05)))
    height *= 1 - blade.cut * between * np.clip(2.2 * (1 - t), 0, 1)
    fade = np.clip(np.minimum(t * 6, (1 - t) * 6), 0, 1)
    height += blade.bite * fade * saw(blade.teeth * t + rng.random())
    near = np.clip(t / 0.6, 0, 1)
    back = blade.ears * 6.75 * near * (1 - near) ** 2
    return np.column_stack([t - back, height])


def outline(rng: np.random.Generator, blade: Blade) -> np.ndarray:
    """(2 POINTS, 2): both margins, each with its own wave and teeth."""
    left, right = margin(rng, blade), margin(rng, blade)
    return np.concatenate([left, right[::-1] * (1, -1)])


def side_veins(rng: np.random.Generator, blade: Blade, pairs: float) -> list[np.ndarray]:
    """The midrib and its side veins, which curve to the tip and end before the margin."""
    found = [line(-0.02, 0.98, 0.0)]
    number = round(pairs * rng.lognormal(0, 0.08))
    for i in range(number):
        start = 0.04 + 0.8 * (i + rng.uniform(-0.1, 0.1)) / max(number, 1)
        for side in (1, -1):
            x = np.clip(start + np.linspace(0, 0.24, 12), 0, 0.995)
            reach = x**blade.base * (1 - x) ** blade.tip / 0.5 * blade.width / 2
            y = np.minimum(np.linspace(0, 1, 12) ** 0.8 * blade.width * 0.5, 0.8 * reach)
            found.append(np.column_stack([x, side * np.maximum(y, 0)]))
    return found


# --------------------------------------------------------------------------------------------------------------------- plans


def simple(rng: np.random.Generator, blade: Blade, species: Species) -> Leaf:
    return Leaf([outline(rng, blade)], [], side_veins(rng, blade, species.veins))


def palm(rng: np.random.Generator, blade: Blade, species: Species) -> Leaf:
    """A hand: in polar form the greatest of its lobes' radii, but for the sinus at the stalk."""
    number = int(species.number)
    angle = np.linspace(-np.pi, np.pi, 4 * POINTS) * 0.99
    spread = 0.62 * np.pi * rng.lognormal(0, 0.06) / (number // 2)
    which = np.arange(number) - number // 2
    lengths = (1 - 0.28 * (np.abs(which) / (number // 2)) ** 1.5) * rng.lognormal(0, 0.05, number)
    to = np.abs(angle[:, None] - which * spread * (1 + rng.normal(0, 0.04, number)))
    lobes = (lengths * np.exp(-1.6 * (to / (blade.width * spread)) ** 1.3)).max(axis=1)
    core = (1 - blade.cut) * 0.78 * (1 - 0.75 * (np.abs(angle) / np.pi) ** 5)
    radius = np.maximum(lobes, core * (1 + wave(rng, angle / (2 * np.pi) + 0.5, 0.03)))
    radius *= 1 + blade.bite * 1.6 * saw(np.abs(angle) * blade.teeth / 2) * np.clip(3 * (np.pi - np.abs(angle)), 0, 1)
    edge = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    veins = [line(0, 0.93 * length, 0.0) @ turn(i * spread).T for i, length in zip(which.tolist(), lengths.tolist(), strict=True)]
    return Leaf([edge], [], veins)


def turn(angle: float) -> np.ndarray:
    """(2, 2): the rotation by `angle` in radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def leaflet(rng: np.random.Generator, blade: Blade, species: Species, at: tuple[float, float], angle: float, size: float) -> Leaf:
    return simple(rng, blade, species).through(turn(angle) * size, np.array(at), rng.normal(0, 0.08))


def feather(rng: np.random.Generator, blade: Blade, species: Species) -> Leaf:
    """Pairs of leaflets along a stalk, and one at its end."""
    pairs = max(2, round(species.number + rng.normal(0, 0.7)))
    size = 1.15 / pairs * rng.lognormal(0, 0.08)
    lean = rng.uniform(0.85, 1.15)
    parts = [leaflet(rng, blade, species, (0.72, 0.0), rng.normal(0, 0.1), size)]
    for i in range(pairs):
        x = 0.72 * (i + 0.35) / pairs
        for side in (1, -1):
            angle = side * lean * (1 + rng.normal(0, 0.07))
            parts.append(leaflet(rng, blade, species, (x + rng.normal(0, 0.012), 0.0), angle, size * rng.lognormal(0, 0.06)))
    return merged(parts, [line(0, 0.72, 0.0)])


def needles(rng: np.random.Generator, blade: Blade, species: Species) -> Leaf:
    """A bundle of needles from one base."""
    number = max(2, round(species.number + rng.normal(0, 0.5)))
    parts = []
    for _ in range(number):
        needle = Leaf([outline(rng, blade)], [], [])
        parts.append(needle.through(turn(rng.normal(0, 0.1)) * rng.uniform(0.85, 1), np.zeros(2), rng.normal(0, 0.12)))
    return merged(parts, [line(-0.03, 0.05, 0.0)])


def merged(parts: list[Leaf], stalks: list[np.ndarray]) -> Leaf:
    return Leaf(
        [blade for part in parts for blade in part.blades],
        [*stalks, *(stalk for part in parts for stalk in part.stalks)],
        [vein for part in parts for vein in part.veins],
    )
