"""Rows held out come from every class, never share a picture with the others, and make probabilities honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.errors import BadRecipe
from pipeline.models.hold_out import held_out, log_loss, temperature, tempered

ALL = np.ones(120, dtype=bool)


@settings(deadline=None)
@given(seed=some.integers(0, 1000), share=some.floats(0.1, 0.5))
def test_each_class_gives_its_share_and_the_same_picture_is_on_one_side(seed: int, share: float) -> None:
    y = np.repeat([0, 1, 2], [40, 20, 60])
    same = np.array([f"{number // 2}" for number in range(120)])  # every picture is there twice
    away = held_out(same, ALL[:120], y, share, seed)
    assert not set(same[away]) & set(same[~away])
    assert [int(away[y == number].sum()) for number in range(3)] == [2 * round(share * count) for count in (20, 10, 30)]


def test_by_pseudo_labels_and_pictures_that_have_one_too_nothing_is_judged() -> None:
    y, same = np.repeat([0, 1], 20), np.arange(40) % 20  # each picture once with a label of its own, once with a pseudo-label
    labelled = np.arange(40) < 20
    with pytest.raises(BadRecipe, match="leaves one side empty"):
        held_out(same, labelled, y, 0.3, 0)
    away = held_out(np.arange(40), labelled, y, 0.3, 0)
    assert away[labelled].sum() == 6
    assert not away[~labelled].any()


def test_of_every_class_something_is_left_to_learn_and_pictures_stay_whole() -> None:
    y, same = np.array([0] * 20 + [1] * 19 + [2]), np.arange(40) % 39  # the only row of class 2 is a copy of one of class 0
    for seed in range(20):
        away = held_out(same, ALL[:40], y, 0.6, seed)
        assert set(y[~away]) == {0, 1, 2}
        assert not set(same[away]) & set(same[~away])


def test_none_is_held_out_unless_asked() -> None:
    assert not held_out(np.array(["a", "b"]), ALL[:2], np.array([0, 1]), 0.0, 0).any()


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_that_leaves_a_side_empty_is_refused(share: float) -> None:
    with pytest.raises(BadRecipe, match="leaves one side empty; choose another share"):
        held_out(np.arange(8).astype(str), ALL[:8], np.arange(8) % 2, share, 0)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(true: float) -> None:
    draw = np.random.default_rng(0)
    honest = tempered(draw.dirichlet(np.ones(5), 4000), 0.7)
    y = np.array([draw.choice(5, p=row) for row in honest])
    shown = tempered(honest, 1 / true)
    found = temperature(shown, y)
    assert found == pytest.approx(true, rel=0.1)
    assert log_loss(tempered(shown, found), y) <= log_loss(shown, y)


def test_tempering_keeps_the_order_and_the_sum() -> None:
    p = np.array([[0.7, 0.3, 0.0], [0.2, 0.5, 0.3]])
    for heat in (0.1, 1.0, 10.0):
        made = tempered(p, heat)
        assert (made.argsort(1) == p.argsort(1)).all()
        np.testing.assert_allclose(made.sum(1), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(tempered(p, 1.0), p, atol=1e-11)
