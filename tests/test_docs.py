"""What the README and the docs show is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of that language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_the_readmes_python_runs_as_a_script_and_is_short(tmp_path: Path) -> None:
    (code,) = blocks("README.md", "python")
    assert len(code.strip().splitlines()) <= 12
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    submission = Path(done.stdout.strip().splitlines()[-1])
    assert (tmp_path / submission).read_text(encoding="utf-8").startswith("Id,Sold Price\n")


def test_the_competition_of_the_docs_is_the_toy_that_the_tests_train(toy: Path) -> None:
    (code,) = blocks("docs/add-a-competition.md", "python")
    assert code == toy.read_text(encoding="utf-8")


def test_the_targets_that_the_readme_names_are_there() -> None:
    targets = {line.split()[1] for block in blocks("README.md", "sh") for line in block.splitlines() if line.startswith("make ")}
    assert targets
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(target in shown for target in targets)


def test_the_commands_of_the_readme_are_those_of_podium() -> None:
    named = set(re.findall(r"`podium (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    listed = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert named == {name for name in named if re.search(rf"\b{name}\b", listed)}


@pytest.mark.parametrize(
    "page", [p.relative_to(ROOT).as_posix() for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
)
def test_links_to_files_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
