"""What the sample submission asks for, whatever Kaggle's files call it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from pipeline.draft.question import read_question
from pipeline.errors import BadData


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({name: list(map(str, cells)) for name, cells in columns.items()})


TRAIN = table(id=[0, 1, 2, 3], a=[5, 6, 7, 8], y=["p", "q", "p", "r"])
TEST = table(id=[4, 5], a=[1, 2])
SAMPLE = table(id=[4, 5], y=["p", "p"])


def test_the_shared_column_is_the_id_and_the_other_the_answer() -> None:
    found = read_question(TRAIN, TEST, SAMPLE)
    assert (found.id, found.target, found.named, found.by_row, found.repeats) == ("id", "y", "y", False, False)
    assert read_question(TRAIN, TEST, SAMPLE[["y", "id"]]).id == "id"


def test_an_answer_under_another_name_is_what_test_lacks() -> None:
    found = read_question(TRAIN, TEST, SAMPLE.rename(columns={"y": "Prediction"}))
    assert (found.target, found.named) == ("y", "Prediction")
    with pytest.raises(BadData, match=r"it could be one of 'b', 'y'. Say which with --target COLUMN"):
        read_question(TRAIN.assign(b="1"), TEST, SAMPLE.rename(columns={"y": "Prediction"}))
    found = read_question(TRAIN.assign(b="1"), TEST, SAMPLE.rename(columns={"y": "Prediction"}), "y")
    assert (found.target, found.named) == ("y", "Prediction")


def test_a_column_for_each_class_may_have_a_prefix() -> None:
    for prefix in ("", "y_", "Class "):
        sample = table(id=[4, 5], **{f"{prefix}{one}": [0, 0] for one in "rpq"})
        found = read_question(TRAIN, TEST, sample)
        assert (found.target, found.prefix, found.of_classes) == ("y", prefix, True)


def test_train_may_have_a_column_of_0_and_1_for_each_class() -> None:
    train = table(id=[0, 1, 2], rust=[1, 0, 0], scab=[0, 1, 1])
    found = read_question(train, table(id=[4, 5]), table(id=[4, 5], rust=[0, 0], scab=[0, 0]))
    assert found.one_hot
    assert (found.target, found.answers) == ("label", ("rust", "scab"))


def test_rows_that_the_sample_numbers_need_no_ids() -> None:
    found = read_question(TRAIN.drop(columns="id"), TEST.drop(columns="id"), table(ImageId=[1, 2], y=["p", "p"]))
    assert (found.id, found.by_row, found.in_train) == ("ImageId", True, False)


def test_ids_of_train_may_be_absent_or_repeat() -> None:
    assert not read_question(TRAIN.drop(columns="id"), TEST, SAMPLE).in_train
    assert read_question(TRAIN.assign(id=["0", "0", "1", "1"]), TEST, SAMPLE).repeats


@pytest.mark.parametrize(
    ("train", "test", "sample", "target", "says"),
    [
        (TRAIN, TEST, table(id=[4, 6], y=["p", "p"]), None, "'id' 1 are only in the sample and 1 only in test, such as '6'"),
        (TRAIN, TEST, table(id=[4, 4], y=["p", "p"]), None, "'id' stands twice for '4'"),
        (
            TRAIN,
            TEST,
            table(key=["x", "z"], y=["p", "p"]),
            None,
            "no column in common: test has 'id', 'a', the sample 'key', 'y'",
        ),
        (TRAIN, TEST, table(key=[1, 2, 3], y=["p"] * 3), None, "the sample's 3 rows are not the numbers of test's 2"),
        (TRAIN, TEST, table(id=[4, 5]), None, "has the column 'id' alone"),
        (TRAIN, TEST, table(id=[4, 5], u=[0, 0], v=[0, 0]), None, "no column of train has these as its classes"),
        (TRAIN.drop(columns="y"), TEST, SAMPLE, None, "'y', which is no column of train; test has all of train's columns"),
        (TRAIN, TEST, SAMPLE, "z", "--target z: no column of train to predict"),
        (TRAIN, TEST.assign(y=["p", "q"]), SAMPLE, None, "test has the answers: its column 'y' has values in 2 rows"),
        (TRAIN, TEST.assign(k=["4", "5"]), SAMPLE.assign(k=["4", "5"]), None, "'id', 'k' may each be the id"),
        (
            table(id=[0, 1], u=[1, 1], v=[1, 0]),
            table(id=[4, 5]),
            table(id=[4, 5], u=[0, 0], v=[0, 0]),
            None,
            "asks for 2 targets at once",
        ),
        (TRAIN, TEST, table(id=[4, 5], p=[0, 0], q=[0, 0]), None, "'p', 'q', and no column of train has these as its classes"),
    ],
)
def test_files_that_do_not_say_what_is_asked_are_refused_with_what_lacks(
    train: pd.DataFrame, test: pd.DataFrame, sample: pd.DataFrame, target: str | None, says: str
) -> None:
    with pytest.raises(BadData, match=says):
        read_question(train, test, sample, target)
