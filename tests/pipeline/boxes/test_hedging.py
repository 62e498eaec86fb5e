"""Fused boxes on which models agree go first, their own stay below as second guesses, the same bits in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.boxes.fusion import Pool, fuse
from pipeline.boxes.hedging import OWN, hedged
from pipeline.errors import BadPredictions
from pipeline.predictions import Boxes

IMAGES = np.array(["1", "2"])


def found(*rows: tuple[str, Sequence[float], float]) -> Boxes:
    """rows: image, box, score."""
    image, box, score = zip(*rows, strict=True)
    return Boxes(IMAGES, np.array(image), np.full(len(rows), "a"), np.array(box, dtype=float), np.array(score))


def drawn(seed: int, models: int, count: int) -> list[Boxes]:
    """Boxes around a few objects; scores and corners from a few values, so that many are equal."""
    random, made = np.random.default_rng(seed), []
    for _ in range(models):
        box = np.round(np.hstack([random.choice([20.0, 45.0], (count, 2)), random.uniform(15, 25, (count, 2))]) / 5) * 5
        made.append(
            Boxes(IMAGES, random.choice(IMAGES, count), random.choice(["a", "b"], count), box, random.choice([0.2, 0.8], count))
        )
    return made


def rows(boxes: Boxes) -> list[tuple[Any, ...]]:
    return sorted(zip(boxes.image.tolist(), boxes.category.tolist(), *boxes.box.T.tolist(), boxes.score.tolist(), strict=True))


@settings(deadline=None, max_examples=40)
@given(seed=some.integers(0, 10_000), models=some.integers(1, 4), count=some.integers(1, 20))
def test_any_order_gives_the_same_bits_and_a_model_without_weight_is_not_there(seed: int, models: int, count: int) -> None:
    predictions, random = drawn(seed, models, count), np.random.default_rng(seed)
    weights = random.choice([0.5, 1.0, 2.0], models)
    one, order = rows(hedged(Pool.of(predictions), weights)), random.permutation(models)
    shuffled = [predictions[at].at(random.permutation(count)) for at in order]
    assert rows(hedged(Pool.of(shuffled), weights[order])) == one
    assert rows(hedged(Pool.of([*predictions, *drawn(seed + 1, 1, count)]), [*weights, 0.0])) == one
    assert all(0 <= row[-1] <= 1 for row in one)


def test_what_models_agree_on_goes_first_and_their_own_boxes_stay_below() -> None:
    near, far = [10.0, 10, 100, 100], [30.0, 30, 100, 100]  # overlap 0.47
    same = found(("1", near, 0.8), ("2", near, 0.8))
    other = found(("1", near, 0.8), ("2", [16.0, 10, 100, 100], 0.8))  # overlap 0.89
    together = hedged(Pool.of([same, other]), [1, 1])
    best = {image: together.score[together.image == image].max() for image in IMAGES.tolist()}
    assert best["1"] == pytest.approx(0.8)
    assert 0.7 < best["2"] < 0.79
    second = together.at(together.image == "2")
    assert len(second) == 3  # one between the two, and the two
    assert second.box[np.argmax(second.score)].tolist() == pytest.approx([13, 10, 100, 100])
    lone = hedged(Pool.of([found(("1", near, 0.8)), found(("1", far, 0.4))]), [1, 0.5], 0.55)
    first = np.argmax(lone.score)
    assert lone.box[first].tolist() == near
    assert lone.score[first] == pytest.approx(OWN * 0.8)  # nobody agrees: a model's own box, not a quarter of its score


def test_low_boxes_and_bad_arguments_are_treated_as_by_any_fusion() -> None:
    pool = Pool.of([found(("1", [0.0, 0, 10, 10], 0.9), ("2", [0.0, 0, 10, 10], 0.01))])
    assert set(hedged(pool, [1.0], least=0.05).image) == {"1"}
    assert hedged(Pool.of([found(("1", [0.0, 0, 10, 10], 0.9))]), [1.0]).score.max() == pytest.approx(0.9)
    for function in (fuse, hedged):
        with pytest.raises(BadPredictions, match="Weights are"):
            function(pool, weights=[0.0])
        with pytest.raises(BadPredictions, match="iou is 2"):
            function(pool, weights=[1.0], iou=2.0)
    empty = Boxes(IMAGES, *(np.array([], dtype=np.str_),) * 2, np.empty((0, 4)), np.empty(0))
    assert len(hedged(Pool.of([empty, empty]), [1.0, 1.0])) == 0
