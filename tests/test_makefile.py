"""The Makefile and the lock file: what a newcomer meets first."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import competitions

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def make(*words: str) -> str:
    """What make prints, as from a shell: these tests may themselves be run by make, which tells its children so."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *words], cwd=ROOT, env=told, capture_output=True, text=True, check=True).stdout


def targets() -> set[str]:
    """Targets of the Makefile that stand for themselves, not for a file."""
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return {*phony.replace("$(NAMES)", "").split(), *project_competitions()}


def project_competitions() -> set[str]:
    folder = Path(competitions.__file__).parent
    return {name for name in competitions.names() if competitions._files()[name.replace("-", "_")].is_relative_to(folder)}


def pinned() -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", LOCK, re.MULTILINE)}


def test_help_lists_every_target_with_what_it_does() -> None:
    lines = make("help").splitlines()
    described = dict(re.fullmatch(r"  make (\S+) +(\S.*)", line).groups() for line in lines)  # type: ignore[union-attr]
    assert described.keys() == targets()
    assert "house-prices" in described
    assert make() == make("help")


def test_help_has_a_line_for_each_of_several_competitions() -> None:
    lines = make("help", "NAMES=one two-three").splitlines()[:2]
    assert [line.split()[:2] for line in lines] == [["make", "one"], ["make", "two-three"]]
    assert lines[0].split()[2:] == lines[1].split()[2:]


def test_help_fits_a_terminal() -> None:
    assert max(map(len, make("help").splitlines())) <= 100


@pytest.mark.parametrize("name", sorted(project_competitions()))
def test_a_competition_is_run_by_its_name_on_the_folder_given(name: str) -> None:
    assert make("-n", name, "DATA=x").splitlines()[-1].split() == [".venv/bin/podium", "run", name, "--data", "x"]
    assert make("-n", name, "ARGS=--seeds 3").splitlines()[-1].split() == [".venv/bin/podium", "run", name, "--seeds", "3"]


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
    ]  # the other extras have environments of their own
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", requirement)[0]).lower() for requirement in wanted}
    assert names <= pinned()


def test_every_pin_has_hashes_and_no_index_is_named() -> None:
    parts = re.split(r"\n(?=[\w.-]+(?:\[[\w,-]+\])?==)", LOCK)[1:]
    assert len(parts) == len(re.findall(r"^\S+==", LOCK, re.MULTILINE))
    assert all("--hash=sha256:" in part for part in parts)
    assert "://" not in LOCK
    assert "index-url" not in LOCK
