"""Resampling as one declared step: which rows of a fold's training part are learned more often, weigh more, or are made up.

A recipe says it (`Model(..., resample="smote:at=0.5")`), and so does a name on the command line (`lightgbm+smote:at=0.5`). What is
here is the vocabulary alone; `sampler.Sampler` does it, and is given nothing but the training part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pipeline.errors import BadRecipe, UnknownName

Kind = Literal["often", "synthetic", "weights"]
Answer = Literal["classes", "numbers", "boxes"]
NONE = "none"
SWITCHES = {"yes": True, "no": False}


@dataclass(frozen=True)
class Number:
    """A parameter: what it is without a word, and the least and the most that it can be."""

    default: float
    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True)
class Way:
    """kind: "often" for how many times a row is learned, "synthetic" for rows made up between rows, "weights" for its weight in the loss.
    of: what answers it is for. params: its numbers. about: a line for a person."""

    kind: Kind
    of: tuple[Answer, ...]
    params: Mapping[str, Number]
    about: str


SHARE = Number(1.0, 1e-6, 1.0)
MADE_UP = {"at": SHARE, "neighbours": Number(5, 1, 1000, whole=True)}
ALL_CLASSES: tuple[Answer, ...] = ("classes", "boxes")
WAYS: Mapping[str, Way] = {
    "copy": Way("often", ALL_CLASSES, {"at": SHARE}, "copies until each class has `at` of the rows of the largest one"),
    "under": Way("often", ("classes",), {"at": SHARE}, "leaves rows out until the smallest class has `at` of any other's"),
    "balanced": Way(
        "often", ("classes",), {"at": SHARE}, "mini-batches in which `at` of the rows are drawn with all classes alike"
    ),
    "class-aware": Way("often", ALL_CLASSES, {"at": Number(0.5, 1e-6, 1)}, "`at` of an epoch draws a class, then a row of it"),
    "repeat-factor": Way(
        "often",
        ALL_CLASSES,
        {"at": Number(0.3, 1e-6, 1)},
        "classes in less than `at` of the rows are seen more often, by the root",
    ),
    "smote": Way("synthetic", ("classes",), MADE_UP, "rows between a row of a small class and a neighbour of its class"),
    "smotenc": Way("synthetic", ("classes",), MADE_UP, "the same where some columns are categories"),
    "borderline-smote": Way("synthetic", ("classes",), MADE_UP, "the same, for rows that stand among other classes"),
    "adasyn": Way("synthetic", ("classes",), MADE_UP, "the same, the more the more of a row's neighbours are of other classes"),
    "inverse": Way("weights", ("classes",), {}, "a class's weight is one by its number of rows"),
    "square-root": Way("weights", ("classes",), {}, "a class's weight is one by the root of its number of rows"),
    "effective": Way(
        "weights", ("classes",), {"beta": Number(0.999, 0, 1 - 1e-9)}, "a class's weight is one by its effective number of rows"
    ),
    "density": Way("weights", ("numbers",), {"alpha": Number(1.0, 0, 100)}, "targets that are rare weigh more"),
    "recency": Way(
        "weights",
        ("classes", "numbers"),
        {"half": Number(0.25, 1e-6, 1e6)},
        "a row's weight halves with `half` of the time covered",
    ),
    "likeness": Way(
        "weights",
        ("classes", "numbers"),
        {"most": Number(10, 1, 1e6)},
        "rows that are like the test rows weigh more, `most` times",
    ),
}
BY_ROW = {"recency", "likeness"}  # these change what the rows stand for on purpose: shares of classes are not brought back


@dataclass(frozen=True)
class Resample:
    """A way and its parameters. correct: whether probabilities are brought back to the classes' shares before it (`prior`). counts: of rows
    that are made up, whether few whole numbers count something rather than being codes of categories.

    Raises UnknownName for a way or parameter that is not known, BadRecipe for a number that cannot be.
    """

    way: str
    params: Mapping[str, float] = field(default_factory=dict)
    correct: bool = True
    counts: bool = False

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UnknownName("way of resampling", str(self.way), [*WAYS, NONE])
        known, switches = WAYS[self.way].params, ["correct", *["counts"] * (self.kind == "synthetic")]
        if self.counts and "counts" not in switches:
            raise UnknownName(f"parameter of {self.way}", "counts", [*known, *switches])
        for name, value in self.params.items():
            if name not in known:
                raise UnknownName(f"parameter of {self.way}", name, [*known, *switches])
            number = known[name]
            fits = isinstance(value, int | float) and math.isfinite(value) and number.low <= value <= number.high
            if not fits or (number.whole and value != int(value)):
                what = "whole number" if number.whole else "number"
                raise BadRecipe(f"{name} of {self.way} is {value!r}; give a {what} from {number.low:.9g} to {number.high:.9g}.")
        object.__setattr__(self, "params", MappingProxyType(dict(sorted(self.params.items()))))

    def __getitem__(self, name: str) -> float:
        return self.params.get(name, WAYS[self.way].params[name].default)

    def __str__(self) -> str:
        """As `parse` reads it."""
        told = [f"{name}={int(value) if value == int(value) else value!r}" for name, value in self.params.items()]
        told += ["correct=no"] * (not self.correct) + ["counts=yes"] * self.counts
        return f"{self.way}:{','.join(told)}" if told else self.way

    def __repr__(self) -> str:
        return repr(str(self))

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, float], bool, bool]]:
        return type(self), (self.way, dict(self.params), self.correct, self.counts)

    @property
    def kind(self) -> Kind:
        return WAYS[self.way].kind


def parse(text: str | Resample | None) -> Resample | None:
    """ "smote" or "smote:at=0.5,neighbours=3"; None and "none" are no resampling. Raises UnknownName and BadRecipe."""
    if text is None or isinstance(text, Resample) or text == NONE:
        return None if text == NONE else text  # type: ignore[return-value]  # mypy does not see that a str that is left is none
    way, _, rest = str(text).partition(":")
    params: dict[str, float] = {}
    switches = {"correct": True, "counts": False}
    for part in filter(None, rest.split(",")):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name in switches and value in SWITCHES:
            switches[name] = SWITCHES[value]
            continue
        try:
            params[name] = float(value)
        except ValueError:
            raise BadRecipe(
                f"{part!r} of {text!r} is no parameter. Write them like smote:at=0.5,neighbours=3; {' and '.join(switches)} are yes or no."
            ) from None
    return Resample(way, params, **switches)
