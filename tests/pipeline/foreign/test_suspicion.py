"""What saw its own answers is suspected; what is honestly good, or honestly certain, is not."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.foreign.suspicion import oddities, one_fold, too_good
from pipeline.metrics import METRICS
from pipeline.predictions import Boxes, Table
from pipeline.run import Run

N = 6000
IDS = np.array([f"{i:04}" for i in range(N)])
FOLDS = np.arange(N) % 5


def table(values: np.ndarray) -> Table:
    return Table(IDS, values, ("y",) if values.ndim == 1 else ("a", "b"))


@pytest.mark.parametrize(
    ("name", "score", "flagged"), [("rmse", 0.8, True), ("rmse", 0.95, False), ("auc", 0.95, False), ("auc", 1.3, True)]
)
def test_far_better_than_our_best_is_flagged_in_the_metrics_direction(name: str, score: float, flagged: bool) -> None:
    assert bool(too_good(score, (1.0, 1.1), METRICS[name])) == flagged


@pytest.mark.parametrize("seed", range(5))
def test_one_learned_fold_is_found_and_chance_is_not(seed: int) -> None:
    random = np.random.default_rng(seed)
    y, ours, theirs = random.normal(size=N), random.normal(size=N), random.normal(size=N)
    best = table(y + ours)
    assert one_fold(table(y + 0.8 * theirs), best, IDS, y, FOLDS, METRICS["rmse"]) == []
    learned = y + np.where(FOLDS == 3, 0.3, 1.0) * theirs
    [told] = one_fold(table(learned), best, IDS, y, FOLDS, METRICS["rmse"])
    assert told.startswith("in fold 3 its error is ")


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "auc"])
def test_one_learned_fold_of_classes_is_found(name: str) -> None:
    random = np.random.default_rng(0)
    y = random.integers(2, size=N)

    def chances(strength: np.ndarray | float) -> Table:
        p = 1 / (1 + np.exp(-(strength * (2 * y - 1) + random.normal(size=N))))
        return table(np.stack([1 - p, p], axis=1))

    best = chances(1.0)
    assert one_fold(chances(1.1), best, IDS, y, FOLDS, METRICS[name]) == []
    assert len(one_fold(chances(np.where(FOLDS == 1, 5.0, 1.0)), best, IDS, y, FOLDS, METRICS[name])) == 1


def test_equal_to_the_target_by_more_than_chance(values: Run) -> None:
    honest = Table(values.ids, values.y + 0.1, values.columns)
    assert oddities(values, honest, None) == []
    some = Table(values.ids, np.where(np.arange(len(values.y)) < 6, values.y, values.y + 0.1), values.columns)
    assert oddities(values, some, None)[0].startswith("5.0% of its rows equal the target to nine digits")


def test_certain_and_never_wrong_is_odd(classes: Run) -> None:
    right = np.eye(3)[classes.y]
    assert oddities(classes, Table(classes.ids, right, classes.columns), None)[0].startswith(
        "100.0% of its rows give the true class"
    )
    labels = np.eye(3)[np.where(np.arange(len(classes.y)) % 5 == 0, (classes.y + 1) % 3, classes.y)]  # answers given as labels
    assert oddities(classes, Table(classes.ids, labels, classes.columns), None) == []


def test_boxes_that_are_the_true_ones_are_odd(boxes: Run) -> None:
    truth = boxes.y
    copied = Boxes(truth.images, truth.image, truth.category, truth.box, np.full(len(truth.box), 0.9))
    assert oddities(boxes, copied, None)[0].startswith("100.0% of the true boxes are among its boxes")
    near = Boxes(truth.images, truth.image, truth.category, truth.box * 0.99, np.full(len(truth.box), 0.9))
    assert oddities(boxes, near, None) == []
