"""What a submission of rows must be. Every rule has a name; what breaks it is told with its value, its count and the cure.

The sample submission is the measure: its ids as exact text, its columns, its order. Files are read by the csv module,
strictly, because pandas reads a file that was cut short without a word; cells stay the text that they are in the file.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from pipeline.competition import Detection, Regression
from pipeline.errors import BadData, BadSubmission, StoreError
from pipeline.metrics import metric

if TYPE_CHECKING:
    from pipeline.competition import Classification, Task
    from pipeline.predictions import Array

Shape: TypeAlias = Literal["value", "label", "probability"]

TWO = 2
SUM_TOLERANCE = 1e-3  # how far the probabilities of a row may sum from 1: what rounding them to a few digits can do
TELLING = 20  # rows from which answers that are all alike are no accident

RULES = {
    # Of the predictions, before there is a file (`submit.write.fill`).
    "missing-prediction": "every row of the sample has a prediction",
    # Of the file. What cannot be read as a table is not looked at further.
    "file-missing": "there is a file",
    "file-empty": "it is not empty",
    "not-text": "it is UTF-8 text without byte-order mark or NUL; a table in memory holds text cells only",
    "cut-short": "it ends with a line break; without one it may have been cut inside its last number, which nobody could see",
    "not-csv": "quotes are closed and followed by a comma",
    "ragged-row": "every row has one cell per column",
    # Of the table.
    "columns": "the columns are the sample's",
    "column-order": "in the sample's order",
    "row-count": "there are as many rows as in the sample",
    "duplicate-id": "no id stands twice",
    "id-text": "ids are written as in the sample: 7 is not 007, nor 7.0",
    "unknown-id": "every id is in the sample",
    "missing-id": "every id of the sample is there",
    "id-order": "ids are in the sample's order",
    "blank": "no cell is empty",
    # Of the answers.
    "nan": "no number is NaN or another word for missing",
    "infinite": "no number is infinite, nor too large for float64",
    "not-a-number": "numbers are plain decimals: no separators, units or spaces",
    "range": "no value is outside what the target can be",
    "unknown-class": "every label is one of the classes",
    "probability": "probabilities are from 0 to 1",
    "probability-sum": f"those of a row sum to 1 (within {SUM_TOLERANCE:g})",
    "constant": f"answers differ, from {TELLING} rows on",
    "unfilled": f"answers are not the sample's own, from {TELLING} rows on",
}

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
NAN = re.compile(r"\s*(?:[+-]?nan|na|n/a|#n/a|<na>|nat|null|none)\s*", re.IGNORECASE)
INFINITE = re.compile(r"\s*[+-]?(?:inf|infinity|∞)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Broken:
    """A rule that a submission breaks: its name in RULES, how often, and what to tell the person (the first value, the cure)."""

    rule: str
    count: int
    message: str


def check(candidate: pd.DataFrame | Path, sample: pd.DataFrame, task: Task, classes: Sequence[str] | None = None) -> list[Broken]:
    """All rules that the candidate breaks, in the order of RULES; empty if it may be sent.

    candidate: a file, or a table of text as read with `dtype=str, keep_default_na=False`. sample: the sample submission, text
    too. classes: the columns of the predictions (see `shape`); without them a label is only looked at for being there.
    Raises BadData if the sample itself cannot be the measure.
    """
    kind = shape(sample, task, classes)
    if isinstance(candidate, Path):
        table, broken = _read(candidate)
    else:
        table, broken = candidate, list(_not_text(candidate))
    if broken:
        return broken
    return [
        *_columns(list(table.columns), list(sample.columns)),
        *_ids(table, sample, task.id),
        *_answers(table, sample, task, kind, classes),
    ]


def require(candidate: pd.DataFrame | Path, sample: pd.DataFrame, task: Task, classes: Sequence[str] | None = None) -> None:
    """Raise BadSubmission where the candidate breaks a rule; arguments as for `check`."""
    refuse(check(candidate, sample, task, classes))


def refuse(broken: Sequence[Broken]) -> None:
    """Raise BadSubmission with the first broken rule and the names of the others, if there is any."""
    if broken:
        first, *others = broken
        also = f" Also broken: {', '.join(f'{one.rule} ({one.count:,})' for one in others)}." if others else ""
        raise BadSubmission(first.rule, first.message + also)


def shape(sample: pd.DataFrame, task: Task, names: Sequence[str] | None = None) -> Shape:
    """What the sample submission asks for, given the names of the predictions' columns.

    "value": a regression's number. "probability": numbers in columns of the same names as the predictions', one per class; or in the
    target's column alone, where there are two classes and the metric judges probabilities: the chance of the second (see `alone`).
    "label": the target's column alone, holding class names. Raises BadData if the sample fits none of these, or its ids are not unique
    and present.
    """
    if isinstance(task, Detection):
        raise BadData("A detection task is answered with boxes, not with rows like the sample submission's.")
    _refuse_sample(sample, task)
    answers = [column for column in sample.columns if column != task.id]
    if isinstance(task, Regression):
        if answers == [task.target] and (names is None or list(names) == answers):
            return "value"
    elif names is not None and sorted(answers) == sorted(names):
        return "probability"
    elif alone(sample, task):
        if names is None or len(names) == TWO:
            return "probability"
    elif answers == [task.target]:
        return "label"
    elif names is None:
        return "probability"
    predicted = f", the predictions have {_some(names)}" if names is not None else ""
    raise BadData(
        f"Beside {task.id!r} the sample submission has {_some(answers)}{predicted}: not what a {type(task).__name__.lower()} of "
        f"{task.target!r} asks for. Do sample, train and task belong together?"
    )


def alone(sample: pd.DataFrame, task: Task) -> bool:
    """Whether the sample asks for the chance of the second of two classes, sorted, in the target's column: "1" of 0 and 1, "yes" of no
    and yes."""
    if isinstance(task, Detection | Regression):
        return False
    return metric(task.metric).kind == "probability" and list(sample.columns.drop(task.id)) == [task.target]


def _refuse_sample(sample: pd.DataFrame, task: Regression | Classification) -> None:
    if list(sample.columns).count(task.id) != 1 or not sample.columns.is_unique:
        raise BadData(f"The sample submission needs each column once, {task.id!r} among them; it has {_some(sample.columns)}.")
    if len(sample) == 0:
        raise BadData("The sample submission has no rows; download it again.")
    wrong = next(_not_text(sample), None)
    if wrong is not None:
        raise BadData(f"The sample submission is not text. {wrong.message}")
    ids = sample[task.id]
    bad = ids[ids.duplicated() | (ids.str.strip() == "")]
    if len(bad):
        raise BadData(
            f"{len(bad):,} ids of the sample submission are empty or stand twice, first {bad.iloc[0]!r}. Download it again."
        )


# The file.


def _read(path: Path) -> tuple[pd.DataFrame, list[Broken]]:
    """The file's cells, or an empty table and the rules that keep the file from being read as one."""
    nothing = pd.DataFrame()
    if not path.is_file():
        return nothing, [Broken("file-missing", 1, f"{path} is not a file. Write the submission first, or mend the path.")]
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}). Make it readable for this user.") from error
    if not raw.strip():
        return nothing, [Broken("file-empty", 1, f"{path} has {len(raw)} bytes and no text. Write it again.")]
    wrong = _encoding(raw)
    if wrong is not None:
        return nothing, [Broken("not-text", 1, f"{path} {wrong} Save it as plain UTF-8 csv.")]
    reader = csv.reader(io.StringIO(raw.decode(), newline=""), strict=True)
    broken: list[Broken] = []
    rows: list[list[str]] = []
    if not raw.endswith(b"\n"):
        last = raw.rpartition(b"\n")[2].decode()[-80:]
        message = f"The last line has no line break and may be cut: {last!r}. Write the file again, or end it with a line break."
        broken.append(Broken("cut-short", 1, message))
    try:
        rows.extend(reader)
    except csv.Error as error:
        cure = "Close every quote and double those inside a cell."
        return nothing, [*broken, Broken("not-csv", 1, f"Line {reader.line_num:,}: {error}. {cure}")]
    header, *body = rows
    ragged = [place for place, row in enumerate(body) if len(row) != len(header)]
    if ragged:
        first = f"row {ragged[0] + 1:,} with {len(body[ragged[0]])}: {_some(body[ragged[0]])}"
        what, cure = f"Rows that do not have {len(header)} cells", "Quote cells that hold a comma; leave no line empty."
        broken.append(_several("ragged-row", len(ragged), what, first, cure))
    return (nothing if broken else pd.DataFrame(body, columns=header, dtype=object)), broken


def _encoding(raw: bytes) -> str | None:
    """Why these bytes are not plain UTF-8 text, or None."""
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "starts with a byte-order mark, which would become part of the first column's name."
    if b"\0" in raw:
        return f"holds a NUL at byte {raw.index(0):,}: it is UTF-16, an archive, or damaged."
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 at byte {error.start:,}: {raw[error.start : error.start + 8]!r}."
    return None


def _not_text(table: pd.DataFrame) -> Iterator[Broken]:
    cells = table.to_numpy(dtype=object)
    wrong = _where(cells, lambda cell: not isinstance(cell, str))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        first = f"{cells[row, column]!r} in {table.columns[column]!r}"
        cure = "Numbers in memory have lost how they were written: read the file with dtype=str, keep_default_na=False."
        yield _several("not-text", int(wrong.sum()), "Cells that are not text", first, cure)


# The columns and the ids.


def _columns(found: list[str], wanted: list[str]) -> Iterator[Broken]:
    missing = [column for column in wanted if column not in found]
    unknown = [column for column in found if column not in wanted]
    twice = [column for column, count in Counter(found).items() if count > 1]
    if missing or unknown or twice:
        wrong = {"missing": missing, "unknown": unknown, "twice": twice}
        told = ", ".join(f"{what} {_some(columns)}" for what, columns in wrong.items() if columns)
        message = f"Columns {told}. The first line must be the sample's: {_some(wanted)}."
        yield Broken("columns", len({*missing, *unknown, *twice}), message)
    elif found != wanted:
        places = sum(one != other for one, other in zip(found, wanted, strict=True))
        yield Broken("column-order", places, f"The columns stand as {_some(found)}; put them as in the sample: {_some(wanted)}.")


def _ids(table: pd.DataFrame, sample: pd.DataFrame, name: str) -> Iterator[Broken]:
    if len(table) != len(sample):
        message = f"There are {len(table):,} rows; the sample has {len(sample):,}. Write one row for each {name} of the sample."
        yield Broken("row-count", abs(len(table) - len(sample)), message)
    if list(table.columns).count(name) != 1:
        return
    found, wanted = table[name].tolist(), sample[name].tolist()
    counts, known = Counter(found), set(wanted)
    repeated = [one for one, count in counts.items() if count > 1 and one.strip()]
    unknown = [one for one in counts if one not in known and one.strip()]
    missing = [one for one in wanted if one not in counts]
    # An id that the sample has in another spelling is told once, as such, and not as an unknown and a missing one.
    meant = {_same(one): one for one in missing}
    respelt = {one: meant[_same(one)] for one in unknown if _same(one) in meant}
    told = {*respelt, *respelt.values()}
    unknown, missing = [one for one in unknown if one not in told], [one for one in missing if one not in told]
    if repeated:
        first = f"{repeated[0]!r}, {counts[repeated[0]]} times"
        yield _several("duplicate-id", len(repeated), "Ids that stand more than once", first, "Keep one row of each.")
    if respelt:
        first = "{!r} for {!r}".format(*next(iter(respelt.items())))
        yield _several(
            "id-text", len(respelt), "Ids written otherwise than in the sample", first, "Read ids as text, never as numbers."
        )
    if unknown:
        cure = "Remove them, or predict this competition's test rows."
        yield _several("unknown-id", len(unknown), "Ids that the sample does not have", _some(unknown), cure)
    if missing:
        yield _several(
            "missing-id", len(missing), "Ids of the sample that are not there", _some(missing), "Predict every row of it."
        )
    if found != wanted and sorted(found) == sorted(wanted):
        places = [place for place, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other]
        first = f"row {places[0] + 1:,}, {found[places[0]]!r} where the sample has {wanted[places[0]]!r}"
        yield _several(
            "id-order", len(places), "Ids out of place", first, "Join predictions to the sample by id, which keeps its order."
        )


def _same(one: str) -> str | Decimal:
    """Equal for ids that a person or a spreadsheet could take for the same: 7, 007, 7.0, 7e0, ' 7'; a.JPG and a.jpg."""
    text = unicodedata.normalize("NFKC", one).strip().casefold()
    try:
        return Decimal(text) if NUMBER.fullmatch(text) else text
    except InvalidOperation:  # an exponent of twenty digits
        return text


# The answers.


def _answers(
    table: pd.DataFrame, sample: pd.DataFrame, task: Task, kind: Shape, classes: Sequence[str] | None
) -> Iterator[Broken]:
    once = [column for column in sample.columns if list(table.columns).count(column) == 1]
    rows = [f"{task.id} {one!r}" for one in table[task.id]] if task.id in once else [f"row {n + 1:,}" for n in range(len(table))]
    yield from _Cells(rows, once, table[once].to_numpy(dtype=object)).blank()
    columns = [column for column in once if column != task.id]
    if not columns or len(table) == 0:
        return
    cells = _Cells(rows, columns, table[columns].to_numpy(dtype=object))
    answers, given = cells.text, sample[columns].to_numpy(dtype=object)
    if kind == "label":
        yield from cells.labels(classes)
    else:
        answers, given = _values(answers), _values(given)
        yield from cells.numbers(answers)
        if isinstance(task, Regression):
            yield from cells.outside("range", answers, task.low, task.high)
        else:
            yield from cells.outside("probability", answers, 0, 1)
            if len(columns) == len(sample.columns) - 1 > 1:
                yield from cells.sums(answers)
    if len(table) >= TELLING:
        if (answers == answers[0]).all():
            told = f"All {len(table):,} rows have the same answer, {_some(cells.text[0])}"
            yield Broken("constant", len(table), f"{told}. The model learned nothing: look at its scores.")
        if answers.shape == given.shape and (answers == given).all():
            message = f"All {len(table):,} answers are the sample submission's own. Send predictions instead."
            yield Broken("unfilled", len(table), message)


@dataclass(frozen=True)
class _Cells:
    """Cells (n, k) of text, with the names of their rows and columns for the telling."""

    rows: list[str]
    columns: list[str]
    text: Array

    def broken(self, rule: str, wrong: Array, what: str, cure: str) -> Iterator[Broken]:
        """`rule`, if there are cells where `wrong` (n, k) holds."""
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            first = f"{self.text[row, column]!r} in {self.columns[column]!r} at {self.rows[row]}"
            yield _several(rule, int(wrong.sum()), what, first, cure)

    def blank(self) -> Iterator[Broken]:
        empty = _where(self.text, lambda cell: not cell.strip())
        yield from self.broken("blank", empty, "Empty cells", "Every row needs an id and an answer.")

    def labels(self, classes: Sequence[str] | None) -> Iterator[Broken]:
        if classes is None:
            return
        known = set(classes)
        unknown = _where(self.text, lambda cell: cell not in known and cell.strip())
        near = difflib.get_close_matches(self.text[unknown][0], known, n=1, cutoff=0.4) if unknown.any() else []
        cure = f"Did you mean {near[0]!r}?" if near else f"The {len(known)} classes are {_some(sorted(known))}."
        yield from self.broken("unknown-class", unknown, "Labels that are no class", cure)

    def numbers(self, values: Array) -> Iterator[Broken]:
        """Why cells are not finite numbers: each that is not breaks one of nan, infinite, not-a-number and blank."""
        missing = _where(self.text, NAN.fullmatch)
        infinite = np.isinf(values) | _where(self.text, INFINITE.fullmatch)
        neither = np.isnan(values) & ~missing & ~infinite & _where(self.text, str.strip)
        cure = "Find the model that predicts this; nothing is filled in for it."
        yield from self.broken("nan", missing, "Missing numbers", cure)
        yield from self.broken("infinite", infinite, "Infinite numbers", cure)
        yield from self.broken("not-a-number", neither, "Cells that are no number", "Write plain decimals, such as 1234567.25.")

    def outside(self, rule: str, values: Array, low: float, high: float) -> Iterator[Broken]:
        wrong = np.isfinite(values) & ((values < low) | (values > high))
        yield from self.broken(
            rule, wrong, f"Numbers outside {low:g} to {high:g}", "Clip them, or find the model that predicts this."
        )

    def sums(self, values: Array) -> Iterator[Broken]:
        sums = np.ones(len(values))
        readable = np.isfinite(values).all(axis=1)
        with np.errstate(over="ignore"):
            sums[readable] = values[readable].sum(axis=1)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            first, cure = f"{sums[row]:.6g} at {self.rows[row]}", "Divide each row by its sum."
            yield _several("probability-sum", int(wrong.sum()), "Rows whose probabilities do not sum to 1", first, cure)


def _where(cells: Array, holds: Callable[[Any], object]) -> Array:
    """(n, k) bool: the cells of which `holds` is true."""
    return np.array([bool(holds(cell)) for cell in cells.ravel()], dtype=bool).reshape(cells.shape)


def _values(cells: Array) -> Array:
    """(n, k) float64; NaN where a cell is no plain decimal, infinite where it is beyond float64."""
    numbers = [float(cell) if NUMBER.fullmatch(cell) else np.nan for cell in cells.ravel()]
    return np.array(numbers, dtype=np.float64).reshape(cells.shape)


def _several(rule: str, count: int, what: str, first: str, cure: str) -> Broken:
    return Broken(rule, count, f"{what}: {count:,}, first {first}. {cure}")


def _some(names: Iterable[str]) -> str:
    """The first few, quoted."""
    quoted = [repr(name) for name in names]
    return ", ".join(quoted[:5]) + (f" and {len(quoted) - 5:,} more" if len(quoted) > 5 else "")
