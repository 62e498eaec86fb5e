"""What annotations and predictions disagree on comes out by kind, the largest disagreement first, whatever order boxes came in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.boxes.disagreements import COLUMNS, FLOOR, SURE, disagreements, overlaps
from pipeline.boxes.evaluation import matches
from pipeline.predictions import Boxes, Truth, places

IMAGES = np.array([str(2**64 - number) for number in (1, 2, 3, 4)])
CATEGORIES, NAMES = np.array(["87", "1034"]), ["belt", "hat"]
BOX = [10.0, 10, 40, 40]
FAR = [100.0, 100, 40, 40]
Rows = list[tuple[int, str, list[float], float]]


def found(rows: Rows, images: np.ndarray = IMAGES) -> Boxes:
    image, category, box, score = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Boxes(images, IMAGES[list(image)], np.array(category, dtype=np.str_), np.array(box), np.array(score))


def true(rows: list[tuple[int, str, list[float]]], crowds: tuple[int, ...] = ()) -> Truth:
    image, category, box = zip(*rows, strict=True) if rows else ((), (), ())
    boxes = np.array(box, dtype=np.float64).reshape(-1, 4)
    category = np.array(category, dtype=np.str_)
    return Truth(IMAGES, CATEGORIES, IMAGES[list(image)], category, boxes, np.isin(np.arange(len(boxes)), crowds))


def kinds(truth: Truth, boxes: Boxes) -> list[tuple[str, str, str, float]]:
    table = disagreements(truth, boxes, NAMES)
    return list(table[["kind", "category", "other", "score"]].itertuples(index=False, name=None))


def test_a_right_box_is_no_disagreement_however_low_its_score_and_below_the_floor_it_is_none() -> None:
    truth = true([(0, "87", BOX)])
    assert kinds(truth, found([(0, "87", [12, 10, 40, 40], FLOOR)])) == []
    assert kinds(truth, found([(0, "87", BOX, FLOOR - 0.01)])) == [("missed", "belt", "", 0)]


def test_a_box_where_nothing_is_annotated_is_told_if_it_is_sure() -> None:
    truth = true([(0, "87", BOX)])
    both = found([(0, "87", BOX, 0.9), (0, "1034", FAR, SURE), (0, "87", [200, 0, 9, 9], SURE - 0.01)])
    assert kinds(truth, both) == [("not annotated", "hat", "", SURE)]


def test_a_second_box_for_what_was_found_is_not_told() -> None:
    truth = true([(0, "87", BOX)])
    assert kinds(truth, found([(0, "87", BOX, 0.9), (0, "87", [12, 12, 40, 40], 0.8)])) == []


def test_a_thing_found_as_another_is_confused_and_told_once() -> None:
    truth = true([(0, "87", BOX), (1, "87", BOX)])
    table = disagreements(truth, found([(0, "1034", BOX, 0.7), (1, "1034", BOX, 0.6), (1, "87", BOX, 0.2)]), NAMES)
    assert table[["image_id", "kind", "category", "other", "score"]].to_numpy().tolist() == [
        [IMAGES[0], "confused", "belt", "hat", 0.7],
        [IMAGES[1], "not annotated", "hat", "", 0.6],  # the belt was found too
    ]
    assert table[["left", "top", "width", "height"]].to_numpy().tolist() == [BOX, BOX]


def test_a_thing_found_beside_its_place_is_neither_missed_nor_unannotated() -> None:
    truth = true([(0, "87", BOX), (1, "87", BOX), (2, "1034", BOX)])
    boxes = [(0, "87", [35, 10, 40, 40], 0.9), (1, "87", [46, 10, 40, 40], 0.9), (2, "87", [35, 10, 40, 40], 0.9)]
    assert sorted(kinds(truth, found(boxes))) == [
        ("misplaced", "belt", "", 0.9),
        ("missed", "belt", "", 0),  # an overlap below 0.1 is none
        ("missed", "hat", "", 0),
        ("not annotated", "belt", "", 0.9),
        ("not annotated", "belt", "", 0.9),
    ]


def test_the_surest_takes_the_box_that_it_overlaps_most() -> None:
    truth = true([(0, "87", BOX), (0, "87", [20, 10, 40, 40])])
    boxes = [(0, "87", [19, 10, 40, 40], 0.5), (0, "87", [18, 10, 40, 40], 0.9)]
    assert kinds(truth, found(boxes)) == kinds(truth, found(boxes[::-1])) == []


def test_crowds_are_not_missed_and_boxes_in_them_not_told() -> None:
    truth = true([(0, "87", [0, 0, 200, 200]), (0, "87", BOX)], crowds=(0,))
    boxes = found([(0, "87", FAR, 0.9), (0, "1034", FAR, 0.8), (0, "87", BOX, 0.6)])
    assert kinds(truth, boxes) == [("not annotated", "hat", "", 0.8)]


def test_images_with_the_most_to_say_come_first_and_of_equals_the_first_by_id() -> None:
    truth = true([(0, "87", BOX), (1, "87", BOX), (2, "87", BOX), (2, "1034", FAR)])
    boxes = found([(3, "1034", BOX, 0.9), (0, "1034", FAR, 0.4)])
    table = disagreements(truth, boxes, NAMES)
    assert list(dict.fromkeys(table["image_id"])) == IMAGES[[2, 0, 1, 3]].tolist()
    assert table[table["image_id"] == IMAGES[0]]["kind"].tolist() == ["missed", "not annotated"]
    tied = disagreements(true([(at, "87", BOX) for at in range(4)]), found([]), NAMES)
    assert tied["image_id"].tolist() == sorted(IMAGES.tolist())


def test_only_images_that_were_looked_at_are_judged() -> None:
    truth = true([(0, "87", BOX), (1, "87", BOX)])
    assert disagreements(truth, found([], IMAGES[1:]), NAMES)["image_id"].tolist() == [IMAGES[1]]
    nothing = disagreements(truth, found([], IMAGES[:0]), NAMES)
    assert nothing.empty
    assert nothing.columns.tolist() == COLUMNS


@settings(deadline=None, max_examples=40)
@given(seed=some.integers(0, 10_000))
def test_what_is_told_is_what_cocos_matching_leaves_and_the_order_of_boxes_changes_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    corner = random.integers(0, 60, (30, 2)).astype(float)
    box = np.column_stack([corner, random.integers(15, 40, (30, 2))])
    image, category = random.choice(IMAGES, 30), random.choice(CATEGORIES, 30)
    truth = Truth(IMAGES, CATEGORIES, image[:18], category[:18], box[:18], np.zeros(18, dtype=bool))
    boxes = Boxes(IMAGES, image[12:], category[12:], box[12:] + random.uniform(0, 4, (18, 4)), random.permutation(18) / 20 + 0.06)
    table = disagreements(truth, boxes, NAMES)
    order = random.permutation(18)
    shuffled = Boxes(IMAGES, *(values[order] for values in (boxes.image, boxes.category, boxes.box, boxes.score)))
    pd.testing.assert_frame_equal(disagreements(truth, shuffled, NAMES), table)
    tied = [Boxes(one.images, one.image, one.category, one.box, np.full(18, 0.5)) for one in (boxes, shuffled)]
    pd.testing.assert_frame_equal(*(disagreements(truth, one, NAMES) for one in tied))
    judged = matches(truth, boxes)
    assert (table["kind"] != "not annotated").sum() == 18 - judged.hit[:, 0].sum()
    wrong = boxes.score[judged.row[~judged.hit[:, 0]]]
    told = table["score"][table["kind"] != "missed"]
    assert set(told) <= set(wrong)
    iou, _ = overlaps(boxes.box, truth.box)
    at = places(truth.images, boxes.image)[:, None] == places(truth.images, truth.image)
    beside = ~(at & (iou >= 0.5)).any(axis=1) & (boxes.score >= SURE)
    assert set(boxes.score[beside]) <= set(told)


def test_overlaps_are_those_of_areas() -> None:
    iou, own = overlaps(np.array([[0.0, 0, 10, 10], [50, 50, 1, 1]]), np.array([[5.0, 0, 10, 20]]))
    assert iou.tolist() == [[50 / 250], [0]]
    assert own.tolist() == [[0.5], [0]]


@pytest.mark.parametrize("images", [[0], [0, 1, 2, 3]])
def test_nothing_there_and_nothing_found_is_nothing_to_tell(images: list[int]) -> None:
    assert disagreements(true([]), found([], IMAGES[images]), NAMES).empty
