"""The competition's files: two tables of picture names, labels for one of them, and the folder of pictures."""

from __future__ import annotations

import difflib
from pathlib import Path

import pandas as pd

from pipeline.competition import Data
from pipeline.errors import BadData
from pipeline.pictures.names import apart, once, some, there
from pipeline.tables import read_table, read_text, same_ids

ID, TARGET = "image", "label"
CLASSES = "classes.txt"
FOLDS = 5


def load(root: Path) -> Data:
    """train.csv, test.csv and sample_submission.csv from `root`, and the pictures' names checked against its folders.

    A file classes.txt, if there is one, lists all classes, one to a line. No picture is opened. Raises BadData with the file
    and the value at fault.
    """
    train, _ = read_table(root / "train.csv", (ID, TARGET), (), required={ID, TARGET})
    test, _ = read_table(root / "test.csv", (ID,), (), required={ID})
    sample = read_text(root / "sample_submission.csv")
    if list(sample.columns) != [ID, TARGET]:
        raise BadData(f"{root / 'sample_submission.csv'} has columns {list(sample.columns)}; it should have {[ID, TARGET]}.")
    once(root / "train.csv", train[ID])
    once(root / "test.csv", test[ID])
    apart(root / "train.csv", train[ID], root / "test.csv", test[ID])
    same_ids(root / "test.csv", test[ID], root / "sample_submission.csv", sample[ID], "pictures")
    labelled(root / "train.csv", train)
    notes = listed(root, train) + scarce(train[TARGET])
    there(root, [*train[ID], *test[ID]], "train.csv and test.csv")
    return Data(train, test, sample, notes=tuple(notes), images=root)


# ---------------------------------------------------------------------------------------------------------------------- labels


def labelled(path: Path, train: pd.DataFrame) -> None:
    """A blank at the end of a label would make a class of its own."""
    labels = train[TARGET]
    for wrong, what in (
        (labels.isna() | (labels.str.strip() == ""), "have no label"),
        (labels.str.strip() != labels, "have a label with blanks at an end"),
    ):
        if wrong.any():
            first = train[wrong].iloc[0]
            raise BadData(
                f"{path}: {int(wrong.sum())} pictures {what}, first {first[ID]!r}: {first[TARGET]!r}. Mend or remove these rows."
            )


def listed(root: Path, train: pd.DataFrame) -> list[str]:
    """What classes.txt says of train's labels: an error for one that it lacks, a note of those that train lacks."""
    path = root / CLASSES
    if not path.exists():
        return []
    try:
        known = {line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()} - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read as text ({error}). Mend or remove it: it is not needed.") from error
    wrong = train[~train[TARGET].isin(known)]
    if len(wrong):
        first = wrong.iloc[0]
        near = " or ".join(map(repr, difflib.get_close_matches(first[TARGET], known, n=3, cutoff=0.4))) or "nothing like it"
        raise BadData(
            f"{root / 'train.csv'}: {len(wrong)} pictures have a label that is not in {CLASSES}, first {first[ID]!r}: "
            f"{first[TARGET]!r}. The list has {near}. Mend the label or the list."
        )
    unseen = sorted(known - set(train[TARGET]))
    return [f"{len(unseen)} classes of {CLASSES} have no picture in train and are never predicted: {some(unseen)}."] * bool(
        unseen
    )


def scarce(labels: pd.Series) -> list[str]:
    """Such classes are no error: the fold plan deals them to fewer folds, and a fold may have to judge what it never saw."""
    counts = labels.value_counts().sort_index()
    few = counts[counts < FOLDS]
    names = some([f"{name} ({count})" for name, count in few.items()])
    return [f"{len(few)} classes have fewer pictures than the {FOLDS} folds, their scores are left to chance: {names}."] * bool(
        len(few)
    )
