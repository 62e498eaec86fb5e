"""Linear models on scaled numbers, one-hot categories and the words of the texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from pipeline.models import refuse_unknown
from pipeline.models.views import Sparse, probabilities
from pipeline.predictions import Array


class Linear:
    """Ridge or elastic net; for classes, logistic regression with the same penalty. words: size of each text's vocabulary."""

    def __init__(self, family: str, classes: int, seed: int, params: dict[str, Any]) -> None:
        self.classes = classes
        words = params.pop("words", 5_000)
        kind, fixed = self._kind(family, classes, seed)
        refuse_unknown(family, params, {*kind().get_params(), "words"})
        self.model = kind(**{**fixed, **params})
        self.view = Sparse(words)

    @staticmethod
    def _kind(family: str, classes: int, seed: int) -> tuple[Any, dict[str, Any]]:
        if classes:
            mixed = {"l1_ratio": 0.5, "solver": "saga", "max_iter": 500} if family == "elastic-net" else {"max_iter": 500}
            return LogisticRegression, {"random_state": seed, **mixed}
        if family == "elastic-net":
            return ElasticNet, {"random_state": seed, "alpha": 1e-3, "l1_ratio": 0.2, "max_iter": 5_000, "selection": "cyclic"}
        return Ridge, {"random_state": seed, "alpha": 10.0, "solver": "lsqr", "tol": 1e-6, "copy_X": False}

    def fit(self, X: pd.DataFrame, y: Array, weight: Array | None = None) -> Linear:
        self.seen = float(y.min()), float(y.max())
        self.model.fit(self.view.fit(X).transform(X), y, sample_weight=weight)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        out = probabilities(self.model, self.view.transform(X), self.classes)
        return out if self.classes else np.clip(out, *self.seen)  # a line through a gross error leads anywhere


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> Linear:
    return Linear(family, classes, seed, params)
