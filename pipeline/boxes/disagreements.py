"""Where out-of-fold boxes and the annotations disagree: what a person should look at first.

In an image, boxes of a category are matched as COCO does it: from the highest score down, each takes the free true box that it overlaps
most, by an IoU of 0.5 or more. What is left disagrees:

- confused: a true box that nothing took, where the surest free box of another category overlaps it by 0.5 or more;
- misplaced: any other true box that nothing took, where the surest free box of its category overlaps it by 0.1 or more;
- missed: any other true box that nothing took;
- not annotated: a free box with a score of 0.3 or more that overlaps no true box of its category by 0.5. A second box for what was
  found already says nothing of the annotation, so it is none.

Boxes with a score below 0.05 are as if they were not there. Crowds are nothing that can be missed, and a free box of their category of
which half or more lies in one is not told.

A box that is not annotated weighs its score. A true box that nothing took weighs 1, and the score of what it was confused with besides; a
misplaced one weighs a half, since it was seen: small things hardly overlap by 0.5. A low score of a right box weighs nothing: what is low
differs from model to model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.boxes.coco import BOX
from pipeline.predictions import Array, Boxes, Truth, places

IOU, NEAR = 0.5, 0.1
FLOOR = 0.05
SURE = 0.3
CONFUSED, MISPLACED, MISSED, NOT_ANNOTATED = KINDS = ("confused", "misplaced", "missed", "not annotated")
COLUMNS = ["image_id", "kind", "category", "other", "score", *BOX]


def disagreements(truth: Truth, found: Boxes, names: Sequence[str]) -> pd.DataFrame:
    """image_id, kind, category, other (what a confused one was found as), score (of the box found; 0 where it was missed), and left, top,
    width, height in pixels: of the true box, or of what is not annotated.

    The images that weigh most come first, and in each what weighs most; of equals the first by image id. names: of the truth's
    categories, in their order. Only images that were looked at are judged; boxes in other images than the truth's are left out.
    """
    images = np.intersect1d(truth.images, found.images)
    sure = (found.score >= FLOOR) & np.isin(found.category, truth.categories)
    parts = []
    for of, kept in ((truth, np.isin(truth.image, images)), (found, sure & np.isin(found.image, images))):
        rows = np.flatnonzero(kept)
        at = places(images, of.image[rows])
        order = np.argsort(at, kind="stable")
        parts.append(np.split(rows[order], np.searchsorted(at[order], np.arange(1, len(images))))[: len(images)])
    of_category = dict(zip(truth.categories.tolist(), names, strict=True))
    told = [
        (image, *row)
        for image, true, boxes in zip(images.tolist(), *parts, strict=True)
        for row in _of_image(truth, true, found, _surest_first(found, boxes))
    ]
    table = pd.DataFrame(told, columns=COLUMNS).astype(dict.fromkeys(["score", *BOX], "float64"))
    table["category"], table["other"] = table["category"].map(of_category), table["other"].map(of_category).fillna("")
    weight = (table["score"] + (table["kind"] != NOT_ANNOTATED)).where(table["kind"] != MISPLACED, 0.5)
    of_image = weight.groupby(table["image_id"]).transform("sum")
    order = np.lexsort((*table[BOX[::-1]].to_numpy().T, table["category"], -weight, table["image_id"], -of_image.round(9)))
    return table.iloc[order].reset_index(drop=True)


def overlaps(a: Array, b: Array) -> tuple[Array, Array]:
    """Of boxes a (k, 4) and b (n, 4) of left, top, width, height: intersection over union (k, n), and over a's own area."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    both = np.clip(high - low, 0, None).prod(axis=2)
    own, other = a[:, 2:].prod(axis=1)[:, None], b[:, 2:].prod(axis=1)[None]
    return both / (own + other - both), both / own


def _surest_first(found: Boxes, rows: Array) -> Array:
    """Where scores are equal the box itself decides, never the order in which boxes came."""
    order: Array = np.lexsort((found.category[rows], *found.box[rows].T[::-1], -found.score[rows]))
    return rows[order]


def _of_image(truth: Truth, true: Array, found: Boxes, boxes: Array) -> Iterator[tuple[Any, ...]]:
    """The disagreements of one image as rows without it. true, boxes: rows of the truth and of what was found, the surest first."""
    crowds, true = true[truth.crowd[true]], true[~truth.crowd[true]]
    iou, _ = overlaps(found.box[boxes], truth.box[true])
    near = iou >= IOU
    same = found.category[boxes][:, None] == truth.category[true]
    free, left = np.ones(len(boxes), dtype=bool), np.ones(len(true), dtype=bool)
    for row in range(len(boxes)):
        candidates = np.flatnonzero(near[row] & same[row] & left)
        if len(candidates):
            left[candidates[np.argmax(iou[row, candidates])]] = False
            free[row] = False
    beside = (iou >= NEAR) & same
    for at in np.flatnonzero(left).tolist():
        category, box = truth.category[true[at]], truth.box[true[at]]
        taken_for, close = (np.flatnonzero(some[:, at] & free) for some in (near & ~same, beside))
        if len(taken_for):
            free[taken_for[0]] = False
            other = boxes[taken_for[0]]
            yield CONFUSED, category, found.category[other], found.score[other], *box
        elif len(close):
            free[close[0]] = False
            yield MISPLACED, category, "", found.score[boxes[close[0]]], *box
        else:
            yield MISSED, category, "", 0.0, *box
    _, inside = overlaps(found.box[boxes], truth.box[crowds])
    known = (near & same).any(axis=1) | ((inside >= IOU) & (found.category[boxes][:, None] == truth.category[crowds])).any(axis=1)
    for row in np.flatnonzero(free & ~known & (found.score[boxes] >= SURE)).tolist():
        yield NOT_ANNOTATED, found.category[boxes[row]], "", found.score[boxes[row]], *found.box[boxes[row]]
