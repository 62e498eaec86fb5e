"""An estimator that learns a fold's training part resampled, and whose probabilities are those of the rows as they were."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.models import Estimator
from pipeline.predictions import Array, Boxes
from pipeline.resample.sampler import Sampler


class Resampled:
    """inside: the estimator does it itself, with the rows that are left where it holds some out."""

    def __init__(self, estimator: Estimator, sampler: Sampler, inside: bool) -> None:
        self.estimator: Any = estimator
        self.sampler, self.inside = sampler, inside

    def fit(self, X: pd.DataFrame, y: Any) -> Resampled:
        if self.inside:
            self.estimator.fit(X, y, self.sampler)
            return self
        X, y, weight = self.sampler.rows(X, y)
        self.estimator.fit(X, y, **({} if weight is None else {"weight": weight}))
        return self

    def predict(self, X: pd.DataFrame) -> Array | Boxes:
        found: Array | Boxes = self.estimator.predict(X)
        return found if self.inside or isinstance(found, Boxes) else self.sampler.corrected(found)
