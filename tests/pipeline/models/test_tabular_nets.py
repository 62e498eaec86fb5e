"""The nets of pytabkit get columns of plain names and say nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Model
from pipeline.models import build

TINY = {
    "realmlp": {"n_epochs": 30, "hidden_sizes": [16], "batch_size": 32},
    "tabm": {"n_epochs": 30, "d_block": 16, "tabm_k": 2, "batch_size": 32, "lr": 1e-2},
}


@pytest.mark.parametrize("name", TINY)
def test_a_net_learns_numbers_and_categories_of_any_name(name: str) -> None:
    rng = np.random.default_rng(0)
    town = rng.choice(["a", "b"], 300)
    X = pd.DataFrame({"area, m²": rng.normal(size=300), "number_0": pd.Categorical(town)})
    y = X["area, m²"].to_numpy() + 3.0 * (town == "a")
    predicted = build(Model(name, TINY[name]), 0, 0).fit(X, y).predict(X)[:, 0]
    assert np.corrcoef(predicted, y)[0, 1] > 0.8


@pytest.mark.parametrize("name", TINY)
def test_the_order_of_the_rows_index_does_not_matter(name: str) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=64), "c": pd.Categorical(rng.choice(["x", "y"], 64))}, index=rng.permutation(64))
    model = build(Model(name, {**TINY[name], "n_epochs": 1}), 0, 0).fit(X, rng.normal(size=64))
    assert model.predict(X).tobytes() == model.predict(X.reset_index(drop=True)).tobytes()
