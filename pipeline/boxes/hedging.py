"""Weighted boxes fusion that hedges: a fused box counts by how much the models agree on it, and their own boxes stay below it.

Average precision at high overlaps pays for both. Where models agree the place is likely to be exact, so such boxes go first. And where a
fused box is off, one that it is made of may be right; below it, it costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.boxes.fusion import Pool, compiled, fuse, overlap
from pipeline.predictions import Array, Boxes

HEDGED = "hedged-wbf"
OWN = 0.7  # of its score that a model's own box has beside the fused ones


def hedged(pool: Pool, weights: Sequence[float] | Array, iou: float = 0.55, least: float = 0.0) -> Boxes:
    """Arguments and errors as of `fuse`. First weighted boxes fusion (Solovyev et al. 2021), a fused box's score times the mean over the
    models of how much their nearest box overlaps it, 0 where a model has none. Then linear soft-NMS (Bodla et al. 2017) over fused boxes
    and the models' own."""
    fused = fuse(pool, "wbf", weights, iou, least)
    rows = [np.flatnonzero((pool.member == member) & (pool.score >= least)) for member in range(pool.members)]
    both = Pool.of([*(_of(pool, some) for some in rows), fused])
    w = np.asarray(weights, dtype=np.float64)
    score = both.score.copy()
    _agreed(both.starts, both.member, both.corners, w > 0, iou, score)
    return fuse(replace(both, score=score), "soft-nms-linear", [*(OWN * w / w.max()), 1.0], iou)


def _of(pool: Pool, rows: Array) -> Boxes:
    group = np.searchsorted(pool.starts, rows, side="right") - 1
    corners = pool.corners[rows]
    box = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return Boxes.of_numbers(pool.images, pool.categories, pool.image[group], pool.category[group], box, pool.score[rows])


@compiled
def _agreed(starts: Array, member: Array, corners: Array, counts: Array, iou: float, score: Array) -> None:
    """Lowers the scores of the fused boxes, those of the last member, in place. counts: (models,) bool, which take part."""
    models, nearest = counts.sum(), np.empty(len(counts))
    for group in range(len(starts) - 1):
        rows = range(starts[group], starts[group + 1])
        for one in rows:
            if member[one] < len(counts):
                continue
            nearest[:] = 0
            for other in rows:
                model = member[other]
                if model < len(counts) and counts[model]:
                    shared = overlap(corners[one], corners[other])
                    if shared > iou:
                        nearest[model] = max(nearest[model], shared)
            score[one] *= np.sort(nearest).sum() / models  # the same bits for any order of models
