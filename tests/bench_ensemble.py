"""How long hill climbing takes, beside the loop that it replaces."""

from __future__ import annotations

import timeit
from collections.abc import Callable

import numpy as np

from pipeline.ensemble import climbing
from pipeline.metrics import metric


def hill_climbing(models: int = 100, rows: int = 100_000) -> dict[str, float]:
    """seconds: one fit by RMSLE, the best of three. naive_ratio: how many times longer asking the metric about every blend takes.

    Of the naive loop one round is timed, in the same run on the same members; all its rounds cost the same.
    """
    random = np.random.default_rng(0)
    logs = random.normal(12, 1, rows)
    y = np.expm1(logs)
    P = (logs + 0.1 * random.normal(size=rows) + 0.15 * random.normal(size=(models, rows)))[:, :, None]
    rmsle = metric("rmsle")

    def naive_round() -> None:
        for member in P:
            rmsle.natural(y, rmsle.unlink((P[0] + member) / 2))

    seconds = _least_time(lambda: climbing.hill_climbing(P, y, rmsle))
    return {"seconds": seconds, "naive_ratio": climbing.ROUNDS * _least_time(naive_round) / seconds}


def _least_time(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=1, repeat=3))
