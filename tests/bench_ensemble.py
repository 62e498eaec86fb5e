"""How long ensembles take, beside the loop that they replace."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator

import numpy as np

from pipeline.ensemble import climbing
from pipeline.ensemble.blend import Blend, blend
from pipeline.ensemble.pruning import prune
from pipeline.metrics import Metric, metric
from pipeline.predictions import Array, Table
from tests.bench_setting import Setting, limit, table

METRICS = ("rmsle", "mae", "log_loss", "accuracy", "auc")
SECONDS = 30.0
NOISES = 12  # kinds of errors that members share


def hill_climbing(models: int = 100, rows: int = 100_000) -> dict[str, float]:
    """seconds: one fit by RMSLE, the best of three. naive_ratio: how many times longer asking the metric about every blend takes.

    Of the naive loop one round is timed, in the same run on the same members; all its rounds cost the same.
    """
    P, y = members(metric("rmsle"), models, rows)
    rmsle = metric("rmsle")
    seconds = _least_time(lambda: climbing.hill_climbing(P, y, rmsle))
    return {"seconds": seconds, "naive_ratio": climbing.ROUNDS * _least_time(lambda: naive_round(P, y, rmsle)) / seconds}


def ensembles(setting: Setting) -> Iterator[str]:
    """A whole ensemble of 200 members x 50,000 rows, every method with its honest score, beside one climb by the plain loop."""
    models, rows = (200, 50_000) if setting.rows >= 4_000 else (5, setting.rows)
    told, slowest = [], 0.0
    for name in METRICS:
        seconds, naive, made = whole(metric(name), models, rows)
        slowest = max(slowest, seconds)
        best = f"{made.method} {made.honest:.5f}, best member {made.best_score:.5f}"
        told.append((name, f"{seconds:.1f}", f"{naive / seconds:.1f}", best))
    yield table((f"{models} members x {rows:,} rows", "seconds", "times as long one plain climb takes", "honest"), told)
    yield (
        "The whole: every method fitted five times, without one of the five folds each, the one chosen once more on all rows, the choice, "
        "95 % intervals, correlations, and which members do not help. The plain climb asks the metric about every blend, once, without an honest score."
    )
    yield limit(f"{SECONDS:g} s", slowest <= SECONDS)


def whole(judge: Metric, models: int, rows: int) -> tuple[float, float, Blend]:
    """Seconds of an ensemble of members in five folds, and of finding those that do not help; those of one climb by the plain loop, from
    one round of it; the ensemble."""
    P, y = members(judge, models, rows)
    ids, columns = np.arange(rows).astype(str), ("y",) if judge.kind == "value" else ("a", "b")
    tables = {f"m{number:03}": Table(ids, judge.unlink(p), columns) for number, p in enumerate(P)}
    made: list[Blend] = []
    told = (tables, (ids, y), np.arange(rows) % 5, judge)
    seconds = timeit.timeit(lambda: (made.append(blend(*told)), prune(*told)), number=1)
    return seconds, climbing.ROUNDS * timeit.timeit(lambda: naive_round(P, y, judge), number=1), made[0]


def members(judge: Metric, models: int, rows: int) -> tuple[Array, Array]:
    """P (m, n, k) on the link scale, which share some of their errors, and y (n,)."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(NOISES, rows))
    errors = 0.6 * shared[random.integers(NOISES, size=models)] + random.normal(size=(models, rows))
    errors *= random.uniform(0.8, 1.4, models)[:, None]
    if judge.kind == "value":
        y = random.normal(12, 1, rows)
        return (y + 0.1 * random.normal(size=rows) + 0.15 * errors)[:, :, None], judge.unlink(y)
    y = (random.random(rows) < 0.3).astype(np.intp)
    chance = 1 / (1 + np.exp(-(1.5 * (2 * y - 1) + random.normal(size=rows) + errors)))
    return np.stack([1 - chance, chance], axis=2), y


def naive_round(P: Array, y: Array, judge: Metric) -> None:
    """Ask the metric about the blend with each member, once."""
    for member in P:
        judge.natural(y, judge.unlink((P[0] + member) / 2))


def _least_time(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=1, repeat=3))
