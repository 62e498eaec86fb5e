"""Random forests and extremely randomised trees, on numbers and category codes; predicted by one thread, so that sums have one order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

from pipeline.models import refuse_unknown
from pipeline.models.views import Coded, probabilities
from pipeline.predictions import Array

KINDS: dict[tuple[str, bool], Any] = {
    ("random-forest", False): RandomForestRegressor,
    ("random-forest", True): RandomForestClassifier,
    ("extra-trees", False): ExtraTreesRegressor,
    ("extra-trees", True): ExtraTreesClassifier,
}
GAP = -1e6  # far below every value: a split can set the missing rows apart


class Forest:
    """Breiman 2001; Geurts et al. 2006."""

    def __init__(self, family: str, classes: int, seed: int, params: dict[str, Any]) -> None:
        kind = KINDS[family, bool(classes)]
        refuse_unknown(family, params, set(kind().get_params()))
        self.classes = classes
        self.model = kind(**{"n_jobs": 1, "random_state": seed, "n_estimators": 300, **params})

    def fit(self, X: pd.DataFrame, y: Array, weight: Array | None = None) -> Forest:
        self.view = Coded().fit(X)
        self.model.fit(self._matrix(X), y, sample_weight=weight)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        return probabilities(self.model, self._matrix(X), self.classes)

    def _matrix(self, X: pd.DataFrame) -> Array:
        return np.nan_to_num(self.view.transform(X), copy=False, nan=GAP)


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> Forest:
    return Forest(family, classes, seed, params)
