"""Did resampling help, and is it more than noise? The same model, folds and rows, two ways to resample, and the difference on the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.ensemble.interval import DRAWS, bounds, resampled
from pipeline.errors import BadPredictions
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.run import Run, class_names
from pipeline.train import Member

ALL = "all"


@dataclass(frozen=True)
class Change:
    """What became of one class, or of all rows. rows: of it (of boxes: images with it). scores: of both, natural. difference: second
    less first, with its 95 % interval (low, high), and of more than noise where that leaves 0 out."""

    name: str
    rows: int
    scores: tuple[float, float]
    difference: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """overall: by the competition's metric. classes: by `measure`, from the fewest rows up; empty where the answer is a number."""

    first: str
    second: str
    overall: Change
    classes: tuple[Change, ...]
    measure: str
    sign: float

    @property
    def verdict(self) -> str:
        change = self.overall
        if not change.beyond_noise:
            return f"{self.second} against {self.first}: no more than noise."
        better = change.difference * self.sign > 0
        told = ", ".join(f"{one.name} ({one.difference:+.4f})" for one in self.classes if one.beyond_noise)
        rest = f" By class beyond noise: {told}." if told else " No class by itself changed beyond noise." if self.classes else ""
        return f"{self.second} is {'better' if better else 'worse'} than {self.first}, by more than noise.{rest}"


def compare(run: Run, first: Member, second: Member, seed: int = 0) -> Comparison:
    """Two members of the same run. Classes by F1 of one against the rest, boxes by the average precision of the category.

    The bootstrap (Efron 1979) draws rows, or images, for both alike. Raises BadPredictions where they do not predict the same rows.
    """
    if set(first.oof.ids) != set(second.oof.ids):
        raise BadPredictions(
            f"{first.name} and {second.name} do not predict the same rows out of fold; train both on the same folds."
        )
    metric = run.entry.competition.metric
    overall, classes = changes(run, first.oof, second.oof, seed)
    measure = "" if not classes else "average precision" if isinstance(first.oof, Boxes) else "F1"
    return Comparison(first.name, second.name, overall, tuple(classes), measure, metric.sign)


def changes(run: Run, first: Table | Boxes, second: Table | Boxes, seed: int = 0) -> tuple[Change, list[Change]]:
    """Of all rows, and class by class, between predictions of the same rows."""
    return (_boxes if isinstance(first, Boxes) else _tables)(run, [first, second], seed)


def _tables(run: Run, pair: Sequence[Any], seed: int) -> tuple[Change, list[Change]]:
    metric = run.entry.competition.metric
    ids = run.ids[np.isin(run.ids, pair[0].ids)]
    y, found = run.y[np.isin(run.ids, pair[0].ids)], [one.at(ids) for one in pair]
    rows = np.column_stack([metric.rows(y, p) for p in found])
    overall = _change(ALL, len(y), [metric.natural(y, p) for p in found], metric.finish(resampled(rows, seed)))
    if not run.classes:
        return overall, []
    told = [p.argmax(axis=1) for p in found]
    names = class_names(run.data, run.entry.competition.task)
    changes = []
    for label in np.argsort(np.bincount(y, minlength=run.classes), kind="stable").tolist():
        mine = y == label
        if mine.any():
            hits = np.column_stack([part for said in told for part in (mine & (said == label), mine * 1 + (said == label))])
            changes.append(
                _change(names[label], int(mine.sum()), _f1(hits.mean(axis=0)), _f1(resampled(hits.astype(float), seed)))
            )
    return overall, changes


def _f1(means: Array) -> Array:
    """(..., 2) from means (..., 4): of what is right, and of what is so or said to be so, of both. 0 where nothing is either."""
    right, either = means[..., ::2], means[..., 1::2]
    return np.divide(2 * right, either, out=np.zeros_like(right, dtype=np.float64), where=either > 0)


def _boxes(run: Run, pair: Sequence[Any], seed: int) -> tuple[Change, list[Change]]:
    from pipeline.boxes.evaluation import bootstrap_by_category, evaluate, matches, mean_of_categories

    truth: Truth = run.y.of(pair[0].images)
    told = [evaluate(truth, boxes) for boxes in pair]
    drawn = bootstrap_by_category([matches(truth, boxes) for boxes in pair], DRAWS, seed)
    images = truth.presence.sum(axis=0)
    overall = _change(ALL, len(truth), [one.ap for one in told], mean_of_categories(drawn))
    names = class_names(run.data, run.entry.competition.task)
    order = [number for number in np.argsort(images, kind="stable").tolist() if images[number]]
    return overall, [
        _change(names[number], int(images[number]), [one.by_category[number] for one in told], drawn[:, :, number])
        for number in order
    ]


def _change(name: str, rows: int, scores: Sequence[float] | Array, drawn: Array) -> Change:
    """drawn: (draws, 2); a draw without the class says nothing."""
    difference = drawn[:, 1] - drawn[:, 0]
    low, high = bounds(difference[np.isfinite(difference)][:, None])
    first, second = (float(score) for score in scores)
    return Change(name, rows, (first, second), second - first, float(low[0]), float(high[0]))
