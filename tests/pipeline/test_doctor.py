"""The doctor finds what there is, and never tells a credential."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.doctor import automl, credentials, findings, gpu, java
from pipeline.models.automl_process import PACKAGES

CANARY = "canary-3f9a7c"
NAMES = ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without credentials."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kaggle").mkdir()
    return tmp_path


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    def examined() -> str:
        monkeypatch.setattr(sys, "argv", ["podium", "doctor"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
        said = capsys.readouterr()
        return said.out + said.err

    return examined


def test_versions_cores_memory_disk_and_gpu_are_told(home: Path) -> None:
    found = dict(findings())
    assert found["numpy"] == version("numpy")
    assert found["podium"] == version("podium")
    assert int(found["cores"]) >= 1
    assert "GiB free" in found["memory"]
    assert "GiB free" in found["disk"]
    assert found["gpu"]
    assert found["kaggle"].startswith("no credentials")


def test_a_library_that_is_absent_says_how_to_get_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.doctor.LIBRARIES", ("no-such-library",))
    assert dict(findings())["no-such-library"] == "not installed; run `make setup`"


@pytest.mark.parametrize("name", ["autogluon", "h2o", "flaml"])
def test_automl_that_is_absent_says_how_to_get_it(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    package = PACKAGES[name][0].upper().replace(".", "_")
    monkeypatch.setenv(f"PODIUM_{package}_PYTHON", str(home / "no-python"))
    assert automl(name).startswith("not installed, and not needed; to have its models: uv pip install --python ")


def test_java_is_told_or_how_to_get_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = home / "bin" / "java"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java() == f'openjdk version "17.0.1" ({python})'
    python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert "does not run" in java()
    monkeypatch.setattr("pipeline.models.automl_process.java", lambda: None)
    assert java().startswith("none, and only H2O needs it. Run: uv pip install")


def test_a_torch_that_does_not_load_is_told_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert gpu().startswith("unknown: torch does not load")


@pytest.mark.parametrize(
    ("environment", "files", "where"),
    [
        ({"KAGGLE_API_TOKEN": CANARY}, [], "KAGGLE_API_TOKEN is set"),
        ({"KAGGLE_USERNAME": CANARY, "KAGGLE_KEY": CANARY}, [], "KAGGLE_USERNAME and KAGGLE_KEY are set"),
        ({}, [".kaggle/access_token"], "access_token file found"),
        ({}, [".kaggle/kaggle.json"], "kaggle.json found"),
        ({"KAGGLE_CONFIG_DIR": "elsewhere"}, ["elsewhere/kaggle.json"], "kaggle.json found"),
        ({"KAGGLE_KEY": CANARY}, [], "no credentials; everything but downloading and sending works without"),
    ],
)
def test_credentials_are_found_and_never_told(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    examined: object,
    environment: dict[str, str],
    files: list[str],
    where: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, str(home / value) if name == "KAGGLE_CONFIG_DIR" else value)
    for file in files:
        (home / file).parent.mkdir(exist_ok=True)
        (home / file).write_text(f'{{"username": "{CANARY}", "key": "{CANARY}"}}')
    assert credentials() == where
    said = examined()  # type: ignore[operator]
    assert where in said
    assert CANARY not in said


def test_extras_are_listed_with_the_lines_that_install_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PODIUM_LIBREYOLO_PYTHON", str(tmp_path / "absent"))
    assert "not installed, and not needed" in dict(findings())["libreyolo"]
    assert "uv pip install --python .venv-libreyolo/bin/python libreyolo" in dict(findings())["libreyolo"]
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho welcome\necho 1.6.0\n")
    python.chmod(0o755)
    monkeypatch.setenv("PODIUM_ULTRALYTICS_PYTHON", str(python))
    assert dict(findings())["ultralytics"] == f"1.6.0 in {python}"
