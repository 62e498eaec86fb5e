"""Which members do not help: without them the honest score does not fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.ensemble.blend import aligned
from pipeline.ensemble.climbing import EQUAL, spread
from pipeline.ensemble.honest import judged, parts, seen_by
from pipeline.ensemble.simplex import nnls
from pipeline.metrics import Metric
from pipeline.predictions import Array, Table

LOOKED_AT = 4_000_000  # numbers of the members' predictions


@dataclass(frozen=True)
class Pruned:
    """kept: the members that help. idle: those that get no weight without any part of the rows, so that the score is the same without
    them. spared: the others that do not help, with what the honest score gains without each, after those before it.
    before, after: the honest score of all, and of those that are kept."""

    kept: tuple[str, ...]
    idle: tuple[str, ...]
    spared: tuple[tuple[str, float], ...]
    before: float
    after: float

    @property
    def sentences(self) -> tuple[str, ...]:
        if not self.idle and not self.spared:
            return (f"Every member helps: without any of the {len(self.kept)} the honest score falls.",)
        idle = f"no part of the rows gives any weight to {_some(self.idle)}" if self.idle else ""
        spared = (
            f"without {_some([f'{name} (+{gain:.2g})' for name, gain in self.spared])} it does not fall" if self.spared else ""
        )
        return (
            f"{len(self.idle) + len(self.spared)} of {len(self.kept) + len(self.idle) + len(self.spared)} members do not help a weighted "
            f"sum (nnls), whose honest score is {self.before:.5g}: {'; '.join(filter(None, (idle, spared)))}. "
            f"With the {len(self.kept)} others it is {self.after:.5g}, found on the rows that it is told of: {_some(self.kept, 20)}.",
        )


def prune(
    members: Mapping[str, Table], truth: tuple[Array, Array], fold_of: Array, metric: Metric, ordered: bool = False
) -> Pruned:
    """Try every member from the least weight up, and leave out those without whom the honest score of non-negative weights is the same or
    better; those before it are gone by then. Of many members and rows some rows are looked at. Raises as `blend.blend`."""
    names = tuple(sorted(members))
    _, fold, y, P = aligned({name: members[name] for name in names}, truth, fold_of, metric)
    rows = spread(np.arange(len(y)), max(2, LOOKED_AT // (len(P) * P.shape[2])))
    y, P, fold = y[rows], P.take(rows, axis=1), fold[rows]
    part = parts(fold, ordered)
    ordered = ordered and bool(np.ptp(fold))

    def score(some: list[int]) -> tuple[float, Array]:
        """Natural, and the mean weight of each of these members over the parts."""
        scored, weights = judged(part, ordered), np.zeros(len(some))
        out, held_out = np.full(P.shape[1:], np.nan), np.unique(part[scored])
        for number in held_out:
            seen, held = np.flatnonzero(seen_by(part, number, ordered)), np.flatnonzero(part == number)
            fitted = nnls(P[some][:, seen], y[seen], metric)
            out[held] = metric.unlink(fitted.predict(P[some][:, held]))
            weights += fitted.weights / len(held_out)
        return metric.natural(y[scored], out[scored]), weights

    before, weights = score(list(range(len(names))))
    kept = np.flatnonzero(weights > 0).tolist()
    now, spared = before, []
    for one in sorted(kept, key=lambda at: weights[at]):
        others = [at for at in kept if at != one]
        without = score(others)[0] if others else -metric.sign * np.inf
        gain = metric.sign * (without - now)
        if gain >= -EQUAL * abs(now):
            kept, now = others, without
            spared.append((names[one], max(0.0, float(gain))))
    idle = tuple(name for name, weight in zip(names, weights, strict=True) if weight == 0)
    return Pruned(tuple(names[at] for at in kept), idle, tuple(spared), before, now)


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
