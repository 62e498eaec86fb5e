"""Runs to import into and to export from: the toy, the toy with three classes, and scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.run import Run, open_run
from pipeline.train import Member

CLASSES = {
    'Regression(id="id", target="y", metric="rmse")': 'Classification(id="id", target="y", metric="log_loss")',
    "import Competition, Data, Model, Regression": "import Classification, Competition, Data, Model",
    '"train.csv", ["id", "a", "b", "y"], {"a", "b", "y"}': '"train.csv", ["id", "a", "b", "y"], {"a", "b"}',
    "y=table.a - table.b": 'y=np.select([table.a + table.b > 2, table.a > 0.5], ["rare", "few"], "many")',
    "y=0": 'y="many"',
}


@pytest.fixture
def values(toy: Path, tmp_path: Path) -> Run:
    """Its answers are numbers."""
    return open_run("toy", runs=tmp_path / "runs", rows=120)


@pytest.fixture
def classes(toy: Path, tmp_path: Path) -> Run:
    """Its answers are chances of three classes."""
    text = toy.read_text()
    for before, after in CLASSES.items():
        assert before in text
        text = text.replace(before, after)
    toy.write_text(text)
    return open_run("toy", runs=tmp_path / "runs", rows=120)


@pytest.fixture
def boxes(scenes: Path, tmp_path: Path) -> Run:
    """Its answers are boxes."""
    return open_run("scenes", runs=tmp_path / "runs", rows=50)


def made(run: Run, oof: Any, test: Any, name: str = "theirs") -> Member:
    """A member that predicts this, without training."""
    return Member(name, oof, test, run.answers.score(oof), np.nan, 0.0, ("key",))
