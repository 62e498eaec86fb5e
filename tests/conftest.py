"""Fixtures for all tests: the real data beside the repository, and a small competition written to a file of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import competitions

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

TOY = '''"""A toy: does one file make a competition?"""

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

from pipeline.competition import Competition, Data, Model, Regression
from pipeline.folds import KFold
from pipeline.tables import read_table, read_text

task = Regression(id="id", target="y", metric="rmse")
competition = Competition(name="toy", kaggle="toy", task=task, folds=KFold(k=3))


def load(root):
    train, _ = read_table(root / "train.csv", ["id", "a", "b", "y"], {"a", "b", "y"}, {"id", "y"})
    test, _ = read_table(root / "test.csv", ["id", "a", "b"], {"a", "b"}, {"id"})
    return Data(train, test, read_text(root / "sample_submission.csv"))


def features():
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["a", "b"]})


def models():
    return {"lightgbm": Model("lightgbm", {"n_estimators": 20}), "ridge": Model("ridge"), "own": Ridge(alpha=0.1)}


def practice(root, rows, seed):
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(2 * rows, 2)), columns=["a", "b"]).rename_axis("id")
    table.assign(y=table.a - table.b)[:rows].to_csv(root / "train.csv")
    table[rows:].to_csv(root / "test.csv")
    table[rows:].assign(y=0)[["y"]].to_csv(root / "sample_submission.csv")
'''


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped by name where it is not."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data")
    return SHARED


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a competition named toy, found like any other; nothing of it stands in the project."""
    folder = tmp_path / "more_competitions"
    folder.mkdir()
    file = folder / "toy.py"
    file.write_text(TOY, encoding="utf-8")
    monkeypatch.setenv("PODIUM_COMPETITIONS", str(folder))  # for worker processes and commands
    monkeypatch.setattr(competitions, "__path__", [*competitions.__path__, str(folder)])
    importlib.invalidate_caches()
    yield file
    sys.modules.pop("competitions.toy", None)
