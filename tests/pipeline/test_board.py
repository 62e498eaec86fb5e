"""Where every model stands: whole ones by score, then those that lack folds, then what nobody asks for any more."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge

from pipeline.board import standings
from pipeline.competition import Model
from pipeline.run import Run, open_run
from pipeline.train import train, units


class Fails(BaseEstimator):  # type: ignore[misc]
    def fit(self, X: np.ndarray, y: np.ndarray) -> Fails:
        raise RuntimeError("out of luck")

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.zeros(len(X))


MODELS: dict[str, Any] = {
    "ridge": Model("ridge"),
    "close": Ridge(alpha=0.1, solver="cholesky"),
    "fails": Fails(),
    "partial": Model("ridge", {"alpha": 2.0}),
    "later": Model("ridge", {"alpha": 3.0}),
}


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Run:
    opened = open_run("toy", runs=tmp_path / "runs", rows=60)
    run = dataclasses.replace(opened, entry=dataclasses.replace(opened.entry, models=lambda: MODELS))
    train(run, ["ridge", "close", "fails", "partial"], workers=1)
    run.store.remove("units", "partial", units(run, {"partial": MODELS["partial"]})[1].key)
    return run


def test_the_best_stands_first_and_every_state_is_said(run: Run) -> None:
    rows = standings(run)
    assert [(row.model, row.state) for row in rows] == [
        ("close", "complete"),
        ("ridge", "complete"),
        ("fails", "failed in fold 1: RuntimeError: out of luck"),
        ("partial", "2 of 3 folds"),
        ("later", "not trained"),
    ]
    best = rows[0]
    assert best.low is not None
    assert best.high is not None
    assert best.score is not None
    assert best.seconds is not None
    assert best.low < best.score < best.high
    assert best.seconds > 0
    assert rows[-1].score is None


def test_more_seeds_than_were_trained_are_not_complete(run: Run) -> None:
    assert {row.model: row.state for row in standings(run, seeds=2)}["close"] == "3 of 6 folds"


def test_what_no_recipe_asks_for_any_more_comes_last(run: Run) -> None:
    train(run, {"mine": Model("ridge", {"alpha": 7.0})}, workers=1)
    last = standings(run)[-1]
    assert last.model == "mine"
    assert last.state.startswith("another recipe, 3 folds: Model('ridge'")
    other = open_run("toy", runs=run.store.root.parent, rows=60, folds=4)
    assert not [row for row in standings(other) if row.model == "mine"]


def test_a_damaged_result_is_said(run: Run) -> None:
    unit = units(run, {"close": MODELS["close"]})[0]
    run.store.path("units", "close", unit.key, "oof.npz").write_bytes(b"")
    said: list[str] = []
    assert {row.model: row.state for row in standings(run, say=said.append)}["close"] == "2 of 3 folds"
    assert len(said) == 1
