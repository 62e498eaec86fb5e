"""Every family can do what it says it can resample, and probabilities stay those of the rows as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Model
from pipeline.errors import BadRecipe
from pipeline.models import FAMILIES, build
from pipeline.models.resampled import Resampled
from pipeline.resample import BY_ROW, WAYS, Resample
from pipeline.resample.sampler import Sampler

SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_estimators": 30},
    "xgboost": {"n_estimators": 30},
    "catboost": {"iterations": 30},
    "random-forest": {"n_estimators": 10},
    "extra-trees": {"n_estimators": 10},
    "elastic-net": {"max_iter": 20_000, "tol": 5e-2},
    "mlp": {"hidden": (8,), "epochs": 30, "batch": 16},
    "realmlp": {"n_epochs": 20, "batch_size": 32, "hidden_sizes": [8]},
    "tabm": {"n_epochs": 20, "batch_size": 32, "d_block": 8, "tabm_k": 2},
}
HOLDING_OUT = {"mlp", "realmlp", "tabm"}
EVERY_WAY = [(name, way) for name, one in FAMILIES.items() if not one.pictures for way in one.resample]


@pytest.mark.parametrize(("name", "way"), EVERY_WAY)
def test_a_family_can_do_what_it_says_it_can_resample(name: str, way: str) -> None:
    """On rows of which few are of one class, or of numbers; the probabilities are still those of the rows as they are."""
    classes = 3 if "classes" in WAYS[way].of else 0
    draw = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], [120, 24, 8])
    X = pd.DataFrame({"a": draw.normal(label, 0.7), "b": draw.normal(size=152)})
    if way == "smotenc":
        X["c"] = pd.Categorical(draw.choice(["x", "y"], 152))
    y = label if classes else X["a"].to_numpy()
    step = Resample(way)
    sampler = Sampler(step, classes, 0, when=np.arange(152.0), asked=lambda: X[100:])
    estimator = build(Model(name, SMALL.get(name, {}), resample=step), classes, 0)
    p = Resampled(estimator, sampler, FAMILIES[name].inside).fit(X, y).predict(X)
    assert np.isfinite(p).all()
    assert sampler.before is not None
    if classes:
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        if way not in BY_ROW:
            # 8 of 152 are of that class; learned as they were resampled, about a third would be, and brought back twice next to none.
            assert 0.01 < p[:, 2].mean() < 0.2
            held = name in HOLDING_OUT
            assert (sampler.before.sum() < len(y)) == held  # what is held out for early stopping is never among them


@pytest.mark.parametrize(
    ("recipe", "classes", "says"),
    [
        (
            Model("realmlp", resample="inverse"),
            2,
            "'realmlp' cannot resample classes by 'inverse'. It can do: copy, under, repeat-factor, smote",
        ),
        (
            Model("ridge", resample="smote"),
            0,
            "cannot resample numbers by 'smote'. It can do: density, recency, likeness; or none",
        ),
        (Model("lightgbm", resample="class-aware"), 3, "cannot resample classes by 'class-aware'"),
    ],
)
def test_a_way_that_a_family_cannot_do_is_refused_with_those_that_it_can(recipe: Model, classes: int, says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        build(recipe, classes, 0)
