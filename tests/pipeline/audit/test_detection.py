"""Faults of boxes and folds without a category, planted into made-up annotations; those without a fault give nothing but notes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.audit.detection import doubled, findings
from pipeline.audit.finding import Severity
from pipeline.audit.subject import Subject
from pipeline.boxes.coco import BOX
from pipeline.competition import Competition, Data, Detection, Entry
from pipeline.folds import KFold
from pipeline.predictions import Truth
from pipeline.run import Run
from pipeline.store import Store

CATEGORIES = pd.DataFrame({"id": ["87", "1034", "131"], "name": ["belt", "hat", "boot"]})


def annotations(seed: int, images: int = 120, each: int = 2) -> pd.DataFrame:
    """`each` boxes of each category in every image, side by side."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"{2**64 - 1 - image}", category, 100.0 * at + 10, 100.0 * place + 10, *rng.uniform(20, 80, 2), False)
        for image in range(images)
        for at, category in enumerate(CATEGORIES["id"])
        for place in range(each)
    ]
    return pd.DataFrame(rows, columns=["image_id", "category_id", *BOX, "crowd"])


def run_of(root: Path, boxes: pd.DataFrame, images: int = 120, k: int = 3, strata: int = 1) -> Run:
    ids = [f"{2**64 - 1 - image}" for image in range(images)]
    train = pd.DataFrame({"image_id": ids, "image": ids, "width": 400, "height": 300, "twins": None})
    test = pd.DataFrame({"image_id": ["1", "2"], "image": ["1", "2"]})
    data = Data(train, test, test[["image_id"]], boxes, CATEGORIES)
    plan, task = KFold(k=k, strata=strata), Detection()
    entry = Entry(
        Competition("made", "made", task, plan),
        load=lambda root: data,
        features=lambda: None,  # type: ignore[arg-type, return-value]
        models=dict,
        practice=lambda root, rows, seed: None,
        target=None,
        module="made",
    )
    y = task.truth(data)
    return Run(entry, data, y.images, y, plan, plan.make(y.images, train, y), Store(root), root, practice=False)


def test_annotations_without_a_fault_give_nothing(tmp_path: Path) -> None:
    for seed in range(3):
        assert findings(Subject(run_of(tmp_path, annotations(seed)))) == []


FAULTS = {
    "of the same category already": {"left": 0.5},
    "of another category in the same place": {"category_id": "131"},
    "narrower than 4 pixels": {"width": 2.0, "left": 380.0},
    "20 times as long as wide": {"width": 8.0, "height": 200.0, "left": 380.0},
    "fill 95% of their picture": {"left": 0.0, "top": 0.0, "width": 400.0, "height": 296.0},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_boxes_is_found_and_weighed_by_how_many_there_are(tmp_path: Path, fault: str) -> None:
    boxes = annotations(0)
    for rows, severity in ((3, Severity.NOTE), (60, Severity.WARNING)):
        other = boxes[boxes["category_id"] == "87"].iloc[:rows].copy()
        for column, value in FAULTS[fault].items():
            other[column] = other[column] + value if fault.startswith("of the same") else value
        found = findings(Subject(run_of(tmp_path, pd.concat([boxes, other], ignore_index=True))))
        [one] = [one for one in found if fault in one.what]
        assert (one.severity, one.numbers["boxes"]) == (severity, rows)


def test_a_category_that_a_fold_cannot_learn_is_severe_and_one_that_it_cannot_judge_a_warning(tmp_path: Path) -> None:
    boxes = annotations(0)
    alone = boxes[(boxes["category_id"] != "87") | (boxes["image_id"] == f"{2**64 - 1}")]
    found = {one.severity: one for one in findings(Subject(run_of(tmp_path, alone))) if one.check == "categories in folds"}
    assert "belt (fold" in found[Severity.SEVERE].what
    assert found[Severity.SEVERE].numbers == {"categories": 1, "folds": 1}
    assert found[Severity.WARNING].numbers == {"categories": 1, "folds": 2}


def test_a_category_without_any_box_and_rare_ones_are_told(tmp_path: Path) -> None:
    boxes = annotations(0)
    few = boxes[boxes["category_id"] != "87"]
    told = [one for one in findings(Subject(run_of(tmp_path, few))) if "no box at all: belt." in one.what]
    assert [one.severity for one in told] == [Severity.WARNING]
    rare = pd.concat([few, boxes[boxes["category_id"] == "87"].iloc[:20]])
    [one] = [one for one in findings(Subject(run_of(tmp_path, rare))) if one.check == "rare categories"]
    assert one.numbers == {"belt": 20}
    assert "belt 20 boxes, 1.67 points each" in one.what


def test_boxes_of_a_crowd_lie_where_they_like() -> None:
    image, category = np.array(["1"] * 3), np.array(["87", "87", "131"])
    box = np.array([[10.0, 10, 50, 50]] * 3)
    same, other = doubled(Truth(np.array(["1"]), np.array(["87", "131"]), image, category, box, np.array([False, True, False])))
    assert same.tolist() == [False, False, False]
    assert other.tolist() == [False, False, True]
