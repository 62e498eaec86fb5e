"""Gradient-boosted trees: LightGBM, XGBoost, CatBoost. They read numbers with gaps and categories; text columns are left to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.models import refuse_unknown
from pipeline.models.views import Coded, kinds, labels_of, probabilities, refuse_nothing
from pipeline.predictions import Array


class LightGbm:
    """LightGBM (Ke et al. 2017), deterministic and on one thread."""

    def __init__(self, classes: int, seed: int, params: Mapping[str, Any]) -> None:
        import lightgbm

        # LightGBM itself only prints a warning for a parameter it does not know; its own list of aliases makes that an error.
        known = set(lightgbm.basic._ConfigAliases._get_all_param_aliases())
        aliases = {alias for names in lightgbm.basic._ConfigAliases._get_all_param_aliases().values() for alias in names}
        kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
        refuse_unknown("lightgbm", params, known | aliases | set(kind().get_params()))
        self.classes = classes
        self.model = kind(
            **{"n_jobs": 1, "verbose": -1, "deterministic": True, "force_col_wise": True, "random_state": seed, **params}
        )

    def fit(self, X: pd.DataFrame, y: Array, weight: Array | None = None) -> LightGbm:
        self.seen = float(y.min()), float(y.max())
        self.view = Coded().fit(X)
        self.model.fit(self.view.transform(X), y, sample_weight=weight, categorical_feature=self.view.categories)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        out = probabilities(self.model, self.view.transform(X), self.classes)
        return out if self.classes else np.clip(out, *self.seen)  # linear trees extrapolate; a gross error would lead anywhere


class XgBoost:
    """XGBoost (Chen and Guestrin 2016), histogram trees with native categories, on one thread."""

    def __init__(self, classes: int, seed: int, params: Mapping[str, Any]) -> None:
        import xgboost

        kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
        refuse_unknown("xgboost", params, set(kind().get_params()))
        self.classes = classes
        self.labels: Array | None = None
        self.model = kind(
            **{"n_jobs": 1, "verbosity": 0, "tree_method": "hist", "enable_categorical": True, "random_state": seed, **params}
        )

    def fit(self, X: pd.DataFrame, y: Array, weight: Array | None = None) -> XgBoost:
        self.view = Coded().fit(X)
        self.model.set_params(feature_types=["q"] * len(self.view.columns) + ["c"] * len(self.view.categories))
        if self.classes:
            self.labels, y = np.unique(y, return_inverse=True)  # it wants classes without a gap
        self.model.fit(self.view.transform(X), y, sample_weight=weight)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        return probabilities(self.model, self.view.transform(X), self.classes, self.labels)


class CatBoost:
    """CatBoost (Prokhorenkova et al. 2018) with its ordered target statistics for categories, on one thread."""

    def __init__(self, classes: int, seed: int, params: Mapping[str, Any]) -> None:
        import inspect

        import catboost

        kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
        refuse_unknown("catboost", params, set(inspect.signature(kind.__init__).parameters) - {"self"})
        self.classes = classes
        self.model = kind(**{"thread_count": 1, "verbose": False, "allow_writing_files": False, "random_seed": seed, **params})

    def fit(self, X: pd.DataFrame, y: Array, weight: Array | None = None) -> CatBoost:
        self.number, self.category, _ = kinds(X)
        refuse_nothing(X, self.number + self.category)
        category = list(range(len(self.number), len(self.number) + len(self.category)))
        self.model.fit(self._view(X), y, cat_features=category, sample_weight=weight)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        return probabilities(self.model, self._view(X), self.classes)

    def _view(self, X: pd.DataFrame) -> pd.DataFrame:
        numbers = X[self.number].to_numpy(dtype=np.float32, na_value=np.nan)
        parts = [pd.DataFrame(numbers, copy=False), pd.DataFrame(labels_of(X, self.category), copy=False)]
        return pd.concat(parts, axis=1, ignore_index=True, copy=False)


FAMILIES: Mapping[str, Callable[[int, int, Mapping[str, Any]], Any]] = {
    "lightgbm": LightGbm,
    "xgboost": XgBoost,
    "catboost": CatBoost,
}


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> Any:
    return FAMILIES[family](classes, seed, params)
