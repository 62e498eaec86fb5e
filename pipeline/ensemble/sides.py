"""Where the true sides of found boxes are, learned from boxes that are right.

Whoever drew the true boxes had habits that a detector meets with noise: sides that end at the picture's first pixel or at its last, small
things drawn generously, one side more than the other (a net that saw pictures mirrored cannot know of that). Small boosted trees on a
box's category, place and size find them out of fold, as a second stage refines the boxes of a first (Gidaris and Komodakis 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.boxes.evaluation import Matches
from pipeline.ensemble.climbing import spread
from pipeline.predictions import Array, Boxes, Truth, places

ENOUGH = 100  # boxes that are right, to learn from
SAMPLE = 20_000  # boxes that are learned from: so small trees need no more
FARTHEST = 0.2  # of its width or height that a side moves; two of them leave a box its middle
PARTS = 5  # of the images, each moved as the others teach
CERTAIN = 2  # standard errors that the overlap must rise by
ROUNDS = 60
RECIPE = {
    "objective": "regression_l1",  # most of a side's error is the hand of whoever drew it, with long tails
    "learning_rate": 0.05,
    "num_leaves": 4,
    "min_data_in_leaf": 20,
    "feature_fraction_bynode": 0.7,
    "seed": 0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,  # the same sums whatever the cores
    "verbosity": -1,
}


@dataclass(frozen=True)
class Sides:
    """trees: those of left, top, right and bottom, as LightGBM writes them: texts can be compared. categories: the truth's, in its order."""

    trees: tuple[str, ...]
    categories: tuple[str, ...]

    def moved(self, boxes: Boxes) -> Boxes:
        """Each side where it is expected to be, which may be outside of the picture by a share of the box."""
        return replace(boxes, box=_moved(self.trees, _seen(boxes, self.categories), boxes.box)) if len(boxes) else boxes


def learned(boxes: Boxes, truth: Truth, found: Matches) -> Sides | None:
    """From boxes that are right at an overlap of 0.5, as `found` says. None where these are too few, or where the boxes of images that had no
    part in it, once moved, do not overlap more with the true ones."""
    right = spread(np.flatnonzero(found.hit[:, 0] & ~found.ignored[:, 0]), SAMPLE)
    image, categories = found.image[right], tuple(truth.categories.tolist())
    if len(right) < ENOUGH or len(np.unique(image % PARTS)) < PARTS:
        return None
    rows = found.row[right]
    seen, mine, theirs = _seen(boxes, categories)[rows], boxes.box[rows], truth.box[found.true[right]]
    lacks = theirs - mine
    lacks[:, 2:] += lacks[:, :2]
    lacks /= np.tile(mine[:, 2:], 2)
    after = np.empty_like(mine)
    for held in (image % PARTS == part for part in range(PARTS)):
        after[held] = _moved(_taught(seen[~held], lacks[~held]), seen[held], mine[held])
    rises = _rises(_overlaps(after, theirs) - _overlaps(mine, theirs), image)
    return Sides(_taught(seen, lacks), categories) if rises else None


def _taught(seen: Array, lacks: Array) -> tuple[str, ...]:
    """The trees. lacks: (n, 4) by how much left, top, right and bottom should be further right or down, as shares of width and height."""
    import lightgbm

    data = [lightgbm.Dataset(seen, lacks[:, side], categorical_feature=[0]) for side in range(4)]
    return tuple(lightgbm.train(RECIPE, one, ROUNDS).model_to_string() for one in data)


def _moved(trees: tuple[str, ...], seen: Array, box: Array) -> Array:
    import lightgbm

    sides: list[Any] = [lightgbm.Booster(model_str=one) for one in trees]
    move = np.column_stack([one.predict(seen, num_threads=1) for one in sides]).clip(-FARTHEST, FARTHEST)
    move *= np.tile(box[:, 2:], 2)
    moved: Array = box + np.hstack([move[:, :2], move[:, 2:] - move[:, :2]])
    return moved


def _seen(boxes: Boxes, categories: tuple[str, ...]) -> Array:
    """(n, 7) what trees see of a box: the number of its category, its four sides, its width and height."""
    corner, size = boxes.box[:, :2], boxes.box[:, 2:]
    return np.column_stack([places(np.array(categories), boxes.category), corner, corner + size, size])


def _overlaps(some: Array, others: Array) -> Array:
    """(n,) intersection over union of boxes (n, 4) left, top, width, height, one by one."""
    begin, end = np.maximum(some[:, :2], others[:, :2]), np.minimum(some[:, :2] + some[:, 2:], others[:, :2] + others[:, 2:])
    both = (end - begin).clip(0).prod(axis=1)
    overlap: Array = both / (some[:, 2:].prod(axis=1) + others[:, 2:].prod(axis=1) - both)
    return overlap


def _rises(gain: Array, image: Array) -> bool:
    """Whether the mean gain (n,) is beyond noise. Boxes of an image (n,) have their light and their hand in common, so images are counted,
    not boxes."""
    error = np.sqrt((np.bincount(image, gain - gain.mean()) ** 2).sum()) / len(gain)
    return bool(gain.mean() > CERTAIN * error)
