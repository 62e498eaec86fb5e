"""What a competition may be called, and where its file is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import competitions
from pipeline.draft import place
from pipeline.errors import BadDraft, StoreError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["bike-demand", "s3e26", "a"])
def test_words_joined_by_hyphens_are_names(name: str) -> None:
    place.refuse_name(name)


@pytest.mark.parametrize(
    "name", ["", "Bike", "bike_demand", "bike demand", "-a", "a-", "a--b", "3d", "é", "../x", "a.b", "a/b", "a" * 61]
)
def test_others_are_not(name: str) -> None:
    with pytest.raises(BadDraft, match=r"cannot be a competition's name\. Use lower-case letters, digits and hyphens"):
        place.refuse_name(name)


@pytest.mark.parametrize("name", ["class", "import", "find", "names", "os", "importlib", "test", "test-slow", "help"])
def test_words_that_mean_something_else_are_taken(name: str) -> None:
    with pytest.raises(BadDraft, match="is taken"):
        place.refuse_name(name)


def test_every_target_of_the_makefile_is_taken() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(place.TARGETS) == set(phony.replace("$(NAMES)", "").split())


def test_the_folder_named_goes_before_the_projects_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODIUM_COMPETITIONS", raising=False)
    assert place.folder() == Path(competitions.__file__).parent
    monkeypatch.setenv("PODIUM_COMPETITIONS", f"{tmp_path}:other")
    assert place.folder() == tmp_path


def test_without_a_project_it_is_the_working_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "competitions"
    installed.mkdir(parents=True)
    monkeypatch.delenv("PODIUM_COMPETITIONS", raising=False)
    monkeypatch.setattr(competitions, "__file__", str(installed / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    assert place.folder() == tmp_path / "competitions"
    assert "without a project to write into" in " ".join(place.remarks(tmp_path / "competitions", "x", ""))
    (tmp_path / "competitions").mkdir()
    (tmp_path / "competitions" / "__init__.py").touch()
    with pytest.raises(StoreError, match="belongs to another copy of podium"):
        place.folder()


def test_what_is_there_is_replaced_only_if_it_is_a_file_and_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    place.refuse_existing("mine", file, force=False)
    file.write_text("x = 1\n")
    place.refuse_existing("mine", file, force=True)
    with pytest.raises(BadDraft, match=r"is there already\. Choose another name, or replace the file with --force"):
        place.refuse_existing("mine", file, force=False)
    for force in (False, True):
        with pytest.raises(BadDraft, match="There is a competition 'house-prices' already"):
            place.refuse_existing("house-prices", tmp_path / "house_prices.py", force)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="PODIUM_COMPETITIONS=DIR"):
        place.write(tmp_path / "file" / "x.py", "x = 1\n")
    place.write(tmp_path / "new" / "x.py", "x = 1\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.py"]
