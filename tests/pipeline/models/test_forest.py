"""Forests tell missing rows apart and predict the same sums every time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Model
from pipeline.models import build


@pytest.mark.parametrize("name", ["random-forest", "extra-trees"])
def test_that_a_value_is_missing_can_be_learned(name: str) -> None:
    missing = np.arange(200) % 4 == 0
    X = pd.DataFrame({"x": np.where(missing, np.nan, np.random.default_rng(0).normal(size=200))})
    model = build(Model(name, {"n_estimators": 20}), 0, 0).fit(X, missing.astype(float))
    np.testing.assert_array_equal(model.predict(X)[:, 0], missing)


@pytest.mark.parametrize("name", ["random-forest", "extra-trees"])
def test_many_trees_sum_to_the_same_bytes_every_time(name: str) -> None:
    """With several jobs the order of a sum, and so its last digit, would be chance."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    model = build(Model(name, {"n_estimators": 50}), 0, 0).fit(X, rng.normal(size=200))
    assert len({model.predict(X).tobytes() for _ in range(6)}) == 1
