"""Any sklearn-style estimator, as it is.

A scikit-learn Pipeline gets the features table itself, since it brings its own preparation. Every other estimator gets
numbers: category codes, and gaps left as NaN where its tags say that it can take them, else filled with the median.

Where the answer is boxes it gets the features table itself and the `Truth` of its images, and predicts `Boxes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from pipeline.errors import BadRecipe
from pipeline.models.views import Coded, probabilities
from pipeline.predictions import Array, Boxes, Truth


class Estimator:
    """The estimator, cloned; its `random_state`s are set to the unit's seed and its `n_jobs` to 1."""

    def __init__(self, estimator: Any, classes: int, seed: int) -> None:
        if classes and not hasattr(estimator, "predict_proba"):
            raise BadRecipe(
                f"{type(estimator).__name__} gives no class probabilities (no predict_proba); wrap it in CalibratedClassifierCV."
            )
        self.classes = classes
        model = clone(estimator)
        fixed = {"random_state": seed, "n_jobs": 1}
        model.set_params(**{name: fixed[last] for name in model.get_params() if (last := name.rpartition("__")[2]) in fixed})
        self.model = model
        takes_gaps = isinstance(model, Pipeline) or get_tags(model).input_tags.allow_nan
        self.fill = None if takes_gaps else SimpleImputer(strategy="median", keep_empty_features=True)

    def fit(self, X: pd.DataFrame, y: Array | Truth) -> Estimator:
        self.boxes = isinstance(y, Truth)
        self.view = None if self.boxes or isinstance(self.model, Pipeline) else Coded().fit(X)
        if self.fill and self.view:
            self.fill.fit(self.view.transform(X))
        self.model.fit(self._seen(X), y)
        return self

    def predict(self, X: pd.DataFrame) -> Array | Boxes:
        if self.boxes:
            found: Boxes = self.model.predict(X)  # where it is kept, it is looked at whether it is that
            return found
        return probabilities(self.model, self._seen(X), self.classes)

    def _seen(self, X: pd.DataFrame) -> Any:
        if self.view is None:
            return X
        numbers = self.view.transform(X).astype(np.float64)
        return self.fill.transform(numbers) if self.fill else numbers


def build(recipe: Any, classes: int, seed: int) -> Estimator:
    return Estimator(recipe, classes, seed)
