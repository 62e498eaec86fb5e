"""Annotations are read exactly; what is wrong with them is refused, or mended and counted."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.boxes.coco import BOX, read
from pipeline.boxes.evaluation import evaluate
from pipeline.errors import BadData
from pipeline.folds import KFold
from pipeline.predictions import Boxes, Truth
from tests.bench_setting import SHARED

BIG = 15984033263460081658  # beyond 63 bits, and no float64
GOOD: dict[str, Any] = {
    "images": [
        {"id": BIG, "file_name": "a.jpg", "width": 100, "height": 50},
        {"id": BIG + 1, "file_name": "b.jpg", "width": 80, "height": 60},
    ],
    "categories": [{"id": 87, "name": "belt"}, {"id": 1034, "name": "sunglasses"}],
    "annotations": [
        {"id": 1, "image_id": BIG, "category_id": 1034, "bbox": [10, 20, 30, 25.5], "iscrowd": 0},
        {"id": 2, "image_id": BIG + 1, "category_id": 87, "bbox": [0, 0, 80, 60], "iscrowd": 1},
    ],
}


def written(folder: Path, change: Any = None) -> Path:
    content = copy.deepcopy(GOOD)
    if change:
        change(content)
    path = folder / "train.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_ids_stay_exact_and_categories_keep_the_files_order(tmp_path: Path) -> None:
    found = read(written(tmp_path))
    assert found.images["id"].tolist() == [str(BIG), str(BIG + 1)]
    assert found.categories["id"].tolist() == ["87", "1034"]
    assert found.boxes["image_id"].tolist() == [str(BIG), str(BIG + 1)]
    assert found.boxes[BOX].to_numpy().tolist() == [[10, 20, 30, 25.5], [0, 0, 80, 60]]
    assert found.boxes["crowd"].tolist() == [False, True]
    assert found.notes == ("train.json: 1 boxes marked as crowds.",)


@pytest.mark.parametrize(
    ("box", "expected", "note"),
    [
        ([40, 45.5, -30, -25.5], [10, 20, 30, 25.5], "1 boxes turned round"),
        ([90, 40, 30, 30], [90, 40, 10, 10], "1 boxes cut off at the picture's edge"),
        ([-5, -5, 10, 10], [0, 0, 5, 5], "1 boxes cut off at the picture's edge"),
        ([10, 10, 0, 5], None, "1 boxes left out: no area"),
        ([200, 10, 5, 5], None, "1 boxes left out: no area"),
    ],
)
def test_boxes_are_mended_or_left_out_and_counted(
    tmp_path: Path, box: list[float], expected: list[float] | None, note: str
) -> None:
    found = read(written(tmp_path, lambda content: content["annotations"][0].update(bbox=box)))
    assert found.boxes[BOX].to_numpy().tolist()[: len(found.boxes) - 1] == ([expected] if expected else [])
    assert f"train.json: {note}." in found.notes


def test_the_same_box_twice_is_left_out(tmp_path: Path) -> None:
    found = read(written(tmp_path, lambda content: content["annotations"].append({**content["annotations"][0], "id": 9})))
    assert len(found.boxes) == 2
    assert "train.json: 1 boxes left out: stands twice." in found.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["images"].append(dict(c["images"][0], file_name="c.jpg")),
            f"lists 1 image ids more than once, first '{BIG}'",
        ),
        (lambda c: c["images"].append(dict(c["images"][0], id=5)), "lists 1 file names more than once, first 'a.jpg'"),
        (lambda c: c["categories"].append({"id": 87, "name": "x"}), "lists 1 category ids more than once, first '87'"),
        (lambda c: c["categories"].append({"id": 5, "name": "belt"}), "lists 1 category names more than once, first 'belt'"),
        (
            lambda c: c["annotations"][0].update(bbox=[1, 2, float("nan"), 4]),
            r"annotation 0 \(1\) has bbox .*four finite numbers",
        ),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "four finite numbers are needed: left, top, width, height"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, True, 3]), "four finite numbers"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 10**400, 3]), "four finite numbers"),
        (
            lambda c: c["annotations"][1].update(category_id=5),
            r"annotation 1 \(2\) is of category 5, which the file does not list",
        ),
        (lambda c: c["annotations"][1].update(image_id=5), "is of image 5, which the file does not list"),
        (lambda c: c["images"][0].update(id=1.5e19), "image 0 has id 1.5e.19; an id is a whole number or a text"),
        (lambda c: c["images"][0].update(width=10**400), "both must be whole numbers from 1 to 1,000,000"),
        (lambda c: c["categories"][0].update(name="\ud800"), "a text is needed"),
        (lambda c: c["images"][0].update(id="\ud800"), "an id is a whole number or a text"),
        (lambda c: c["annotations"][0].update(iscrowd="0"), "has iscrowd '0'; it is 0 or 1"),
        (lambda c: c["images"][0].update(width=0), "both must be whole numbers from 1"),
        (lambda c: c["images"][0].update(file_name=" "), "has file_name ' '; a text is needed"),
        (lambda c: c.pop("categories"), "has no list 'categories' of objects"),
        (lambda c: c.update(images={"1": {}}), "has no list 'images' of objects"),
    ],
)
def test_what_nobody_can_mend_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(BadData, match=message):
        read(written(tmp_path, change))


def test_a_number_of_thousands_of_digits_and_a_byte_order_mark_are_no_crash(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole, encoding="utf-8-sig")
    assert len(read(path).images)
    path.write_text(whole.replace('"width": ', '"width": ' + "9" * 5000, 1), encoding="utf-8")
    with pytest.raises(BadData, match="is no JSON"):
        read(path)


def test_a_file_that_is_cut_is_refused_at_every_length(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BadData, match=r"is no JSON, or was cut short|is no file of COCO annotations"):
            read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadData, match="is no JSON"):
        read(path)
    with pytest.raises(BadData, match="cannot be read"):
        read(tmp_path / "none.json")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotation files are not here")
@pytest.mark.parametrize(("folder", "images", "boxes"), [("cowboyoutfits", 3062, 5594), ("detection-bccd", 240, 3108)])
def test_the_real_files_are_read(folder: str, images: int, boxes: int) -> None:
    found = read(SHARED / folder / "train.json")
    assert (len(found.images), len(found.boxes)) == (images, boxes)
    assert set(found.boxes["image_id"]) <= set(found.images["id"])
    assert found.notes == ()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotation files are not here")
def test_the_real_boxes_are_folded_with_a_belt_in_every_fold_and_judged_exactly() -> None:
    found = read(SHARED / "cowboyoutfits" / "train.json")
    ids, boxes = found.images["id"].to_numpy(), found.boxes
    columns = (boxes["image_id"].to_numpy(), boxes["category_id"].to_numpy(), boxes[BOX].to_numpy())
    truth = Truth(ids, found.categories["id"].to_numpy(), *columns, boxes["crowd"].to_numpy())
    folds = KFold(5, strata=1).make(truth.images, found.images, truth)
    belt = truth.presence[:, found.categories["name"].tolist().index("belt")]
    assert sorted(int(belt[folds.validate(fold)].sum()) for fold in range(5)) == [4, 4, 4, 4, 5]  # of 21 images
    assert evaluate(truth, Boxes(truth.images, *columns, np.ones(len(boxes)))).ap == pytest.approx(1, abs=1e-9)
