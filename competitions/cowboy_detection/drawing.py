"""Drawn scenes: people in front of something, some of them with a hat, sunglasses, a jacket, a belt or boots; and the boxes of these.

The scenes have the trouble that makes the real ones hard: people of any size and at the picture's edge, one in front of another, caps,
spectacles, shoes and shirts that are none of the five things, and plain clothes in the colours of the others.

A box is the smallest around the pixels that show the thing in the end. So it is tight whatever stands before it. A pair of boots is one
thing, and so are the two glasses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

Colour = Sequence[int]  # red, green, blue
Point = tuple[float, float]

SCALE = 2  # drawn so much larger and shrunk, for smooth edges
SKIN = ((92, 60, 40), (150, 105, 75), (205, 160, 130), (235, 200, 175))
CLOTH = (
    (60, 60, 70),
    (110, 40, 40),
    (40, 70, 120),
    (150, 140, 120),
    (80, 100, 60),
    (190, 190, 195),
    (70, 45, 30),
    (200, 160, 60),
)
LEATHER = ((70, 45, 25), (40, 30, 25), (110, 70, 35), (150, 110, 70))
DARK = ((20, 20, 25), (45, 30, 25), (30, 40, 60))
FELT = (*LEATHER, (225, 215, 195))
BRASS = (215, 190, 110)
VISIBLE = 0.35  # share of a thing that must be seen to be annotated
LEAST = 4.0  # pixels of a box's shorter side
LARGEST = 1.4  # heights of a person that the picture is high, at most; else glasses would be too small to be seen
GROUND = 0.6  # shares of the picture's height below which feet stand
BROAD = 2.5  # persons side by side take their height, divided by this, each
SPANS = {  # from where to where on a person the picture must show, so that the thing can be seen: shares of the height, from the top of the head
    "cowboy_hat": (-0.09, 0.08),
    "sunglasses": (0.0, 0.16),
    "jacket": (0.12, 0.38),
    "belt": (0.44, 0.62),
    "boot": (0.76, 1.01),
}


class Thing(NamedTuple):
    """name: of its category. box: left, top, width, height in pixels of what is seen of it."""

    name: str
    box: tuple[float, float, float, float]


class Person(NamedTuple):
    """x: of the middle, y: of the top of the head, height: all in pixels; lean: sideways, as a share of the height."""

    x: float
    y: float
    height: float
    lean: float
    wears: frozenset[str]


class Canvas:
    """A picture that remembers which thing each pixel shows. image: (height, width, 3) uint8, red first; owner: (height, width) uint8,
    the number of a thing, counted from 1, or 0. Both are SCALE times as large as what comes of them; points are in pixels of that."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.owner = image, np.zeros(image.shape[:2], dtype=np.uint8)
        self.names: list[str] = []
        self.outlines: list[list[Point]] = []
        self.drawn: list[int] = []  # pixels of each thing before anything came in front of it

    def begin(self, name: str) -> int:
        """The number of a new thing."""
        self.names.append(name)
        self.outlines.append([])
        return len(self.names)

    def fill(self, points: Sequence[Point], colour: Colour, thing: int = 0) -> None:
        outline = np.round(np.array(points) * SCALE).astype(np.int32)
        cv2.fillPoly(self.image, [outline], tuple(colour))
        cv2.fillPoly(self.owner, [outline], (thing,))
        if thing:
            self.outlines[thing - 1] += points

    def settle(self) -> None:
        """Nobody has come in front of the newest things yet."""
        self.drawn += self._pixels()[len(self.drawn) :]

    def seen(self) -> list[Thing]:
        """The things of which enough can be seen, in the order that they were begun."""
        size, found = np.array(self.owner.shape[::-1]) / SCALE, []
        facts = zip(self.names, self.outlines, self.drawn, self._pixels(), strict=True)
        for number, (name, outline, drawn, left) in enumerate(facts, 1):
            points = np.array(outline)
            low, high = points.min(axis=0), points.max(axis=0)
            inside = (high.clip(0, size) - low.clip(0, size)).prod() / (high - low).prod()
            if left and min(left / drawn, inside) >= VISIBLE:
                across, down, wide, tall = (side / SCALE for side in cv2.boundingRect((self.owner == number).astype(np.uint8)))
                if min(wide, tall) >= LEAST:
                    found.append(Thing(name, (across, down, wide, tall)))
        return found

    def _pixels(self) -> list[int]:
        counts: list[int] = np.bincount(self.owner.ravel(), minlength=len(self.names) + 1)[1:].tolist()
        return counts


class Brush(NamedTuple):
    """It paints on a person. Places: across from the middle, down from the top of the head, as shares of the height."""

    canvas: Canvas
    person: Person

    def fill(self, outline: Sequence[Point], colour: Colour, thing: int = 0) -> None:
        x, y, tall, lean, _ = self.person
        self.canvas.fill(
            [(x + (across - lean * (down - 0.5)) * tall, y + down * tall) for across, down in outline], colour, thing
        )

    def oval(self, across: float, down: float, wide: float, high: float, colour: Colour, thing: int = 0) -> None:
        turns = np.linspace(0, 2 * math.pi, 24, endpoint=False).tolist()
        self.fill([(across + wide * math.cos(turn), down + high * math.sin(turn)) for turn in turns], colour, thing)

    def bar(self, wide: float, top: float, bottom: float, colour: Colour, thing: int = 0) -> None:
        """A band across the middle, so wide to either side."""
        self.fill([(-wide, top), (wide, top), (wide, bottom), (-wide, bottom)], colour, thing)

    def thing(self, name: str) -> int:
        """The number of a new thing of this name; 0 where the person does not wear such."""
        return self.canvas.begin(name) if name in self.person.wears else 0


def scene(rng: np.random.Generator, width: int, height: int, people: Sequence[frozenset[str]]) -> tuple[np.ndarray, list[Thing]]:
    """A picture (height, width, 3) uint8, red first, with a person for each set of worn things, and what can be seen of these."""
    canvas = Canvas(background(rng, width * SCALE, height * SCALE))
    slots = rng.permutation((np.arange(len(people)) + rng.uniform(0.2, 0.8, len(people))) / max(len(people), 1)).tolist()
    persons = [
        placed(rng, wears, slot * width, height, len(people) * height / (BROAD * width))
        for wears, slot in zip(people, slots, strict=True)
    ]
    # Who is near stands in front; but so does who wears a belt: these are so few that none may be lost.
    for person in sorted(persons, key=lambda one: ("belt" in one.wears, one.height)):
        dress(Brush(canvas, person), rng)
        canvas.settle()
    image = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    light = rng.normal(1, 0.08, 3) * rng.uniform(0.8, 1.15)
    noisy = image * light + rng.normal(0, rng.uniform(1, 6), image.shape)
    return noisy.clip(0, 255).astype(np.uint8), canvas.seen()


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """The picture, red first, as a JPEG file's bytes."""
    return bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def placed(rng: np.random.Generator, wears: frozenset[str], x: float, height: int, crowd: float) -> Person:
    """A person whom the picture shows from above the highest to below the lowest thing worn, or the face; the rest as it comes.

    crowd: heights of a person that the picture must be high, so that all have room side by side.
    """
    spans = [SPANS[name] for name in wears] or [SPANS["sunglasses"]]
    top, needed = min(span[0] for span in spans), max(span[1] for span in spans) - min(span[0] for span in spans)
    closest = min(max(1.05 * needed, crowd), LARGEST)
    shown = closest * (LARGEST / closest) ** rng.random()
    tall = height / shown
    y = (rng.random() * (shown - needed) - top) * tall
    return Person(x, max(y, GROUND * height - tall), tall, rng.uniform(-0.04, 0.04), wears)


def background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A sky or a wall above, ground below, boxes and posts between them, all a little out of focus."""
    top, bottom = rng.integers(90, 230, 3), rng.integers(60, 180, 3)
    ramp = np.linspace(0, 1, height)[:, None, None]
    image = np.ascontiguousarray(np.broadcast_to(top * (1 - ramp) + bottom * ramp, (height, width, 3)).astype(np.uint8))
    horizon = int(height * rng.uniform(0.5, 0.8))
    image[horizon:] = rng.integers(50, 170, 3)
    for _ in range(int(rng.integers(2, 8))):
        left, wide, high = rng.uniform(0, width), rng.uniform(0.02, 0.3) * width, rng.uniform(0.1, 0.6) * height
        foot = horizon + rng.uniform(0, 0.1) * height
        cv2.rectangle(
            image, (int(left), int(horizon - high)), (int(left + wide), int(foot)), rng.integers(30, 220, 3).tolist(), -1
        )
    side = 2 * int(rng.integers(2, 7)) + 1
    blurred: np.ndarray = cv2.GaussianBlur(image, (side, side), 0)
    return blurred


# ------------------------------------------------------------------------------------------------------------------------- a person


def dress(brush: Brush, rng: np.random.Generator) -> None:
    """Draw a person, from the feet to the hat."""
    skin = pick(rng, SKIN)
    legs(brush, rng)
    body(brush, rng, skin)
    head(brush, rng, skin)


def legs(brush: Brush, rng: np.random.Generator) -> None:
    """Trousers, and boots with a shaft and a heel, or plain shoes."""
    trousers, boot, stance = pick(rng, CLOTH), brush.thing("boot"), rng.uniform(0.03, 0.07)
    colour = pick(rng, LEATHER if boot else CLOTH)
    for side in (-1, 1):
        out = side * stance
        brush.fill([(side * 0.01, 0.5), (side * 0.1, 0.5), (out + side * 0.05, 0.95), (out, 0.95)], trousers)
        if boot:
            shaft = [(out - side * 0.01, 0.82), (out + side * 0.055, 0.82), (out + side * 0.05, 0.94), (out + side * 0.1, 0.975)]
            sole = [(out + side * 0.1, 0.985), (out + side * 0.02, 0.985), (out + side * 0.01, 1.0), (out - side * 0.01, 1.0)]
            brush.fill([*shaft, *sole], colour, boot)
        else:
            brush.fill([(out, 0.95), (out + side * 0.05, 0.95), (out + side * 0.08, 0.985), (out, 0.985)], colour)


def body(brush: Brush, rng: np.random.Generator, skin: Colour) -> None:
    """A shirt, a belt, a jacket open in the middle, or bare sleeves of the shirt; and the neck."""
    shirt, arm = pick(rng, CLOTH), rng.uniform(0.02, 0.12)
    brush.fill([(-0.12, 0.17), (0.12, 0.17), (0.1, 0.53), (-0.1, 0.53)], shirt)
    belt, jacket = brush.thing("belt"), brush.thing("jacket")
    if belt:
        brush.bar(0.1, 0.515, 0.55, pick(rng, LEATHER), belt)
        brush.bar(0.02, 0.511, 0.554, BRASS, belt)
    over = pick(rng, LEATHER + CLOTH[:3]) if jacket else shirt
    hem, lapel = (0.505 if belt else 0.57), rng.uniform(0.02, 0.05)  # a long jacket would hide the belt
    for side in (-1, 1):
        sleeve = [(side * 0.11, 0.17), (side * 0.16, 0.2), (side * (0.15 + arm), 0.5), (side * (0.1 + arm), 0.5)]
        brush.oval(side * (0.125 + arm), 0.52, 0.025, 0.025, skin)
        brush.fill(sleeve, over, jacket)
        if jacket:
            brush.fill([(side * 0.13, 0.16), (side * 0.03, 0.17), (side * lapel, hem - 0.01), (side * 0.125, hem)], over, jacket)
            brush.fill([(side * 0.03, 0.16), (side * 0.08, 0.16), (side * 0.05, 0.25)], darker(over, 0.7), jacket)
    brush.fill([(-0.03, 0.12), (0.03, 0.12), (0.04, 0.18), (-0.04, 0.18)], skin)


def head(brush: Brush, rng: np.random.Generator, skin: Colour) -> None:
    """A face with hair, sunglasses or eyes, perhaps behind spectacles, and a hat, or perhaps a cap."""
    brush.oval(0, 0.08, 0.055, 0.075, skin)
    crop = [(-0.055, 0.07), (-0.05, 0.01), (0, -0.008), (0.05, 0.01), (0.055, 0.07), (0.03, 0.035), (-0.03, 0.035)]
    brush.fill(crop, pick(rng, DARK))
    sunglasses, hat = brush.thing("sunglasses"), brush.thing("cowboy_hat")
    frame, high = pick(rng, DARK), rng.uniform(0.015, 0.02)
    spectacles = not sunglasses and rng.random() < 0.2
    if sunglasses or spectacles:
        brush.bar(0.053, 0.064, 0.07, frame, sunglasses)
    for side in (-1, 1):
        if sunglasses or spectacles:
            brush.oval(side * 0.024, 0.072, 0.021, high, frame, sunglasses)
        if spectacles:
            brush.oval(side * 0.024, 0.072, 0.018, high - 0.003, skin)
        if not sunglasses:
            brush.oval(side * 0.022, 0.072, 0.007, 0.006, (40, 30, 30))
    if hat:
        felt, brim = pick(rng, FELT), rng.uniform(0.11, 0.15)
        crown = [(-0.06, 0.025), (-0.055, -0.05), (-0.025, -0.075), (0, -0.06), (0.025, -0.075), (0.055, -0.05), (0.06, 0.025)]
        turn = [
            (-brim, 0.0),
            (-brim / 2, 0.035),
            (0, 0.04),
            (brim / 2, 0.035),
            (brim, 0.0),
            (brim / 2, 0.012),
            (-brim / 2, 0.012),
        ]
        brush.fill(crown, felt, hat)
        brush.fill(turn, darker(felt, 0.85), hat)
        brush.bar(0.06, 0.005, 0.02, darker(felt, 0.5), hat)
    elif rng.random() < 0.25:
        cap = pick(rng, CLOTH)
        brush.fill([(-0.057, 0.035), (-0.05, -0.015), (0.05, -0.015), (0.057, 0.035)], cap)
        brush.fill([(0.03, 0.02), (0.1, 0.03), (0.1, 0.04), (0.03, 0.04)], cap)


def pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, a little lighter or darker."""
    return darker(colours[int(rng.integers(len(colours)))], rng.uniform(0.8, 1.2))


def darker(colour: Colour, share: float) -> Colour:
    return [min(round(share * one), 255) for one in colour]
