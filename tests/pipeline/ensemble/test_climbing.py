"""Hill climbing picks what a naive loop picks, for every metric, ties included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ensemble import climbing
from pipeline.ensemble.climbing import EQUAL, SEARCHES, any_metric, climb, hill_climbing
from pipeline.metrics import METRICS, Metric


def problem(metric: Metric, members: int, rows: int, seed: int, grain: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Members P (m, n, k) and truth y. With a grain, numbers are multiples of 1 / grain, which makes ties common."""
    random = np.random.default_rng(seed)
    if metric.kind == "value":
        y = random.exponential(3, rows)
        P = np.abs(metric.link(y) + random.normal(size=(members, rows)))
        return (P if grain is None else np.round(P * grain) / grain)[:, :, None], y
    classes = 2 if rows < 10 else 3
    y = np.concatenate([np.arange(classes), random.integers(classes, size=rows)])[:rows]
    if grain is None:
        return random.dirichlet(np.ones(classes), (members, rows)) * 0.7 + 0.3 * np.eye(classes)[y], y
    return random.multinomial(grain, np.full(classes, 1 / classes), (members, rows)) / grain, y


def naive(P: np.ndarray, y: np.ndarray, metric: Metric, rounds: int) -> np.ndarray:
    """Caruana's loop as the paper has it: average the picks, ask the metric, keep the best blend on the way."""

    def loss(picks: list[int]) -> float:
        return -metric.sign * float(metric.rows(y, metric.unlink(P[picks].mean(axis=0))).mean())

    def tied(losses: list[float]) -> list[int]:
        return [j for j, value in enumerate(losses) if value <= min(losses) + EQUAL * abs(min(losses))]

    alone = [loss([j]) for j in range(len(P))]
    picks: list[int] = []
    kept, least = picks, np.inf
    for _ in range(rounds):
        losses = [loss([*picks, j]) for j in range(len(P))]
        helpful = tied(losses)
        picks = [*picks, helpful[tied([alone[j] for j in helpful])[0]]]
        if not kept or losses[picks[-1]] < least - EQUAL * abs(least):
            kept, least = picks, losses[picks[-1]]
    return np.bincount(kept, minlength=len(P)).astype(float)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_it_picks_what_the_naive_loop_picks(name: str, seed: int) -> None:
    metric = METRICS[name]
    P, y = problem(metric, 7, 60, seed)
    search = SEARCHES.get(name, any_metric)
    assert climb(search(P, y, metric), 7, 15).tolist() == naive(P, y, metric, 15).tolist()


@settings(deadline=None)  # a loop may be compiled in between
@given(
    name=st.sampled_from(sorted(METRICS)),
    members=st.integers(1, 5),
    rows=st.integers(2, 12),
    seed=st.integers(0, 999),
)
def test_it_picks_what_the_naive_loop_picks_among_ties(name: str, members: int, rows: int, seed: int) -> None:
    metric = METRICS[name]
    P, y = problem(metric, members, rows, seed, grain=8)
    assert climb(SEARCHES[name](P, y, metric), members, 8).tolist() == naive(P, y, metric, 8).tolist()


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_tells_the_same_losses_as_the_metric_itself(name: str) -> None:
    metric = METRICS[name]
    P, y = problem(metric, 6, 80, seed=1)
    for counts in ([0, 0, 0, 0, 0, 0], [1, 0, 0, 3, 0, 0], [9, 9, 1, 0, 30, 2]):
        asked = any_metric(P, y, metric)(np.array(counts, dtype=float))
        np.testing.assert_allclose(SEARCHES[name](P, y, metric)(np.array(counts, dtype=float)), asked, rtol=1e-9)


def test_a_metric_without_a_search_of_its_own_is_asked_itself() -> None:
    cubes = Metric("cubes", "value", higher_is_better=False, loss=lambda y, p: np.abs(p[:, 0] - y) ** 3)
    P, y = problem(cubes, 5, 40, seed=2)
    weights = hill_climbing(P, y, cubes).weights
    counts = naive(P, y, cubes, climbing.ROUNDS)
    np.testing.assert_allclose(weights, counts / counts.sum())


@pytest.mark.parametrize("name", METRICS)
def test_identical_members_give_one_of_them_all_picks_and_always_the_first(name: str) -> None:
    metric = METRICS[name]
    P, y = problem(metric, 1, 50, seed=3)
    assert hill_climbing(np.repeat(P, 6, axis=0), y, metric).weights.tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("name", METRICS)
def test_on_the_rows_it_was_fitted_to_it_is_never_worse_than_a_single_member(name: str) -> None:
    metric = METRICS[name]
    for seed in range(5):
        P, y = problem(metric, 6, 40, seed)
        blended = metric.score(y, metric.unlink(hill_climbing(P, y, metric).predict(P)))
        assert blended >= max(metric.score(y, metric.unlink(p)) for p in P) - 1e-9


@pytest.mark.parametrize(("search", "sample"), [(SEARCHES["auc"], 300), (any_metric, 2500)])
def test_auc_of_many_rows_is_searched_on_some_that_keep_every_class(
    search: Callable[..., climbing.Losses], sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(climbing, "SAMPLE", sample)
    metric = METRICS["auc"]
    random = np.random.default_rng(0)
    y = (random.random(5000) < 0.02).astype(int)
    right = np.clip(0.3 + 0.3 * y + 0.1 * random.normal(size=5000), 0, 1)
    P = np.stack([np.full(5000, 0.5), right])
    losses = search(np.stack([1 - P, P], axis=2), y, metric)(np.zeros(2))
    np.testing.assert_allclose(losses, [-0.5, -metric.natural(y, np.stack([1 - right, right], axis=1))], atol=0.05)


def test_auc_of_rows_of_one_class_prefers_no_member() -> None:
    P = np.random.default_rng(0).dirichlet([1, 1], (3, 5))
    assert hill_climbing(P, np.zeros(5, dtype=int), METRICS["auc"]).weights.tolist() == [1, 0, 0]


def test_auc_by_bins_is_auc_as_near_as_anyone_can_tell() -> None:
    metric, random = METRICS["auc"], np.random.default_rng(0)
    y = (random.random(climbing.EXACT * 3) < 0.3).astype(int)
    chance = 1 / (1 + np.exp(-(2 * y - 1 + random.normal(size=(4, len(y))))))
    P = np.stack([1 - chance, chance], axis=2)
    found = SEARCHES["auc"](P, y, metric)(np.array([2.0, 0, 1, 0]))
    np.testing.assert_allclose(found, any_metric(P, y, metric)(np.array([2.0, 0, 1, 0])), atol=2e-4)


@pytest.mark.parametrize("name", ["mae", "log_loss", "accuracy"])
def test_of_many_members_fewer_rows_stand_for_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = METRICS[name]
    P, y = problem(metric, 6, 3000, seed=1)
    none = np.zeros(6)
    whole = SEARCHES[name](P, y, metric)(none)
    monkeypatch.setattr(climbing, "WORK", 6 * 1500)
    some = SEARCHES[name](P, y, metric)(none)
    assert (some != whole).any()
    np.testing.assert_allclose(some, whole, rtol=0.1)
