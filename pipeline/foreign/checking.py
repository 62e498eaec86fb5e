"""From rows of a file to predictions of this run: every rule of `rules` is held, all that are broken are told at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.competition import Regression
from pipeline.errors import BadData
from pipeline.foreign.reading import Sheet
from pipeline.foreign.rules import BEYOND, ROUNDED, SUM_TOLERANCE, Broken, refuse, some
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.run import Run
from pipeline.train import LARGEST

DIMENSIONS = ["width", "height"]


@dataclass(frozen=True, eq=False)
class Part:
    """Which rows a file is to answer for. what: as a person calls it. known: ids that may stand in it; needed: those that must."""

    what: str
    known: Array
    needed: Array

    @classmethod
    def out_of_fold(cls, run: Run) -> Part:
        return cls("out-of-fold", run.ids, run.ids[run.folds.fold_of >= 0])

    @classmethod
    def test(cls, run: Run) -> Part:
        return cls("test", run.test_ids, run.test_ids)


def checked(run: Run, sheet: Sheet, part: Part) -> tuple[Table | Boxes, list[str]]:
    """The predictions of the rows that are needed, in the run's order, and what a person should know of them. Raises BadImport."""
    if isinstance(run.y, Truth):
        refuse(_boxes_broken(run, sheet, part))
        return _boxes(sheet, part)
    refuse(_table_broken(run, sheet, part))
    spare = int((~np.isin(sheet.ids, part.needed)).sum())
    notes = [f"{spare} {part.what} rows that no fold validates are left out."] if spare else []
    numbers = np.clip(sheet.numbers, 0, 1) if run.classes else sheet.numbers  # a chance of -1e-17 is a rounded 0
    return Table(sheet.ids, numbers, run.columns).of(part.needed), notes


def _table_broken(run: Run, sheet: Sheet, part: Part) -> Iterator[Broken]:
    ids, values = sheet.ids, sheet.numbers
    unique, times = np.unique(ids, return_counts=True)
    yield from _cases(
        "duplicate-id", unique[times > 1], f"ids stand more than once among the {part.what} rows", "Keep one row of each."
    )
    yield from _unknown(sheet, part)
    missing = part.needed[~np.isin(part.needed, ids)]
    whose = "train rows that the folds validate" if part.what == "out-of-fold" else "test rows"
    yield from _cases(
        "missing-id", missing, f"of the {len(part.needed)} {whose} have no prediction", "Predict every one of them, out of fold."
    )
    finite = np.isfinite(values).all(axis=1)
    yield from _rows("not-finite", ids, values, ~finite, f"{part.what} predictions are NaN, empty or infinite", "Mend them.")
    yield from (_values_broken if not run.classes else _chances_broken)(run, ids[finite], values[finite], part)
    if part.what == "out-of-fold":
        yield from _folds_broken(run, sheet)


def _values_broken(run: Run, ids: Array, values: Array, part: Part) -> Iterator[Broken]:
    task = run.entry.competition.task
    low, high = (task.low, task.high) if isinstance(task, Regression) else (-np.inf, np.inf)
    with np.errstate(all="ignore"):
        judged = np.abs(run.entry.competition.metric.link(values)) <= LARGEST
    wrong = ~((values >= low) & (values <= high) & judged).all(axis=1)
    cure = (
        f"They must be in the target's own unit, as in train, from {low:g} to {high:g}, and be something that {task.metric} can judge; "
        "a logarithm is undone first."
    )
    yield from _rows("range", ids, values, wrong, f"{part.what} predictions are beyond what they can be", cure)


def _chances_broken(run: Run, ids: Array, values: Array, part: Part) -> Iterator[Broken]:  # noqa: ARG001 - as `_values_broken`
    wrong = ((values < -ROUNDED) | (values > 1 + ROUNDED)).any(axis=1)
    yield from _rows(
        "probability", ids, values, wrong, f"{part.what} rows have a probability outside 0 to 1", "Give shares, not logits."
    )
    odd = ~wrong & (np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE)
    yield from _rows(
        "probability-sum",
        ids,
        values,
        odd,
        f"{part.what} rows do not sum to 1 (within {SUM_TOLERANCE:g})",
        "Divide each by its sum.",
    )


def _folds_broken(run: Run, sheet: Sheet) -> Iterator[Broken]:
    """A fold may be called anything, as long as the rows that share one share one here. Each name stands for the fold of most of its
    rows, and no two for the same."""
    if sheet.fold is None:
        return
    order = np.argsort(run.ids, kind="stable")
    place = order[np.minimum(np.searchsorted(run.ids, sheet.ids, sorter=order), len(order) - 1)]
    ours = np.where(run.ids[place] == sheet.ids, run.folds.fold_of[place], -1)
    rows = np.flatnonzero(ours >= 0)
    names, number = np.unique(sheet.fold[rows], return_inverse=True)
    counts = np.zeros((len(names), len(run.folds)), dtype=np.int64)
    np.add.at(counts, (number, ours[rows]), 1)
    stands = np.full(len(names), -1)
    for name, fold in zip(*np.unravel_index(np.argsort(-counts, axis=None, kind="stable"), counts.shape), strict=True):
        if counts[name, fold] and stands[name] < 0 and fold not in stands:
            stands[name] = fold
    wrong = rows[stands[number] != ours[rows]]
    if len(wrong):
        cases = [f"id {sheet.ids[row]}: {sheet.fold[row]!r} in the file, fold {ours[row]} here" for row in wrong[:3]]
        yield Broken(
            "folds-differ",
            len(wrong),
            f"{len(wrong):,} of {len(rows):,} rows stand in other folds than here, {some(cases)}. A row may have been learned by the model that "
            f"predicts it, so the score would flatter. Train on these folds: podium export {run.name} --plan --to DIR",
        )


def _unknown(sheet: Sheet, part: Part) -> Iterator[Broken]:
    unknown = np.unique(sheet.ids[~np.isin(sheet.ids, part.known)])
    where = "train" if part.what == "out-of-fold" else "test"
    cure = f"Ids are exact text: 7 is not 007, nor 7.0. {where.capitalize()} has ids such as {part.known[0]}."
    yield from _cases("unknown-id", unknown, f"{part.what} ids are not in {where}", cure)


def _cases(rule: str, ids: Array, what: str, cure: str) -> Iterator[Broken]:
    if len(ids):
        yield Broken(rule, len(ids), f"{len(ids):,} {what}, {some(ids.tolist())}. {cure}")


def _rows(rule: str, ids: Array, values: Array, wrong: Any, what: str, cure: str) -> Iterator[Broken]:
    if wrong.any():
        cases = [f"id {i}: {str(row)[:80]}" for i, row in zip(ids[wrong][:3], values[wrong][:3].tolist(), strict=True)]
        yield Broken(rule, int(wrong.sum()), f"{int(wrong.sum()):,} {what}, {some(cases)}. {cure}")


def _boxes_broken(run: Run, sheet: Sheet, part: Part) -> Iterator[Broken]:
    category = sheet.category if sheet.category is not None else sheet.ids[:0]
    ids, box, score = sheet.ids, sheet.numbers[:, :4], sheet.numbers[:, 4]
    yield from _unknown(sheet, part)
    unknown = np.unique(category[~np.isin(category, run.columns)])
    yield from _cases(
        "unknown-category", unknown, "categories are none of the competition's", f"They are {', '.join(run.columns[:8])}."
    )
    flat = (box[:, 2:] <= 0).any(axis=1)
    yield from _rows("box", ids, box, flat, "boxes are without width or height", "A box is left, top, width, height in pixels.")
    yield from _rows(
        "score", ids, score, ~((score >= 0) & (score <= 1)), "scores are not from 0 to 1", "Give chances, not logits."
    )
    rows = pd.DataFrame(box).assign(image=ids, category=category)
    yield from _rows(
        "duplicate-box", ids, box, rows.duplicated().to_numpy(), "boxes stand twice in their image", "Keep one of each."
    )
    edge = _edges(run, part, ids)
    beyond = (box[:, :2] < -BEYOND).any(axis=1) | (box[:, :2] + box[:, 2:] > edge + BEYOND).any(axis=1)
    cure = "Boxes are left, top, width, height in pixels of the picture, not corners and not shares."
    yield from _rows(
        "outside", ids, box, beyond & ~flat, f"boxes reach beyond their pictures (by more than {BEYOND:g} pixel)", cure
    )
    empty = part.needed[~np.isin(part.needed, ids)]
    if len(empty) * 2 > len(part.needed):
        yield from _cases("few-images", empty, f"of the {len(part.needed)} {part.what} images have no box", "Is the file whole?")
    if part.what == "out-of-fold":
        yield from _folds_broken(run, sheet)


def _edges(run: Run, part: Part, ids: Array) -> Array:
    """(n, 2) width and height of each box's picture; infinite where nobody knows it."""
    rows = run.data.train if part.what == "out-of-fold" else run.data.test
    try:
        sizes = np.column_stack(run.sizes(rows)).astype(np.float64)
    except BadData:
        sizes = rows[DIMENSIONS].to_numpy(np.float64) if set(DIMENSIONS) <= set(rows) else np.full((len(rows), 2), np.inf)
    order = np.argsort(part.known, kind="stable")
    place = order[np.minimum(np.searchsorted(part.known, ids, sorter=order), len(order) - 1)]
    return np.where((part.known[place] == ids)[:, None], sizes[place], np.inf)


def _boxes(sheet: Sheet, part: Part) -> tuple[Boxes, list[str]]:
    kept = np.isin(sheet.ids, part.needed)
    category = sheet.category if sheet.category is not None else sheet.ids[:0]
    values = sheet.numbers[kept]
    found = Boxes(part.needed, sheet.ids[kept], category[kept], values[:, :4], values[:, 4])
    empty = int((~np.isin(part.needed, found.image)).sum())
    notes = [f"{empty} of {len(part.needed)} {part.what} images have no box; they are taken as looked at."] * bool(empty)
    if not kept.all():
        notes.append(f"{int((~kept).sum())} {part.what} boxes of images that no fold validates are left out.")
    return found, notes
