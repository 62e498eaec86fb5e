"""Grading at home: a submission's score against answers, as the competition's own grader would give it.

What is wrong with the submission is a BadSubmission and names the rule; what is wrong with the answers is a BadAnswers. Rules that a grader
does not have (`CAUTIONS`: rows in another order, answers that are all alike) are told and break nothing.

Answers are a CSV of ids and the target, or one column of 0 and 1 per class, perhaps with Kaggle's column `Usage`: Public, Private or
Ignored rows; for boxes a file of COCO annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.answers import Numbers, Scenes
from pipeline.boxes import coco
from pipeline.competition import Classification, Competition, Data, Detection, Regression
from pipeline.errors import BadAnswers, BadData, BadPredictions, BadSubmission
from pipeline.predictions import Array, Table, as_ids
from pipeline.tables import MISSING, read_text
from submit import boxes
from submit.check import NUMBER, alone, check, refuse

CAUTIONS = {"column-order", "id-order", "constant", "unfilled", "probability-sum", "few-images"}
USAGE, PUBLIC, PRIVATE, IGNORED = "usage", "public", "private", "ignored"
ALL = "all"
TWO = 2


@dataclass(frozen=True)
class Part:
    """Of the answers: "all", or "public" and "private". score, low, high: natural, with its 95 % interval. rows: or images."""

    name: str
    rows: int
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Grade:
    """cautions: what is odd about the file although it has a score."""

    parts: tuple[Part, ...]
    cautions: tuple[str, ...]


def grade(competition: Competition, file: Path, answers: Path, data: Data | None = None) -> Grade:
    """data: of the competition, where it is at hand: its sample submission says which ids both files must have, and train which
    classes there are. Raises BadSubmission, BadAnswers.
    """
    if isinstance(competition.task, Detection):
        return _boxes(file, answers)
    return _Rows(competition, competition.task, file, answers, data).grade()


# -------------------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class _Rows:
    competition: Competition
    task: Regression | Classification
    file: Path
    answers: Path
    data: Data | None

    def grade(self) -> Grade:
        truth, parts = self._truth()
        sample = self._sample(truth)
        classes = self.task.columns(self.data) if self.data and isinstance(self.task, Classification) else None
        broken = check(self.file, sample, self.task, classes)
        refuse([one for one in broken if one.rule not in CAUTIONS])
        found = read_text(self.file)
        scored = truth[parts.ne(IGNORED).to_numpy()]
        ids, parts = as_ids(scored[self.task.id]), parts[scored.index]
        columns, y, values = self._numbers(scored, found, sample, classes)
        predictions = Table(as_ids(found[self.task.id]), values, columns)
        self._refuse_answers(y, len(columns), parts)
        made = []
        for name in sorted(parts.unique(), reverse=True):  # public first
            rows = (parts == name).to_numpy()
            made.append(self._part(name, Numbers(ids[rows], y[rows], self.competition.metric, columns), predictions))
        return Grade(tuple(made), tuple(f"[{one.rule}] {one.message}" for one in broken))

    def _part(self, name: str, numbers: Numbers, predictions: Table) -> Part:
        try:
            score, interval = numbers.score(predictions), numbers.interval(predictions)
        except BadPredictions as error:
            rule = "range" if isinstance(self.task, Regression) else "probability-sum"
            raise BadSubmission(rule, f"{self.file} cannot be scored: {error}") from error
        return Part(name, len(numbers.ids), score, *interval)

    # What the answers say.

    def _truth(self) -> tuple[pd.DataFrame, pd.Series]:
        """The answers, a row an id, and each row's part. Raises BadAnswers."""
        table = _told(self.answers, read_text)
        usage = [column for column in table.columns if column.strip().lower() == USAGE and column != self.task.target]
        parts = pd.Series(ALL, index=table.index)
        if usage:
            parts = table.pop(usage[0]).str.strip().str.lower()
            odd = parts[~parts.isin([PUBLIC, PRIVATE, IGNORED])]
            if len(odd):
                raise self._bad(f"has {len(odd)} rows whose {usage[0]} is not Public, Private or Ignored, first {odd.iloc[0]!r}")
        if self.task.id not in table:
            raise self._bad(f"has no column {self.task.id!r}, only {list(table.columns)}")
        ids = table[self.task.id]
        twice = ids[ids.duplicated() | (ids.str.strip() == "")]
        if len(twice):
            raise self._bad(f"has {len(twice)} ids that are empty or stand twice, first {twice.iloc[0]!r}")
        columns = [column for column in table.columns if column != self.task.id]
        if columns != [self.task.target] and (isinstance(self.task, Regression) or len(columns) < TWO):
            raise self._bad(f"has the answers {columns}; {self.task.target!r} is needed, or a column of each class")
        if parts.eq(IGNORED).all():
            raise self._bad("has no row that counts: all are Ignored")
        return table, parts

    def _sample(self, truth: pd.DataFrame) -> pd.DataFrame:
        """What the submission is checked against. Without the competition's own, the answers say which ids there are."""
        ids, answered = self.task.id, set(truth[self.task.id])
        if self.data is not None:
            sample = self.data.sample
            lacking, unknown = set(sample[ids]) - answered, answered - set(sample[ids])
            if lacking or unknown:
                raise self._bad(
                    f"does not fit the sample submission: it lacks {len(lacking)} of its {len(sample)} ids and has {len(unknown)} others, "
                    f"first {min(lacking or unknown)!r}"
                )
            return sample
        header, given = _header(self.file, ids)
        if given and not given & answered:
            raise self._bad(f"has none of the {len(given)} ids of {self.file}")
        if given > answered:
            raise self._bad(
                f"lacks {len(given - answered)} of the {len(given)} ids of {self.file}, first {min(given - answered)!r}"
            )
        columns = [column for column in truth.columns if column != ids]
        if (
            isinstance(self.task, Classification)
            and self.competition.metric.kind == "probability"
            and columns == [self.task.target]
        ):
            columns = [column for column in header if column != ids] or columns
        return truth[[ids]].assign(**dict.fromkeys(columns, ""))

    def _numbers(
        self, truth: pd.DataFrame, found: pd.DataFrame, sample: pd.DataFrame, classes: Sequence[str] | None
    ) -> tuple[tuple[str, ...], Array, Array]:
        """The predictions' columns, y (n,) of the answers that count, and the predictions (m, k)."""
        target, answers = self.task.target, [column for column in sample.columns if column != self.task.id]
        if isinstance(self.task, Regression):
            y = self._finite(truth, [target])[:, 0]
            return (target,), y, _floats(found, [target])
        labels = self._labels(truth)
        if self.competition.metric.kind == "label":
            said = found[answers[0]].map(_plain)
            columns = tuple(sorted({*labels, *said}))
            return columns, np.searchsorted(columns, labels), (said.to_numpy()[:, None] == np.array(columns)).astype(float)
        chances = _floats(found, answers)
        if alone(sample, self.task):
            columns = self._both(labels, classes)
            chances = np.hstack([1 - chances, chances])
        else:
            columns = tuple(answers)
        place = {_plain(name): number for number, name in enumerate(columns)}
        unknown = sorted(set(labels) - place.keys())
        if unknown and self.data is None:
            message = f"{self.file} has no column for {len(unknown)} classes of the answers, first {unknown[0]!r}."
            raise BadSubmission("columns", f"{message} It has {', '.join(map(repr, columns[:5]))}. Write one for each class.")
        if unknown:
            raise self._bad(f"has {len(unknown)} classes that the sample submission does not ask for, first {unknown[0]!r}")
        return columns, np.array([place[label] for label in labels]), chances

    def _both(self, labels: list[str], classes: Sequence[str] | None) -> tuple[str, ...]:
        """The two classes, sorted; the column of chances is that of the second."""
        known = {_plain(one) for one in classes} if classes else set(labels)
        known = {"0", "1"} if known < {"0", "1"} else known
        if len(known) != TWO:
            raise self._bad(f"has the classes {sorted(known)[:5]}, where the submission has the chance of one of two")
        return tuple(sorted(known))

    def _labels(self, truth: pd.DataFrame) -> list[str]:
        """(n,) the true classes."""
        columns = [column for column in truth.columns if column != self.task.id]
        if columns == [self.task.target]:
            self._refuse(truth, truth[columns].isin(MISSING).to_numpy(), columns, "no answer")
            return [_plain(label) for label in truth[self.task.target]]
        flags = self._finite(truth, columns)
        self._refuse(truth, ~np.isin(flags, (0, 1)), columns, "an answer that is not 0 or 1")
        self._refuse(truth, np.repeat(flags.sum(axis=1, keepdims=True) != 1, len(columns), axis=1), columns, "not one class")
        return [_plain(columns[place]) for place in flags.argmax(axis=1)]

    def _finite(self, truth: pd.DataFrame, columns: list[str]) -> Array:
        cells = truth[columns]
        values = np.column_stack([pd.to_numeric(cells[column], errors="coerce").to_numpy(dtype=np.float64) for column in columns])
        self._refuse(truth, ~np.isfinite(values), columns, "an answer that is no finite number")
        return values

    def _refuse(self, truth: pd.DataFrame, wrong: Array, columns: list[str], what: str) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            cell, one = truth[columns[column]].iloc[row], truth[self.task.id].iloc[row]
            raise self._bad(f"has {what} in {int(wrong.any(axis=1).sum())} rows, first {cell!r} at {self.task.id} {one!r}")

    def _refuse_answers(self, y: Array, classes: int, parts: pd.Series) -> None:
        """Answers that no submission could be judged by. One that can only fail for their sake is tried."""
        perfect = np.abs(y)[:, None] if isinstance(self.task, Regression) else np.eye(classes)[y]
        for name in parts.unique():
            rows = (parts == name).to_numpy()
            try:
                self.competition.metric.natural(y[rows], perfect[rows])
            except BadPredictions as error:
                raise self._bad(f"cannot be what {name} rows are judged by: {error}") from error

    def _bad(self, what: str) -> BadAnswers:
        name = self.competition.name
        return BadAnswers(f"{self.answers} {what}. Is it the solution of {name}, whole? The submission itself may be fine.")


def _plain(label: str) -> str:
    """Equal for labels that are the same number: 1 and 1.0."""
    return str(Decimal(label).normalize() + 0) if NUMBER.fullmatch(label) else label


def _floats(table: pd.DataFrame, columns: list[str]) -> Array:
    """(n, k) of cells that are numbers."""
    return np.array([[float(cell) for cell in table[column]] for column in columns]).T


def _header(file: Path, ids: str) -> tuple[list[str], set[str]]:
    """The columns and ids of a submission, as far as it can be read; what is wrong with it `check` says."""
    try:
        table = read_text(file)
    except BadData:
        return [], set()
    return list(table.columns), set(table[ids]) if ids in table else set()


def _told(path: Path, read: Callable[[Path], Any]) -> Any:
    """What the answers' file holds. Raises BadAnswers where it cannot be read."""
    try:
        return read(path)
    except BadData as error:
        raise BadAnswers(f"The answers cannot be read. {error}") from error


# ------------------------------------------------------------------------------------------------------------------------- boxes


def _boxes(file: Path, answers: Path) -> Grade:
    found = _told(answers, coco.read)
    if found.boxes.empty:
        raise BadAnswers(f"{answers} has no boxes, so nothing can be graded by it. Is it a list of images alone?")
    images = found.images.rename(columns={"id": "image_id"})
    truth = Detection().truth(Data(images, images[:0], images[:0], found.boxes, found.categories))
    sizes = {one.image_id: (one.width, one.height) for one in images.itertuples()}
    broken = boxes.check(file, sizes, found.categories["id"].tolist())
    if any(one.rule == "unknown-image" for one in broken) and not boxes.images_of(file, len(sizes)) & set(sizes):
        raise BadAnswers(f"{answers} has none of the images of {file}. Is it another competition's, or another phase's?")
    refuse([one for one in broken if one.rule not in CAUTIONS])
    scenes, predictions = Scenes(truth), boxes.read(file, list(sizes))
    part = Part(ALL, len(sizes), scenes.score(predictions), *scenes.interval(predictions))
    return Grade((part,), tuple(f"[{one.rule}] {one.message}" for one in broken))
