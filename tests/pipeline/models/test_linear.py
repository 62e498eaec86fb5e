"""Linear models: lines through numbers, levels and words; logistic for classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from pipeline.competition import Model
from pipeline.models import build
from pipeline.models.linear import Linear

TABLE = pd.DataFrame(
    {
        "x": np.random.default_rng(0).uniform(-1, 1, 400),
        "town": pd.Categorical(np.array(["a", "b"])[np.arange(400) % 2]),
        "told": np.array(["sea view", "garden", "attic flat"])[np.arange(400) % 3],
    }
)
WORTH = TABLE.x.to_numpy() + (TABLE.town == "a") * 2.0 + (TABLE.told == "sea view") * 3.0


@pytest.mark.parametrize("name", ["ridge", "elastic-net"])
def test_numbers_levels_and_words_all_count(name: str) -> None:
    predicted = build(Model(name, {"alpha": 1e-3}), 0, 0).fit(TABLE, WORTH.to_numpy()).predict(TABLE)[:, 0]
    assert np.corrcoef(predicted, WORTH)[0, 1] > 0.995


def test_the_vocabulary_is_as_large_as_asked_for() -> None:
    few, many = (build(Model("ridge", {"words": words}), 0, 0).fit(TABLE, WORTH.to_numpy()) for words in (1, 100))
    assert isinstance(few, Linear)
    assert isinstance(many, Linear)
    assert [len(model.view.tfidf["told"].vocabulary_) for model in (few, many)] == [1, 7]


@pytest.mark.parametrize(
    ("name", "classes", "kind"),
    [
        ("ridge", 0, Ridge),
        ("elastic-net", 0, ElasticNet),
        ("ridge", 2, LogisticRegression),
        ("elastic-net", 2, LogisticRegression),
    ],
)
def test_the_task_decides_the_loss(name: str, classes: int, kind: type) -> None:
    model = build(Model(name), classes, 0)
    assert isinstance(model, Linear)
    assert isinstance(model.model, kind)


def test_classes_are_told_apart() -> None:
    y = (WORTH > 2).to_numpy().astype(np.int64)
    predicted = build(Model("ridge"), 2, 0).fit(TABLE, y).predict(TABLE)
    assert (predicted.argmax(axis=1) == y).mean() > 0.9
