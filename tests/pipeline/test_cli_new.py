"""`podium new` as a person types it: from a folder to a submission without editing a line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import competitions
from tests.pipeline.draft import folders

Podium = Callable[..., Any]


@pytest.fixture
def new(podium: Podium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Podium]:
    """In an empty folder; what is written goes to a folder of its own."""
    drafts = tmp_path / "drafts"
    monkeypatch.setenv("PODIUM_COMPETITIONS", str(drafts))
    monkeypatch.setattr(competitions, "__path__", [*competitions.__path__])
    yield podium
    for file in drafts.glob("*.py") if drafts.is_dir() else ():
        sys.modules.pop(f"competitions.{file.stem}", None)


def test_a_table_that_is_not_ours_gets_to_a_checked_submission_without_editing_a_line(new: Podium, tmp_path: Path) -> None:
    folders.fraud(Path("files"))
    said = new("new", "card-fraud", "--data", "files", "--metric", "auc", "--kaggle", "ieee-fraud")
    assert (said.code, said.err, said.last) == (0, "", str(tmp_path / "drafts" / "card_fraud.py"))
    assert "- Metric: auc, as asked for.\n" in said.out
    assert "- The answer is the chance of '1', the second of both in order.\n" in said.out
    assert "podium run card-fraud --data files" in said.out
    ran = new("run", "card-fraud", "ridge", "--data", "files", "--submission", "my.csv")
    assert ran.code == 0, ran.err
    assert new("submit", "card-fraud", "--check", "my.csv").code == 0
    assert "Card fraud: what is is_fraud of each row?" in new("list").out
    assert 'kaggle="ieee-fraud"' in Path(said.last).read_text()


def test_data_that_was_downloaded_needs_no_option(new: Podium) -> None:
    folders.states(Path("data/states"))
    said = new("new", "states")
    assert said.code == 0, said.err
    assert "Metric: log_loss, a default that nobody chose." in said.out
    assert "\nRead the file, then: podium audit states, podium run states\n" in said.out


def test_a_name_that_is_there_is_not_written_over(new: Podium, tmp_path: Path) -> None:
    folders.fraud(Path("files"))
    assert new("new", "mine", "--data", "files").code == 0
    file = tmp_path / "drafts" / "mine.py"
    file.write_text(file.read_text() + "# edited\n")
    again = new("new", "mine", "--data", "files")
    assert again.code == 2
    assert "is there already. Choose another name, or replace the file with --force" in again.err
    assert file.read_text().endswith("# edited\n")
    assert new("new", "mine", "--data", "files", "--force").code == 0
    assert "# edited" not in file.read_text()


def test_a_draft_that_does_not_open_is_not_kept(new: Podium, tmp_path: Path) -> None:
    folders.leaves(Path("files"))
    picture = next(iter(Path("files/train_images").iterdir()))
    picture.write_bytes(b"no picture")
    said = new("new", "leaves", "--data", "files")
    assert said.code == 2
    assert picture.name in said.err
    assert not list((tmp_path / "drafts").iterdir())


def test_on_a_terminal_the_metric_is_asked_for(new: Podium, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.flats(Path("files"))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("rmsle\n"))
    said = new("new", "flats", "--data", "files")
    assert said.code == 0, said.err
    assert "Which metric? (rmse, mae, rmsle) [rmse]" in said.out
    assert "Metric: rmsle, as asked for." in said.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["House"], "'House' cannot be a competition's name"),
        (["house-prices", "--data", "files", "--force"], "There is a competition 'house-prices' already"),
        (["mine", "--data", "none"], "none is no folder. Give the folder of the competition's files with --data DIR"),
        (["mine", "--data", "files", "--metric", "auk"], "No metric is called 'auk'. Did you mean auc?"),
        (["mine", "--data", "files", "--metric", "map"], "The metric 'map' does not go with the target"),
        (["mine", "--data", "files", "--train", "none.csv"], "none.csv is missing"),
    ],
)
def test_what_is_wrong_is_one_message_with_the_cure(new: Podium, tmp_path: Path, words: list[str], says: str) -> None:
    folders.fraud(Path("files"))
    said = new("new", *words)
    assert said.code == 2
    assert says in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "drafts").exists() or not list((tmp_path / "drafts").iterdir())
