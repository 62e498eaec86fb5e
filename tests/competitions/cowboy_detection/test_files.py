"""The competition's files: what is refused, with which words, and what is only noted."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from competitions.cowboy_detection import competition, features
from competitions.cowboy_detection.files import ID, IMAGE, PHASE, load
from pipeline.boxes.coco import BOX
from pipeline.errors import BadData
from pipeline.predictions import Boxes, Truth
from pipeline.run import open_run
from pipeline.train import train
from submit.boxes import answer

BIG = 15984033263460081658  # beyond 63 bits, and no float64
IDS = [str(BIG + number) for number in range(9)]
NAMES = [f"{number}.jpg" for number in range(9)]
TABLES = ("train", "valid", "test")
Write = Callable[..., Path]


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    whole = pd.DataFrame({"id": IDS, "file_name": NAMES})
    return {"train": whole[:4], "valid": whole[4:6].reset_index(drop=True), "test": whole[6:].reset_index(drop=True)}


@pytest.fixture
def content() -> dict[str, Any]:
    """Of train.json; its images stand in another order than those of train.csv."""
    boxes = [(0, 87), (1, 1034), (1, 87), (2, 1034), (3, 1034)]
    return {
        "images": [{"id": BIG + i, "file_name": NAMES[i], "width": 100 + i, "height": 50} for i in (2, 0, 3, 1)],
        "categories": [{"id": 1034, "name": "sunglasses"}, {"id": 87, "name": "belt"}],
        "annotations": [
            {"id": number, "image_id": BIG + image, "category_id": category, "bbox": [10, 20, 30, 25.5], "iscrowd": False}
            for number, (image, category) in enumerate(boxes)
        ],
    }


@pytest.fixture
def write(tmp_path: Path, tables: dict[str, pd.DataFrame], content: dict[str, Any]) -> Write:
    """Writes a whole, tiny set of files, with some of its tables, or train.json, changed; pictures are empty files, as none is opened."""
    (tmp_path / "images").mkdir()
    for name in NAMES:
        (tmp_path / "images" / name).touch()

    def written(change: Callable[[dict[str, Any]], Any] | None = None, **changed: pd.DataFrame) -> Path:
        for name, table in {**tables, **changed}.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        other = copy.deepcopy(content)
        if change:
            change(other)
        (tmp_path / "train.json").write_text(json.dumps(other))
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


def test_a_whole_set_of_files_is_read_as_it_stands(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    root = write()
    data = load(root)
    assert data.train.to_dict("list") == {
        ID: IDS[:4],
        IMAGE: NAMES[:4],
        "width": [100, 101, 102, 103],
        "height": [50] * 4,
    }
    assert data.train.dtypes[["width", "height"]].tolist() == ["int64", "int64"]
    assert data.test.to_dict("list") == {ID: IDS[4:], IMAGE: NAMES[4:], PHASE: ["valid"] * 2 + ["test"] * 3}
    assert data.sample.to_dict("list") == {ID: IDS[4:]}
    assert data.categories is not None
    assert data.categories.to_dict("list") == {"id": ["1034", "87"], "name": ["sunglasses", "belt"]}
    assert data.boxes is not None
    assert list(data.boxes.columns) == [ID, "category_id", *BOX, "crowd"]
    assert data.boxes[ID].tolist() == [IDS[0], IDS[1], IDS[1], IDS[2], IDS[3]]
    assert (data.images, data.notes) == (root / "images", ())
    y = competition.task.truth(data)
    assert isinstance(y, Truth)
    assert y.images.tolist() == IDS[:4]
    assert y.presence.tolist() == [[False, True], [True, True], [True, False], [True, False]]
    assert list(features().fit_transform(data.train).columns) == [ID, IMAGE]


def test_the_real_annotations_are_read_without_their_pictures_and_every_fold_has_a_belt(shared: Path) -> None:
    data = load(shared / "cowboyoutfits")
    assert data.boxes is not None
    assert (len(data.train), len(data.boxes), len(data.test)) == (3_062, 5_594, 1_817)
    assert data.test[PHASE].value_counts().to_dict() == {"valid": 999, "test": 818}
    assert sum(int(one) >= 2**63 for one in data.train[ID]) == 1_448
    assert data.images is None
    (note,) = data.notes
    assert "no folder images: folds and evaluation work, but nothing can be trained. Unpack the 4,879 pictures there" in note
    y = competition.task.truth(data)
    assert isinstance(y, Truth)
    belt = y.presence[:, y.categories.tolist().index("87")]
    folds = competition.folds.make(y.images, data.train.assign(twins=range(len(y))), y)
    assert sorted(int(belt[folds.validate(fold)].sum()) for fold in range(5)) == [4, 4, 4, 4, 5]


def test_a_collection_of_other_categories_in_the_same_files_is_read(shared: Path) -> None:
    data = load(shared / "detection-bccd")
    assert data.boxes is not None
    assert data.categories is not None
    assert (len(data.train), len(data.test), len(data.boxes)) == (240, 124, 3_108)
    assert data.categories["name"].tolist() == ["RBC", "WBC", "Platelets"]
    assert (data.images, data.notes) == (shared / "detection-bccd" / "images", ())


def test_what_was_mended_in_the_annotations_is_noted(write: Write) -> None:
    data = load(write(lambda content: content["annotations"][0].update(bbox=[90, 40, 30, 30])))
    assert data.notes == ("train.json: 1 boxes cut off at the picture's edge.",)


def test_images_and_categories_without_a_box_stay_and_are_counted(write: Write) -> None:
    data = load(write(lambda content: content["annotations"].__delitem__(slice(0, 3))))
    assert data.train[ID].tolist() == IDS[:4]
    assert data.notes == (
        "train.json: 2 images have no box; they stay, as pictures without any of the things.",
        "train.json: 1 categories have no box and cannot be learned: belt.",
    )


# ------------------------------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("column", ["id", "file_name"])
def test_another_competitions_table_is_refused(write: Write, tables: dict[str, pd.DataFrame], name: str, column: str) -> None:
    refused(write(**{name: tables[name].rename(columns={column: "x"})}), f"{name}.csv lacks '{column}' and has unexpected .*'x'")


@pytest.mark.parametrize("name", ["train.json", *(f"{name}.csv" for name in TABLES)])
def test_a_missing_file_is_named(write: Write, name: str) -> None:
    root = write()
    (root / name).unlink()
    refused(root, name)


@pytest.mark.parametrize("name", ["train.json", *(f"{name}.csv" for name in TABLES)])
def test_a_file_cut_anywhere_is_refused_but_for_whole_rows_of_valid_and_test(write: Write, name: str) -> None:
    """Nothing else in the folder says how many rows these two had."""
    root = write()
    whole = (root / name).read_bytes()
    for length in range(0, len(whole), 7 if name == "train.json" else 1):
        (root / name).write_bytes(whole[:length])
        try:
            load(root)
        except BadData:
            continue
        assert name in ("valid.csv", "test.csv")
        assert whole[:length].endswith(b"\n")


@pytest.mark.parametrize(("column", "words"), [("id", "an id"), ("file_name", "a file name")])
@pytest.mark.parametrize("name", TABLES)
def test_a_row_without_an_id_or_a_file_name_is_refused(
    write: Write, tables: dict[str, pd.DataFrame], name: str, column: str, words: str
) -> None:
    refused(write(**{name: spoilt(tables[name], 1, column, " ")}), f"{name}.csv has 1 rows without {words}, first ' ' in row 2")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("column", "many", "values"), [("id", "ids", IDS), ("file_name", "file names", NAMES)])
def test_an_id_or_a_file_name_twice_in_a_table_is_refused(
    write: Write, tables: dict[str, pd.DataFrame], name: str, column: str, many: str, values: list[str]
) -> None:
    first = tables[name][column][0]
    refused(
        write(**{name: spoilt(tables[name], 1, column, first)}),
        f"{name}.csv has 1 {many} that stand twice, first '{first}' in row 2",
    )


@pytest.mark.parametrize(("one", "other"), [("train", "valid"), ("train", "test"), ("valid", "test")])
@pytest.mark.parametrize(("column", "many"), [("id", "ids"), ("file_name", "file names")])
def test_an_id_or_a_file_name_in_two_tables_is_refused(
    write: Write, tables: dict[str, pd.DataFrame], one: str, other: str, column: str, many: str
) -> None:
    first = tables[one][column][1]
    root = write(**{other: spoilt(tables[other], 0, column, first)})
    refused(root, f"1 {many} stand both in {one}.csv and in {other}.csv, first '{first}'.*take them out of one of the files")


@pytest.mark.parametrize("value", ["1.59840332634601E+19", "15984033263460081658.0", "-5", "0x1f"])
@pytest.mark.parametrize("name", TABLES)
def test_an_id_that_is_no_whole_number_is_refused(write: Write, tables: dict[str, pd.DataFrame], name: str, value: str) -> None:
    root = write(**{name: spoilt(tables[name], 1, "id", value)})
    refused(root, rf"{name}.csv has 1 ids that are no whole numbers, first '{value.replace('+', '.')}' in row 2")


# -------------------------------------------------------------------------------------------------------------- train.json and train.csv


def test_an_image_of_one_of_the_two_alone_is_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    refused(
        write(train=tables["train"][1:]), f"1 image ids are in train.json and not in train.csv, first {IDS[0]}.*download both"
    )
    root = write(lambda content: (content["images"].pop(), content["annotations"].__delitem__(slice(1, 3))))
    refused(root, f"1 image ids are in train.csv and not in train.json, first {IDS[1]}")


def test_ids_that_were_rounded_are_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    rounded = tables["train"].assign(id=[f"{one[:15]}{number}0000" for number, one in enumerate(IDS[:4])])
    refused(
        write(train=rounded), f"4 image ids are in train.json and not in train.csv, first {IDS[2]}.*a program rounded its ids"
    )


def test_another_file_name_for_the_same_id_is_refused(write: Write, tables: dict[str, pd.DataFrame]) -> None:
    swapped = tables["train"].assign(file_name=["1.jpg", "0.jpg", "2.jpg", "3.jpg"])
    refused(
        write(train=swapped), f"2 images have one file name in train.json and .* train.csv, first {IDS[0]}: '0.jpg' and '1.jpg'"
    )


# ------------------------------------------------------------------------------------------------------------------------- pictures


def test_pictures_that_are_not_there_are_counted_and_named(write: Write) -> None:
    root = write()
    for name in ("0.jpg", "5.jpg", "8.jpg"):
        (root / "images" / name).unlink()
    (root / "images" / "5.jpg").mkdir()
    refused(root, r"lacks 3 of the 9 pictures that train.csv, valid.csv and test.csv name: 0.jpg, 5.jpg, 8.jpg\. Unpack")


def test_without_a_folder_of_pictures_there_are_none_and_a_file_or_a_broken_link_is_no_such_folder(write: Write) -> None:
    root = write()
    (root / "images").rename(root / "elsewhere")
    data = load(root)
    assert data.images is None
    assert data.notes == (
        f"{root} has no folder images: folds and evaluation work, but nothing can be trained. Unpack the 9 pictures there.",
    )
    (root / "images").symlink_to(root / "nowhere")
    refused(root, "images is no folder, but the tables name pictures in it")
    (root / "images").unlink()
    (root / "images").touch()
    refused(root, "images is no folder, but the tables name pictures in it")


@pytest.mark.parametrize("name", ["/etc/0.jpg", "../0.jpg", "more/../../0.jpg"])
@pytest.mark.parametrize("pictures", [True, False])
def test_a_name_that_leads_out_of_the_folder_is_refused_with_pictures_and_without(
    write: Write, tables: dict[str, pd.DataFrame], name: str, pictures: bool
) -> None:
    root = write(test=spoilt(tables["test"], 0, "file_name", name))
    if not pictures:
        (root / "images").rename(root / "elsewhere")
    refused(root, f"images: 1 pictures lie outside of this folder: {name}. Name them relative to it")


def test_the_real_annotations_without_pictures_are_opened_folded_and_checked_against(
    shared: Path, tmp_path: Path, podium: Any
) -> None:
    root = shared / "cowboyoutfits"
    run = open_run("cowboy-detection", root, tmp_path / "runs")
    belt = run.columns.index("87")
    assert sorted(run.y[run.folds.validate(fold)].presence[:, belt].sum() for fold in range(5)) == [4, 4, 4, 4, 5]
    with pytest.raises(BadData, match="nothing can be trained"):
        train(run)
    words = ("cowboy-detection", "--data", root, "--runs", tmp_path / "runs")
    said = podium("data", *words)
    assert said.code == 0
    assert "2,330" in said.out
    ids = run.test_of("valid")["image_id"].to_numpy()
    every = Boxes(ids, ids, np.full(len(ids), "87"), np.tile([1.0, 2, 30, 40], (len(ids), 1)), np.linspace(0.1, 0.9, len(ids)))
    (tmp_path / "answer.zip").write_bytes(answer(every))
    assert podium("submit", *words, "--check", tmp_path / "answer.zip", "--phase", "valid").code == 0
    other = podium("submit", *words, "--check", tmp_path / "answer.zip", "--phase", "test")
    assert (other.code, "[unknown-image]" in other.err) == (2, True)


def test_annotations_of_nothing_are_refused(write: Write) -> None:
    refused(write(lambda content: content["annotations"].clear()), "train.json has no boxes, so there is nothing to learn")
