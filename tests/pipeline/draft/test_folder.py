"""What a folder holds, and what it lacks, said with the cure."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.draft import Wishes, draft
from pipeline.draft.folder import look
from pipeline.errors import BadData
from tests.pipeline.draft import folders


def names(root: Path, *files: str) -> Path:
    root.mkdir(exist_ok=True)
    for file in files:
        (root / file).write_text("id,y\n1,2\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("train.csv", "test.csv", "sample_submission.csv"), ("train.csv", "test.csv", "sample_submission.csv")),
        (
            ("train_data.csv", "test_data.csv", "SampleSubmission.csv"),
            ("train_data.csv", "test_data.csv", "SampleSubmission.csv"),
        ),
        (
            ("train.csv", "train_extra.csv", "test.csv", "gender_submission.csv"),
            ("train.csv", "test.csv", "gender_submission.csv"),
        ),
        (("Train.csv", "Test.csv", "sample_submission_test.csv"), ("Train.csv", "Test.csv", "sample_submission_test.csv")),
    ],
)
def test_tables_are_known_by_their_names(tmp_path: Path, files: tuple[str, ...], found: tuple[str, ...]) -> None:
    folder = look(names(tmp_path / "d", *files), {})
    assert (folder.train, folder.test, folder.sample) == found


def test_a_person_may_name_them(tmp_path: Path) -> None:
    root = names(tmp_path / "d", "labels.csv", "test.csv", "sample.csv")
    assert look(root, {"train": "labels.csv"}).train == "labels.csv"
    with pytest.raises(BadData, match=r"label\.csv is missing\. The folder has the tables labels\.csv, sample\.csv, test\.csv"):
        look(root, {"train": "label.csv"})


def test_several_candidates_are_listed_with_the_option_that_chooses(tmp_path: Path) -> None:
    root = names(tmp_path / "d", "train_a.csv", "train_b.csv", "test.csv", "sample_submission.csv")
    with pytest.raises(
        BadData, match=r"several tables that may be the train: train_a\.csv, train_b\.csv\. Say which with --train FILE"
    ):
        look(root, {})


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            ("test.csv", "sample_submission.csv"),
            r"no table for train: it has sample_submission\.csv, test\.csv\. .* --train FILE",
        ),
        (("train.csv", "test.csv"), "no table for sample: it has test.csv, train.csv"),
        (("train.csv", "sample_submission.csv"), "no table for test"),
        ((), "no table for train: it has no CSV file at all"),
    ],
)
def test_a_table_that_is_not_there_is_named(tmp_path: Path, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadData, match=says):
        draft("x", names(tmp_path / "d", *files), Wishes("x"))


def test_parquet_is_answered_with_how_to_make_csv_of_it(tmp_path: Path) -> None:
    root = names(tmp_path / "d", "test.csv", "sample_submission.csv")
    (root / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadData, match=r"train\.parquet cannot be read: write CSV files of them, as by pandas\.read_parquet"):
        draft("x", root, Wishes("x"))


@pytest.mark.parametrize("spoilt", ["train", "test", "sample_submission"])
def test_empty_and_cut_files_are_refused_by_their_name(tmp_path: Path, spoilt: str) -> None:
    root = folders.fraud(tmp_path / "d")
    for content in (b"", (root / f"{spoilt}.csv").read_bytes()[:-3]):
        (root / f"{spoilt}.csv").write_bytes(content)
        with pytest.raises(BadData, match=rf"{spoilt}\.csv is (empty|cut short)"):
            draft("x", root, Wishes("x"))


def test_columns_that_say_nothing_are_no_competition(tmp_path: Path) -> None:
    train = pd.DataFrame({"id": range(40), "same": 1, "y": [0, 1] * 20})
    test = pd.DataFrame({"id": range(40, 50), "same": 1})
    root = folders.write(tmp_path / "d", train, test, test[["id"]].assign(y=0))
    with pytest.raises(BadData, match="No column that train and test share says anything"):
        draft("x", root, Wishes("x"))


# -------------------------------------------------------------------------------------------------------------- pictures and boxes


def test_some_pictures_that_lack_are_an_error_and_none_at_all_a_table(tmp_path: Path) -> None:
    root = folders.leaves(tmp_path / "d")
    lost = sorted((root / "train_images").iterdir())[0]
    lost.unlink()
    with pytest.raises(BadData, match=rf"1 of 48 pictures are not there, first train_images/{lost.name}"):
        draft("x", root, Wishes("x"))


def test_pictures_in_folders_of_their_classes_are_answered_with_what_is_needed(tmp_path: Path) -> None:
    root = folders.leaves(tmp_path / "d")
    (root / "train.csv").unlink()
    with pytest.raises(BadData, match="make a table of file and class, such as 'test_images/"):
        draft("x", root, Wishes("x"))


def test_a_number_for_a_picture_is_refused_for_what_it_is(tmp_path: Path) -> None:
    root = folders.leaves(tmp_path / "d")
    train = pd.read_csv(root / "train.csv").assign(species=[number * 0.37 for number in range(48)])
    train.to_csv(root / "train.csv", index=False)
    with pytest.raises(BadData, match="'species' is a number for each picture"):
        draft("x", root, Wishes("x"))


def test_boxes_need_annotations_pictures_and_a_list_of_what_is_asked(tmp_path: Path) -> None:
    root = folders.things(tmp_path / "d")
    for file in ("valid.csv", "test.csv"):
        (root / file).rename(root / f"{file}.away")
    with pytest.raises(BadData, match=r"does not say which images are asked for\. Put there test\.csv"):
        draft("x", root, Wishes("x"))
    (root / "val.json").write_text((root / "train.json").read_text())
    (root / "train.json").rename(root / "labels.json")
    with pytest.raises(BadData, match=r"several files of annotations: labels\.json, val\.json\. Say which with --train FILE"):
        draft("x", root, Wishes("x"))
    with pytest.raises(
        BadData, match=r"other\.json is no file of COCO annotations with boxes\. There are labels\.json, val\.json"
    ):
        draft("x", root, Wishes("x", files={"train": "other.json"}))


def test_a_coco_file_without_boxes_may_be_the_list_of_what_is_asked(tmp_path: Path) -> None:
    root = folders.things(tmp_path / "d")
    for name in ("valid", "test"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str)
        images = [{"id": int(one), "file_name": file, "width": 128, "height": 96} for one, file in table.itertuples(index=False)]
        (root / f"{name}.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
        (root / f"{name}.csv").unlink()
    made = draft("x", root, Wishes("x"))
    assert 'ASKED = ("valid.json", "test.json")' in made.text
    assert "coco.read(root / name).images" in made.text
