"""Changes of the target's scale: what a model learns instead, and the way back (TargetTransformer in `pipeline.competition`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from features.columns import centre_and_scale
from features.fitting import logs, measured
from pipeline.predictions import Array

TWICE = float(np.log(2))


@dataclass(eq=False, repr=False)
class LogRatio(BaseEstimator):
    """log(1 + y) less the log of a reference column (a listed price), where the reference is plausible; else less the median of
    log(1 + y). Without the column, or where nothing of it is positive, simply log(1 + y).

    Learned: which training rows have a sane ratio to the reference (within `spread` robust standard deviations of the median, or
    a factor of two if that is more), and from them the range, widened by a factor of two, in which a reference is believed.
    Of a new row only the reference is known: a price of 0, or of 400 million for 400 thousand, is outside. All arrays (n,).
    """

    column: str | None = None
    spread: float = 6.0

    def fit(self, X: pd.DataFrame, y: Array) -> LogRatio:
        target = measured(X, y, log=True, per=None)
        self.range_, self.constant_ = (np.inf, -np.inf), 0.0
        reference = np.full(len(X), np.nan) if self.column is None else logs(X, self.column)
        known = np.isfinite(reference)
        if known.any():
            ratio = target[known] - reference[known]
            centre, scale = centre_and_scale(ratio)
            sane = reference[known][np.abs(ratio - centre) <= max(self.spread * scale, TWICE)]
            self.range_ = float(sane.min()) - TWICE, float(sane.max()) + TWICE
            self.constant_ = float(np.median(target))
        return self

    def transform(self, X: pd.DataFrame, y: Array) -> Array:
        check_is_fitted(self)
        return measured(X, y, log=True, per=None) - self._reference(X)

    def inverse(self, X: pd.DataFrame, z: Array) -> Array:
        """Targets (n,) of 0 or more for learned values z (n,)."""
        check_is_fitted(self)
        return np.maximum(np.expm1(np.asarray(z, dtype=np.float64) + self._reference(X)), 0.0)

    def believed(self, X: pd.DataFrame) -> Array:
        """(n,) bool: the rows whose reference is plausible, so that what is learned of them is a ratio."""
        if self.column is None:
            return np.zeros(len(X), dtype=bool)
        reference = logs(X, self.column)
        return (reference >= self.range_[0]) & (reference <= self.range_[1])

    def _reference(self, X: pd.DataFrame) -> Array:
        if self.column is None:
            return np.zeros(len(X))
        return np.where(self.believed(X), logs(X, self.column), self.constant_)
