"""What a person should look at in pictures: copies, conflicting labels, labels that the models do not believe, and boxes that they find
elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.boxes.coco import BOX
from pipeline.boxes.disagreements import CONFUSED, KINDS, MISPLACED, SURE
from pipeline.boxes.disagreements import disagreements as disagreeing
from pipeline.errors import BadData, BadPredictions
from pipeline.pictures.index import Index
from pipeline.pictures.page import Outline, Shown, write_page
from pipeline.pictures.twins import conflicts
from pipeline.predictions import Boxes, Table, Truth
from pipeline.run import IMAGE, TWINS, Run, class_names, kept_twins, split_copies

MOST_SHOWN = 200  # pictures on a page


@dataclass(frozen=True, eq=False)
class Copies:
    """Pictures that stand more than once. groups: of copies, identical or nearly. identical: of these, with equal bytes throughout.

    spanning: groups with pictures of both train and test. conflicting: groups whose train rows have different labels, and
    `rows` of them: group, row (of train), label. unlearnt: train rows that no fold learns from for it. split: groups of which some
    fold learns one row and validates another.
    """

    groups: int
    identical: int
    spanning: int
    conflicting: int
    unlearnt: int
    rows: pd.DataFrame
    split: int

    def __str__(self) -> str:
        kept = f"{self.split} of them on both sides of a fold" if self.split else "each kept in one fold"
        return (
            f"Copies: {self.groups} groups of the same picture ({self.identical} byte by byte), {kept}; "
            f"{self.spanning} span train and test; {self.conflicting} have different labels, and {self.unlearnt} rows are not learned "
            "from (of identical pictures only the label of the majority is)."
        )


def copies(run: Run) -> Copies:
    """The copies among a run's pictures, of train and test together."""
    index = _index(run)
    group = kept_twins(index, run.store)
    sizes = np.bincount(group)
    several = np.flatnonzero(sizes > 1)
    contents = pd.Series(index.sha256).groupby(group).nunique().to_numpy()
    train, test = (group[index.rows(table[IMAGE])] for table in (run.data.train, run.data.test))
    rows = conflicts(train, labels(run))
    return Copies(
        len(several),
        int((contents[several] == 1).sum()),
        len(np.intersect1d(np.intersect1d(train, test), several)),
        rows["group"].nunique(),
        int((~run.folds.learned).sum()),
        rows,
        split_copies(run.folds, run.data.train[TWINS].to_numpy()),
    )


def labels(run: Run) -> list[str | None]:
    """Of the train rows; None where the target is a number, for of numbers none conflicts with another."""
    columns = run.columns
    return [columns[label] for label in run.y] if run.classes else [None] * len(run.y)


def scores_without_copies(run: Run, oof: Table | Boxes) -> dict[str, float]:
    """The metric of out-of-fold predictions on all rows, on rows of which train has no copy, and on one row of each picture,
    the first, where labels do not conflict. A copy in the same fold cannot help a model, but it counts twice.
    """
    there = np.isin(run.ids, oof.ids)
    group = run.data.train[TWINS].to_numpy()
    alone = np.bincount(group)[group] == 1
    sure = ~np.isin(group, conflicts(group, labels(run))["group"])
    first = np.zeros(len(group), dtype=bool)
    first[np.unique(group, return_index=True)[1]] = True
    chosen = {
        "all rows": there,
        "rows without a copy": there & alone,
        "one row of each picture, no conflicts": there & first & sure,
    }
    scores = {}
    for name, rows in chosen.items():
        with suppress(BadPredictions):  # some metrics cannot judge every part of the rows, such as one of a single class
            if rows.any():
                scores[name] = run.answers.score(oof.of(run.ids[rows]))
    return scores


def disagreements(run: Run, oof: Table) -> pd.DataFrame:
    """Train rows whose label the out-of-fold predictions do not believe: row, label, predicted, and the chance of both.

    Sorted by how much more is given to the prediction than to the label (the margin of confident learning, Northcutt et al.,
    JAIR 70, 2021): the first are labels to look at.
    """
    at = oof.at(run.ids)
    rows = np.flatnonzero(np.isfinite(at).all(axis=1))
    columns = np.array(run.columns, dtype=object)
    best, own = at[rows].argmax(axis=1), run.y[rows]
    table = pd.DataFrame(
        {
            "row": rows,
            "label": columns[own],
            "predicted": columns[best],
            "chance of label": at[rows, own],
            "chance of predicted": at[rows, best],
        }
    )
    table = table[best != own]
    margin = table["chance of label"] - table["chance of predicted"]
    return table.iloc[np.argsort(margin.to_numpy(), kind="stable")].reset_index(drop=True)


def copies_page(run: Run, found: Copies) -> Path:
    """copies.html in the run folder: pictures that stand under different labels, copies beside each other."""
    names = run.data.train[IMAGE].to_numpy()
    shown = [Shown(names[row], f"{label}", f"picture {group}") for group, row, label in found.rows.itertuples(index=False)]
    title = f"{found.conflicting} pictures under different labels"
    return _page(run, "copies.html", title, f"{found} The first {MOST_SHOWN} rows at most are shown.", shown)


def disagreements_page(run: Run, oof: Table, of: str) -> Path:
    """disagreements.html in the run folder: the pictures whose labels the out-of-fold predictions `of` a model believe least."""
    names = run.data.train[IMAGE].to_numpy()
    found = disagreements(run, oof)
    shown = [
        Shown(names[row], f"labelled {label} ({own:.0%})", f"predicted {predicted} ({best:.0%})")
        for row, label, predicted, own, best in found[:MOST_SHOWN].itertuples(index=False)
    ]
    text = (
        f"{len(found)} of {len(run.ids)} rows, by {of} out of fold; the {min(MOST_SHOWN, len(found))} whose label is believed least. "
        "Some of these labels are wrong, some of these pictures are hard."
    )
    return _page(run, "disagreements.html", "Labels that the predictions do not believe", text, shown)


def refuse_unshown(run: Run) -> None:
    """Raise BadData where there are no pictures with labels or boxes to look at."""
    if run.gallery is None or not (run.classes or isinstance(run.y, Truth)):
        raise BadData(
            f"{run.name} has no pictures with labels or boxes to show. See its columns with: podium data {run.name}, and its models "
            f"with: podium board {run.name}"
        )


def pages(run: Run, oof: Table | Boxes, of: str) -> dict[str, Path]:
    """The pages about out-of-fold predictions `of` a model, and of copies, by what they show. Raises BadData as `refuse_unshown`."""
    refuse_unshown(run)
    if isinstance(oof, Boxes):
        return {"Boxes on which annotations and predictions disagree": boxes_page(run, oof, of)}
    return {
        "The conflicting labels": copies_page(run, copies(run)),
        "Labels that the predictions do not believe": disagreements_page(run, oof, of),
    }


def boxes_page(run: Run, oof: Boxes, of: str) -> Path:
    """boxes.html in the run folder: the pictures in which annotations and out-of-fold boxes `of` a model disagree most, both drawn."""
    names = class_names(run.data, run.entry.competition.task)
    name_of = dict(zip(run.columns, names, strict=True))
    picture_of = dict(zip(run.ids.tolist(), run.data.train[IMAGE], strict=True))
    found = disagreeing(run.y, oof, names)
    chosen = found["image_id"].unique()[:MOST_SHOWN].astype(np.str_)
    true, boxes, shown = run.y.of(chosen), oof.of(chosen), []
    for image in chosen.tolist():
        rows, alone = found[found["image_id"] == image], np.array([image])
        outlines = _outlines(true.of(alone), boxes.of(alone), rows, name_of)
        words = [f"{kind}: {', '.join(_told(row) for row in rows[rows['kind'] == kind].itertuples())}" for kind in KINDS]
        there = [line for line, kind in zip(words, KINDS, strict=True) if (rows["kind"] == kind).any()]
        shown.append(Shown(picture_of[image], "\n".join(there), f"{run.entry.competition.task.id} {image}", outlines))
    counts = ", ".join(f"{(found['kind'] == kind).sum():,} {kind}" for kind in KINDS)
    text = (
        f"{counts}, in {found['image_id'].nunique():,} of {len(oof.images):,} pictures, by {of} out of fold; {len(shown)} are shown, "
        f"those that disagree most first. Solid: annotated. Dashed: found, with the score, from {SURE:g} up. Thick: what they disagree "
        "on. Some things have no annotation or a wrong one, some are not found."
    )
    return _page(run, "boxes.html", "Boxes on which annotations and predictions disagree", text, shown)


def _outlines(true: Truth, found: Boxes, rows: pd.DataFrame, name_of: Mapping[str, str]) -> tuple[Outline, ...]:
    """All true boxes of an image, and those found with a score from SURE up, or instead of a true one. rows: its disagreements."""
    odd = {tuple(box) for box in rows[BOX].to_numpy().tolist()}
    instead_of_true = {(row.other or row.category, row.score) for row in rows.itertuples() if row.kind in (CONFUSED, MISPLACED)}
    outlines = [
        Outline(tuple(box), name_of[category] + (" (crowd)" if crowd else ""), odd=tuple(box) in odd)
        for box, category, crowd in zip(true.box.tolist(), true.category.tolist(), true.crowd.tolist(), strict=True)
    ]
    for box, category, score in zip(found.box.tolist(), found.category.tolist(), found.score.tolist(), strict=True):
        instead = (name_of[category], score) in instead_of_true
        if score >= SURE or instead:
            outlines.append(Outline(tuple(box), f"{name_of[category]} {score:.2f}", found=True, odd=instead or tuple(box) in odd))
    return tuple(outlines)


def _told(row: Any) -> str:
    if row.kind == CONFUSED:
        return f"{row.category} found as {row.other} ({row.score:.2f})"
    return f"{row.category} ({row.score:.2f})" if row.score else row.category


def _page(run: Run, name: str, title: str, text: str, shown: list[Shown]) -> Path:
    if run.practice:
        title = f"PRACTICE DATA: {title}"
    root = run.data.images
    if root is None:
        raise ValueError(f"{run.name} has no pictures.")
    return write_page(run.store.path(name), f"{run.name}: {title}", text, root, shown[:MOST_SHOWN])


def _index(run: Run) -> Index:
    if run.gallery is None:
        raise ValueError(f"{run.name} has no pictures.")
    return run.gallery.index
