"""The boosters use what is particular to them: native categories, linear leaves, their own names for parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Model
from pipeline.errors import UnknownName
from pipeline.models import build
from pipeline.predictions import Array

BOOSTERS = {
    "lightgbm": {"n_estimators": 60, "min_child_samples": 5},
    "xgboost": {"n_estimators": 60},
    "catboost": {"iterations": 60, "learning_rate": 0.2},
}


def towns(rows: int, seed: int) -> tuple[pd.DataFrame, Array]:
    """The target is the town's, and the towns' order says nothing."""
    rng = np.random.default_rng(seed)
    town = rng.integers(0, 12, rows)
    worth = np.random.default_rng(9).permutation(12).astype(float)[town]
    names = np.array([f"town {number}" for number in range(12)])
    return pd.DataFrame({"noise": rng.normal(size=rows), "town": pd.Categorical(names[town])}), worth


@pytest.mark.parametrize("name", BOOSTERS)
def test_a_booster_learns_what_only_a_category_tells(name: str) -> None:
    (X, y), (new, truth) = towns(600, 0), towns(300, 1)
    predicted = build(Model(name, BOOSTERS[name]), 0, 0).fit(X, y).predict(new)[:, 0]
    assert np.corrcoef(predicted, truth)[0, 1] > 0.9


@pytest.mark.parametrize("name", BOOSTERS)
def test_the_seed_decides_what_is_drawn(name: str) -> None:
    X, y = towns(300, 0)
    drawn = {"lightgbm": {"subsample": 0.5, "subsample_freq": 1}, "xgboost": {"subsample": 0.5}, "catboost": {}}[name]
    first, other = (build(Model(name, {**BOOSTERS[name], **drawn}), 0, seed).fit(X, y).predict(X) for seed in (0, 1))
    assert first.tobytes() != other.tobytes()


def test_lightgbms_linear_leaves_take_gaps_and_categories_and_stay_within_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random(500) < 0.1, np.nan, rng.uniform(0, 1e6, 500))
    X = pd.DataFrame({"x": x, "town": pd.Categorical(rng.choice(["a", "b"], 500))})
    y = 3 * np.nan_to_num(x, nan=5e5)
    params = {"linear_tree": True, "linear_lambda": 0.01, "n_estimators": 80, "min_child_samples": 10}
    model = build(Model("lightgbm", params), 0, 0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.corrcoef(model.predict(X)[:, 0], y)[0, 1] > 0.99
    wild = model.predict(X.assign(x=1e30))[:, 0]
    assert y.min() <= wild.min() <= wild.max() <= y.max()
    assert model.predict(X).tobytes() == build(Model("lightgbm", params), 0, 0).fit(X, y).predict(X).tobytes()


def test_lightgbms_aliases_are_known_and_its_misspelt_parameters_are_not() -> None:
    build(Model("lightgbm", {"num_iterations": 3, "eta": 0.1, "bagging_fraction": 0.5, "linear_lambda": 1.0}), 0, 0)
    with pytest.raises(UnknownName, match=r"'baging_fraction'. Did you mean bagging_fraction"):
        build(Model("lightgbm", {"baging_fraction": 0.5}), 0, 0)


def test_nothing_is_written_beside_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = towns(60, 0)
    build(Model("catboost", {"iterations": 2}), 0, 0).fit(X, y)
    assert not list(tmp_path.iterdir())
