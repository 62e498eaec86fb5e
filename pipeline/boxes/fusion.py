"""One set of boxes from those of several models: NMS, soft-NMS, non-maximum weighted, weighted boxes fusion. As compiled code.

All of them go through the boxes of a category in an image from the highest score down. Where scores are equal the box itself
decides (its left side, then its top, ...), never the model or the order in which boxes came: any order gives the same bits.

The boxes' scores are weighted by their model. A model of weight 0 is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from pipeline.errors import BadPredictions, UnknownName
from pipeline.predictions import Array, Boxes

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False)
class Pool:
    """Boxes of several models, sorted once, so that they can be fused again and again.

    images: (m,) text, which every model looked at. categories: (c,) text. key: (n,) int64, image * c + category, ascending.
    member: (n,) int64, which model's. corners: (n, 4) float64 left, top, right, bottom in pixels. score: (n,) as the model gave it.
    """

    images: Array
    categories: Array
    key: Array
    member: Array
    corners: Array
    score: Array
    members: int

    @classmethod
    def of(cls, predictions: Sequence[Boxes]) -> Pool:
        """Raises BadPredictions where models looked at different images."""
        if not predictions:
            raise BadPredictions("There are no boxes to fuse: give the predictions of one model or more.")
        images = np.sort(predictions[0].images)
        for number, one in enumerate(predictions[1:], 2):
            if not np.array_equal(images, np.sort(one.images)):
                odd = np.setxor1d(images, one.images)
                raise BadPredictions(
                    f"The first model and number {number} looked at different images: {len(odd)} are known to one of them only, first {odd[0]}."
                )
        categories, category = np.unique(np.concatenate([one.category for one in predictions]), return_inverse=True)
        key = np.searchsorted(images, np.concatenate([one.image for one in predictions])) * len(categories) + category
        corners = np.concatenate([one.box for one in predictions])
        corners[:, 2:] += corners[:, :2]
        score = np.concatenate([one.score for one in predictions])
        member = np.repeat(np.arange(len(predictions)), [len(one) for one in predictions])
        order = _sorted(key, corners, score)
        return cls(images, categories, key[order], member[order], corners[order], score[order], len(predictions))

    def ranked(self, weights: Array, least: float) -> tuple[Array, Array, Array]:
        """Of the boxes with a score of `least` or more and a weight above 0: their corners, weighted scores and keys, by key and then from
        the highest weighted score down."""
        weighted = self.score * weights[self.member]
        kept = np.flatnonzero((self.score >= least) & (weighted > 0))
        order = kept[np.lexsort((-weighted[kept], self.key[kept]))]  # stable: of equals, the first of the pool stays the first
        return self.corners[order], weighted[order], self.key[order]


def _sorted(key: Array, corners: Array, score: Array) -> Array:
    """The order by key, then left, top, right, bottom and score. Only where key and left are equal the others are looked at."""
    order = np.lexsort((corners[:, 0], key))
    equal = (np.diff(key[order]) == 0) & (np.diff(corners[order, 0]) == 0)
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[tied]
    order[tied] = rows[np.lexsort((score[rows], *corners[rows].T[::-1], key[rows]))]
    return order


@dataclass(frozen=True)
class How:
    """iou: boxes that overlap more are taken for the same object. sigma: of soft-NMS's kernel. least: what is left of a score that stays.
    models: that count."""

    iou: float
    sigma: float
    least: float
    models: int


@dataclass(frozen=True)
class Method:
    """kernel: ((starts, corners, scores), how, (corners out, scores out)) -> (number out, (n,) which group each is of). normal: what weights
    are divided by, so that scores stay within 0 to 1."""

    kernel: Callable[[tuple[Array, Array, Array], How, tuple[Array, Array]], tuple[int, Array]]
    normal: Callable[[Array], Any]


def fuse(
    pool: Pool,
    method: str = "wbf",
    weights: Sequence[float] | Array | None = None,
    iou: float = 0.55,
    least: float = 0.0,
    sigma: float = 0.5,
) -> Boxes:
    """One prediction of a pool's boxes.

    method: a name of `METHODS`. weights: (members,) of the models, all 1 without. iou: boxes that overlap more are taken for the same
    object. least: boxes with a lower score do not take part; for soft-NMS also what is left of a score. sigma: of soft-NMS's kernel.
    Raises UnknownName, and BadPredictions for weights, thresholds or a sigma that cannot be.
    """
    if method not in METHODS:
        raise UnknownName("way to fuse boxes", method, METHODS)
    chosen = METHODS[method]
    w = np.ones(pool.members) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (pool.members,) or not (np.isfinite(w).all() and (w >= 0).all() and w.any()):
        raise BadPredictions(f"Weights are {w.tolist()}; {pool.members} models need as many numbers of 0 or more, not all 0.")
    if not (0 <= iou <= 1 and 0 <= least <= 1 and sigma > 0):
        raise BadPredictions(
            f"iou is {iou}, least {least}, sigma {sigma}; the first two are shares from 0 to 1, sigma is above 0."
        )
    corners, score, key = pool.ranked(w / chosen.normal(w), least)
    starts = np.flatnonzero(np.diff(key, prepend=-1, append=-1))
    out, found = np.empty_like(corners), np.empty_like(score)
    count, group = chosen.kernel((starts, corners, score), How(iou, sigma, least, int((w > 0).sum())), (out, found))
    out, found, of = out[:count], np.minimum(found[:count], 1.0), key[starts[group[:count]]]
    out[:, 2:] -= out[:, :2]
    return Boxes(pool.images, pool.images[of // len(pool.categories)], pool.categories[of % len(pool.categories)], out, found)


def top(boxes: Boxes, most: int = 100, least: float = 0.0) -> Boxes:
    """Of every image the boxes with the highest scores, so many at most; none below `least`. From the highest down, image by image."""
    place = np.searchsorted(np.sort(boxes.images), boxes.image)
    order = np.lexsort((*boxes.box.T[::-1], boxes.category, -boxes.score, place))
    order = order[boxes.score[order] >= least]
    place = place[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    rank = np.arange(len(place)) - np.repeat(starts, np.diff(starts, append=len(place)))
    order = order[rank < most]
    return Boxes(boxes.images, boxes.image[order], boxes.category[order], boxes.box[order], boxes.score[order])


# Compiled. Boxes come sorted by group and from the highest score down; starts: (groups + 1,).


@compiled
def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes of corners."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


@compiled
def _wbf(starts: Array, corners: Array, score: Array, iou: float, models: int, out: Array, found: Array) -> tuple[int, Array]:
    """Each box joins the fused box that it overlaps most, which becomes the mean of its boxes weighted by score, or starts a new one. The
    mean score counts in full only where as many boxes as there are models agree (Solovyev et al. 2021)."""
    n = len(score)
    group, count, total = np.empty(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n)
    sums = np.zeros((n, 4))
    end = 0
    for number in range(len(starts) - 1):
        first = end
        for row in range(starts[number], starts[number + 1]):
            best, most = -1, iou
            for fused in range(first, end):
                shared = overlap(out[fused], corners[row])
                if shared > most:
                    best, most = fused, shared
            if best < 0:
                best = end
                group[best] = number
                end += 1
            count[best] += 1
            total[best] += score[row]
            for side in range(4):
                sums[best, side] += score[row] * corners[row, side]
                out[best, side] = sums[best, side] / total[best]
        for fused in range(first, end):
            found[fused] = total[fused] / count[fused] * min(models, count[fused])
    return end, group


@compiled
def _nms(starts: Array, corners: Array, score: Array, iou: float, out: Array, found: Array) -> tuple[int, Array]:
    """A box stays unless it overlaps one that stayed."""
    group = np.empty(len(score), dtype=np.int64)
    end = 0
    for number in range(len(starts) - 1):
        first = end
        for row in range(starts[number], starts[number + 1]):
            stays = True
            for kept in range(first, end):
                if overlap(out[kept], corners[row]) > iou:
                    stays = False
                    break
            if stays:
                out[end], found[end], group[end] = corners[row], score[row], number
                end += 1
    return end, group


@compiled
def _nmw(starts: Array, corners: Array, score: Array, iou: float, out: Array, found: Array) -> tuple[int, Array]:
    """As NMS, but what is suppressed moves the box that stayed: the mean of all, weighted by score times overlap (Zhou et al. 2017)."""
    n = len(score)
    group, total, sums, kept = np.empty(n, dtype=np.int64), np.zeros(n), np.zeros((n, 4)), np.empty(n, dtype=np.int64)
    end = 0
    for number in range(len(starts) - 1):
        first = end
        for row in range(starts[number], starts[number + 1]):
            best, most = -1, iou
            for one in range(first, end):
                shared = overlap(corners[kept[one]], corners[row])
                if shared > most:
                    best, most = one, shared
            if best < 0:
                best, most = end, 1.0
                group[best], kept[best], found[best] = number, row, score[row]
                end += 1
            weight = score[row] * most
            total[best] += weight
            for side in range(4):
                sums[best, side] += weight * corners[row, side]
        for one in range(first, end):
            for side in range(4):
                out[one, side] = sums[one, side] / total[one]
    return end, group


@compiled
def _soft(
    starts: Array, corners: Array, score: Array, linear: bool, iou: float, sigma: float, least: float, out: Array, found: Array
) -> tuple[int, Array]:
    """The highest score stays, and lowers the scores of those that it overlaps; again with the rest (Bodla et al. 2017)."""
    n = len(score)
    group, left, done = np.empty(n, dtype=np.int64), score.copy(), np.zeros(n, dtype=np.bool_)
    end = 0
    for number in range(len(starts) - 1):
        for _ in range(starts[number], starts[number + 1]):
            best = -1
            for row in range(starts[number], starts[number + 1]):
                if not done[row] and (best < 0 or left[row] > left[best]):
                    best = row
            if left[best] < least:
                break
            done[best] = True
            out[end], found[end], group[end] = corners[best], left[best], number
            end += 1
            for row in range(starts[number], starts[number + 1]):
                if not done[row]:
                    shared = overlap(corners[best], corners[row])
                    if not linear:
                        left[row] *= np.exp(-shared * shared / sigma)
                    elif shared > iou:
                        left[row] *= 1 - shared
    return end, group


METHODS: Mapping[str, Method] = {
    "wbf": Method(lambda boxes, how, out: _wbf(*boxes, how.iou, how.models, *out), np.sum),
    "nms": Method(lambda boxes, how, out: _nms(*boxes, how.iou, *out), np.max),
    "nmw": Method(lambda boxes, how, out: _nmw(*boxes, how.iou, *out), np.max),
    "soft-nms": Method(lambda boxes, how, out: _soft(*boxes, False, how.iou, how.sigma, how.least, *out), np.max),
    "soft-nms-linear": Method(lambda boxes, how, out: _soft(*boxes, True, how.iou, how.sigma, how.least, *out), np.max),
}
