"""A step at work on one fold's training part. It never sees another row, but for the test rows' features where likeness to them is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import BadRecipe
from pipeline.predictions import Array
from pipeline.resample import BY_ROW, Resample, weights
from pipeline.resample.often import TIMES, drawn, drawn_by_class, in_turn
from pipeline.resample.prior import corrected, ratio
from pipeline.resample.synthetic import more_rows

NO_CLOCK = "recency needs to know when each row was: only a competition whose folds follow a clock (TimeBlocks, or HoldOut with one) can have it."
EXACT = {"copy", "under", "balanced"}  # `times` is equal within a class


class Sampler:
    """step: what to do. classes: their number, 0 where the answer is a number. when: (n,) time of each row that is fitted, for recency.
    asked: gives the features of the test rows, for likeness.

    before, after: (k,) rows of each class as they were, and as they are learned (times, or sums of weights); of numbers all rows, and
    the effective number of rows (Kish). None before anything was learned.
    """

    def __init__(
        self,
        step: Resample,
        classes: int,
        seed: int,
        when: Array | None = None,
        asked: Callable[[], pd.DataFrame] | None = None,
    ) -> None:
        self.step, self.classes, self.seed = step, classes, seed
        self._when, self._asked = when, asked
        self.before: Array | None = None
        self.after: Array | None = None

    def rows(self, X: Any, y: Array, at: Array | None = None) -> tuple[Any, Array, Array | None]:
        """X and y with rows drawn or made up once, and no weights; or as they are, with weights (n,). at: places of these rows among
        those that are fitted, where some are held out."""
        if self.step.kind == "weights":
            return X, y, self.weights(X, y, at)
        if self.step.kind == "synthetic":
            new_X, new_y = more_rows(self.step, X, y, self.seed)
        else:
            places = self.epoch(y, np.random.default_rng(self.seed))
            new_X, new_y = (X.iloc[places].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[places]), y[places]
        self._count(y, np.bincount(new_y, minlength=self.classes))
        return new_X, new_y, None

    def epoch(self, y: Array, draw: np.random.Generator) -> Array:
        """Places (m,) among the rows of classes y (n,) that an epoch learns, in its order."""
        times = self.often(one_hot(y, self.classes))
        places = drawn_by_class(times, y, draw) if self.step.way in EXACT else drawn(times, draw)
        return in_turn(places, y, draw) if self.step.way == "balanced" else places

    def often(self, presence: Array) -> Array:
        """(n,) how many times an epoch sees each row, on average. presence: (n, c) bool, which classes or categories a row has."""
        times = TIMES[self.step.way](presence, self.step["at"])
        self.before, self.after = presence.sum(axis=0).astype(np.float64), times @ presence
        return times

    def by_class(self, y: Array) -> Array:
        """(k,) weight of each class in the loss."""
        count = np.bincount(y, minlength=self.classes)
        found = weights.by_class(self.step, count)
        self._count(y, found * count)
        return found

    def weights(self, X: Any, y: Array, at: Array | None = None) -> Array:
        """(n,) weight of each row in the loss; their mean is 1."""
        if self.step.way in weights.CLASS_WEIGHTS:
            return self.by_class(y)[y]
        if self.step.way == "density":
            found = weights.density(y, self.step["alpha"])
        elif self.step.way == "recency":
            if self._when is None:
                raise BadRecipe(NO_CLOCK)
            found = weights.recency(self._when if at is None else self._when[at], self.step["half"])
        else:
            if self._asked is None:
                raise BadRecipe("likeness needs the features of the test rows.")
            found = weights.likeness(X, self._asked(), self.seed, self.step["most"])
        if self.classes:
            self._count(y, np.bincount(y, weights=found, minlength=self.classes))
        else:
            self.before, self.after = np.array([float(len(y))]), np.array([found.sum() ** 2 / (found**2).sum()])
        return found

    def corrected(self, p: Array) -> Array:
        """Probabilities (n, k) as they are for the shares of the classes before; values, and what is not to be corrected, as they are."""
        ratio = self.ratio
        return p if ratio is None else corrected(p, ratio)

    @property
    def ratio(self) -> Array | None:
        """(k,) by what probabilities are multiplied, None where they stay."""
        if not self.classes or not self.step.correct or self.step.way in BY_ROW or self.before is None or self.after is None:
            return None
        return ratio(self.before, self.after)

    def _count(self, y: Array, after: Array) -> None:
        self.before, self.after = np.bincount(y, minlength=self.classes).astype(np.float64), after.astype(np.float64)


def one_hot(y: Array, classes: int) -> Array:
    """(n, k) bool."""
    presence = np.zeros((len(y), classes), dtype=bool)
    presence[np.arange(len(y)), y] = True
    return presence
