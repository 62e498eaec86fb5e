"""What the sample submission asks for, and where train has the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.draft.kinds import known, numbers, whole
from pipeline.errors import BadData

ONE_HOT = "label"  # what the class is called where train has a column for each
SHOWN = 6


@dataclass(frozen=True)
class Question:
    """id: the sample's column of ids. by_row: test has no such column, and the sample numbers its rows. in_train: train has one.
    repeats: there, several rows share one.

    answers: the sample's other columns. target: of train. named: as the task calls it, which is the sample's name where it has one.
    prefix: what the sample's columns of classes have before the class. one_hot: train has the same columns, with 0 and 1.
    """

    id: str
    by_row: bool
    in_train: bool
    repeats: bool
    answers: tuple[str, ...]
    target: str
    named: str
    prefix: str = ""
    one_hot: bool = False

    @property
    def of_classes(self) -> bool:
        """Whether the sample has a column for each class."""
        return len(self.answers) > 1


def read_question(train: pd.DataFrame, test: pd.DataFrame, sample: pd.DataFrame, target: str | None = None) -> Question:
    """target: train's column, where a person names it. Raises BadData."""
    one, by_row = _id(test, sample)
    in_train = one in train
    facts = (one, by_row, in_train, in_train and bool(train[one].duplicated().any()))
    answers = tuple(column for column in sample.columns if column != one)
    if not answers:
        raise BadData(f"The sample submission has the column {one!r} alone. A column to fill is needed; download it again.")
    if target is not None and (target not in train or target == one):
        raise BadData(f"--target {target}: no column of train to predict. It has {_some(list(train.columns))}.")
    only = [column for column in train.columns if column not in test and column != one]
    if len(answers) == 1:
        found = target or (answers[0] if answers[0] in train else _only(only, answers))
        if found in test and known(test[found]).size:
            raise BadData(
                f"test has the answers: its column {found!r} has values in {len(known(test[found])):,} rows. Remove it."
            )
        return Question(*facts, answers, found, answers[0])
    if target is None and set(answers) <= set(train.columns):
        _refuse_several(train, answers)
        name = next(
            name for name in (ONE_HOT, *(f"{ONE_HOT}_{number}" for number in range(len(train.columns)))) if name not in train
        )
        return Question(*facts, answers, name, name, one_hot=True)
    for column in [target] if target else sorted(only):
        prefix = _prefix(set(known(train[column])), answers)
        if prefix is not None:
            return Question(*facts, answers, column, column, prefix)
    raise BadData(
        f"The sample submission asks for {len(answers)} columns, {_some(answers)}, and no column of train has these as its classes"
        f"{f', nor has {target!r}' if target else ''}. Train alone has {_some(only)}."
    )


def _id(test: pd.DataFrame, sample: pd.DataFrame) -> tuple[str, bool]:
    """The column of ids, and whether test lacks it."""
    shared = [column for column in sample.columns if column in test]
    fitting = [column for column in shared if sample[column].is_unique and set(sample[column]) == set(test[column])]
    if len(fitting) == 1:
        return fitting[0], False
    if len(fitting) > 1:
        raise BadData(f"{_some(fitting)} may each be the id of the sample submission. Rename all but one of them in test.")
    if shared:
        told = [_misfit(column, sample, test) for column in shared]
        raise BadData(
            f"The ids of the sample submission are not those of test: {'; '.join(told)}. One of the files is cut short or another "
            "competition's; download both again."
        )
    if len(sample) == len(test):
        for column in sample.columns:
            values = numbers(sample[column])
            if len(values) > 1 and whole(values) and (values[1:] - values[:-1] == 1).all():
                return column, True
    raise BadData(
        f"test and the sample submission have no column in common: test has {_some(list(test.columns))}, the sample "
        f"{_some(list(sample.columns))}; and the sample's {len(sample):,} rows are not the numbers of test's {len(test):,}. Are "
        "they of one competition?"
    )


def _misfit(column: str, sample: pd.DataFrame, test: pd.DataFrame) -> str:
    asked, there = set(sample[column]), set(test[column])
    if not sample[column].is_unique:
        return f"{column!r} stands twice for {sample[column][sample[column].duplicated()].iloc[0]!r}"
    lacking, others = asked - there, there - asked
    return f"of {column!r} {len(lacking):,} are only in the sample and {len(others):,} only in test, such as {min(lacking or others)!r}"


def _only(only: Sequence[str], answers: tuple[str, ...]) -> str:
    """The one column that test lacks: it must be the answer, whatever it is called."""
    if len(only) == 1:
        return only[0]
    which = f"it could be one of {_some(sorted(only))}" if only else "test has all of train's columns"
    raise BadData(
        f"The sample submission asks for {answers[0]!r}, which is no column of train; {which}. Say which with --target COLUMN."
    )


def _prefix(classes: set[str], answers: tuple[str, ...]) -> str | None:
    """What stands before every class in the names of the columns; None where they are not the columns of these classes."""
    for one in sorted(classes, key=len, reverse=True)[:1]:
        for answer in sorted(answers):
            prefix = answer.removesuffix(one)
            if answer.endswith(one) and {prefix + name for name in classes} == set(answers):
                return prefix
    return None


def _refuse_several(train: pd.DataFrame, answers: tuple[str, ...]) -> None:
    flags = [numbers(train[answer]) for answer in answers]
    if not all(((values == 0) | (values == 1)).all() for values in flags) or (np.sum(flags, axis=0) != 1).any():
        raise BadData(
            f"The sample submission asks for {len(answers)} targets at once, {_some(answers)}. A competition here has one target; or a column "
            "for each class, of which each row of train has one."
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(map(repr, names[:SHOWN])) or "none") + more
