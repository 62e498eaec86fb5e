"""How good boxes are: average precision as COCO defines it, over all images together, with an interval.

The matching and the score are hotcoco's, on image ids mapped to 1..N: evaluators in wide use take ids for 64-bit or floating-point
numbers, and ids beyond that run together without a word. The bootstrap draws images again and again: their matches stay, so a draw
costs one pass over the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from pipeline.errors import BadPredictions
from pipeline.predictions import Array, Boxes, Truth, places

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # boxes of a category in an image that count, those with the highest scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """ap: mean over categories and the IoU thresholds 0.50 to 0.95. ap50: at 0.50 alone. by_category: (c,) ap of each, NaN where the
    truth has no box of it; such a category is not in the means."""

    ap: float
    ap50: float
    by_category: Array


@dataclass(frozen=True, eq=False)
class Matches:
    """Found boxes that count, by category, each from the highest score down. starts: (c + 1,) first of each category. row: (n,) which of
    the found boxes. image: (n,) number of its image. true: (n,) which true box it is right of at an IoU of 0.5, -1 for none. hit, ignored: (n, 10) bool, at each IoU threshold; what is ignored is neither right nor wrong. boxes: (c, m) int64, the true boxes
    of each category in each image, crowds left out."""

    starts: Array
    row: Array
    image: Array
    true: Array
    hit: Array
    ignored: Array
    boxes: Array

    def drawn(self, times: Array) -> Array:
        """(c, 10) average precision where each image counts so often, times (m,) int64; NaN where a category has no box then."""
        return _precisions(self.starts, self.image, self.hit, self.ignored, self.boxes @ times, times, RECALLS)


def evaluate(truth: Truth, found: Boxes) -> Evaluation:
    """Raises BadPredictions for boxes in images, or of categories, that the truth does not know."""
    judged = _judged(truth, found)
    judged.accumulate()
    precision = np.array(judged.eval["precision"])[..., 0, 0]  # (thresholds, recalls, categories); -1: no box
    by = np.where((precision < 0).any(axis=1), np.nan, precision.mean(axis=1)).T
    by_category = by.mean(axis=1)
    return Evaluation(float(mean_of_categories(by_category)), float(mean_of_categories(by[:, 0])), by_category)


def interval(truth: Truth, found: Boxes, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the average precision: images are drawn with replacement (Efron 1979). As `evaluate` raises."""
    low, high = quantiles(bootstrap([matches(truth, found)], draws, seed))
    return float(low[0]), float(high[0])


def thresholds(truth: Truth, found: Boxes, at: Sequence[float] = (0.05, 0.25, 0.5)) -> dict[float, float]:
    """The average precision without the boxes below each of these scores. As `evaluate` raises."""
    scores = {}
    for least in at:
        kept = found.score >= least
        left = Boxes(found.images, found.image[kept], found.category[kept], found.box[kept], found.score[kept])
        scores[least] = evaluate(truth, left).ap
    return scores


def bootstrap(several: Sequence[Matches], draws: int, seed: int = 0) -> Array:
    """(draws, k) average precision of k predictions of the same images, on the same draws: their difference has an interval too."""
    return mean_of_categories(bootstrap_by_category(several, draws, seed))


def bootstrap_by_category(several: Sequence[Matches], draws: int, seed: int = 0) -> Array:
    """(draws, k, c) the same for each category; NaN where the images drawn have no box of it."""
    generator, m = np.random.default_rng(seed), several[0].boxes.shape[1]
    times = [np.bincount(generator.integers(m, size=m), minlength=m) for _ in range(draws)]
    return np.array([[one.drawn(drawn).mean(axis=1) for one in several] for drawn in times])


def quantiles(drawn: Array) -> tuple[Array, Array]:
    """The 95 % interval (c,), (c,) of draws (draws, c), of those that have a box; NaN where none has."""
    out = np.full((2, drawn.shape[1]), np.nan)
    there = ~np.isnan(drawn).all(axis=0)
    out[:, there] = np.nanquantile(drawn[:, there], [0.025, 0.975], axis=0)
    return out[0], out[1]


def mean_of_categories(by_category: Array) -> Array:
    """(...) over the last axis (..., c), of the categories that have a box; NaN where none has."""
    there = ~np.isnan(by_category)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(there, by_category, 0).sum(axis=-1) / there.sum(axis=-1)
    return mean


def matches(truth: Truth, found: Boxes) -> Matches:
    """Which boxes are right, which the bootstrap needs. As `evaluate` raises."""
    m, c = len(truth.images), len(truth.categories)
    parts = [one for one in _judged(truth, found).eval_imgs if one and one["dtIds"]]
    lengths = [len(one["dtIds"]) for one in parts]
    category, image = (
        np.repeat(np.array([one[name] for one in parts], dtype=np.int64) - 1, lengths) for name in ("category_id", "image_id")
    )
    row, hit, ignored = (
        np.concatenate([np.array(one[name]).T for one in parts]) if parts else np.empty((0, len(IOUS))[: 1 + (name != "dtIds")])
        for name in ("dtIds", "dtMatched", "dtIgnore")
    )
    true = np.concatenate([one["dtMatches"][0] for one in parts]) if parts else np.empty(0)
    row, true = (ids.astype(np.int64) - 1 for ids in (row, true))
    order = np.lexsort((image, -found.score[row], category))  # of equal scores by image, as COCO's own
    real = ~truth.crowd
    boxes = np.zeros((c, m), dtype=np.int64)
    np.add.at(boxes, (places(truth.categories, truth.category[real]), places(truth.images, truth.image[real])), 1)
    starts = np.searchsorted(category[order], np.arange(c + 1))
    right, passed = (which[order].astype(bool) for which in (hit, ignored))
    return Matches(starts, row[order], image[order], true[order], right, passed, boxes)


def _judged(truth: Truth, found: Boxes) -> Any:
    for what, theirs, ours in (("images", found.images, truth.images), ("categories", found.category, truth.categories)):
        unknown = np.setdiff1d(theirs, ours)
        if len(unknown):
            raise BadPredictions(f"{len(unknown)} {what} of the predictions are not in the truth, first {unknown[0]}.")
    import hotcoco

    known = hotcoco.COCO.from_arrays(
        [{"id": number} for number in range(1, len(truth.images) + 1)],
        [{"id": number, "name": name} for number, name in enumerate(truth.categories.tolist(), 1)],
        places(truth.images, truth.image) + 1,
        places(truth.categories, truth.category) + 1,
        truth.box,
        area=truth.box[:, 2] * truth.box[:, 3],
        iscrowd=truth.crowd.astype(np.int64),
    )
    rows = (places(truth.images, found.image) + 1, *found.box.T, found.score, places(truth.categories, found.category) + 1)
    judged = hotcoco.COCOeval(known, known.load_res(np.column_stack(rows).astype(np.float64)), "bbox")
    params = judged.params
    params.area_rng, params.area_rng_lbl, params.max_dets = [[0, 1e10]], ["all"], [MOST]
    judged.evaluate()
    return judged


@numba.njit(cache=True, nogil=True)
def _precisions(starts: Array, image: Array, hit: Array, ignored: Array, total: Array, times: Array, recalls: Array) -> Array:
    """The area under each category's curve of precision over recall, at 101 recalls, precision made to fall: (c, thresholds)."""
    count, thresholds = len(starts) - 1, hit.shape[1]
    out = np.full((count, thresholds), np.nan)
    for category in range(count):
        if not total[category]:
            continue
        first, last = starts[category], starts[category + 1]
        recall, precision = np.empty(last - first), np.empty(last - first)
        for threshold in range(thresholds):
            right = wrong = end = 0
            for row in range(first, last):
                often = times[image[row]]
                if not often or ignored[row, threshold]:
                    continue
                if hit[row, threshold]:
                    right += often
                else:
                    wrong += often
                recall[end], precision[end] = right / total[category], right / (right + wrong)
                end += 1
            for at in range(end - 1, 0, -1):
                precision[at - 1] = max(precision[at - 1], precision[at])
            places = np.searchsorted(recall[:end], recalls)
            area = 0.0
            for place in places:
                if place < end:
                    area += precision[place]
            out[category, threshold] = area / len(recalls)
    return out
