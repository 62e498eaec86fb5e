"""Our predictions, and our folds, written down for a notebook of one's own: what is written here, `reading` takes back bit by bit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import BadRecipe, UnknownName
from pipeline.folds import FIT
from pipeline.foreign.reading import fold_column
from pipeline.predictions import Array, Boxes, Table
from pipeline.run import Run
from pipeline.store import pack, refusing, replace_file
from pipeline.train import Member

OF_TABLES, OF_BOXES = ("csv", "parquet", "npz"), ("json",)
LINE_END = "\r\n"  # the csv module quotes only what is in it, and an id may hold either


def export(run: Run, member: Member, folder: Path, kind: str | None = None) -> list[Path]:
    """Write folder/MODEL.oof.KIND, with the fold of each row, and folder/MODEL.test.KIND, if there are test predictions.

    kind: csv, parquet or npz of tables, json of boxes; the first without. Raises UnknownName, BadRecipe, StoreError.
    """
    known = OF_BOXES if isinstance(member.oof, Boxes) else OF_TABLES
    kind = kind or known[0]
    if kind not in (*OF_TABLES, *OF_BOXES):
        raise UnknownName("format", kind, (*OF_TABLES, *OF_BOXES))
    if kind not in known:
        raise BadRecipe(
            f"{member.name} predicts {'boxes' if known is OF_BOXES else 'a table'}, which is written as {' or '.join(known)}."
        )
    order = np.argsort(run.ids, kind="stable")

    def folds(ids: Array) -> Array:
        found: Array = run.folds.fold_of[order[np.searchsorted(run.ids, ids, sorter=order)]]
        return found

    written = [_keep(folder / f"{member.name}.oof.{kind}", content(run, member.oof, folds, kind))]
    if member.test is not None:
        written.append(_keep(folder / f"{member.name}.test.{kind}", content(run, member.test, None, kind)))
    return written


def export_folds(run: Run, folder: Path) -> list[Path]:
    """folds.csv: id and fold of each train row, -1 for a row that only ever fits. fit.csv: id, and for each fold 1 where its models may
    learn from the row, else 0; in blocks of time that is what came before."""
    ids, roles = run.folds.ids, run.folds.roles
    plan = pd.DataFrame({"id": ids, "fold": run.folds.fold_of})
    fit = pd.DataFrame((roles == FIT).astype(np.int8), columns=[f"fit_{fold}" for fold in range(len(run.folds))])
    fit.insert(0, "id", ids)
    return [
        _keep(folder / f"{name}.csv", table.to_csv(index=False, lineterminator=LINE_END).encode())
        for name, table in (("folds", plan), ("fit", fit))
    ]


def content(run: Run, found: Table | Boxes, folds: Callable[[Array], Array] | None, kind: str) -> bytes:
    """The bytes of a file. folds: from ids (n,) to their folds (n,), or None where there are none to tell."""
    fold = folds(found.image if isinstance(found, Boxes) else found.ids) if folds else None
    if isinstance(found, Boxes):
        return _results(found, fold)
    if kind == "npz":
        return pack({**found.arrays(), **({} if fold is None else {"fold": fold})})
    id_column = run.entry.competition.task.id
    table = pd.DataFrame(found.values, columns=list(found.columns))
    table.insert(0, id_column, found.ids)
    if fold is not None:
        table.insert(1, fold_column(id_column, found.columns), fold)
    if kind == "csv":
        return table.to_csv(index=False, lineterminator=LINE_END).encode()
    return bytes(table.to_parquet(index=False))


def _results(found: Boxes, fold: Array | None) -> bytes:
    """COCO's list of results; ids are whole numbers where they look like one."""
    rows = zip(found.image.tolist(), found.category.tolist(), found.box.tolist(), found.score.tolist(), strict=True)
    results = [{"image_id": _number(i), "category_id": _number(c), "bbox": box, "score": score} for i, c, box, score in rows]
    if fold is not None:
        results = [{**one, "fold": number} for one, number in zip(results, fold.tolist(), strict=True)]
    return json.dumps(results, allow_nan=False).encode()


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"0|-?[1-9][0-9]{0,4000}", text) else text


def _keep(file: Path, content: bytes) -> Path:
    with refusing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, content)
    return file
