"""The libraries themselves, on a few rows: what they predict, what is left when they are stopped, and that none of it stays behind."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.competition import Model
from pipeline.models import build
from pipeline.models.automl import KINDS
from pipeline.models.automl_process import PACKAGES
from pipeline.models.desk import Desk
from pipeline.predictions import Array
from tests.pipeline.models import tabled

QUICK: dict[str, dict[str, Any]] = {
    "autogluon": {"preset": "good_quality", "only": ["GBM"], "seconds": 600},
    "h2o": {"only": ["GLM", "GBM", "StackedEnsemble"], "most": 2, "seconds": 600, "memory": 2},
    "flaml": {"only": ["lgbm"], "most": 12, "seconds": 600},
}
X, Y = tabled.rows(300)
INNER = np.arange(300) % 3
QUICKEST = "flaml"  # whose runs stand for the others' where there is little time


def marks(name: str) -> list[pytest.MarkDecorator]:
    package, *_ = PACKAGES[name]
    absent = pytest.mark.skipif(find_spec(package.partition(".")[0]) is None, reason=f"{package} is an extra")
    return [absent] if name == QUICKEST else [absent, pytest.mark.slow]


every_library = pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in PACKAGES])


def made(name: str, folder: Path, classes: int = 0, **desk: Any) -> Any:
    return build(Model(name, QUICK[name]), classes, 0, desk=Desk(folder / "unit", threads=1, **desk))


def rmse(y: Array, p: Array) -> float:
    return float(np.sqrt(np.mean((y - p[:, 0]) ** 2)))


def servers(folder: Path) -> list[str]:
    """The command lines of H2O's servers that work in this folder."""
    said = (" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
    return [line for line in said if f"-ice_root {folder}" in line]


@pytest.mark.timeout(900)
@every_library
def test_values_are_learned_by_our_inner_folds_and_without_what_was_not_finished(name: str, tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("*xgboost*"))
    model = made(name, tmp_path, inner=INNER).fit(X, Y)
    new, truth = tabled.rows(50, seed=1)
    found = model.predict(new)
    assert found.shape == (50, 1)
    assert rmse(truth, found) < 0.7 * truth.std()
    (model.folder / "finished.json").unlink()  # as if it had been killed at the end of its time
    assert rmse(truth, model.predict(new)) < 0.7 * truth.std()
    assert not servers(tmp_path)
    assert set(Path(tempfile.gettempdir()).glob("*xgboost*")) <= before
    shutil.rmtree(tmp_path / "unit")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS["flaml"])
def test_every_kind_of_model_of_flaml_takes_categories_with_gaps(kind: str, tmp_path: Path) -> None:
    assert X.isna().any().any()
    model = build(Model("flaml", {"only": [kind], "most": 2, "seconds": 600}), 0, 0, desk=Desk(tmp_path / "unit", threads=1))
    assert model.fit(X, Y).predict(X[:5]).shape == (5, 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@every_library
def test_classes_are_learned_and_judged_by_the_latest_rows(name: str, tmp_path: Path) -> None:
    y = np.where(np.median(Y) < Y, 3, 1)
    model = made(name, tmp_path, classes=4, inner=(np.arange(300) >= 240).astype(int), later=True).fit(X, y)
    new, truth = tabled.rows(50, seed=1)
    p = model.predict(new)
    assert p.shape == (50, 4)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-3)
    assert not p[:, [0, 2]].any()
    assert np.mean((p[:, 3] > 0.5) == (truth > np.median(Y))) > 0.7
    assert json.loads((model.folder / "job.json").read_text())["later"]
