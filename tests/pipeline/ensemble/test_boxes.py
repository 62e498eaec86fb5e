"""Fused boxes are tuned without the images that they are judged on, and calibrated scores say how often they are right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.boxes.evaluation import evaluate, matches
from pipeline.ensemble.boxes import BEST, LEAST, Calibration, Fusion, blend, calibrated, tune
from pipeline.errors import BadPredictions, NothingUsable
from pipeline.predictions import Array, Boxes, Truth, join_boxes

IMAGES = np.array([str(2**63 + number) for number in range(30)])
CATEGORIES = np.array(["b", "a"])
FOLD = np.arange(30) % 3


@pytest.fixture(scope="module")
def truth() -> Truth:
    random = np.random.default_rng(0)
    image = np.repeat(IMAGES, 4)
    box = np.column_stack([random.uniform(0, 300, (120, 2)), random.uniform(20, 60, (120, 2))])
    return Truth(IMAGES, CATEGORIES, image, random.choice(CATEGORIES, 120), box, np.zeros(120, dtype=bool))


def model(truth: Truth, seed: int, spread: float, misses: float = 0.2, junk: int = 60) -> Boxes:
    """Finds what is there, not exactly; and finds things that are not there, with lower scores."""
    random = np.random.default_rng(seed)
    kept = random.random(len(truth.image)) > misses
    near = truth.box[kept] + random.normal(0, spread, (int(kept.sum()), 4)) * [1, 1, 0.3, 0.3]
    wrong = np.column_stack([random.uniform(0, 300, (junk, 2)), random.uniform(20, 60, (junk, 2))])
    score = np.concatenate([random.beta(5, 2, len(near)), random.beta(2, 5, junk)])
    return Boxes(
        IMAGES,
        np.concatenate([truth.image[kept], random.choice(IMAGES, junk)]),
        np.concatenate([truth.category[kept], random.choice(CATEGORIES, junk)]),
        np.concatenate([near, wrong]),
        score,
    )


@pytest.fixture(scope="module")
def members(truth: Truth) -> dict[str, Boxes]:
    return {"good": model(truth, 1, 3), "other": model(truth, 2, 3), "poor": model(truth, 3, 15, misses=0.7, junk=300)}


def test_several_models_together_are_better_and_the_score_is_that_of_oof(truth: Truth, members: dict[str, Boxes]) -> None:
    found = blend(members, truth, FOLD, trials=60, draws=100)
    assert found.members == ("good", "other", "poor")
    assert found.honest == pytest.approx(evaluate(truth, found.oof).ap)
    assert found.honest > max(found.member_scores.values())
    assert found.best_member in ("good", "other")
    assert found.gain == pytest.approx(found.honest - found.best_score)
    assert found.gain_interval[0] < found.gain < found.gain_interval[1]
    assert found.interval[0] < found.honest < found.interval[1]
    assert found.optimistic >= found.honest - 0.02
    applied = found.apply(members)
    assert evaluate(truth, applied).ap == pytest.approx(found.optimistic)
    assert (applied.score >= LEAST).all()
    with pytest.raises(BadPredictions, match="needs boxes of good, poor; there are other"):
        found.apply({"other": members["other"]})


def test_no_images_truth_reaches_its_own_prediction(truth: Truth, members: dict[str, Boxes]) -> None:
    mine = np.isin(truth.image, IMAGES[FOLD == 1])
    other = dataclasses.replace(
        truth, category=np.where(mine, "a", truth.category), box=np.where(mine[:, None], truth.box + 9, truth.box)
    )
    one, two = (blend(members, known, FOLD, trials=20, draws=2).oof.of(IMAGES[FOLD == 1]) for known in (truth, other))
    assert one.box.tobytes() == two.box.tobytes()
    assert one.score.tobytes() == two.score.tobytes()


def test_tuning_never_ends_below_where_it_starts_and_says_the_same_twice(truth: Truth, members: dict[str, Boxes]) -> None:
    three = list(members.values())
    found = tune(three, truth, 60)
    assert found == tune(three, truth, 60)
    start = Fusion(found.calibrations, (1.0, 1.0, 1.0))
    assert evaluate(truth, found.apply(three)).ap >= evaluate(truth, start.apply(three)).ap
    assert found.method == start.method == "hedged-wbf"
    assert dataclasses.replace(tune(three, truth, 1), chance=Calibration()) == start
    assert tune(three, truth, 60, "nms").method == "nms"


def test_the_best_model_alone_is_taken_where_a_fusion_adds_next_to_nothing(truth: Truth, members: dict[str, Boxes]) -> None:
    two = [members["good"], model(truth, 9, 3, misses=1.0, junk=200)]  # the other finds nothing that is there
    found = tune(two, truth, 60)
    assert found.method == BEST
    assert found.weights == (1.0, 0.0)
    alone = found.calibrations[0].apply(two[0])
    assert evaluate(truth, found.apply(two)).ap == pytest.approx(evaluate(truth, alone).ap, abs=1e-12)
    told = blend({"good": two[0], "blind": two[1]}, truth, FOLD, "best", trials=20, draws=20)
    assert told.method == BEST
    assert told.gain == 0
    assert told.gain_interval == (0, 0)
    assert "It is its best member, good, alone." in told.sentences
    assert tune([members["good"], members["other"]], truth, 60).method != BEST


def test_weights_stay_equal_unless_others_add_more_than_noise(truth: Truth, members: dict[str, Boxes]) -> None:
    alike = [members["good"], members["other"]]
    assert tune(alike, truth, 60, "wbf").weights == (1.0, 1.0)
    unlike = [members["good"], model(truth, 5, 12, misses=0.1, junk=200)]
    assert tune(unlike, truth, 60, "wbf").weights != (1.0, 1.0)


@pytest.mark.parametrize("method", ["best", "wbf", "nms", "hedged-wbf"])
def test_scores_of_any_fusion_are_chances_of_being_right(truth: Truth, members: dict[str, Boxes], method: str) -> None:
    fused = tune(list(members.values()), truth, 20, method).apply(list(members.values()))
    right = matches(truth, fused)
    assert fused.score[right.row].sum() == pytest.approx(right.hit[:, 0].sum(), rel=0.02)


def test_a_single_model_is_its_own_ensemble(truth: Truth, members: dict[str, Boxes]) -> None:
    found = blend({"good": members["good"]}, truth, FOLD, trials=20, draws=2)
    assert found.honest >= found.member_scores["good"] - 0.02
    assert found.fusion.weights == (1.0,)


def test_images_that_no_fold_validated_take_no_part(truth: Truth, members: dict[str, Boxes]) -> None:
    fold = np.where(np.arange(30) < 6, -1, FOLD)
    found = blend(members, truth, fold, trials=5, draws=2)
    assert set(found.oof.images) == set(IMAGES[6:])
    with pytest.raises(NothingUsable, match="no boxes of images that a fold validated"):
        blend(members, truth, np.full(30, -1), trials=5, draws=2)
    assert len(blend(members, truth, np.zeros(30), trials=5, draws=2).by_fold) == 10  # of one fold the images are dealt out
    with pytest.raises(NothingUsable):
        blend({}, truth, FOLD)


def test_a_calibrated_score_is_the_share_that_is_right(truth: Truth) -> None:
    random, n = np.random.default_rng(0), 600
    at = random.integers(len(truth.image), size=n)
    images = np.array([f"{number}" for number in range(n)])  # each box in an image of its own
    known = Truth(images, CATEGORIES, images, truth.category[at], truth.box[at], np.zeros(n, dtype=bool))
    chance = random.uniform(0.05, 0.95, n)
    right = random.random(n) < chance
    box = np.where(right[:, None], truth.box[at], truth.box[at] + 1000)
    shown: Array = chance**3  # too unsure
    found = calibrated(Boxes(images, images, truth.category[at], box, shown), known).apply(
        Boxes(images, images, truth.category[at], box, shown)
    )
    assert abs(found.score.mean() - right.mean()) < 0.02
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
        among = (found.score >= low) & (found.score < high)
        assert abs(found.score[among].mean() - right[among].mean()) < 0.1
    assert (np.argsort(found.score, kind="stable") == np.argsort(shown, kind="stable")).all()


def test_where_nothing_can_be_calibrated_scores_stay(truth: Truth) -> None:
    right = Boxes(IMAGES, truth.image, truth.category, truth.box, np.linspace(0.1, 0.9, len(truth.image)))
    assert calibrated(right, truth) == Calibration()
    nothing = right.of(IMAGES[:0])
    assert calibrated(Boxes(IMAGES, nothing.image, nothing.category, nothing.box, nothing.score), truth) == Calibration()
    np.testing.assert_allclose(Calibration().apply(right).score, right.score)


def test_boxes_that_lie_off_are_moved_before_they_are_fused_also_where_all_are_right(truth: Truth) -> None:
    found = model(truth, 4, 1, misses=0.0)
    off = dataclasses.replace(found, box=found.box + np.array([0.08, 0, 0, 0]) * found.box[:, 2:3])
    moved = calibrated(off, truth)
    assert moved.sides is not None
    assert evaluate(truth, moved.apply(off)).ap > evaluate(truth, off).ap + 0.05
    assert (moved.apply(off).box == dataclasses.replace(moved, slope=2.0).apply(off).box).all()  # scores have no part in it
    assert calibrated(found, truth).sides is None  # what is left is noise
    assert tune([off], truth, method=BEST).calibrations == (moved,)
    all_right = Boxes(IMAGES, truth.image, truth.category, truth.box + np.array([3.0, 0, 0, 0]), np.full(len(truth.image), 0.5))
    assert calibrated(all_right, truth) == Calibration(sides=calibrated(all_right, truth).sides)
    assert calibrated(all_right, truth).sides is not None


def test_parts_of_the_images_come_together(members: dict[str, Boxes]) -> None:
    good = members["good"]
    whole = join_boxes([good.of(IMAGES[:10]), good.of(IMAGES[10:])])
    assert sorted(whole.score) == sorted(good.score)
    with pytest.raises(BadPredictions, match="stand more than once"):
        join_boxes([good, good])
    with pytest.raises(BadPredictions, match="1 images were not looked at, first x"):
        good.of(np.array(["x"]))
