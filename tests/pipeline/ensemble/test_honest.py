"""What an honest score may know, and what it does with the choice of a method."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.ensemble.honest import PARTS, choice, chosen, cross_fitted, judged, parts
from pipeline.ensemble.methods import METHODS
from pipeline.errors import NothingUsable
from pipeline.metrics import METRICS


@pytest.mark.parametrize("name", METRICS)
def test_the_truth_of_a_part_changes_no_prediction_of_that_part(name: str) -> None:
    """For every method and metric, and for the choice among the methods."""
    metric, random = METRICS[name], np.random.default_rng(0)
    part = np.arange(40) % 4
    if metric.kind == "value":
        y = random.exponential(3, 40)
        P = metric.link(np.abs(y + random.normal(size=(5, 40))))[:, :, None]
    else:
        y = random.permutation(np.arange(40) % 2)
        P = random.dirichlet(np.ones(2), (5, 40))
    other = y[::-1]
    changed = np.where(part == 2, other, y)
    before, after = (cross_fitted(METHODS, P, truth, metric, part) for truth in (y, changed))
    for method in METHODS:
        np.testing.assert_array_equal(before[method][part == 2], after[method][part == 2])
    assert (before["ridge"] != after["ridge"]).any()
    for predictions in (before, after):
        again = {method: np.where((part == 2)[:, None], p, before[method]) for method, p in predictions.items()}
        np.testing.assert_array_equal(chosen(again, y, metric, part)[part == 2], chosen(again, changed, metric, part)[part == 2])


def test_folds_are_kept_whole_and_beyond_the_tenth_share_a_part() -> None:
    fold = np.repeat(np.arange(23), 3)
    part = parts(fold)
    assert set(part) == set(range(PARTS))
    assert all(len(set(part[fold == f])) == 1 for f in range(23))


def test_the_rows_of_a_single_hold_out_are_dealt_out() -> None:
    assert parts(np.full(12, 7)).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_one_row_is_refused() -> None:
    with pytest.raises(NothingUsable, match="One row"):
        parts(np.zeros(1))


def test_methods_that_score_the_same_within_the_noise_go_to_the_simplest() -> None:
    metric = METRICS["mae"]
    losses = {"best": 1.1, "mean": 1.00009, "hill-climbing": 1.0, "nnls": 0.99995}
    assert choice({name: np.full(3, loss) for name, loss in losses.items()}, metric) == "hill-climbing"
    assert choice({name: np.full(3, loss) for name, loss in losses.items() if name != "nnls"}, metric) == "mean"


def test_choosing_the_best_of_many_guesses_does_not_flatter() -> None:
    """Forty methods that guess: the best of them looks good on its own rows, choosing it does not."""
    random, metric, flattered, honest = np.random.default_rng(0), METRICS["accuracy"], [], []
    part = np.arange(200) % 5
    for _ in range(40):
        y = random.integers(2, size=200)
        guesses = {str(j): np.eye(2)[random.integers(2, size=200)] for j in range(40)}
        flattered.append(max(metric.natural(y, p) for p in guesses.values()))
        honest.append(metric.natural(y, chosen(guesses, y, metric, part)))
    assert np.mean(flattered) > 0.56
    assert np.mean(honest) == pytest.approx(0.5, abs=0.015)


@pytest.mark.parametrize("name", METRICS)
def test_in_blocks_of_time_nothing_later_changes_what_predicts_a_block(name: str) -> None:
    """Neither the truth nor the predictions of a block and those after it, for every method and for the choice among them."""
    metric, random = METRICS[name], np.random.default_rng(0)
    part = np.repeat(np.arange(4), 10)
    if metric.kind == "value":
        y = random.exponential(3, 40)
        P = metric.link(np.abs(y + random.normal(size=(5, 40))))[:, :, None]
    else:
        y = random.permutation(np.arange(40) % 2)
        P = random.dirichlet(np.ones(2), (5, 40))
    later = part >= 2
    changed_y, changed_P = np.where(later, y[::-1], y), np.where((part > 2)[:, None], P[:, ::-1], P)
    before, after = (cross_fitted(METHODS, p, truth, metric, part, True) for p, truth in ((P, y), (changed_P, changed_y)))
    for method in METHODS:
        np.testing.assert_array_equal(before[method][part == 2], after[method][part == 2])
        assert np.isnan(before[method][part == 0]).all()
        assert np.isfinite(before[method][part > 0]).all()
    rows = judged(part, True)
    assert rows.tolist() == (part > 0).tolist()
    first, second = (
        chosen({method: p[rows] for method, p in made.items()}, truth[rows], metric, part[rows], True)
        for made, truth in ((before, y), (after, changed_y))
    )
    np.testing.assert_array_equal(first[part[rows] <= 2], second[part[rows] <= 2])
    np.testing.assert_array_equal(first[part[rows] == 1], before["mean"][part == 1])


def test_blocks_of_time_beyond_the_tenth_share_a_part_with_their_neighbours() -> None:
    part = parts(np.repeat(np.arange(23), 3), ordered=True)
    assert set(part) == set(range(PARTS))
    assert (np.diff(part) >= 0).all()
