"""Any sklearn-style estimator is a recipe: cloned, seeded, on one thread, with gaps filled where it cannot take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from pipeline.errors import BadRecipe
from pipeline.models import build
from pipeline.models.estimator import Estimator
from pipeline.predictions import Boxes, Truth

X = pd.DataFrame(
    {
        "x": np.where(np.arange(60) % 5 == 0, np.nan, np.arange(60.0)),
        "c": pd.Categorical(np.array(["a", "b"])[np.arange(60) % 2]),
        "t": np.array(["sea view", "garden"])[np.arange(60) % 2],
    }
)
Y = np.arange(60.0)


def estimator(recipe: Any, classes: int = 0, seed: int = 3) -> Estimator:
    built = build(recipe, classes, seed)
    assert isinstance(built, Estimator)
    return built


def test_gaps_are_filled_only_where_the_estimator_cannot_take_them() -> None:
    filled, as_they_are = (estimator(recipe).fit(X, Y) for recipe in (Ridge(), HistGradientBoostingRegressor()))
    assert filled.fill is not None
    assert as_they_are.fill is None
    assert filled.predict(X).shape == as_they_are.predict(X).shape == (60, 1)


def test_the_recipe_itself_is_left_alone_and_its_copy_seeded_on_one_thread() -> None:
    recipe = TransformedTargetRegressor(RandomForestRegressor(n_estimators=2, n_jobs=-1))
    model = estimator(recipe)
    found = model.model.get_params()
    assert [value for name, value in found.items() if name.endswith("n_jobs")] == [1]
    assert [value for name, value in found.items() if name.endswith("random_state")] == [3]
    assert recipe.regressor.n_jobs == -1
    model.fit(X, Y)
    assert not hasattr(recipe, "regressor_")


def test_a_pipeline_gets_the_table_itself() -> None:
    words = make_pipeline(make_column_transformer((CountVectorizer(), "t")), Ridge())
    predicted = estimator(words).fit(X, (X.t == "garden").to_numpy(dtype=float)).predict(X)[:, 0]
    assert np.corrcoef(predicted, X.t == "garden")[0, 1] > 0.99


def test_a_classifier_without_probabilities_is_refused_with_the_cure() -> None:
    with pytest.raises(BadRecipe, match=r"LinearSVC gives no class probabilities .*CalibratedClassifierCV"):
        build(LinearSVC(), 2, 0)
    y = (np.arange(60) % 2 * 2).astype(np.int64)
    predicted = estimator(CalibratedClassifierCV(LinearSVC(), cv=2), classes=3).fit(X, y).predict(X)
    assert predicted.shape == (60, 3)
    assert not predicted[:, 1].any()


class Plain:
    """Not scikit-learn's: nobody can ask it whether it takes gaps."""

    fit = predict = get_params = set_params = print


@pytest.mark.parametrize("recipe", [Plain(), Ridge, "ridge"])
def test_what_does_not_derive_from_sklearns_estimators_is_refused_with_the_cure(recipe: Any) -> None:
    with pytest.raises(BadRecipe, match=r"neither a Model\(family, params\) nor an estimator: .*BaseEstimator"):
        build(recipe, 0, 0)


class Plain(RegressorMixin, BaseEstimator):
    """An estimator that keeps nothing by which scikit-learn could tell that it was fitted."""

    def fit(self, X: Any, y: Any) -> Plain:
        self.mean = float(np.mean(y))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean)


def test_an_estimator_need_not_follow_sklearns_naming_of_what_is_learned() -> None:
    assert estimator(Plain()).fit(X, Y).predict(X)[0, 0] == Y.mean()


class Everywhere(BaseEstimator):
    """Finds the first category of its truth in every image, in the same place."""

    def fit(self, X: pd.DataFrame, y: Truth) -> Everywhere:
        self.seen, self.category = list(X.columns), y.category[0]
        return self

    def predict(self, X: pd.DataFrame) -> Boxes:
        ids = X["t"].to_numpy()
        return Boxes(ids, ids, np.full(len(X), self.category), np.tile([1, 2, 3, 4], (len(X), 1)), np.full(len(X), 0.5))


def test_boxes_are_learned_from_the_table_itself_and_come_back_as_they_are() -> None:
    ids = np.array(["a", "b"])
    truth = Truth(ids, np.array(["7", "8"]), ids[:1], np.array(["8"]), np.array([[0, 0, 5, 5]]), np.zeros(1, dtype=bool))
    model = estimator(Everywhere()).fit(X.iloc[:2].assign(t=ids), truth)
    assert model.model.seen == ["x", "c", "t"]
    found = model.predict(X.iloc[:3].assign(t=["c", "d", "e"]))
    assert isinstance(found, Boxes)
    assert (found.images.tolist(), found.category.tolist()) == (["c", "d", "e"], ["8"] * 3)
