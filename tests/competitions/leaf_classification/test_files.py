"""The competition's files: what is refused, with which words, and what is only noted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from competitions.leaf_classification import competition
from competitions.leaf_classification.files import ID, TARGET, load
from pipeline.errors import BadData

NAMES = ("train", "test", "sample_submission")
LABELS = ["oak", "oak", "oak", "oak", "oak", "elm", "elm", "elm", "elm", "elm"]
Write = Callable[..., Path]


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    names = [f"images/{i}.jpg" for i in range(13)]
    train, test = pd.DataFrame({ID: names[:10], TARGET: LABELS}), pd.DataFrame({ID: names[10:]})
    return dict(zip(NAMES, (train, test, test.assign(**{TARGET: "oak"})), strict=True))


@pytest.fixture
def write(tmp_path: Path, tables: dict[str, pd.DataFrame]) -> Write:
    """Writes a whole, tiny set of files, with some of its tables changed; pictures are empty files, as none is opened."""
    (tmp_path / "images").mkdir()
    for i in range(13):
        (tmp_path / "images" / f"{i}.jpg").touch()

    def written(**changed: pd.DataFrame) -> Path:
        for name, table in {**tables, **changed}.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        return tmp_path

    return written


def spoilt(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    other = table.copy()
    other.loc[row, column] = value
    return other


def refused(root: Path, says: str) -> None:
    with pytest.raises(BadData, match=says):
        load(root)


# ------------------------------------------------------------------------------------------------------------------- what is read


def test_the_real_files_are_read_whole(shared: Path) -> None:
    data = load(shared / "leaf-classification")
    assert (len(data.train), len(data.test), len(data.sample)) == (15_353, 3_000, 3_000)
    assert data.train[TARGET].nunique() == 176
    assert data.images == shared / "leaf-classification"
    assert data.notes == ()


def test_a_whole_set_of_files_is_read_as_it_stands(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    root = write()
    data = load(root)
    for name, table in zip(NAMES, (data.train, data.test, data.sample), strict=True):
        assert table.to_dict("list") == tables[name].to_dict("list")
    assert (data.images, data.notes) == (root, ())
    assert competition.task.truth(data).tolist() == [1] * 5 + [0] * 5


def test_pictures_may_lie_in_several_folders_and_beside_the_tables(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    root = write(train=spoilt(spoilt(tables["train"], 0, ID, "here.jpg"), 1, ID, "more/deep/there.jpg"))
    (root / "here.jpg").touch()
    (root / "more" / "deep").mkdir(parents=True)
    (root / "more" / "deep" / "there.jpg").touch()
    assert load(root).notes == ()


# ------------------------------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(write: Write, name: str) -> None:
    root = write()
    (root / f"{name}.csv").unlink()
    refused(root, f"{name}.csv is missing. The folder has")


@pytest.mark.parametrize(("name", "column"), [("train", ID), ("train", TARGET), ("test", ID)])
def test_a_table_without_one_of_its_columns_is_refused(
    write: Write, tables: dict[str, pd.DataFrame], name: str, column: str
) -> None:
    refused(write(**{name: tables[name].rename(columns={column: "x"})}), f"{name}.csv lacks '{column}' and has unexpected .*'x'")


def test_a_test_file_that_knows_the_answer_is_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    refused(write(test=tables["sample_submission"]), "test.csv has unexpected columns 'label'")


def test_a_sample_of_other_columns_is_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    root = write(sample_submission=tables["sample_submission"][[TARGET, ID]])
    refused(root, r"sample_submission.csv has columns \['label', 'image'\]; it should have \['image', 'label'\]")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_anywhere_is_refused_but_for_whole_rows_of_train(write: Write, name: str) -> None:
    """Only train can lose whole rows unseen: nothing else in the folder says how many it had."""
    root = write()
    whole = (root / f"{name}.csv").read_bytes()
    for length in range(len(whole)):
        (root / f"{name}.csv").write_bytes(whole[:length])
        try:
            load(root)
        except BadData:
            continue
        assert name == "train"
        assert whole[:length].endswith(b"\n")


# ------------------------------------------------------------------------------------------------------------------------------ ids


@pytest.mark.parametrize("name", ["train", "test"])
def test_pictures_that_stand_twice_are_refused(write: Write, tables: dict[str, pd.DataFrame], name: str) -> None:
    table = pd.concat([tables[name], tables[name][1:2]])
    first = tables[name][ID][1]
    refused(write(**{name: table}), f"{name}.csv has 1 pictures that stand twice, first '{first}' in row {len(table)}")


@pytest.mark.parametrize("nothing", ["", "  "])
def test_a_row_without_a_picture_is_refused(write: Write, tables: dict[str, pd.DataFrame], nothing: str) -> None:
    refused(
        write(train=spoilt(tables["train"], 3, ID, nothing)), "train.csv has 1 rows without a picture's name, first .* in row 4"
    )


def test_a_picture_in_train_and_in_test_is_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    refused(write(train=spoilt(tables["train"], 3, ID, "images/11.jpg")), "1 pictures stand both .* first 'images/11.jpg'")


def test_a_sample_that_does_not_fit_the_test_rows_is_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    refused(write(test=tables["test"][:-1]), r"1 pictures are only in the sample and 0 only in test \(such as 'images/12.jpg'\)")
    refused(write(sample_submission=tables["sample_submission"][1:]), r"0 .* and 1 only in test \(such as 'images/10.jpg'\)")


# --------------------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("label", "says"),
    [("", "have no label"), ("  ", "have no label"), ("NA", "have no label"), ("oak ", "with blanks at an end")],
)
def test_a_label_that_is_none_is_refused(write: Write, tables: dict[str, pd.DataFrame], label: str, says: str) -> None:
    refused(write(train=spoilt(tables["train"], 2, TARGET, label)), f"1 pictures have .*{says[5:]}, first 'images/2.jpg'")


def test_a_label_that_the_list_of_classes_lacks_is_refused_with_the_nearest_names(
    write: Write, tables: dict[str, pd.DataFrame]
) -> None:
    root = write(train=spoilt(tables["train"], 2, TARGET, "oack"))
    (root / "classes.txt").write_text("ash\nelm\noak\n")
    refused(root, r"1 pictures have a label that is not in classes.txt, first 'images/2.jpg': 'oack'. The list has 'oak'")
    (root / "classes.txt").write_text("")
    refused(root, r"10 pictures have .* The list has nothing like it")
    (root / "classes.txt").write_bytes(b"\xff\xfe\x00")
    refused(root, r"classes.txt cannot be read as text")


def test_a_class_of_the_list_without_a_picture_is_noted(write: Write) -> None:
    root = write()
    (root / "classes.txt").write_text("ash\r\noak\r\n\r\nelm\r\n")
    assert load(root).notes == ("1 classes of classes.txt have no picture in train and are never predicted: ash.",)


def test_a_class_with_fewer_pictures_than_folds_is_noted_and_dealt_to_fewer_folds(
    write: Write, tables: dict[str, pd.DataFrame]
) -> None:
    data = load(write(train=spoilt(tables["train"], 2, TARGET, "ash")))
    assert data.notes == ("2 classes have fewer pictures than the 5 folds, their scores are left to chance: ash (1), oak (4).",)
    y = competition.task.truth(data)
    train = data.train.assign(twins=range(len(y)))
    folds = competition.folds.make(train[ID].to_numpy(dtype=str), train, y)
    judged = [set(y[folds.validate(fold)].tolist()) for fold in range(len(folds))]
    assert [sum(kind in fold for fold in judged) for kind in (0, 1, 2)] == [1, 5, 4]


# ------------------------------------------------------------------------------------------------------------------------- pictures


def test_a_folder_of_pictures_that_is_not_there_is_named(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    root = write()
    (root / "images").rename(root / "pictures")
    refused(root, "images is no folder, but the tables name pictures in it")
    (root / "images").touch()
    refused(root, "images is no folder")
    refused(write(train=spoilt(tables["train"], 0, ID, "a\0b/0.jpg")), "cannot be read as a folder of pictures")


def test_pictures_that_are_not_there_are_counted_and_named(write: Write) -> None:
    root = write()
    for i in (*range(6), 12):
        (root / "images" / f"{i}.jpg").unlink()
    (root / "images" / "3.jpg").mkdir()
    refused(root, r"lacks 7 of the 13 pictures that .* name: images/0.jpg, images/1.jpg, .*, images/4.jpg, \.\.\.\. Unpack")


@pytest.mark.parametrize("name", ["/etc/0.jpg", "../0.jpg", "images/../../0.jpg"])
def test_pictures_outside_of_the_folder_are_refused(write: Write, tables: dict[str, pd.DataFrame], name: str) -> None:
    refused(write(train=spoilt(tables["train"], 0, ID, name)), f"1 pictures lie outside of this folder: {name}")
