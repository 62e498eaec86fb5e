"""Gradient-boosted trees: LightGBM, XGBoost, CatBoost. They read numbers with gaps and categories; text columns are left to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.models import refuse_unknown
from pipeline.models.views import coded, kinds, probabilities
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

    def fit(self, X: pd.DataFrame, y: Array) -> LightGbm:
        matrix, categories = coded(X)
        self.model.fit(matrix, y, categorical_feature=categories)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        return probabilities(self.model, coded(X)[0], self.classes)


class XgBoost:
    """XGBoost (Chen and Guestrin 2016), histogram trees with native categories, on one thread."""

    def __init__(self, classes: int, seed: int, params: Mapping[str, Any]) -> None:
        import xgboost

        kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
        refuse_unknown("xgboost", params, set(kind().get_params()))
        self.classes = classes
        self.model = kind(
            **{"n_jobs": 1, "verbosity": 0, "tree_method": "hist", "enable_categorical": True, "random_state": seed, **params}
        )

    def fit(self, X: pd.DataFrame, y: Array) -> XgBoost:
        matrix, categories = coded(X)
        self.model.set_params(feature_types=["c" if place in set(categories) else "q" for place in range(matrix.shape[1])])
        self.model.fit(matrix, y)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        return probabilities(self.model, coded(X)[0], self.classes)


class CatBoost:
    """CatBoost (Prokhorenkova et al. 2018) with its ordered target statistics for categories, on one thread."""

    def __init__(self, classes: int, seed: int, params: Mapping[str, Any]) -> None:
        import inspect

        import catboost

        kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
        refuse_unknown("catboost", params, set(inspect.signature(kind.__init__).parameters) - {"self"})
        self.classes = classes
        self.model = kind(**{"thread_count": 1, "verbose": False, "allow_writing_files": False, "random_seed": seed, **params})

    def fit(self, X: pd.DataFrame, y: Array) -> CatBoost:
        self.model.fit(self._view(X), y, cat_features=kinds(X)[1])
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        return probabilities(self.model, self._view(X), self.classes)

    @staticmethod
    def _view(X: pd.DataFrame) -> pd.DataFrame:
        number, category, _ = kinds(X)
        columns = {c: X[c].to_numpy(dtype=np.float32, na_value=np.nan) for c in number}
        columns |= {c: X[c].astype(object).where(X[c].notna(), "").astype(str).to_numpy() for c in category}
        return pd.DataFrame(columns, index=X.index)


FAMILIES: Mapping[str, Callable[[int, int, Mapping[str, Any]], Any]] = {
    "lightgbm": LightGbm,
    "xgboost": XgBoost,
    "catboost": CatBoost,
}


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> Any:
    return FAMILIES[family](classes, seed, params)
