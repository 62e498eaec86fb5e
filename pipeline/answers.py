"""What differs between answers that are rows of numbers and answers that are boxes: how they are judged, and how several become one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from pipeline.errors import BadPredictions
from pipeline.metrics import Metric
from pipeline.predictions import Array, Boxes, Table, Truth, join_boxes

if TYPE_CHECKING:
    from pipeline.ensemble.blend import Blend
    from pipeline.ensemble.boxes import BoxBlend

Prediction = TypeVar("Prediction", Table, Boxes)


class Answers(Protocol, Generic[Prediction]):
    """What the pipeline asks of predictions, whatever they are. Scores are natural ones, of those rows that are predicted."""

    def read(self, arrays: Mapping[str, Array]) -> Prediction:
        """What `Prediction.arrays` gave."""

    def score(self, found: Prediction) -> float: ...

    def trimmed(self, found: Prediction) -> float:
        """The score without the worst rows; NaN where there is no such thing."""

    def interval(self, found: Prediction) -> tuple[float, float]:
        """95 %, by the bootstrap."""

    def together(self, parts: Sequence[Prediction], ids: Array) -> Prediction:
        """One prediction of the parts, by folds and seeds, for those of the ids that some part has."""

    @property
    def methods(self) -> Collection[str]:
        """Names of the ways to blend."""

    def blend(
        self, members: Mapping[str, Prediction], fold_of: Array, method: str | None, ordered: bool = False
    ) -> Blend | BoxBlend:
        """ordered: the folds are blocks of time (`Folds.ordered`)."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """A `Table`: values, or chances of classes. ids (n,), y (n,): the truth of train."""

    ids: Array
    y: Array
    metric: Metric
    columns: tuple[str, ...]

    def read(self, arrays: Mapping[str, Array]) -> Table:
        return Table.from_arrays(arrays)

    def score(self, found: Table) -> float:
        return self.metric.natural(*self._judged(found))

    def trimmed(self, found: Table) -> float:
        return self.metric.trimmed(*self._judged(found))

    def interval(self, found: Table) -> tuple[float, float]:
        from pipeline.ensemble.interval import interval

        return interval(self.metric, *self._judged(found))

    def together(self, parts: Sequence[Table], ids: Array) -> Table:
        """Means on the metric's link scale, where an average is the best guess (of logs, for RMSLE)."""
        return mean(parts, ids, self.metric, self.columns)

    @property
    def methods(self) -> Collection[str]:
        from pipeline.ensemble.methods import METHODS

        return METHODS

    def blend(self, members: Mapping[str, Table], fold_of: Array, method: str | None, ordered: bool = False) -> Blend:
        from pipeline.ensemble.blend import blend

        return blend(members, (self.ids, self.y), fold_of, self.metric, method, ordered=ordered)

    def _judged(self, found: Table) -> tuple[Array, Array]:
        at = found.at(self.ids)
        there = np.isfinite(at).all(axis=1)
        return self.y[there], at[there]


@dataclass(frozen=True, eq=False)
class Scenes:
    """`Boxes` in images. truth: of train's images."""

    truth: Truth

    def read(self, arrays: Mapping[str, Array]) -> Boxes:
        return Boxes.from_arrays(arrays)

    def score(self, found: Boxes) -> float:
        from pipeline.boxes.evaluation import evaluate

        return evaluate(self.truth.of(found.images), found).ap

    def trimmed(self, found: Boxes) -> float:  # noqa: ARG002 - the same question is asked of every kind
        return float("nan")

    def interval(self, found: Boxes) -> tuple[float, float]:
        from pipeline.boxes.evaluation import interval

        return interval(self.truth.of(found.images), found)

    def together(self, parts: Sequence[Boxes], ids: Array) -> Boxes:
        """Of each image the boxes of all parts that looked at it, by weighted boxes fusion with equal weights."""
        from pipeline.boxes.evaluation import MOST
        from pipeline.boxes.fusion import Pool, fuse, top

        looked = np.stack([np.isin(ids, part.images) for part in parts], axis=1)
        made = []
        for by in np.unique(looked[looked.any(axis=1)], axis=0):
            images = ids[(looked == by).all(axis=1)]
            several = [part.of(images) for part, looks in zip(parts, by, strict=True) if looks]
            made.append(several[0] if len(several) == 1 else fuse(Pool.of(several)))
        return top(join_boxes(made).of(ids[looked.any(axis=1)]), MOST)

    @property
    def methods(self) -> Collection[str]:
        from pipeline.ensemble.boxes import WAYS

        return WAYS

    def blend(
        self,
        members: Mapping[str, Boxes],
        fold_of: Array,
        method: str | None,
        ordered: bool = False,  # noqa: ARG002 - boxes have no blocks of time
    ) -> BoxBlend:
        from pipeline.ensemble.boxes import blend

        return blend(members, self.truth, fold_of, method)


def mean(tables: Sequence[Table], ids: Array, metric: Metric, columns: tuple[str, ...]) -> Table:
    """Each id's mean over the tables that have it, on the metric's link scale; ids that none has are left out."""
    total = np.zeros((len(ids), len(columns)))
    number = np.zeros(len(ids))
    for table in tables:
        values = table.at(ids)
        there = np.isfinite(values).all(axis=1)
        total[there] += metric.link(values[there])
        number += there
    some = number > 0
    return Table(ids[some], metric.unlink(total[some] / number[some, None]), columns)


def inside(found: Any, ids: Array, categories: Sequence[str], width: Array, height: Array) -> Boxes:
    """A detector's boxes as they are kept: cut off at the edges of the images ids (m,), of width and height (m,) in pixels.

    What lies outside altogether is left out. Raises BadPredictions on what is no `Boxes` of these images and categories.
    """
    if not isinstance(found, Boxes):
        raise BadPredictions(f"A detector predicts Boxes; this one gave {type(found).__name__}.")
    found = Boxes.from_arrays(found.arrays())  # once more: its arrays can be written into after they were checked
    odd = np.setxor1d(found.images, ids)
    if len(odd):
        raise BadPredictions(f"The boxes are not of the images that were asked for: {len(odd)} differ, first {odd[0]}.")
    unknown = np.setdiff1d(found.category, np.array(categories))
    if len(unknown):
        raise BadPredictions(f"The boxes are of {len(unknown)} categories that train does not have, first {unknown[0]}.")
    order = np.argsort(ids)
    at = order[np.searchsorted(ids, found.image, sorter=order)]
    edge = np.column_stack([width, height])[at].astype(np.float64)
    low = np.clip(found.box[:, :2], 0, edge)
    sides = np.clip(found.box[:, :2] + found.box[:, 2:], 0, edge) - low
    kept = (sides > 0).all(axis=1)
    return Boxes(ids, found.image[kept], found.category[kept], np.hstack([low, sides])[kept], found.score[kept])
