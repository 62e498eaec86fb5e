"""The first draft of a competition, written from a folder of Kaggle's files: `podium new`.

`folder` looks at the files, `question` and `scoring` at what is asked, `kinds` and `plan` at the rows; `of_tables`, `of_pictures` and
`of_boxes` write the text. Whatever is taken for granted is a sentence that the person sees, and that stands in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.draft import of_boxes, of_pictures, of_tables
from pipeline.draft.folder import Folder, lacking, look
from pipeline.draft.kinds import known
from pipeline.draft.pictures import Place, place_of
from pipeline.draft.question import Question, read_question
from pipeline.draft.scoring import BOXES, Ask, score_by, settle
from pipeline.errors import BadData
from pipeline.tables import read_text

SHOWN = 12  # columns in a sentence


@dataclass(frozen=True)
class Wishes:
    """What a person says beside the folder. metric, target: by name. ask: asks for a metric. files: train, test, sample by name."""

    slug: str
    metric: str | None = None
    target: str | None = None
    ask: Ask | None = None
    files: Mapping[str, str | None] | None = None


@dataclass(frozen=True)
class Draft:
    """text: of the module. reasons: what was taken for granted, a sentence each."""

    text: str
    reasons: tuple[str, ...]


def draft(name: str, root: Path, wishes: Wishes) -> Draft:
    """Raises BadData with the cure where the files do not say what is asked, UnknownName for a metric."""
    files = dict(wishes.files or {})
    folder = look(root, files)
    if folder.of_boxes:
        boxes = of_boxes.gather(name, wishes.slug, folder, files.get("train"))
        reasons = tuple(of_boxes.reasons(boxes)) + settle(BOXES, wishes.metric, None).reasons[1:]
        return Draft(of_boxes.text(boxes, reasons), reasons)
    return _of_rows(name, folder, wishes)


def _of_rows(name: str, folder: Folder, wishes: Wishes) -> Draft:
    if folder.train is None:
        raise lacking(folder, "train")
    if folder.sample is None:
        raise lacking(folder, "sample")
    train, sample = (read_text(folder.root / file) for file in (folder.train, folder.sample))
    listed = folder.test is None and bool(folder.pictures)
    if folder.test is None and not listed:
        raise lacking(folder, "test")
    test = _listed(sample, folder) if folder.test is None else read_text(folder.root / folder.test)
    question = read_question(train, test, sample, wishes.target)
    scoring = score_by(train, sample, question, wishes.metric, wishes.ask)
    found = _pictures(train, test, question, folder)
    if found is None:
        if folder.test is None:
            raise lacking(folder, "test")
        tables = of_tables.gather(
            name, wishes.slug, (folder.train, folder.test, folder.sample), (train, test, sample), question, scoring
        )
        reasons = (
            *_of_question(question),
            *scoring.reasons,
            tables.folding.reason,
            *_left_out(tables.unused, tables.gaps),
        )
        return Draft(of_tables.text(tables, reasons), reasons)
    column, of_train, of_test = found
    if scoring.kind == "value":
        raise BadData(
            f"{question.target!r} is a number for each picture, and the families of pictures learn classes or boxes. If its values are "
            "classes, say so with --metric accuracy."
        )
    pictures = of_pictures.Facts(
        name,
        wishes.slug,
        folder.train,
        folder.test,
        folder.sample,
        (len(train), len(test)),
        question,
        scoring,
        column,
        of_train,
        of_test,
        (_others(train, question, column), _others(test, question, column)),
        _classes(train, question),
        _gaps(train, question),
    )
    of_pictures.refuse(pictures)
    reasons = (*_of_question(question), *scoring.reasons, *_of_pictures(pictures), *_left_out({}, pictures.gaps))
    return Draft(of_pictures.text(pictures, reasons), reasons)


def _listed(sample: pd.DataFrame, folder: Folder) -> pd.DataFrame:
    """The sample submission's column of pictures, where no other table lists them."""
    for column in sample.columns:
        if place_of(sample[column], folder.pictures) is not None:
            return sample[[column]]
    raise lacking(folder, "test")


def _pictures(train: pd.DataFrame, test: pd.DataFrame, question: Question, folder: Folder) -> tuple[str, Place, Place] | None:
    """The column of pictures' names, and where those of train and of test lie; the ids, if they may be it."""
    shared = [column for column in train.columns if column in test and folder.pictures]
    for column in sorted(shared, key=lambda column: (column != question.id, column)):
        places = [place_of(table[column], folder.pictures) for table in (train, test)]
        if places[0] is not None and places[1] is not None:
            return column, places[0], places[1]
        if any(places):
            raise BadData(f"{column!r} names pictures in one of train and test alone. Unpack the archives of both.")
    return None


def _classes(train: pd.DataFrame, question: Question) -> tuple[str, ...]:
    return tuple(sorted(question.answers if question.one_hot else known(train[question.target]).unique()))


def _gaps(train: pd.DataFrame, question: Question) -> int:
    return 0 if question.one_hot else len(train) - len(known(train[question.target]))


def _others(table: pd.DataFrame, question: Question, column: str) -> tuple[str, ...]:
    apart = {question.id, question.target, question.named, column, *question.answers}
    return tuple(one for one in table.columns if one not in apart)


# ------------------------------------------------------------------------------------------------------------------- sentences


def _of_question(question: Question) -> list[str]:
    one, target, named = question.id, question.target, question.named
    said = []
    if question.by_row:
        said.append(f"Ids: the sample submission numbers test's rows as {one!r}, in their order; test itself has no ids.")
    elif not question.in_train:
        said.append(f"Ids: {one!r}, which test and the sample submission share; train has none, so its rows are numbered.")
    elif question.repeats:
        said.append(
            f"Ids: {one!r} stands several times in train, so its rows are numbered, and those of one {one!r} belong together."
        )
    else:
        said.append(f"Ids: {one!r}, the column that test and the sample submission share.")
    if question.one_hot:
        said.append("The answer: train has a column of 0 and 1 for each class, as the sample submission has for their chances.")
    elif question.prefix:
        said.append(f"The answer: {target!r}; the sample submission calls a class {question.prefix!r} and its name.")
    elif question.of_classes:
        said.append(f"The answer: {target!r}, whose classes are the sample submission's columns.")
    elif target != named:
        said.append(f"The answer: {target!r} of train, which test lacks; the sample submission calls it {named!r}.")
    else:
        said.append(f"The answer: {target!r}, which the sample submission asks for.")
    return said


def _left_out(unused: Mapping[str, str], gaps: int) -> list[str]:
    said = []
    if unused:
        several = [f"{column!r} {why}" for column, why in list(unused.items())[:SHOWN]]
        more = f", and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
        said.append(f"Columns that no feature is made of: {'; '.join(several)}{more}.")
    if gaps:
        said.append(f"{gaps:,} rows of train have no answer and are left out.")
    return said


def _of_pictures(facts: of_pictures.Facts) -> list[str]:
    said = [
        f"Pictures: {facts.column!r} names them; train's lie at {facts.of_train.of('NAME')}, test's at {facts.of_test.of('NAME')}.",
        "Folds: five, equal shares of every class, copies of a picture in one fold.",
    ]
    others = sorted({*facts.others[0], *facts.others[1]})
    if others:
        said.append(f"Columns that are not looked at beside the pictures: {', '.join(others[:SHOWN])}.")
    return said
