"""Blend the boxes of several models: calibrate each, fuse them, and say honestly what that was worth.

Weights and thresholds are tuned on pooled out-of-fold average precision. The honest score predicts each fold's images by a fusion that was
calibrated and tuned on the other folds alone. The way to fuse is not tuned: boxes that were fused in different ways have scores that do not
compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from pipeline.boxes.evaluation import (
    MOST,
    Evaluation,
    Matches,
    bootstrap,
    bootstrap_by_category,
    evaluate,
    matches,
    mean_of_categories,
    quantiles,
    thresholds,
)
from pipeline.boxes.fusion import METHODS, Pool, fuse, top
from pipeline.boxes.hedging import HEDGED, hedged
from pipeline.ensemble.honest import parts
from pipeline.ensemble.interval import DRAWS
from pipeline.ensemble.sides import Sides, learned
from pipeline.ensemble.verdict import Verdict
from pipeline.errors import BadPredictions, NothingUsable, UnknownName
from pipeline.metrics import metric
from pipeline.predictions import Array, Boxes, Truth, join_boxes

TRIALS = 200
BEST = "best"  # one model's boxes as they are
WAYS = (BEST, HEDGED, *METHODS)
DRAWN = 200  # times the images, for the error of a difference
LEAST = 0.001  # of a score that stays: low ones cost nothing and may be right
CERTAIN = 2.0  # standard errors that the best of many choices must add to equal weights
SURE = 1e-6  # scores stay this far from 0 and 1 when they are calibrated
WEIGHT = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
IOU = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
FLOOR = (LEAST, 0.005, 0.02, 0.05)


@dataclass(frozen=True)
class Calibration:
    """A score becomes the chance of being right: expit(slope * logit(score) + shift), slope above 0 (Platt 1999). sides: where
    those of boxes are expected; they stay as they are without."""

    slope: float = 1.0
    shift: float = 0.0
    sides: Sides | None = None

    def apply(self, boxes: Boxes) -> Boxes:
        calibrated = replace(boxes, score=expit(self.slope * logit(np.clip(boxes.score, SURE, 1 - SURE)) + self.shift))
        return self.sides.moved(calibrated) if self.sides else calibrated


@dataclass(frozen=True)
class Fusion:
    """How boxes of several models become one set. calibrations, weights: of each model. method: of WAYS. iou, least: see `fusion.fuse`. chance:
    how its scores become chances of being right, so that they compare with those of another way to fuse."""

    calibrations: tuple[Calibration, ...]
    weights: tuple[float, ...]
    method: str = HEDGED
    iou: float = 0.65
    least: float = LEAST
    chance: Calibration = Calibration()

    def apply(self, predictions: Sequence[Boxes]) -> Boxes:
        """At most 100 boxes of an image, with a score of 0.001 or more. Raises BadPredictions where models looked at different images."""
        calibrated = [one.apply(boxes) for one, boxes in zip(self.calibrations, predictions, strict=True)]
        return top(self.chance.apply(self.fused(Pool.of(calibrated))), MOST, LEAST)

    def fused(self, pool: Pool) -> Boxes:
        if self.method == BEST:  # of one model, no two boxes of which overlap by more than all
            return top(fuse(pool, "nms", self.weights, 1.0, self.least), MOST, LEAST)
        if self.method == HEDGED:
            return top(hedged(pool, self.weights, self.iou, self.least), MOST, LEAST)
        return top(fuse(pool, self.method, self.weights, self.iou, self.least), MOST, LEAST)


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxBlend(Verdict):
    """An ensemble of boxes. fusion: tuned on all images, for the test images. oof: the honest boxes: each image's by a fusion that was
    tuned without its fold. evaluation: of these; category_intervals: (c, 2) 95 % of each category's, NaN where the truth has no box of it.
    without: the honest score by the threshold below which boxes are left out. by_fold: how each fold's boxes were fused."""

    fusion: Fusion
    oof: Boxes
    evaluation: Evaluation
    category_intervals: Array
    without: Mapping[float, float]
    by_fold: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        costs = [f"below {least:g} {round(self.honest - score, 3) + 0.0:.3f}" for least, score in self.without.items()]
        told = (*super().sentences, f"Leaving out boxes with low scores would cost: {', '.join(costs)}.")
        if set(self.by_fold) == {self.method}:
            return told
        return (*told, f"The folds do not agree on the way to fuse; theirs are {', '.join(self.by_fold)}.")

    def apply(self, members: Mapping[str, Boxes]) -> Boxes:
        """Raises BadPredictions where a member lacks."""
        absent = [name for name in self.members if name not in members]
        if absent:
            raise BadPredictions(
                f"The ensemble needs boxes of {', '.join(absent)}; there are {', '.join(sorted(members)) or 'none'}."
            )
        return self.fusion.apply([members[name] for name in self.members])


def blend(
    members: Mapping[str, Boxes],
    truth: Truth,
    fold_of: Array,
    method: str | None = None,
    trials: int = TRIALS,
    draws: int = DRAWS,
    seed: int = 0,
) -> BoxBlend:
    """members: out-of-fold boxes by model. fold_of: (m,) which fold validated each image of the truth, below 0 for none; these take no
    part. method: of WAYS; without, `hedged-wbf`, or the best model alone where that is as good. Raises NothingUsable where there is no
    member or no fold, UnknownName on a method, BadPredictions on boxes that do not fit."""
    if method is not None and method not in WAYS:
        raise UnknownName("way to fuse boxes", method, WAYS)
    validated = fold_of >= 0
    if not members or not validated.any():
        raise NothingUsable("There are no boxes of images that a fold validated, so there is nothing to blend.")
    names = tuple(sorted(members))
    truth, fold = truth.of(truth.images[validated]), fold_of[validated]
    all_boxes = [members[name].of(truth.images) for name in names]
    held = parts(fold)
    fused, chosen, tuned = [], [], []
    for part in (truth.images[held == number] for number in np.unique(held)):
        others = np.setdiff1d(truth.images, part)
        known, theirs = truth.of(others), [boxes.of(others) for boxes in all_boxes]
        mine = [boxes.of(part) for boxes in all_boxes]
        calibrations = [calibrated(boxes, known) for boxes in theirs]
        tuned.append(tune(theirs, known, trials, method, calibrations))
        fused.append(tuned[-1].apply(mine))
        chosen.append(tune(theirs, known, trials, BEST, calibrations).apply(mine))
    fusion, oof, choice = tune(all_boxes, truth, trials, method), join_boxes(fused), join_boxes(chosen)
    judged: list[Matches] = [matches(truth, boxes) for boxes in (oof, choice, *all_boxes)]
    by_category = bootstrap_by_category(judged, draws, seed)
    drawn = mean_of_categories(by_category)
    low, high = (bound.tolist() for bound in quantiles(drawn))
    evaluations = [evaluate(truth, boxes) for boxes in (oof, choice, *all_boxes)]
    scores = [one.ap for one in evaluations]
    gain_low, gain_high = (float(bound[0]) for bound in quantiles(drawn[:, :1] - drawn[:, 1:2]))
    return BoxBlend(
        metric=metric("map"),
        method=fusion.method,
        members=names,
        weights=dict(zip(names, fusion.weights, strict=True)),
        judged=len(truth),
        honest=scores[0],
        interval=(low[0], high[0]),
        optimistic=evaluate(truth, fusion.apply(all_boxes)).ap,
        scores={fusion.method: scores[0], BEST: scores[1]},
        best_member=names[int(np.argmax(scores[2:]))],
        best_score=scores[1],
        gain=scores[0] - scores[1],
        gain_interval=(gain_low, gain_high),
        member_scores=dict(zip(names, scores[2:], strict=True)),
        member_intervals=dict(zip(names, zip(low[2:], high[2:], strict=True), strict=True)),
        fusion=fusion,
        oof=oof,
        evaluation=evaluations[0],
        category_intervals=np.stack(quantiles(by_category[:, 0]), axis=1),
        by_fold=tuple(one.method for one in tuned),
        without=thresholds(truth, oof),
    )


def tune(
    predictions: Sequence[Boxes],
    truth: Truth,
    trials: int = TRIALS,
    method: str | None = None,
    calibrations: Sequence[Calibration] | None = None,
) -> Fusion:
    """Calibrations (where they are not given), then weights and thresholds with the highest average precision, by coordinate ascent: one
    choice at a time is changed to the best of its values, again and again until nothing helps or the trials are spent. They stay where they
    started, at equal weights, unless others add more than two standard errors of the difference: what each fold finds in its own noise
    makes its scores differ from those of other folds. method: see `blend`; without, it is the best model alone unless fusing adds more
    than one to that. The same input gives the same fusion."""
    calibrations = tuple(calibrations or (calibrated(boxes, truth) for boxes in predictions))
    pool = Pool.of([one.apply(boxes) for one, boxes in zip(calibrations, predictions, strict=True)])
    each = range(len(predictions))
    alone = [Fusion(calibrations, tuple(float(one == other) for other in each), BEST) for one in each]
    seen: dict[Fusion, float] = {one: evaluate(truth, one.fused(pool)).ap for one in alone} if method in (None, BEST) else {}
    single = max(seen, key=lambda one: seen[one], default=None)  # of equals, the first
    if method == BEST and single:
        return _settled(single, pool, truth)
    start = best = Fusion(calibrations, (1.0,) * len(predictions), method or HEDGED)
    seen[best] = evaluate(truth, best.fused(pool)).ap
    while len(seen) < trials:
        before = best
        for candidates in _choices(best):
            for candidate in candidates:
                if candidate not in seen and len(seen) < trials:
                    seen[candidate] = evaluate(truth, candidate.fused(pool)).ap
            best = max((best, *(one for one in candidates if one in seen)), key=lambda one: seen[one])  # of equals, what it was
        if best == before:
            break
    for simpler, errors in ((start, CERTAIN), (single, 1.0)):
        if simpler and simpler != best:
            best = best if _adds(matches(truth, best.fused(pool)), matches(truth, simpler.fused(pool)), errors) else simpler
    return _settled(best, pool, truth)


def _settled(fusion: Fusion, pool: Pool, truth: Truth) -> Fusion:
    fused = fusion.fused(pool)
    return replace(fusion, chance=_chance(fused, matches(truth, fused)))


def calibrated(boxes: Boxes, truth: Truth) -> Calibration:
    """Scores: fitted to which boxes are right at an overlap of 0.5; as they are where all are, or none is, or where high scores are the
    wrong ones. Sides: see `learned`."""
    found = matches(truth, boxes)
    return replace(_chance(boxes, found), sides=learned(boxes, truth, found))


def _chance(boxes: Boxes, found: Matches) -> Calibration:
    counted = ~found.ignored[:, 0]
    right = found.hit[counted, 0]
    if len(np.unique(right)) < 2:
        return Calibration()
    x = logit(np.clip(boxes.score[found.row[counted]], SURE, 1 - SURE))
    fitted: Any = LogisticRegression(C=np.inf).fit(x[:, None], right)
    slope, shift = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return Calibration(slope, shift) if slope > 0 else Calibration()


def _adds(one: Matches, other: Matches, errors: float) -> bool:
    """Whether one's average precision is higher by more than so many standard errors of the difference: tuning finds something in noise
    too (the rule of Breiman et al. 1984)."""
    scores = bootstrap([one, other], DRAWN)
    everywhere = np.ones(one.boxes.shape[1], dtype=np.int64)
    gain = mean_of_categories(one.drawn(everywhere).mean(axis=1)) - mean_of_categories(other.drawn(everywhere).mean(axis=1))
    return bool(gain > errors * np.nanstd(scores[:, 0] - scores[:, 1]))


def _choices(at: Fusion) -> list[list[Fusion]]:
    """For each choice, all its values, the others as they are."""
    weights = [
        [replace(at, weights=(*at.weights[:number], weight, *at.weights[number + 1 :])) for weight in WEIGHT]
        for number in range(len(at.weights))
    ]
    allowed = [[one for one in some if any(one.weights)] for some in weights] if len(weights) > 1 else []
    return [
        [replace(at, iou=iou) for iou in IOU],
        *allowed,
        [replace(at, least=least) for least in FLOOR],
    ]
