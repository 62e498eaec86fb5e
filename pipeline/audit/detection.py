"""Boxes: faults of the annotations, categories that a fold lacks, and what a single box is worth."""

from __future__ import annotations

import numpy as np

from pipeline.audit.finding import MATTERS, SHOWN, Chart, Finding, Severity, graded, some
from pipeline.audit.subject import Subject
from pipeline.boxes.disagreements import overlaps
from pipeline.pictures.page import Outline, Shown
from pipeline.predictions import Array, Truth, places
from pipeline.run import IMAGE, class_names

TWICE = 0.9  # intersection over union from which on two boxes are drawn around one thing
TINY = 4.0  # pixels of the shorter side, below which detectors see nothing
WHOLE = 0.95  # share of the picture
SLIVER = 20.0  # longer side over the shorter one
FEW_BOXES = 50  # of a category
MOST_WRONG = 0.05  # share of boxes with a fault that is more than a note


def findings(subject: Subject) -> list[Finding]:
    truth = subject.run.y
    if not isinstance(truth, Truth):
        return []
    names = np.array(class_names(subject.run.data, subject.run.entry.competition.task), dtype=object)
    return [*faults(subject, truth, names), *categories(subject, truth, names)]


# ------------------------------------------------------------------------------------------------------------------------- faults


def faults(subject: Subject, truth: Truth, names: Array) -> list[Finding]:
    """What is odd in boxes that the loader let pass."""
    if not len(truth.image):
        return []
    shorter, longer = np.sort(truth.box[:, 2:], axis=1).T
    same, other = doubled(truth)
    odd = {
        "are drawn around a thing that has a box of the same category already": (
            same,
            MATTERS,
            "Keep one of each: to a detector the second is a miss.",
        ),
        "have a box of another category in the same place": (
            other,
            MATTERS,
            "Look at them: one of the two categories is likely to be wrong.",
        ),
        f"are narrower than {TINY:g} pixels": (
            shorter < TINY,
            MOST_WRONG,
            "Train at a larger size, or leave them out; smaller ones cannot be found.",
        ),
        f"are {SLIVER:g} times as long as wide": (
            longer > SLIVER * shorter,
            MOST_WRONG,
            "Look at them: a corner may have been misread.",
        ),
    }
    table = subject.run.data.train
    if {"width", "height"} <= set(table):
        at = places(truth.images, truth.image)
        area = table["width"].to_numpy(dtype=np.float64)[at] * table["height"].to_numpy(dtype=np.float64)[at]
        whole = truth.box[:, 2] * truth.box[:, 3] >= WHOLE * area
        odd[f"fill {WHOLE:.0%} of their picture"] = (
            whole,
            MOST_WRONG,
            "Look at them: such a box may stand for a label of the picture.",
        )
    made = []
    for what, (rows, much, cure) in odd.items():
        share = float(rows.mean())
        if not rows.any():
            continue
        counts = {
            str(name): int((rows & (truth.category == one)).sum()) for name, one in zip(names, truth.categories, strict=True)
        }
        of = some(f"{name} {count:,}" for name, count in counts.items() if count)
        made.append(
            Finding(
                "boxes",
                graded(share, np.inf, much),
                f"{int(rows.sum()):,} of {len(rows):,} boxes ({share:.2%}) {what}: {of}.",
                cure,
                ids=tuple(dict.fromkeys(truth.image[rows].tolist()))[:5],
                numbers={"boxes": int(rows.sum()), "share": share, **counts},
                pictures=_shown(subject, truth, names, rows, what),
            )
        )
    empty = len(truth) - len(np.unique(truth.image))
    if empty:
        made.append(
            Finding(
                "images without boxes",
                Severity.NOTE,
                f"{empty:,} of {len(truth):,} train images have no box.",
                "Look at some: they teach what is none of the things, or their boxes were forgotten.",
                ids=tuple(np.setdiff1d(truth.images, truth.image)[:5].tolist()),
                numbers={"images": empty, "share": empty / len(truth)},
            )
        )
    return made


def doubled(truth: Truth) -> tuple[Array, Array]:
    """(n,), (n,) bool: boxes after the first of their category, and boxes of another category, that lie on one before. Crowds are left out."""
    same, other = np.zeros(len(truth.image), dtype=bool), np.zeros(len(truth.image), dtype=bool)
    rows = np.flatnonzero(~truth.crowd)
    rows = rows[np.argsort(truth.image[rows], kind="stable")]
    starts = np.flatnonzero(truth.image[rows][1:] != truth.image[rows][:-1]) + 1
    for part in np.split(rows, starts):
        if len(part) < 2:
            continue
        near = np.tril(overlaps(truth.box[part], truth.box[part])[0] >= TWICE, -1)
        alike = truth.category[part][:, None] == truth.category[part][None]
        same[part] |= (near & alike).any(axis=1)
        other[part] |= (near & ~alike).any(axis=1)
    return same, other


def _shown(subject: Subject, truth: Truth, names: Array, rows: Array, what: str) -> tuple[Shown, ...]:
    """Pictures with such boxes, these thick."""
    if subject.run.gallery is None:
        return ()
    picture = dict(zip(subject.ids.tolist(), subject.run.data.train[IMAGE], strict=True))
    name_of = dict(zip(truth.categories.tolist(), names, strict=True))
    made = []
    for image in list(dict.fromkeys(truth.image[rows].tolist()))[: SHOWN // 4]:
        here = np.flatnonzero(truth.image == image)
        outlines = tuple(
            Outline(tuple(truth.box[at].tolist()), str(name_of[truth.category[at]]), odd=bool(rows[at])) for at in here.tolist()
        )
        made.append(Shown(str(picture[image]), f"boxes that {what}", f"image {image}", outlines))
    return tuple(made)


# --------------------------------------------------------------------------------------------------------------------- categories


def categories(subject: Subject, truth: Truth, names: Array) -> list[Finding]:
    """Categories that a fold cannot learn, or cannot be judged on; and rare ones, of which each box moves the score."""
    run, made = subject.run, []
    counts = np.array([int((~truth.crowd & (truth.category == one)).sum()) for one in truth.categories])
    unlearnt, unjudged = (
        [
            (f"{names[at]} (fold {fold + 1})", at)
            for fold in range(len(run.folds))
            for at in np.flatnonzero((counts > 0) & ~truth[rows(fold)].presence.any(axis=0)).tolist()
        ]
        for rows in (run.folds.fit, run.folds.validate)
    )
    for lacking, severity, what, cure in (
        (
            unlearnt,
            Severity.SEVERE,
            "cannot be learned in a fold, which has no box of them to learn from",
            "Spread them: KFold(strata=1), with fewer folds if need be.",
        ),
        (
            unjudged,
            Severity.WARNING,
            "cannot be judged in a fold, which has no box of them",
            "Spread them: KFold(strata=1). Compare scores over all folds together, never fold by fold.",
        ),
    ):
        if lacking:
            made.append(
                Finding(
                    "categories in folds",
                    severity,
                    f"{len({at for _, at in lacking})} categories {what}: {some(one for one, _ in lacking)}.",
                    cure,
                    numbers={"categories": len({at for _, at in lacking}), "folds": len(lacking)},
                )
            )
    never = [str(name) for name, count in zip(names, counts, strict=True) if not count]
    if never:
        made.append(
            Finding(
                "categories in folds",
                Severity.WARNING,
                f"{len(never)} categories have no box at all: {some(never)}.",
                "They cannot be learned. If test has them, their share of the score is lost.",
                numbers={"categories": len(never)},
            )
        )
    rare = [(str(name), int(count)) for name, count in zip(names, counts, strict=True) if 0 < count < FEW_BOXES]
    if rare:
        worth = 100.0 / len(counts)
        told = some(f"{name} {count} boxes, {worth / count:.2f} points each" for name, count in rare)
        made.append(
            Finding(
                "rare categories",
                Severity.NOTE,
                f"Of {len(rare)} categories there are so few boxes that each moves the score: {told} of the mean average precision.",
                "Compare models by the score over all folds with its interval; see such pictures more often in training (resample='repeat-factor').",
                numbers=dict(rare),
                charts=(Chart("Boxes of each category", tuple(map(str, names)), tuple(map(float, counts))),),
            )
        )
    return made
