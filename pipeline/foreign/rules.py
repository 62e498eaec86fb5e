"""What predictions made elsewhere must be. Every rule has a name; what breaks it is told with the count, the first cases and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import BadImport

SUM_TOLERANCE = 0.01  # how far the probabilities of a row may sum from 1: what rounding many of them to a few digits can do
ROUNDED = 1e-6  # beyond 0 and 1, where a probability may end that was summed in float32
BEYOND = 1.0  # pixels that a box may reach beyond its picture: what rounding can do
SHOWN = 3  # cases that a message quotes

RULES = {
    # Of the file. What cannot be read is not looked at further.
    "file": "there is a file, of a kind that can be read, whole",
    "columns": "there are the id's column and those of the task, and no others but the fold's",
    "id-text": "ids are whole numbers or texts: a floating-point number has lost digits",
    "not-a-number": "predictions are numbers",
    # Of the rows.
    "duplicate-id": "no id stands twice",
    "unknown-id": "every id is one of the competition's",
    "missing-id": "every row that a fold validates is there; of test every row",
    "not-finite": "no prediction is NaN, empty or infinite",
    "range": "no value is outside what the target can be, or what the metric can judge",
    "probability": "probabilities are from 0 to 1",
    "probability-sum": f"those of a row sum to 1 (within {SUM_TOLERANCE:g})",
    "fold-number": "every row says which fold validated it",
    "folds-differ": "rows that share a fold there share one here, and the other way round",
    # Of boxes.
    "keys": "each result has image_id, category_id, bbox and score, and no more but the fold",
    "unknown-category": "every category is one of the competition's",
    "box": "every box is four finite numbers, the last two, width and height, above 0",
    "outside": f"boxes lie in their pictures (within {BEYOND:g} pixel)",
    "score": "every score is a number from 0 to 1",
    "duplicate-box": "no box of a category stands twice in an image",
    "few-images": "there are boxes in half of the images or more",
}


@dataclass(frozen=True)
class Broken:
    """A rule that a file breaks: its name in RULES, how often, and what to tell the person."""

    rule: str
    count: int
    message: str


def refuse(broken: Iterable[Broken]) -> None:
    """Raise BadImport with the first broken rule, in the order of RULES, and the names of the others, if there is any."""
    order = list(RULES)
    found = sorted(broken, key=lambda one: order.index(one.rule))
    if found:
        first, *others = found
        also = f" Also broken: {', '.join(f'{one.rule} ({one.count:,})' for one in others)}." if others else ""
        raise BadImport(first.rule, first.message + also)


def some(cases: Sequence[object]) -> str:
    """The first cases, as a message quotes them."""
    told = ", ".join(str(case) for case in cases[:SHOWN])
    return f"{'first ' * (len(cases) > 1)}{told}"
