"""Predictions of several folds and seeds become one, whatever they are, and are judged on what was predicted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.answers import Numbers, Scenes, inside, mean
from pipeline.boxes.evaluation import evaluate
from pipeline.errors import BadPredictions
from pipeline.metrics import Metric, metric
from pipeline.predictions import Boxes, Table, Truth

LOGS = dataclasses.replace(metric("rmse"), link=np.log, unlink=np.exp)
IMAGES = np.array([str(2**64 - number) for number in (1, 2, 3)])


def boxes(images: list[int], rows: list[tuple[int, str, list[float], float]]) -> Boxes:
    image, category, box, score = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Boxes(IMAGES[images], IMAGES[list(image)], np.array(category, dtype=np.str_), np.array(box), np.array(score))


@pytest.fixture
def scenes() -> Scenes:
    box = np.array([[10, 10, 20, 20], [40, 40, 30, 30]])
    truth = Truth(IMAGES, np.array(["hat", "belt"]), IMAGES[:2], np.array(["hat", "belt"]), box, np.zeros(2, dtype=bool))
    return Scenes(truth)


def test_an_average_is_taken_on_the_links_scale_of_the_tables_that_have_the_row() -> None:
    a, b = Table(np.array(["1", "2"]), np.array([1.0, 5]), ("y",)), Table(np.array(["2", "3"]), np.array([20.0, 7]), ("y",))
    together = mean([a, b], np.array(["3", "2", "1", "0"]), LOGS, ("y",))
    assert together.ids.tolist() == ["3", "2", "1"]
    np.testing.assert_allclose(together.at(together.ids)[:, 0], [7, 10, 1])


@pytest.mark.parametrize("judge", [metric("rmse"), metric("mae")])
def test_numbers_are_judged_on_the_rows_that_are_predicted(judge: Metric) -> None:
    answers = Numbers(np.array(["a", "b", "c"]), np.array([1.0, 2, 3]), judge, ("y",))
    found = Table(np.array(["c", "a"]), np.array([5.0, 1]), ("y",))
    assert answers.score(found) == pytest.approx({"rmse": np.sqrt(2), "mae": 1}[judge.name])
    assert answers.interval(found)[0] <= answers.score(found) <= answers.interval(found)[1]
    assert answers.read(found.arrays()).ids.tolist() == ["c", "a"]


def test_boxes_are_judged_on_the_images_that_were_looked_at(scenes: Scenes) -> None:
    found = boxes([0, 2], [(0, "hat", [10, 10, 20, 20], 0.9)])
    assert scenes.score(found) == pytest.approx(1)  # the belt is in an image that nobody looked at
    assert scenes.score(boxes([0, 1], [(0, "hat", [10, 10, 20, 20], 0.9)])) == pytest.approx(0.5)
    assert scenes.interval(boxes([0], [(0, "hat", [10, 10, 20, 20], 0.9)])) == pytest.approx((1, 1))
    assert np.isnan(scenes.trimmed(found))
    assert evaluate(scenes.truth.of(found.images), scenes.read(found.arrays())).ap == scenes.score(found)


def test_an_image_s_boxes_are_of_all_parts_that_looked_at_it(scenes: Scenes) -> None:
    one = boxes([0, 1], [(0, "hat", [10, 10, 20, 20], 0.8), (1, "belt", [40, 40, 30, 30], 0.6)])
    other = boxes([1, 2], [(1, "belt", [42, 40, 30, 30], 0.6), (2, "hat", [5, 5, 9, 9], 0.4)])
    together = scenes.together([one, other], IMAGES)
    assert together.images.tolist() == IMAGES.tolist()
    score = dict(zip(together.image.tolist(), together.score.tolist(), strict=True))
    assert score == pytest.approx({IMAGES[0]: 0.8, IMAGES[1]: 0.6, IMAGES[2]: 0.4})
    np.testing.assert_allclose(together.of(IMAGES[[1]]).box, [[41, 40, 30, 30]])
    swapped = scenes.together([other, one], IMAGES)
    assert {name: values.tolist() for name, values in swapped.arrays().items()} == {
        name: values.tolist() for name, values in together.arrays().items()
    }
    alone = scenes.together([one], IMAGES)
    assert sorted(alone.images.tolist()) == sorted(IMAGES[:2].tolist())


def test_boxes_are_cut_off_at_their_own_image_s_edge_and_left_out_beyond_it() -> None:
    found = boxes([0, 1], [(0, "hat", [-5, 10, 20, 20], 0.9), (1, "hat", [90, 40, 30, 30], 0.5), (0, "hat", [100, 0, 4, 4], 0.3)])
    kept = inside(found, IMAGES[[1, 0]], ["hat"], np.array([200, 50]), np.array([60, 60]))
    assert kept.images.tolist() == IMAGES[[1, 0]].tolist()
    assert kept.box.tolist() == [[0, 10, 15, 20], [90, 40, 30, 20]]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (np.zeros((2, 1)), "predicts Boxes; this one gave ndarray"),
        (boxes([0], []), f"1 differ, first {IMAGES[1]}"),
        (boxes([0, 1, 2], []), f"1 differ, first {IMAGES[2]}"),
        (boxes([0, 1], [(0, "shoe", [1, 1, 2, 2], 0.5)]), "1 categories that train does not have, first shoe"),
    ],
)
def test_what_was_not_asked_for_is_refused(found: object, says: str) -> None:
    with pytest.raises(BadPredictions, match=says):
        inside(found, IMAGES[:2], ["hat"], np.array([99, 99]), np.array([99, 99]))


@pytest.mark.parametrize(
    ("part", "said"), [("box", np.nan), ("box", np.inf), ("box", -np.inf), ("score", np.nan), ("score", 2.0)]
)
def test_boxes_that_were_changed_after_they_were_checked_are_refused(part: str, said: float) -> None:
    found = boxes([0, 1], [(0, "hat", [10, 10, 20, 20], 0.9), (1, "belt", [5, 5, 20, 20], 0.8)])
    getattr(found, part)[1] = said
    with pytest.raises(BadPredictions, match=rf"first in image {IMAGES[1]}"):
        inside(found, IMAGES[:2], ("hat", "belt"), np.array([100, 100]), np.array([100, 100]))
