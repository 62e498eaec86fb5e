"""Fused boxes are what the papers say, the same bits in any order, and equal to the libraries' where those are defined."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from ensemble_boxes import non_maximum_weighted, weighted_boxes_fusion
from hypothesis import given, settings
from hypothesis import strategies as some
from torchvision.ops import batched_nms

from pipeline.boxes.fusion import METHODS, Pool, fuse, top
from pipeline.errors import BadPredictions, UnknownName
from pipeline.predictions import Array, Boxes

SIDE = 150.0
IMAGES = np.array(["18446744073709551615", "7", "no boxes"])  # one beyond 64 bits with a sign
quick = settings(deadline=None, max_examples=60)


def boxes(image: Sequence[str], category: Sequence[str], box: Any, score: Any, images: Array = IMAGES) -> Boxes:
    return Boxes(
        images, np.array(image, dtype=np.str_), np.array(category, dtype=np.str_), np.array(box, dtype=float), np.array(score)
    )


def drawn(seed: int, models: int, count: int, ties: bool = False) -> list[Boxes]:
    """Boxes around a few objects, so that they overlap; with ties, scores and corners from a few values."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(models):
        centre = random.choice([20.0, 45.0, 70.0], (count, 2))
        box = np.column_stack([centre + random.normal(0, 3, (count, 2)), random.uniform(15, 25, (count, 2))])
        score = random.uniform(0.05, 1, count)
        if ties:
            box, score = np.round(box / 5) * 5, random.choice([0.2, 0.5, 0.8], count)
        made.append(boxes(random.choice(IMAGES[:2], count), random.choice(["a", "b"], count), box, score))
    return made


def rows(found: Boxes) -> list[tuple[Any, ...]]:
    columns = (found.image.tolist(), found.category.tolist(), *found.box.T.tolist(), found.score.tolist())
    return sorted(zip(*columns, strict=True))


def library(
    function: Callable[..., Any], predictions: list[Boxes], weights: Sequence[float], iou: float, least: float
) -> list[Any]:
    """What ensemble-boxes gives, image by image; it wants corners as shares of the side."""
    names, found = sorted({name for one in predictions for name in one.category.tolist()}), []
    for image in IMAGES[:2]:
        mine = [one.image == image for one in predictions]
        corners = [
            np.column_stack([p.box[m, :2], p.box[m, :2] + p.box[m, 2:]]) / SIDE for p, m in zip(predictions, mine, strict=True)
        ]
        scores = [one.score[m] for one, m in zip(predictions, mine, strict=True)]
        labels = [np.searchsorted(names, one.category[m]) for one, m in zip(predictions, mine, strict=True)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            box, score, label = function(corners, scores, labels, weights=list(weights), iou_thr=iou, skip_box_thr=least)
        box = np.asarray(box).reshape(-1, 4) * SIDE
        box[:, 2:] -= box[:, :2]
        found += [(image, names[int(n)], *one, s) for one, s, n in zip(box.tolist(), score, label, strict=True)]
    return sorted(found)


@quick
@given(seed=some.integers(0, 10_000), models=some.integers(1, 4), count=some.integers(1, 30), least=some.sampled_from([0.0, 0.3]))
def test_weighted_boxes_fusion_is_the_librarys(seed: int, models: int, count: int, least: float) -> None:
    predictions = drawn(seed, models, count)
    weights = np.random.default_rng(seed).uniform(0.5, 2, models)
    ours, theirs = (
        rows(fuse(Pool.of(predictions), "wbf", weights, 0.55, least)),
        library(weighted_boxes_fusion, predictions, weights, 0.55, least),
    )
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    expected = np.array([row[2:] for row in theirs]).reshape(-1, 5)
    expected[:, 4] = np.minimum(expected[:, 4], 1)  # one model's boxes of one object can take its mean above
    np.testing.assert_allclose(np.array([row[2:] for row in ours]).reshape(-1, 5), expected, atol=1e-6 * SIDE)


@quick
@given(seed=some.integers(0, 10_000), models=some.integers(1, 4), count=some.integers(1, 30))
def test_non_maximum_weighted_is_the_librarys(seed: int, models: int, count: int) -> None:
    predictions = drawn(seed, models, count)
    weights = np.random.default_rng(seed).uniform(0.5, 2, models)
    ours, theirs = (
        rows(fuse(Pool.of(predictions), "nmw", weights, 0.5)),
        library(non_maximum_weighted, predictions, weights, 0.5, 0.0),
    )
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    np.testing.assert_allclose(np.array([row[2:] for row in ours]), np.array([row[2:] for row in theirs]), atol=1e-5 * SIDE)


@quick
@given(
    seed=some.integers(0, 10_000),
    models=some.integers(1, 4),
    count=some.integers(1, 30),
    iou=some.sampled_from([0.0, 0.3, 0.7, 1.0]),
)
def test_nms_keeps_what_torchvision_keeps(seed: int, models: int, count: int, iou: float) -> None:
    predictions = drawn(seed, models, count)
    whole = {name: np.concatenate([getattr(one, name) for one in predictions]) for name in ("image", "category", "box", "score")}
    corners = np.column_stack([whole["box"][:, :2], whole["box"][:, :2] + whole["box"][:, 2:]])
    _, group = np.unique(np.char.add(whole["image"], whole["category"]), return_inverse=True)
    kept = batched_nms(torch.tensor(corners), torch.tensor(whole["score"]), torch.tensor(group), iou).numpy()
    expected = boxes(whole["image"][kept], whole["category"][kept], whole["box"][kept], whole["score"][kept])
    ours, theirs = (
        np.array([row[2:] for row in rows(found)]) for found in (fuse(Pool.of(predictions), "nms", iou=iou), expected)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def plainly(pool: Pool, method: str, weights: Array, iou: float) -> list[tuple[Any, ...]]:
    """What the papers define, one box after the other against all fused ones, sums in the same order."""
    share = weights / (weights.sum() if method == "wbf" else weights.max())
    fused: list[tuple[Any, ...]] = []
    for image, category, first, end in zip(pool.image, pool.category, pool.starts, pool.starts[1:], strict=False):
        given = [(-pool.score[at] * share[pool.member[at]], *pool.corners[at]) for at in range(first, end)]
        kept, heads, sums, total, count = np.empty((0, 4)), [], [], [], []
        for minus, *corners in sorted(given):
            shared = shares(kept, corners)
            best = int(np.argmax(shared)) if len(shared) and shared.max() > iou else len(heads)
            weight = -minus * (shared[best] if method == "nmw" and best < len(heads) else 1.0)
            if best == len(heads):
                kept = np.vstack([kept, corners])
                heads.append(-minus), sums.append(np.zeros(4)), total.append(0.0), count.append(0)
            sums[best], total[best], count[best] = sums[best] + weight * np.array(corners), total[best] + weight, count[best] + 1
            if method == "wbf":
                kept[best] = sums[best] / total[best]
        for at, head in enumerate(heads):
            box = sums[at] / total[at] if method == "nmw" else kept[at]
            score = total[at] / count[at] * min(len(weights), count[at]) if method == "wbf" else head
            names = (str(pool.images[image]), str(pool.categories[category]))
            fused.append((*names, *box[:2].tolist(), *(box[2:] - box[:2]).tolist(), min(score, 1.0)))
    return sorted(fused)


def shares(kept: Array, corners: Sequence[float]) -> Array:
    """(k,) intersection over union of boxes (k, 4) and another."""
    left, top, right, bottom = corners
    width = np.maximum(np.minimum(kept[:, 2], right) - np.maximum(kept[:, 0], left), 0)
    both = width * np.maximum(np.minimum(kept[:, 3], bottom) - np.maximum(kept[:, 1], top), 0)
    result: Array = both / ((kept[:, 2] - kept[:, 0]) * (kept[:, 3] - kept[:, 1]) + (right - left) * (bottom - top) - both)
    return result


@quick
@given(
    seed=some.integers(0, 10_000),
    method=some.sampled_from(["wbf", "nms", "nmw"]),
    count=some.integers(1, 60),
    grid=some.sampled_from([0.0, 0.1, 5.0]),
    iou=some.sampled_from([0.0, 1 / 3, 0.5, 0.55, 0.9, 1.0]),
)
def test_boxes_compared_in_strides_fuse_to_the_bits_of_the_definition(
    seed: int, method: str, count: int, grid: float, iou: float
) -> None:
    """On a coarse grid edges touch, overlaps are exactly the threshold, boxes and scores are equal; there are more fused boxes than a
    stride has."""
    random = np.random.default_rng(seed)
    predictions = []
    for _ in range(3):
        box = np.column_stack([random.uniform(-30, 60, (count, 2)), random.uniform(5, 30, (count, 2))])
        score = random.uniform(0.05, 1, count)
        if grid:
            box, score = np.maximum(np.round(box / grid), [-99, -99, 1, 1]) * grid, random.choice([0.2, 0.5, 0.8], count)
        predictions.append(boxes(random.choice(IMAGES[:2], count, p=[0.1, 0.9]), ["a"] * count, box, score))
    pool, weights = Pool.of(predictions), random.choice([0.5, 1.0, 2.0], 3)
    assert rows(fuse(pool, method, weights, iou)) == plainly(pool, method, weights, iou)


def test_an_overlap_of_exactly_the_threshold_is_not_more_than_it() -> None:
    halves = [[0, 0, 10, 10], [0, 0, 10, 5], [10, 0, 10, 10], [0, 10, 10, 10]]  # the last two touch the first
    pool = Pool.of([boxes(["7"] * 4, ["a"] * 4, halves, [0.9, 0.8, 0.7, 0.6])])
    for method in ("wbf", "nms", "nmw"):
        assert len(fuse(pool, method, iou=0.5)) == 4
        assert len(fuse(pool, method, iou=np.nextafter(0.5, 0))) == 3
        assert len(fuse(pool, method, iou=0.0)) == 3


def test_a_zero_with_a_minus_is_no_other_box() -> None:
    one, other = (boxes(["7"], ["a"], [[zero, zero, 10, 10]], [0.5]) for zero in (0.0, -0.0))
    for method in METHODS:
        found, mixed = (fuse(Pool.of(both), method) for both in ([one, other], [other, one]))
        assert found.box.tobytes() == mixed.box.tobytes()


@quick
@given(seed=some.integers(0, 10_000), count=some.integers(0, 40))
def test_a_pool_has_the_boxes_group_by_group(seed: int, count: int) -> None:
    predictions = drawn(seed, 3, count, ties=True)
    pool = Pool.of(predictions)
    assert (np.diff(pool.image * len(pool.categories) + pool.category) > 0).all()
    sizes = np.diff(pool.starts)
    assert (sizes > 0).all()
    image, category = (np.repeat(of, sizes) for of in (pool.images[pool.image], pool.categories[pool.category]))
    box = np.column_stack([pool.corners[:, :2], pool.corners[:, 2:] - pool.corners[:, :2]])
    for number, one in enumerate(predictions):
        mine = pool.member == number
        assert rows(Boxes(IMAGES, image[mine], category[mine], box[mine], pool.score[mine])) == rows(one)


def test_soft_nms_lowers_scores_by_overlap() -> None:
    box = [[0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 10, 10]]  # the second is half of the first
    pool = Pool.of([boxes(["7"] * 3, ["a"] * 3, box, [0.8, 0.6, 0.4])])
    assert fuse(pool, "soft-nms", sigma=0.5).score.tolist() == pytest.approx([0.8, 0.4, 0.6 * np.exp(-0.25 / 0.5)])
    assert fuse(pool, "soft-nms-linear", iou=0.4).score.tolist() == pytest.approx([0.8, 0.4, 0.3])
    assert fuse(pool, "soft-nms-linear", iou=0.5).score.tolist() == [0.8, 0.6, 0.4]  # it does not overlap by more
    assert fuse(pool, "soft-nms-linear", iou=0.4, least=0.35).score.tolist() == [0.8, 0.4]


def test_agreement_counts_in_weighted_boxes_fusion() -> None:
    one, other = ([["7"], ["a"], [[left, 0, 10, 10]], [score]] for left, score in ((0, 0.9), (1, 0.6)))
    both = fuse(Pool.of([boxes(*one), boxes(*other)]))
    assert both.score.tolist() == pytest.approx([0.75])
    assert both.box.tolist() == [pytest.approx([0.4, 0, 10, 10])]
    alone = fuse(Pool.of([boxes(*one), boxes([], [], np.empty((0, 4)), [])]))
    assert alone.score.tolist() == pytest.approx([0.45])
    weighted = fuse(Pool.of([boxes(*one), boxes(*other)]), weights=[3, 1])
    assert weighted.score.tolist() == pytest.approx([(0.9 * 3 + 0.6) / 2 * 2 / 4])


@quick
@given(seed=some.integers(0, 10_000), method=some.sampled_from(sorted(METHODS)), shuffle=some.integers(0, 100))
def test_neither_the_order_of_models_nor_of_boxes_changes_a_bit_with_ties(seed: int, method: str, shuffle: int) -> None:
    predictions, random = drawn(seed, 4, 25, ties=True), np.random.default_rng(shuffle)
    weights = random.choice([1.0, 2.0], 4)
    order = random.permutation(4)
    mixed = []
    for one in (predictions[number] for number in order):
        at = random.permutation(len(one))
        mixed.append(Boxes(one.images[::-1], one.image[at], one.category[at], one.box[at], one.score[at]))
    expected, found = (fuse(Pool.of(given), method, w) for given, w in ((predictions, weights), (mixed, weights[order])))
    for name in ("image", "category", "box", "score"):
        assert getattr(expected, name).tobytes() == getattr(found, name).tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_model_of_weight_0_is_as_if_it_were_not_there(method: str) -> None:
    predictions = drawn(1, 3, 20)
    without, with_none = fuse(Pool.of(predictions[:2]), method, [1, 2]), fuse(Pool.of(predictions), method, [1, 2, 0])
    assert rows(without) == rows(with_none)


@pytest.mark.parametrize("method", METHODS)
def test_no_boxes_are_no_error_and_images_stay(method: str) -> None:
    nothing = boxes([], [], np.empty((0, 4)), [])
    found = fuse(Pool.of([nothing, nothing]), method)
    assert len(found) == 0
    assert set(found.images) == set(IMAGES)


@pytest.mark.parametrize("method", METHODS)
def test_fusing_one_box_gives_it_back(method: str) -> None:
    one = boxes(["7"], ["a"], [[1.5, 2.5, 3.25, 4.75]], [0.625])
    assert rows(fuse(Pool.of([one]), method)) == rows(one)


def test_what_cannot_be_fused_is_refused() -> None:
    predictions = drawn(0, 2, 5)
    pool = Pool.of(predictions)
    with pytest.raises(UnknownName, match="wbff"):
        fuse(pool, "wbff")
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0], [np.nan, 1.0]):
        with pytest.raises(BadPredictions, match="2 models need as many numbers of 0 or more"):
            fuse(pool, weights=weights)
    for wrong in ({"iou": 1.5}, {"least": -0.1}, {"sigma": 0.0}):
        with pytest.raises(BadPredictions, match="sigma is above 0"):
            fuse(pool, **wrong)
    with pytest.raises(BadPredictions, match="give the predictions of one model"):
        Pool.of([])
    with pytest.raises(BadPredictions, match="1 are known to one of them only, first 7"):
        Pool.of([predictions[0], boxes([], [], np.empty((0, 4)), [], np.array(["18446744073709551615", "no boxes"]))])


@quick
@given(seed=some.integers(0, 10_000), most=some.integers(1, 8), least=some.sampled_from([0.0, 0.4]))
def test_the_top_of_each_image_is_kept(seed: int, most: int, least: float) -> None:
    whole = drawn(seed, 1, 30, ties=True)[0]
    kept = top(whole, most, least)
    for image in IMAGES:
        scores = np.sort(whole.score[(whole.image == image) & (whole.score >= least)])[::-1]
        assert kept.score[kept.image == image].tolist() == scores[:most].tolist()
    assert (kept.images == whole.images).all()
    shuffled = np.random.default_rng(seed).permutation(30)
    again = top(
        Boxes(*(getattr(whole, name)[shuffled] if name != "images" else whole.images for name in whole.arrays())), most, least
    )
    assert again.box.tobytes() == kept.box.tobytes()
