"""A canary credential, in the environment and in the Kaggle client's files, never stands in anything that podium writes or says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import NOTHING_USABLE, SOME_FAILED, WRONG_COMMAND
from pipeline.models.outside_process import run as run_outside
from tests.conftest import Said
from tests.pipeline.models import boxed
from tests.reliability.small import opened, start
from tests.reliability.spoiling import spoilt

Podium = Callable[..., Said]
CANARIES = {
    name: f"canary-of-{name.lower().replace('_', '-')}-0123456789"
    for name in ("KAGGLE_KEY", "KAGGLE_API_TOKEN", "HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD_PASSWORD")
}
FILES = {"kaggle.json": "canary-of-a-json-0123456789", "access_token": "KGAT-canary-of-a-token"}
ACCOUNT = "canary-account"

MODELS = """

import os
import sys
import warnings
from pathlib import Path
from sklearn.base import BaseEstimator

class Odd(BaseEstimator):
    def __init__(self, how, told=""):
        self.how, self.told = how, told

    def fit(self, X, y):
        environment, home = dict(os.environ), Path.home() / ".kaggle"
        everything = str(environment) + (home / "kaggle.json").read_text() + (home / "access_token").read_text()
        if self.how == "local":
            raise RuntimeError("an error whose frames hold everything")
        if self.how == "says":
            raise RuntimeError(everything)
        if self.how == "chained":
            try:
                raise KeyError(everything)
            except KeyError as error:
                raise ValueError("401 for https://me:" + environment["KAGGLE_KEY"] + "@www.kaggle.com/api") from error
        if self.how == "leaves":
            sys.exit(everything)
        print(everything)
        print(everything, file=sys.stderr)
        warnings.warn(everything)
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        return self.mean_ + X[:, 0]

def models():
    failing = {how: Odd(how) for how in ("local", "says", "chained", "leaves")}
    return {**failing, "prints": Odd("prints"), "told": Odd("prints", os.environ["KAGGLE_KEY"])}
"""
ELSEWHERE = {
    "load": "\n\ndef load(root):\n    import os\n    raise RuntimeError(str(dict(os.environ)))\n",
    "features": "\n\ndef features():\n    import os\n    raise RuntimeError(str(dict(os.environ)))\n",
    "the module": "\n\nimport os\nraise RuntimeError(str(dict(os.environ)))\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a person with credentials of every kind."""
    home = tmp_path / "person"
    (home / ".kaggle").mkdir(parents=True)
    (home / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": ACCOUNT, "key": FILES["kaggle.json"]}))
    (home / ".kaggle" / "access_token").write_text(FILES["access_token"] + "\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KAGGLE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("KAGGLE_USERNAME", ACCOUNT)
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    return home


def leaks(*folders: Path, said: str = "") -> list[str]:
    """Where a canary stands: names of files, and of what was said."""
    needles = [value.encode() for value in (*CANARIES.values(), *FILES.values())]
    texts = {"what was said": said.encode()} | {
        str(path): str(path).encode() + path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    }
    return [place for place, content in texts.items() if any(needle in content for needle in needles)]


def looked_at(*folders: Path) -> int:
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def test_a_canary_is_found_where_one_stands(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"\0" * 99 + CANARIES["HF_TOKEN"].encode())
    assert leaks(tmp_path) == [str(tmp_path / "log.txt")]
    assert leaks(said=f"x{FILES['access_token']}") == ["what was said"]


def test_models_that_fail_print_and_warn_with_all_they_know_leave_no_credential(
    home: Path, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    with opened("tables", tmp_path) as one, spoilt(one, MODELS):
        said = podium(*one.words("run"))
        assert said.code == SOME_FAILED
        assert said.out.count("\nFAILED ") == 4
        shown = [
            podium("board", one.name),
            podium("doctor"),
            podium("submit", one.name),
            podium("data", one.name, "--data", one.data),
        ]
        assert {one.code for one in shown} == {0}
        everything = "".join(one.out + one.err for one in (said, *shown))
        assert "<KAGGLE_KEY>" in said.out
        logs = [path.read_text() for path in Path("runs").rglob("units/*/*/log.txt")]
        assert all("<kaggle.json>" in log and "<HF_TOKEN>" in log for log in logs)
        assert [path.read_text().count("<access_token>") > 0 for path in Path("runs").rglob("says/*/failure.json")] == [True] * 3
        assert leaks(Path.cwd(), said=everything) == []
        size = looked_at(Path.cwd())
    figures = {"canaries": len(CANARIES) + len(FILES), "bytes looked at": size + len(everything), "leaks found": 0}
    proof(19, "run folder, screen, logs and failures", figures, kind="tables")


@pytest.mark.parametrize("where", ELSEWHERE)
def test_an_error_of_the_competition_s_own_code_shows_no_credential(
    where: str, home: Path, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    with opened("tables", tmp_path) as one, spoilt(one, ELSEWHERE[where]):
        said = podium(*one.words("run"))
        assert said.code in (NOTHING_USABLE, WRONG_COMMAND)
        assert "RuntimeError" in said.out + said.err
        assert "KAGGLE_KEY" in said.out + said.err
        assert leaks(Path.cwd(), said=said.out + said.err) == []
    proof(19, f"a traceback of {where}", {"canaries": len(CANARIES) + len(FILES), "leaks found": 0}, kind="tables")


def test_a_process_of_another_library_gets_no_credential(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Any
) -> None:
    boxed.stand_in(tmp_path, monkeypatch)
    (tmp_path / "stand_in.py").write_text("import json, os\njson.dump(dict(os.environ), open('environment.json', 'w'))\n")
    for hub in (False, True):
        folder = tmp_path / f"hub-{hub}"
        folder.mkdir()
        run_outside({"do": "list", "library": "libreyolo", "hub": hub, "threads": 1}, folder, print)
        got = json.loads((folder / "environment.json").read_text())
        assert not [name for name in got if name in CANARIES or name.startswith("KAGGLE_")]
        assert leaks(folder) == []
        assert got["PATH"]
        assert got["PODIUM_LIBREYOLO_PYTHON"]
    proof(19, "the environment of another library's process", {"canaries": len(CANARIES), "handed on": 0}, kind="boxes")


@pytest.mark.slow
def test_worker_processes_leave_no_credential_either(home: Path, tmp_path: Path, proof: Any) -> None:
    with opened("tables", tmp_path) as one:
        one.change(MODELS)
        runs = tmp_path / "runs"
        process = start(*one.words("run", runs=runs), "--workers", "2", HOME=str(home))
        out, err = process.communicate(timeout=600)
        assert process.returncode == SOME_FAILED, err
        assert leaks(runs, said=out + err) == []
    proof(19, "worker processes", {"canaries": len(CANARIES) + len(FILES), "leaks found": 0}, kind="tables")
