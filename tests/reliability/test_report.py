"""The page of figures: every number is on it, with what was recorded last, whoever recorded it."""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.report import LIMITS, PAGE, TRIED, page, record


def rows(text: str) -> list[list[str]]:
    """The cells of every line of the page's table, below its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_page_has_a_row_for_every_figure_and_says_of_what_nobody_ran(tmp_path: Path) -> None:
    file = tmp_path / "build" / "figures.json"
    record(file, 4, "flipped bits", {"bits flipped": 3000, "accepted": 0}, "boxes")
    record(file, 1, "kill -9 | again", {"kills": 5}, "tables")
    record(file, 4, "flipped bits", {"bits flipped": 4000, "accepted": 0}, "boxes")
    record(file, 4, "flipped bits", {"bits flipped": 1}, "tables")
    text = page(json.loads(file.read_text()))
    found = rows(text)
    assert {len(row) for row in found} == {4}
    assert found[0] == ["1", "kill -9 \\| again", "tables", "kills 5"]
    assert [row[2:] for row in found if row[0] == "4"] == [
        ["tables", "bits flipped 1"],
        ["boxes", "bits flipped 4,000, accepted 0"],
    ]
    assert [int(row[0]) for row in found if row[3] == "not run"] == [number for number in TRIED if number not in (1, 4)]
    assert text.endswith(LIMITS)


@pytest.mark.parametrize(("number", "kind"), [(0, "tables"), (21, "tables"), (1, "sounds")])
def test_what_is_no_test_of_ours_is_not_recorded(tmp_path: Path, number: int, kind: str) -> None:
    with pytest.raises(ValueError, match=f"Test {number} of {kind!r}"):
        record(tmp_path / "figures.json", number, "x", {}, kind)


def record_many(file: Path, kind: str) -> None:
    for number in TRIED:
        record(file, number, "at once", {"n": number}, kind)


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    file, context = tmp_path / "figures.json", multiprocessing.get_context("fork")
    writers = [context.Process(target=record_many, args=(file, kind)) for kind in ("tables", "images", "boxes")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(json.loads(file.read_text())) == 3 * len(TRIED)


def test_the_fixture_records_where_it_is_told_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Callable[..., None]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PODIUM_RELIABILITY", raising=False)
    proof(1, "told to nobody", {"kills": 1}, kind="tables")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("PODIUM_RELIABILITY", "figures.json")
    proof(1, "told", {"kills": 1}, kind="tables")
    assert json.loads(Path("figures.json").read_text()) == [
        {"number": 1, "title": "told", "kind": "tables", "figures": {"kills": 1}}
    ]


def test_the_page_that_is_kept_names_all_twenty_numbers_and_what_they_cannot_show() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {int(row[0]) for row in rows(text)} == set(range(1, 21)) == set(TRIED)
    assert text.endswith(LIMITS)
