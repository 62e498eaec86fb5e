"""What is known of an ensemble: its honest score, each member alone, and whether it was worth it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import Metric


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """Scores are natural ones; intervals are 95 % and hold (low, high).

    method: what it was blended by. members: all that were offered, sorted. weights: what each counts; for ridge they are
    coefficients, of any sign and sum. judged: the number of rows, or images, that the scores are of.
    honest, interval: the score where each row was predicted by a blend fitted, and a method chosen, without its fold.
    optimistic: the score of the blend fitted on all rows, on those rows.
    scores: the honest score of each method that was tried, "best" being the choice of a single member.
    best_member, best_score: the member that is best on all rows, and the honest score of choosing one.
    gain, gain_interval: how much better the ensemble is than that choice on the same rows; above 0 is better, for every metric.
    member_scores, member_intervals: each member alone on the same rows.
    """

    metric: Metric
    method: str
    members: tuple[str, ...]
    weights: Mapping[str, float]
    judged: int
    honest: float
    interval: tuple[float, float]
    optimistic: float
    scores: Mapping[str, float]
    best_member: str
    best_score: float
    gain: float
    gain_interval: tuple[float, float]
    member_scores: Mapping[str, float]
    member_intervals: Mapping[str, tuple[float, float]]

    @property
    def gap(self) -> float:
        """How much the optimistic score flatters; above 0 when it is the better one. What is only the rounding of sums is 0."""
        gap = self.metric.sign * (self.optimistic - self.honest)
        return 0.0 if abs(gap) < 1e-12 * abs(self.honest) else gap

    @property
    def better_than_best(self) -> bool:
        """Only if the whole interval of the gain is above 0."""
        return self.gain_interval[0] > 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know, worst news included."""
        low, high = self.interval
        rows = "images" if self.metric.kind == "boxes" else "rows"
        score = (
            f"{self.method} of {len(self.members)} members has {self.metric.name} {self.honest:.5g} "
            f"(95 % {low:.5g} to {high:.5g}) on {self.judged} {rows} that it was not fitted to, "
            f"and {self.optimistic:.5g} where it was: a gap of {self.gap:.2g}."
        )
        low, high = (bound + 0.0 for bound in self.gain_interval)  # for a person, -0 is 0
        verdict = "is better" if self.better_than_best else "is not shown to be better"
        gain = (
            f"It {verdict} than its best member, {self.best_member} ({self.best_score:.5g}), on the same {rows}: "
            f"a gain of {self.gain + 0.0:.2g} (95 % {low:.2g} to {high:.2g})."
        )
        if not self.better_than_best:
            gain += f" {self.best_member} alone is the simpler choice."
        if low == high == 0:
            gain = f"It is its best member, {self.best_member}, alone."
        if np.isclose(self.honest, self.scores[self.method], rtol=1e-12, atol=0):
            return score, gain
        return score, gain, f"The folds do not agree on the method; {self.method} by itself has {self.scores[self.method]:.5g}."
