"""Which task it is, and by which metric it is judged. A default is a guess, so it comes with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.draft.kinds import known, numbers, whole
from pipeline.draft.question import Question
from pipeline.errors import BadData
from pipeline.metrics import Kind, metric
from pipeline.predictions import Array

Ask = Callable[[str, Sequence[str], str], str]  # the question, the metrics to choose from, the default -> the answer
FEW_CLASSES = 20  # different numbers that may be classes
OFTEN = 5  # rows of a class, on the mean: with fewer, a target is rather an id or a text
POSITIVE = ("rmse", "mae", "rmsle")
TWO = 2


@dataclass(frozen=True)
class Scoring:
    """reasons: why, a sentence each. low: what a number cannot be below."""

    metric: str
    reasons: tuple[str, ...]
    low: float | None = None

    @property
    def kind(self) -> Kind:
        return metric(self.metric).kind


@dataclass(frozen=True)
class _Guess:
    """What fits a target: why, the metrics, and the default among them."""

    why: str
    fitting: tuple[str, ...]
    default: str


BOXES = _Guess("Boxes: there is a file of COCO annotations.", ("map",), "map")


def score_by(train: pd.DataFrame, sample: pd.DataFrame, question: Question, given: str | None, ask: Ask | None) -> Scoring:
    """given: the metric, where a person names it; else `ask` asks one, or the default is taken. Raises BadData, UnknownName."""
    if question.of_classes:
        why = f"Classes: the sample submission has a column for each of {len(question.answers)}."
        return settle(_Guess(why, ("log_loss", "auc"), "log_loss"), given, ask)
    cells = known(train[question.target])
    if cells.nunique() < TWO:
        raise BadData(
            f"The target {question.target!r} has {cells.nunique()} different values in train; there is nothing to learn."
        )
    asked, values = known(sample[question.answers[0]]), numbers(cells)
    if np.isnan(values).any():
        if cells.nunique() * OFTEN > len(cells):
            raise BadData(
                f"The target {question.target!r} has {cells.nunique():,} different texts in {len(cells):,} rows, such as "
                f"{min(cells)!r}: neither numbers nor classes. Name another column with --target."
            )
        return _with_positive(settle(_classes(question.target, cells, asked), given, ask), cells)
    number, classes = _number(question.target, cells, values), _classes(question.target, cells, asked)
    few = whole(values) and cells.nunique() <= min(FEW_CLASSES, len(cells) / OFTEN)
    as_classes = few and (cells.nunique() == TWO or (len(asked) > 0 and set(asked) <= set(cells)))
    if given is None and ask is not None:
        first, then = (classes, number) if as_classes else (number, classes if few else number)
        given = ask(f"{first.why} Which metric?", list(dict.fromkeys(first.fitting + then.fitting)), first.default)
    if given is not None:
        as_classes = metric(given).kind in ("label", "probability")
    if as_classes:
        return _with_positive(settle(classes, given, None), cells)
    found = settle(number, given, None)
    if values.min() < 0:
        return found
    return Scoring(found.metric, (*found.reasons, "No value is below 0, so predictions are cut off there."), 0.0)


def settle(guess: _Guess, given: str | None, ask: Ask | None) -> Scoring:
    """The metric that was given or is answered, if it goes with the target, else the default, with its reason."""
    if given is None and ask is not None and len(guess.fitting) > 1:
        given = ask(f"{guess.why} Which metric?", guess.fitting, guess.default)
    if given is None:
        others = ", ".join(name for name in guess.fitting if name != guess.default)
        known = "the one that goes with it here"
        told = f"a default that nobody chose. If the competition's page says otherwise: --metric ({others})" if others else known
        return Scoring(guess.default, (guess.why, f"Metric: {guess.default}, {told}."))
    metric(given)
    if given not in guess.fitting:
        raise BadData(f"The metric {given!r} does not go with the target. {guess.why} Known for it: {', '.join(guess.fitting)}.")
    return Scoring(given, (guess.why, f"Metric: {given}, as asked for."))


def _number(target: str, cells: pd.Series, values: Array) -> _Guess:
    why = f"A number: {target!r} has {cells.nunique():,} different values from {values.min():g} to {values.max():g}."
    return _Guess(why, POSITIVE if values.min() >= 0 else POSITIVE[:2], "rmse")


def _classes(target: str, cells: pd.Series, asked: pd.Series) -> _Guess:
    counts = cells.value_counts().sort_index()
    why = f"Classes: {target!r} has {len(counts)} different values in {len(cells):,} rows."
    if len(counts) > TWO:
        return _Guess(why, ("accuracy",), "accuracy")
    why = f"{why} {counts.idxmin()!r} is in {counts.min() / len(cells):.1%} of them."
    if not len(asked):
        return _Guess(why, ("accuracy", "auc", "log_loss"), "accuracy")
    chances = not set(asked) <= set(cells)
    why = f"{why} The sample's answers, such as {min(asked)!r}, are {'chances' if chances else 'classes'}."
    return _Guess(why, ("accuracy", "auc", "log_loss"), "auc" if chances else "accuracy")


def _with_positive(found: Scoring, cells: pd.Series) -> Scoring:
    if found.kind != "probability":
        return found
    return Scoring(found.metric, (*found.reasons, f"The answer is the chance of {max(cells)!r}, the second of both in order."))
