"""Every family of models passes the same test: a new one gets it without a line of test code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from pipeline.competition import Model
from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import FAMILIES, build, family
from pipeline.predictions import Array

NET = {"n_epochs": 1, "batch_size": 32}
SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_estimators": 3, "min_child_samples": 5},
    "xgboost": {"n_estimators": 3},
    "catboost": {"iterations": 3},
    "random-forest": {"n_estimators": 3},
    "extra-trees": {"n_estimators": 3},
    "elastic-net": {"max_iter": 2_000, "tol": 1e-2},
    "mlp": {"hidden": (8,), "epochs": 2},
    "realmlp": {**NET, "hidden_sizes": [8]},
    "tabm": {**NET, "d_block": 8, "tabm_k": 2},
}
LONGER: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_estimators": 60},
    "xgboost": {"n_estimators": 60},
    "catboost": {"iterations": 60},
    "random-forest": {"n_estimators": 10},
    "extra-trees": {"n_estimators": 10},
}

READ_WORDS = {"ridge", "elastic-net"}
every_family = pytest.mark.parametrize("name", [name for name, one in FAMILIES.items() if not (one.pictures or one.desk)])
every_task = pytest.mark.parametrize("classes", [0, 2, 4])


def table(rows: int, seed: int, towns: str = "abcd") -> pd.DataFrame:
    """Whatever a features table may hold: gaps, nothing, one value, flags, odd names, rare levels, text."""
    rng = np.random.default_rng(seed)
    words = np.array(["bright flat", "quiet garden flat", "", "garden by the sea", "sea view"])
    return pd.DataFrame(
        {
            "area (m²), net": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            '{"json": [1, 2]}': rng.integers(0, 9, rows),
            "far away": np.where(rng.random(rows) < 0.01, 1e12, rng.normal(size=rows)),
            "nothing": np.nan,
            "one value": np.float32(3),
            "flag": rng.random(rows) < 0.5,
            "town: [x]": pd.Categorical(np.where(rng.random(rows) < 0.1, None, rng.choice(list(towns), rows))),
            "level nobody has": pd.Categorical(rng.choice(["p", "q"], rows), categories=["o", "p", "q"]),
            "told": np.where(rng.random(rows) < 0.1, None, rng.choice(words, rows)),
        }
    )


def target(X: pd.DataFrame, classes: int) -> Array:
    signal = X['{"json": [1, 2]}'].to_numpy(dtype=np.float64) + X["area (m²), net"].fillna(0).to_numpy()
    return signal if not classes else np.where(signal > np.median(signal), classes - 1, 0).astype(np.int64)


def small(name: str, **more: Any) -> Model:
    return Model(name, {**SMALL.get(name, {}), **more})


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """What a model prints would tear up the screen."""
    yield
    assert capfd.readouterr() == ("", "")


@every_task
@every_family
def test_a_family_learns_a_mixed_table_and_predicts_rows_with_levels_it_never_met(name: str, classes: int) -> None:
    """Of four classes, two are absent in training. The same seed gives the same bytes."""
    X, new = table(80, 0), table(30, 1, towns="zyab")
    before = X.copy(deep=True)
    first, again = (build(small(name), classes, 7).fit(X, target(X, classes)).predict(new) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.dtype == np.float64
    assert first.shape == (30, classes or 1)
    assert np.isfinite(first).all()
    pd.testing.assert_frame_equal(X, before)
    if classes:
        assert first.min() >= 0
        np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-5)


@every_family
def test_rows_are_predicted_one_by_one_whatever_stands_beside_them(name: str) -> None:
    X, new = table(80, 0), table(30, 1)
    model = build(small(name), 0, 0).fit(X, target(X, 0))
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(model.predict(new.iloc[order]), model.predict(new)[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(new.iloc[:1]), model.predict(new)[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("columns", [slice(0, 6), slice(6, 8)], ids=["numbers", "categories"])
@every_family
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_tables_of_one_kind_are_enough(name: str, columns: slice) -> None:
    X = table(80, 0)
    model = build(small(name), 0, 0).fit(X.iloc[:, columns], target(X, 0))
    assert np.isfinite(model.predict(table(9, 1).iloc[:, columns])).all()


@every_family
def test_a_table_of_text_is_read_or_refused_with_the_cure(name: str) -> None:
    X = table(80, 0)
    model = build(small(name), 0, 0)
    if name in READ_WORDS:
        assert np.ptp(model.fit(X[["told"]], target(X, 0)).predict(X[["told"]])) > 0
    else:
        with pytest.raises(BadRecipe, match=r"no column that this family reads, only 'told'.*linear family"):
            model.fit(X[["told"]], target(X, 0))


@every_family
def test_a_parameter_that_nobody_reads_is_refused_with_the_nearest_name(name: str) -> None:
    known = next(iter(SMALL.get(name, {"alpha": 1})))
    with pytest.raises(UnknownName, match=f"No parameter of {name} is called '{known}x'. Did you mean .*{known}"):
        build(Model(name, {f"{known}x": 1}), 0, 0)


@every_family
def test_a_family_uses_one_thread(name: str) -> None:
    """Units run side by side; a model that takes all cores would slow down the others."""
    X = table(3_000, 0)
    build(small(name), 0, 0).fit(X.iloc[:99], target(X.iloc[:99], 0))  # what is imported and started once
    assert elsewhere(small(name, **LONGER.get(name, {})), X) < 0.25


def test_what_a_second_thread_does_is_seen() -> None:
    assert elsewhere(small("random-forest", n_estimators=10, n_jobs=2), table(3_000, 0)) > 0.25


def elsewhere(recipe: Model, X: pd.DataFrame) -> float:
    """Share of the processor time of a fit that other threads than this one took."""
    y, model = target(X, 0), build(recipe, 0, 0)
    process, thread = time.process_time(), time.thread_time()
    model.fit(X, y)
    own = time.thread_time() - thread
    return 1 - own / (time.process_time() - process)


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"No model family is called 'lightgmb'. Did you mean lightgbm"):
        family(Model("lightgmb"))


def test_a_sklearn_estimator_is_a_recipe_by_itself() -> None:
    X = table(80, 0)
    assert build(Ridge(solver="lsqr"), 0, 0).fit(X, target(X, 0)).predict(X).shape == (80, 1)
