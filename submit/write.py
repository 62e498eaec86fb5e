"""From predictions to a file that may be sent: fill the sample submission, check it, keep it. What breaks a rule is never kept.

A kept submission is a folder, `submissions/<time>-<hash>/`, of the file and `manifest.json`, renamed into place when both
are on the disk. Folders whose name starts with a dot are unfinished; those of processes that are no more are swept away.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.errors import BadSubmission, StoreError
from pipeline.predictions import as_ids
from pipeline.store import Store, stray_beside
from submit.check import RULES, alone, require, shape

if TYPE_CHECKING:
    from pipeline.competition import Task
    from pipeline.predictions import Table

FILE, MANIFEST = "submission.csv", "manifest.json"


def submission(folder: Path, sample: pd.DataFrame, predictions: Table, task: Task, about: Mapping[str, Any]) -> Path:
    """Fill, check and keep a submission in `folder`; returns the path of its `submission.csv`.

    about: what the manifest says of where the predictions come from (data, models, scores), anything that JSON can hold; NaN
    becomes null. The check reads the file from the disk, so that it judges what will be sent, not what was meant.
    Raises BadData (the sample does not fit the task), BadSubmission (a rule is broken) and StoreError (no room, read-only).
    """
    table = fill(sample, predictions, task)
    facts = {"rows": len(table), "columns": list(table.columns)}
    if alone(sample, task):
        facts["chance of"] = predictions.columns[-1]
    return keep(folder, FILE, encoded(table), lambda file: require(file, sample, task, predictions.columns), RULES, facts, about)


def keep(
    folder: Path,
    name: str,
    content: bytes,
    judge: Callable[[Path], None],
    rules: Iterable[str],
    facts: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Path:
    """Keep a file of this name and content below `folder`, with a manifest, if it passes; returns its path.

    judge: raises BadSubmission for a file that breaks one of the rules. facts: what the manifest says of the file besides its size.
    """
    created = datetime.now(UTC)
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        Store(folder).sweep()
        unfinished = stray_beside(folder / name)
        unfinished.mkdir()
        try:
            file = unfinished / name
            _put(file, content)
            judge(file)
            digest = _digest(file)
            manifest = {
                "created": created.isoformat(timespec="microseconds"),
                "file": {"name": name, "sha256": digest, "bytes": file.stat().st_size, **facts},
                "check": {"rules": list(rules), "broken": []},
                "about": _plain(about),
            }
            _put(unfinished / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")
            final = folder / f"{created:%Y%m%dT%H%M%S.%f}Z-{digest[:8]}"
            _sync(unfinished)
            unfinished.rename(final)
            _sync(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return final / name


def kept(folder: Path) -> list[Path]:
    """The file of each kept submission whose bytes are those that its manifest was written for, oldest first."""
    return [file for path in sorted(folder.glob(f"[!.]*/{MANIFEST}")) if (file := _whole(path)) is not None]


def fill(sample: pd.DataFrame, predictions: Table, task: Task) -> pd.DataFrame:
    """The sample submission with the predictions in it: its ids byte for byte, its columns, its order; all cells text.

    Rows are joined by id; predictions for other ids are left out. Numbers are written with `repr`, the shortest text that
    reads back as the same float64: 1234567.25, and an exponent below 1e-4 and from 1e16 on (1e-05), which Kaggle reads too.
    A column of labels gets the name of the most probable class, the first of them on a tie; a column alone for chances that of the
    second class. What shape the sample asks for: `submit.check.shape`. Raises BadData and BadSubmission (missing-prediction).
    """
    kind = shape(sample, task, predictions.columns)
    ids = as_ids(sample[task.id])
    values = predictions.at(ids)
    missing = np.isnan(values).any(axis=1)
    if missing.any():
        first = ", ".join(map(repr, ids[missing][:3].tolist()))
        raise BadSubmission(
            "missing-prediction",
            f"{int(missing.sum()):,} of the sample's {len(ids):,} ids have no prediction, first {first}. Predict every test row.",
        )
    table = sample.copy()
    if kind == "label":
        table[sample.columns.drop(task.id)[0]] = np.array(predictions.columns, dtype=object)[values.argmax(axis=1)]
    else:
        columns = dict(zip(predictions.columns, values.T, strict=True))
        if alone(sample, task):
            columns = {sample.columns.drop(task.id)[0]: values[:, -1]}
        for name, column in columns.items():
            table[name] = [repr(value) for value in column.tolist()]
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table as `encoded`. Under the name is the whole file or none. Raises StoreError with the cure (disk full, read-only)."""
    raw = encoded(table)
    unfinished = stray_beside(path)
    with _told(path):
        try:
            _put(unfinished, raw)
            unfinished.replace(path)
            _sync(path.parent)
        finally:
            unfinished.unlink(missing_ok=True)


def encoded(table: pd.DataFrame) -> bytes:
    """A table of text as csv: UTF-8, lines end in '\\n', quotes where needed. Raises BadSubmission if a cell cannot be written so."""
    text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadSubmission("not-text", f"{text[error.start]!r} cannot be written as UTF-8. Read the data as UTF-8.") from error


def _put(path: Path, raw: bytes) -> None:
    with path.open("xb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Without this a rename may be lost when the machine loses power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole(manifest: Path) -> Path | None:
    """The file that the manifest is of, if it is there as it was."""
    try:
        told = json.loads(manifest.read_bytes())["file"]
        file = manifest.with_name(Path(told["name"]).name)
        return file if told["sha256"] == _digest(file) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _plain(value: Any) -> Any:
    """As JSON can hold it: NumPy's numbers as Python's, NaN and infinities as null, tuples as lists, the rest as text."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, int | str) else str(value)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the system's errors into ones that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            cure = "Free space on that disk, or choose a run folder on another one."
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            cure = "Choose a run folder that this user may write to."
        elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            cure = "A file stands where a folder is needed, or the reverse: move it away."
        else:
            cure = "Look after that disk, then run this step again."
        raise StoreError(f"{path} cannot be written ({error.strerror or error}). {cure}") from error
