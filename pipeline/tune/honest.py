"""What tuning is worth: the best of many scores flatters itself, so the choice is scored on rows that had no say in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.compare import Change, changes
from pipeline.display import figure
from pipeline.ensemble.honest import parts
from pipeline.errors import BadPredictions
from pipeline.run import Run


@dataclass(frozen=True)
class Verdict:
    """number: of the best trial, of `trials` complete ones. score: its own, which chose it. honest: with its 95 % interval. gain: from the
    untuned recipe to the honest choice. chosen: by part, the number of the trial that is best on the other parts."""

    number: int
    trials: int
    score: float
    honest: float
    interval: tuple[float, float]
    gain: Change
    chosen: tuple[int, ...]
    metric: str
    sign: float

    @property
    def sentences(self) -> tuple[str, ...]:
        """Three plain lines."""
        by = self.gain
        better = "better" if by.difference * self.sign > 0 else "worse"
        what = f"{better} by {abs(by.difference):.5f} (95 % interval of the difference {by.low:+.5f} to {by.high:+.5f})"
        told = "beyond noise" if by.beyond_noise else "no more than noise"
        return (
            f"Best of {self.trials} complete trials: trial {self.number}, {self.metric} {figure(self.score)}. That number chose it, so it "
            "flatters.",
            f"Honest, each fold by the trial that is best on the others: {self.metric} {figure(self.honest)} "
            f"({figure(self.interval[0])} to {figure(self.interval[1])}).",
            f"Untuned: {self.metric} {figure(by.scores[0])}. Tuning is {what if by.difference else 'neither better nor worse'}"
            f"{f': {told}' if by.difference else ''}.",
        )


def verdict(run: Run, trials: Sequence[tuple[int, Callable[[], Any]]], untuned: Any) -> Verdict:
    """trials: the complete ones by number, and how to read the out-of-fold predictions of each; one is in memory at a time. untuned: the
    predictions of the recipe as it was.

    A fold, or a group of folds beyond the tenth, is a part (`ensemble.honest.parts`); a single hold-out is dealt into parts. Pruned
    trials are no candidates in any part: that they were pruned by all folds is what little bias remains. Raises BadPredictions
    where trials do not predict the same rows.
    """
    ids = run.ids[np.isin(run.ids, untuned.ids)]
    part = parts(run.folds.fold_of[np.isin(run.ids, ids)])
    metric, answers = run.entry.competition.metric, run.answers
    scores = np.empty((len(trials), part.max() + 2))  # without each part, and of all rows
    for row, (number, read) in enumerate(trials):
        oof = read()
        if len(oof.ids) != len(ids) or not np.isin(oof.ids, ids).all():
            raise BadPredictions(f"Trial {number} does not predict the rows that the untuned recipe predicts; begin a new study.")
        scores[row] = [metric.sign * answers.score(oof.of(ids[part != held])) for held in range(part.max() + 1)] + [
            metric.sign * answers.score(oof)
        ]
    best = scores.argmax(axis=0)  # the earliest of equal ones
    pieces = [trials[best[held]][1]().of(ids[part == held]) for held in range(part.max() + 1)]
    honest = answers.together(pieces, run.ids)
    overall, _ = changes(run, untuned, honest)
    return Verdict(
        number=trials[best[-1]][0],
        trials=len(trials),
        score=metric.sign * float(scores[best[-1], -1]),
        honest=answers.score(honest),
        interval=answers.interval(honest),
        gain=overall,
        chosen=tuple(trials[row][0] for row in best[:-1].tolist()),
        metric=metric.name,
        sign=metric.sign,
    )
