"""One set of boxes from those of several models: NMS, soft-NMS, non-maximum weighted, weighted boxes fusion. As compiled code.

All of them go through the boxes of a category in an image from the highest score down. Where scores are equal the box itself
decides (its left side, then its top, ...), never the model or the order in which boxes came: any order gives the same bits.

The boxes' scores are weighted by their model. A model of weight 0 is as if it were not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from pipeline.boxes.names import numbered
from pipeline.errors import BadPredictions, UnknownName
from pipeline.predictions import Array, Boxes

STRIDE = 16  # boxes that are compared at once, as vector instructions
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False)
class Pool:
    """Boxes of several models, brought together by image and category once, so that they can be fused again and again.

    images: (m,) text, sorted, which every model looked at. categories: (c,) text, sorted. A group is the boxes of one category in one
    image: image, category (g,) int64 are its numbers, starts (g + 1,) its first box. member: (n,) int64, which model's. corners: (n, 4)
    float64 left, top, right, bottom in pixels. score: (n,) as the model gave it.
    """

    images: Array
    categories: Array
    image: Array
    category: Array
    starts: Array
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
        image = numbered(np.concatenate([images, *(one.image for one in predictions)]))[1][len(images) :]
        categories, category = numbered(np.concatenate([one.category for one in predictions]))
        order = _counted(category, len(categories))
        order = order[_counted(image[order], len(images))]
        image, category = image[order], category[order]
        first = np.flatnonzero(np.diff(image, prepend=-1) | np.diff(category, prepend=-1))
        corners = np.concatenate([one.box for one in predictions])[order]
        corners[:, 2:] += corners[:, :2]
        corners += 0.0  # -0.0 becomes 0.0: they are equal, but not in their bits
        member = np.repeat(np.arange(len(predictions)), [len(one) for one in predictions])[order]
        score = np.concatenate([one.score for one in predictions])[order]
        return cls(
            images,
            categories,
            image[first],
            category[first],
            np.append(first, len(order)),
            member,
            corners,
            score,
            len(predictions),
        )


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
    weighted = pool.score * (w / chosen.normal(w))[pool.member]
    rows, starts = _ranked(pool.starts, (pool.score >= least) & (weighted > 0), weighted, pool.corners)
    out, found = np.empty((len(rows), 4)), np.empty(len(rows))
    how = How(iou, sigma, least, int((w > 0).sum()))
    count, group = chosen.kernel((starts, pool.corners[rows], weighted[rows]), how, (out, found))
    out, found, group = out[:count], np.minimum(found[:count], 1.0), group[:count]
    out[:, 2:] -= out[:, :2]
    return Boxes.of_numbers(pool.images, pool.categories, pool.image[group], pool.category[group], out, found)


def top(boxes: Boxes, most: int = 100, least: float = 0.0) -> Boxes:
    """Of every image the boxes with the highest scores, so many at most; none below `least`. From the highest down, image by image."""
    image = numbered(np.concatenate([boxes.images, boxes.image]))[1][len(boxes.images) :]
    order = _counted(image, len(boxes.images))
    starts = np.searchsorted(image[order], np.arange(len(boxes.images) + 1))
    ties = np.column_stack([numbered(boxes.category)[1], boxes.box])[order]
    score = boxes.score[order]
    rows, starts = _ranked(starts, score >= least, score, ties)
    rank = np.arange(len(rows)) - np.repeat(starts[:-1], np.diff(starts))
    return boxes.at(order[rows[rank < most]])


# Compiled. A group's boxes stand together; starts: (groups + 1,).


@compiled
def _counted(number: Array, count: int) -> Array:
    """(n,) int64: the rows by their number, which is below `count`; of equal numbers in their order."""
    ends, order = np.zeros(count + 1, dtype=np.int64), np.empty(len(number), dtype=np.int64)
    for one in number:
        ends[one + 1] += 1
    for at in range(count):
        ends[at + 1] += ends[at]
    for row in range(len(number)):
        order[ends[number[row]]] = row
        ends[number[row]] += 1
    return order


@compiled
def _ranked(starts: Array, kept: Array, score: Array, ties: Array) -> tuple[Array, Array]:
    """Of each group the rows that are kept, from the highest score down, those of equal score by their ties (n, k), ascending. And where
    each group starts among them."""
    order, spare = np.empty(len(score), dtype=np.int64), np.empty(len(score), dtype=np.int64)
    begins = np.zeros(len(starts), dtype=np.int64)
    end = 0
    for group in range(len(starts) - 1):
        for row in range(starts[group], starts[group + 1]):
            if kept[row]:
                order[end] = row
                end += 1
        begins[group + 1] = end
        _sort(order[begins[group] : end], spare[begins[group] : end], score, ties)
    return order[:end], begins


@compiled
def _sort(rows: Array, spare: Array, score: Array, ties: Array) -> None:
    """Merge sort, in place."""
    n, width = len(rows), 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            one, other = low, middle
            for at in range(low, high):
                if other == high or (one < middle and not _before(rows[other], rows[one], score, ties)):
                    spare[at] = rows[one]
                    one += 1
                else:
                    spare[at] = rows[other]
                    other += 1
        rows[:] = spare
        width *= 2


@compiled
def _before(a: int, b: int, score: Array, ties: Array) -> bool:
    if score[a] != score[b]:
        return bool(score[a] > score[b])
    for column in range(ties.shape[1]):
        if ties[a, column] != ties[b, column]:
            return bool(ties[a, column] < ties[b, column])
    return False


@compiled
def overlap(a: Array | Sequence[float], b: Array | Sequence[float]) -> float:
    """Intersection over union of two boxes, each left, top, right, bottom."""
    both = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    if both == 0:  # one branch for both directions, which is mispredicted less often than two
        return 0.0
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


@compiled
def _nearest(sides: Array, count: int, box: Array, iou: float) -> tuple[int, float]:
    """Which of the first `count` boxes overlaps `box` (4,) most, and how much; -1 and iou where none overlaps by more than that.

    sides: (4, room) left, top, right, bottom, the room a multiple of STRIDE. Where the quotient of intersection and union is above
    `most`, the intersection is at least `most` times the union, also after rounding. That takes no division and no branch, so that a
    stride is a few vector instructions; only where a box of it passes, its overlaps are computed.
    """
    best, most = -1, iou
    lefts, tops, rights, bottoms = sides[0], sides[1], sides[2], sides[3]
    left, top, right, bottom = box[0], box[1], box[2], box[3]
    area = (right - left) * (bottom - top)
    for begin in range(0, count, STRIDE):
        span = slice(begin, begin + STRIDE)
        x, y, u, v = lefts[span], tops[span], rights[span], bottoms[span]
        near = 0
        for at in range(STRIDE):
            width = max(min(u[at], right) - max(x[at], left), 0.0)
            both = width * max(min(v[at], bottom) - max(y[at], top), 0.0)
            near |= both >= most * ((u[at] - x[at]) * (v[at] - y[at]) + area - both)
        if near:
            for at in range(begin, min(begin + STRIDE, count)):
                shared = overlap((lefts[at], tops[at], rights[at], bottoms[at]), box)
                if shared > most:
                    best, most = at, shared
    return best, most


@compiled
def _room(starts: Array) -> int:
    """For the boxes of the largest group, in whole strides."""
    largest = 0
    for size in np.diff(starts):
        largest = max(largest, size)
    return -(-largest // STRIDE) * STRIDE


@compiled
def _wbf(starts: Array, corners: Array, score: Array, iou: float, models: int, out: Array, found: Array) -> tuple[int, Array]:
    """Each box joins the fused box that it overlaps most, which becomes the mean of its boxes weighted by score, or starts a new one. The
    mean score counts in full only where as many boxes as there are models agree (Solovyev et al. 2021)."""
    group, room = np.empty(len(score), dtype=np.int64), _room(starts)
    sides, sums, total, count = np.zeros((4, room)), np.empty((4, room)), np.empty(room), np.empty(room, dtype=np.int64)
    end = 0
    for number in range(len(starts) - 1):
        fused = 0
        for row in range(starts[number], starts[number + 1]):
            best, _ = _nearest(sides, fused, corners[row], iou)
            if best < 0:
                best = fused
                sums[:, best], total[best], count[best] = 0, 0, 0
                fused += 1
            count[best] += 1
            total[best] += score[row]
            for side in range(4):
                sums[side, best] += score[row] * corners[row, side]
                sides[side, best] = sums[side, best] / total[best]
        for one in range(fused):
            out[end], group[end] = sides[:, one], number
            found[end] = total[one] / count[one] * min(models, count[one])
            end += 1
    return end, group


@compiled
def _nms(starts: Array, corners: Array, score: Array, iou: float, out: Array, found: Array) -> tuple[int, Array]:
    """A box stays unless it overlaps one that stayed."""
    group, sides = np.empty(len(score), dtype=np.int64), np.zeros((4, _room(starts)))
    end = 0
    for number in range(len(starts) - 1):
        kept = 0
        for row in range(starts[number], starts[number + 1]):
            if _nearest(sides, kept, corners[row], iou)[0] < 0:
                sides[:, kept] = corners[row]
                out[end], found[end], group[end] = corners[row], score[row], number
                kept += 1
                end += 1
    return end, group


@compiled
def _nmw(starts: Array, corners: Array, score: Array, iou: float, out: Array, found: Array) -> tuple[int, Array]:
    """As NMS, but what is suppressed moves the box that stayed: the mean of all, weighted by score times overlap (Zhou et al. 2017)."""
    group, room = np.empty(len(score), dtype=np.int64), _room(starts)
    sides, sums, total = np.zeros((4, room)), np.empty((4, room)), np.empty(room)
    end = 0
    for number in range(len(starts) - 1):
        kept = 0
        for row in range(starts[number], starts[number + 1]):
            best, most = _nearest(sides, kept, corners[row], iou)
            if best < 0:
                best, most = kept, 1.0
                sides[:, best], sums[:, best], total[best] = corners[row], 0, 0
                group[end], found[end] = number, score[row]
                kept += 1
                end += 1
            weight = score[row] * most
            total[best] += weight
            for side in range(4):
                sums[side, best] += weight * corners[row, side]
        for one in range(kept):
            out[end - kept + one] = sums[:, one] / total[one]
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
                    if linear and shared > iou:
                        left[row] *= 1 - shared
                    elif not linear and shared > 0:
                        left[row] *= np.exp(-shared * shared / sigma)
    return end, group


METHODS: Mapping[str, Method] = {
    "wbf": Method(lambda boxes, how, out: _wbf(*boxes, how.iou, how.models, *out), math.fsum),  # the same in any order
    "nms": Method(lambda boxes, how, out: _nms(*boxes, how.iou, *out), np.max),
    "nmw": Method(lambda boxes, how, out: _nmw(*boxes, how.iou, *out), np.max),
    "soft-nms": Method(lambda boxes, how, out: _soft(*boxes, False, how.iou, how.sigma, how.least, *out), np.max),
    "soft-nms-linear": Method(lambda boxes, how, out: _soft(*boxes, True, how.iou, how.sigma, how.least, *out), np.max),
}
