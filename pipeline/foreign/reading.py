"""Files of predictions as they stand: tables from CSV, parquet and npz, boxes from COCO's list of results.

A table has the id's column, one column per class (or one of values), and perhaps the fold that validated the row. An npz has the arrays
`ids` (n,), `values` (n,) or (n, k), `columns` (k,) where there are classes, and perhaps `fold` (n,).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.boxes.coco import is_box, is_number
from pipeline.errors import BadData, BadImport, BadPredictions
from pipeline.foreign.rules import Broken, refuse, some
from pipeline.predictions import Array, as_ids
from pipeline.tables import PACKED_SMALLER, ROOM, read_text

FOLD = "fold"
OF_TABLES, OF_BOXES = (".csv", ".parquet", ".npz"), (".json",)
KEYS = ("image_id", "category_id", "bbox", "score")


@dataclass(frozen=True, eq=False)
class Sheet:
    """Rows of a table, or results of boxes. ids: (n,) text. numbers: (n, k) float64. fold: (n,) text, None where the files say nothing of it.
    category: (n,) text, of boxes; their numbers are left, top, width, height and score."""

    ids: Array
    numbers: Array
    fold: Array | None = None
    category: Array | None = None


def fold_column(id_column: str, columns: Sequence[str]) -> str:
    """How a column is called that holds folds: a name that nothing else has."""
    name = FOLD
    while name in (id_column, *columns):
        name = f"podium_{name}"
    return name


def read(files: Sequence[Path], id_column: str, columns: Sequence[str], fold: str | None, boxes: bool) -> Sheet:
    """The rows of all files together, one after the other. fold: the column of folds; `fold_column`, if it is there, without.

    Raises BadImport for what cannot be read, or has not these columns.
    """
    parts = [_read(file, id_column, tuple(columns), fold, boxes) for file in files]
    folds = [part.fold for part in parts if part.fold is not None]
    if 0 < len(folds) < len(parts):
        without = next(file for file, part in zip(files, parts, strict=True) if part.fold is None)
        raise BadImport(
            "columns", f"{without} says nothing of folds, but others of these files do. Give all of them the column, or none."
        )
    return Sheet(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.numbers for part in parts]),
        np.concatenate(folds) if folds else None,
        np.concatenate([part.category for part in parts if part.category is not None]) if boxes else None,
    )


def _read(file: Path, id_column: str, columns: tuple[str, ...], fold: str | None, boxes: bool) -> Sheet:
    known = OF_BOXES if boxes else OF_TABLES
    kind = next((ending for ending in known if file.name.endswith(ending)), None)
    if kind is None:
        what = "boxes come as COCO's list of results" if boxes else "tables come as CSV, parquet or npz"
        raise BadImport(
            "file", f"{file} ends with {file.suffix or 'nothing'}: {what}, in a file that ends with {' or '.join(known)}."
        )
    if not file.is_file():
        raise BadImport("file", f"{file} is not a file that is there.")
    try:
        if kind == ".json":
            return _results(file, json.loads(file.read_text(encoding="utf-8-sig")), fold)
        if kind == ".npz":
            return _arrays(file, columns, fold)
        table = read_text(file) if kind == ".csv" else pd.read_parquet(file)
    except BadImport:
        raise
    except BadData as error:
        raise BadImport("file", str(error)) from error
    except Exception as error:  # pyarrow, zipfile and json raise all sorts of errors on a file that is cut
        raise BadImport(
            "file", f"{file} cannot be read as {kind[1:]} ({type(error).__name__}: {str(error)[:200]}). Is it whole?"
        ) from error
    return _table(file, table, id_column, columns, fold)


def _table(file: Path, table: pd.DataFrame, id_column: str, columns: tuple[str, ...], fold: str | None) -> Sheet:
    if table.index.name is not None:
        table = table.reset_index(drop=table.index.name in table)
    table.columns = table.columns.map(str)
    identity = id_column if id_column in table else "id"
    fold_name = fold or fold_column(id_column, columns)
    found = [name for name in table.columns if name not in (identity, fold_name)]
    if len(columns) == len(found) == 1:
        columns = (found[0],)  # of values there is one column, whatever it is called
    lacking = [name for name in (identity, *columns, *[fold_name] * (fold is not None)) if name not in table]
    more = [name for name in found if name not in columns]
    if lacking or more or len(set(table.columns)) < len(table.columns):
        raise BadImport(
            "columns",
            f"{file} has the columns {', '.join(table.columns[:8])}{', ...' * (len(table.columns) > 8)}. It lacks {len(lacking)} "
            f"({some(lacking) or 'none'}) and has {len(more)} that nobody asked for ({some(more) or 'none'}). Needed: {id_column}, "
            f"then {', '.join(columns[:8])}{', ...' * (len(columns) > 8)}; it may have {fold_name!r}.",
        )
    ids = _ids(file, table[identity].to_numpy())
    values = np.column_stack([_numbers(file, name, table[name], ids) for name in columns])
    return Sheet(ids, values, _folds(file, table[fold_name].to_numpy(), ids) if fold_name in table else None)


def _arrays(file: Path, columns: tuple[str, ...], fold: str | None) -> Sheet:
    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > PACKED_SMALLER * file.stat().st_size + ROOM:
            raise BadImport("file", f"{file} unpacks to more than {PACKED_SMALLER} times its size; nothing of it was read.")
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
        there: Mapping[str, Array] = {name: arrays[name] for name in ("ids", "values", "columns", fold or FOLD) if name in arrays}
    lacking = [name for name in ("ids", "values", *["columns"] * (len(columns) > 1), *[fold] * bool(fold)) if name not in there]
    if lacking:
        raise BadImport(
            "columns",
            f"{file} lacks the arrays {', '.join(map(str, lacking))}; it has {', '.join(there) or 'none that is known'}.",
        )
    ids, values = _ids(file, there["ids"]), there["values"]
    named = tuple(map(str, there["columns"].tolist())) if "columns" in there else columns
    values = values[:, None] if values.ndim == 1 else values
    if values.shape != (len(ids), len(named)) or len(named) != len(columns) or (len(columns) > 1 and set(named) != set(columns)):
        raise BadImport(
            "columns",
            f"{file} has values of shape {there['values'].shape} in columns {some(named)}; {len(ids)} ids and the task need "
            f"{(len(ids), len(columns))} in columns {some(columns)}.",
        )
    if values.dtype.kind not in "iuf":
        raise BadImport("not-a-number", f"{file}: the values are of type {values.dtype}; all {values.size} must be numbers.")
    order = [named.index(name) for name in columns] if len(columns) > 1 else [0]
    folds = there.get(fold or FOLD)
    return Sheet(ids, values[:, order].astype(np.float64), None if folds is None else _folds(file, folds, ids))


def _ids(file: Path, ids: Array) -> Array:
    missing = pd.isna(ids) if ids.dtype == object else np.zeros(len(ids), dtype=bool)
    if missing.any():
        raise BadImport("id-text", f"{file} has {int(missing.sum())} rows without an id, first row {int(missing.argmax()) + 1}.")
    if ids.dtype.kind not in "iuUO":
        raise BadImport(
            "id-text", f"{file}: all {len(ids)} ids are of type {ids.dtype}, {some(ids.tolist())}. Write them as text."
        )
    try:
        return as_ids(ids)
    except BadPredictions as error:
        raise BadImport("id-text", f"{file}: {error}") from error


def _numbers(file: Path, name: str, column: pd.Series, ids: Array) -> Array:
    """(n,) float64, NaN where a cell is empty or says so."""
    if column.dtype.kind in "iuf" and not isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    text = column.astype(object)
    empty = text.isna() | (text == "")
    numbers = pd.to_numeric(text.where(~empty), errors="coerce")
    spelt = text.astype(str).str.strip().str.lower().str.lstrip("+-")
    wrong = (numbers.isna() & ~empty & ~spelt.isin({"nan", "inf", "infinity"})) | text.map(lambda cell: isinstance(cell, bool))
    if wrong.any():
        bad = wrong.to_numpy()
        cases = [f"id {i}: {cell!r}" for i, cell in zip(ids[bad], text[bad], strict=True)]
        raise BadImport("not-a-number", f"{file}: {int(bad.sum())} cells of {name!r} are no numbers, {some(cases)}.")
    return text.where(~empty, np.nan).astype(np.float64).to_numpy()  # Python's reading, exact to the last bit


def _folds(file: Path, fold: Array, ids: Array) -> Array:
    """(n,) text of whole numbers as they are, and of other labels."""
    if fold.shape != ids.shape:
        raise BadImport("fold-number", f"{file} has folds of shape {fold.shape} for {len(ids)} rows.")
    plain = [int(one) if isinstance(one, float) and one.is_integer() else one for one in fold.tolist()]
    empty = np.array([bool(pd.isna(one)) or one == "" for one in plain], dtype=bool)
    if empty.any():
        raise BadImport("fold-number", f"{file}: {int(empty.sum())} rows say no fold, {some([f'id {i}' for i in ids[empty]])}.")
    return np.array([str(one) for one in plain], dtype=np.str_)


def _results(file: Path, content: Any, fold: str | None) -> Sheet:
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise BadImport("file", f"{file} is no list of results. COCO's format is [{{image_id, category_id, bbox, score}}, ...].")
    fold_key = fold or FOLD
    with_fold = bool(content) and (fold is not None or fold_key in content[0])
    needed = {*KEYS, *[fold_key] * with_fold}
    odd = [number for number, one in enumerate(content) if set(one) != needed]
    if odd:
        cases = [f"result {number} with {sorted(content[number])}" for number in odd]
        raise BadImport("keys", f"{file}: {len(odd)} results have not the keys {', '.join(sorted(needed))}, {some(cases)}.")
    texts = {
        key: [number for number, one in enumerate(content) if isinstance(one[key], bool) or not isinstance(one[key], int | str)]
        for key in ("image_id", "category_id")
    }
    refuse(
        Broken(
            "id-text",
            len(odd),
            f"{file}: {key} is neither a whole number nor a text in {len(odd)} results, {some([f'{number}: {content[number][key]!r}' for number in odd])}.",
        )
        for key, odd in texts.items()
        if odd
    )
    wrong = {
        "box": ("bbox", "four finite numbers", [number for number, one in enumerate(content) if not is_box(one["bbox"])]),
        "score": ("score", "a number", [number for number, one in enumerate(content) if not is_number(one["score"])]),
    }
    refuse(
        Broken(
            rule,
            len(bad),
            f"{file}: {key} is not {what} in {len(bad)} results, {some([f'{number}: {str(content[number][key])[:80]}' for number in bad])}.",
        )
        for rule, (key, what, bad) in wrong.items()
        if bad
    )
    ids = np.array([str(one["image_id"]) for one in content], dtype=np.str_)
    values = np.array([[*one["bbox"], one["score"]] for one in content], dtype=np.float64).reshape(-1, 5)
    folds = _folds(file, np.array([one[fold_key] for one in content], dtype=object), ids) if with_fold else None
    return Sheet(ids, values, folds, np.array([str(one["category_id"]) for one in content], dtype=np.str_))
