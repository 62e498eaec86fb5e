"""Average precision is pycocotools', with ids of any size, and its bootstrap draws images."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pipeline.boxes.evaluation import bootstrap, bootstrap_by_category, evaluate, interval, matches, thresholds
from pipeline.errors import BadPredictions
from pipeline.predictions import Boxes, Truth

CATEGORIES = np.array(["87", "1034", "131"])  # not in the order of their numbers


def drawn(seed: int, images: int = 12, boxes: int = 40, found: int = 60, digits: int = 1) -> tuple[Truth, Boxes]:
    """Ids beyond 2^63 that floating-point numbers cannot tell apart; with one digit some scores tie; some boxes are crowds."""
    random = np.random.default_rng(seed)
    ids = np.array([str(2**64 - 1 - number) for number in range(images)])
    at = random.integers(images, size=boxes)
    box = np.column_stack([random.uniform(0, 200, (boxes, 2)), random.uniform(10, 60, (boxes, 2))])
    truth = Truth(ids, CATEGORIES, ids[at], random.choice(CATEGORIES[:2], boxes), box, random.random(boxes) < 0.1)
    near = random.integers(boxes, size=found)
    shifted = box[near] + random.normal(0, 4, (found, 4)) * [1, 1, 0.5, 0.5]
    predicted = Boxes(ids, ids[at[near]], truth.category[near], shifted, np.round(random.random(found), digits))
    return truth, predicted


def oracle(truth: Truth, found: Boxes, times: list[int] | None = None) -> COCOeval:
    """pycocotools on ids 1..N; with `times`, each image as often as that."""
    times = times or [1] * len(truth.images)
    copies = [(image, copy) for image, often in zip(truth.images.tolist(), times, strict=True) for copy in range(often)]
    number = {pair: at for at, pair in enumerate(copies, 1)}
    category = {name: at for at, name in enumerate(truth.categories.tolist(), 1)}

    def entries(of: Truth | Boxes, extra: dict[str, list[object]]) -> list[dict[str, object]]:
        made = []
        for row, (image, name, box) in enumerate(zip(of.image.tolist(), of.category.tolist(), of.box.tolist(), strict=True)):
            for copy in range(times[truth.images.tolist().index(image)]):
                one = {"id": len(made) + 1, "image_id": number[image, copy], "category_id": category[name], "bbox": box}
                made.append({**one, "area": box[2] * box[3], **{key: values[row] for key, values in extra.items()}})
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "images": [{"id": at} for at in number.values()],
            "categories": [{"id": at, "name": name} for name, at in category.items()],
            "annotations": entries(truth, {"iscrowd": truth.crowd.astype(int).tolist()}),
        }
        known.createIndex()
        judged = COCOeval(known, known.loadRes(entries(found, {"score": found.score.tolist()})), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged


@settings(deadline=None, max_examples=25)
@given(seed=some.integers(0, 10_000))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    truth, found = drawn(seed)
    ours, theirs = evaluate(truth, found), oracle(truth, found)
    assert ours.ap == pytest.approx(theirs.stats[0], abs=1e-9)
    assert ours.ap50 == pytest.approx(theirs.stats[1], abs=1e-9)
    by = theirs.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))
    np.testing.assert_allclose(ours.by_category[:2], by[:2], atol=1e-9)
    assert np.isnan(ours.by_category[2])  # no box of it


@settings(deadline=None, max_examples=15)
@given(seed=some.integers(0, 10_000))
def test_a_draw_is_the_score_of_images_that_stand_as_often(seed: int) -> None:
    truth, found = drawn(seed, digits=9)  # of a picture's equal scores and its copies' the order is nobody's
    times = np.random.default_rng(seed).multinomial(12, np.ones(12) / 12)
    by = matches(truth, found).drawn(times)
    theirs = oracle(truth, found, times.tolist()).eval["precision"][..., 0, 2]
    expected = np.where((theirs < 0).any(axis=1), np.nan, theirs.mean(axis=1)).T
    np.testing.assert_allclose(by, expected, atol=1e-9)
    np.testing.assert_allclose(
        matches(truth, found).drawn(np.ones(12, dtype=np.int64)).mean(axis=1), evaluate(truth, found).by_category
    )


def test_the_interval_holds_the_score_and_pairs_share_their_draws() -> None:
    truth, found = drawn(3, images=60, boxes=300, found=400)
    low, high = interval(truth, found, 200)
    assert low < evaluate(truth, found).ap < high
    assert (low, high) == interval(truth, found, 200)
    same = matches(truth, found)
    draws = bootstrap([same, same], 50)
    assert (draws[:, 0] == draws[:, 1]).all()
    assert len(set(draws[:, 0])) > 40


def test_each_category_has_draws_of_its_own_and_their_mean_is_the_whole_s() -> None:
    truth, found = drawn(3, images=60, boxes=300, found=400)
    by = bootstrap_by_category([matches(truth, found)], 50)
    assert by.shape == (50, 1, 3)
    assert np.isnan(by[:, :, 2]).all()  # no box of it
    np.testing.assert_allclose(by[:, :, :2].mean(axis=2), bootstrap([matches(truth, found)], 50))
    low, high = np.quantile(by[:, 0, :2], [0.025, 0.975], axis=0)
    assert ((low < evaluate(truth, found).by_category[:2]) & (evaluate(truth, found).by_category[:2] < high)).all()


@settings(deadline=None, max_examples=15)
@given(seed=some.integers(0, 10_000))
def test_leaving_out_low_scores_never_helps_and_none_is_nothing_left_out(seed: int) -> None:
    truth, found = drawn(seed, digits=9)
    scores = thresholds(truth, found, (0, 0.2, 0.6, 1))
    assert list(scores) == [0, 0.2, 0.6, 1]
    assert scores[0] == evaluate(truth, found).ap
    assert all(one >= other - 1e-12 for one, other in zip(scores.values(), list(scores.values())[1:], strict=False))
    kept = found.score >= 0.6
    part = Boxes(found.images, found.image[kept], found.category[kept], found.box[kept], found.score[kept])
    assert scores[0.6] == evaluate(truth, part).ap


def test_nothing_found_scores_0_and_without_any_box_there_is_no_score() -> None:
    truth, found = drawn(0)
    nothing = Boxes(found.images, found.image[:0], found.category[:0], found.box[:0], found.score[:0])
    assert evaluate(truth, nothing).ap == 0
    empty = Truth(truth.images, truth.categories, truth.image[:0], truth.category[:0], truth.box[:0], truth.crowd[:0])
    assert np.isnan(evaluate(empty, found).ap)


def test_a_part_of_the_images_is_judged_alone() -> None:
    truth, found = drawn(5)
    some_images = truth.images[:6]
    part = truth.of(some_images)
    assert set(part.image) <= set(some_images)
    mine = np.isin(found.image, some_images)
    assert evaluate(part, Boxes(some_images, found.image[mine], found.category[mine], found.box[mine], found.score[mine])).ap > 0


def test_boxes_of_another_competition_are_refused() -> None:
    truth, found = drawn(0)
    with pytest.raises(BadPredictions, match="6 images of the predictions are not in the truth, first 18446744073709551604"):
        evaluate(truth.of(truth.images[:6]), found)
    other = Boxes(found.images, found.image, np.full(len(found), "5"), found.box, found.score)
    with pytest.raises(BadPredictions, match="1 categories of the predictions are not in the truth, first 5"):
        evaluate(truth, other)


def test_of_few_images_with_boxes_the_interval_is_of_the_draws_that_have_one() -> None:
    images = np.array([f"{number}" for number in range(30)])
    box = np.array([[10.0, 10, 30, 30]])
    truth = Truth(images, np.array(["a"]), images[:1], np.array(["a"]), box, np.zeros(1, dtype=bool))
    found = Boxes(images, images[:1], np.array(["a"]), box, np.array([0.9]))
    assert interval(truth, found, draws=50) == pytest.approx((1, 1))
    nothing = Truth(images, np.array(["a"]), images[:0], images[:0], np.zeros((0, 4)), np.zeros(0, dtype=bool))
    assert np.isnan(interval(nothing, found, draws=5)).all()
