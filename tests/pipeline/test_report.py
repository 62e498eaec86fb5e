"""Tables: nothing is wrapped where nobody looks, and numbers are whole where somebody does."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

from pipeline.assemble import assemble
from pipeline.board import Standing, standings
from pipeline.predictions import Truth
from pipeline.report import blend_table, board_table, categories_table, data_table, pairs_table
from pipeline.run import Run, open_run
from pipeline.train import train


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Run:
    return open_run("toy", runs=tmp_path / "runs", rows=60)


def text(table: RenderableType, width: int = 10_000) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_data_table_has_a_line_for_every_column_and_says_where_it_is_from(run: Run) -> None:
    run.data.train["b"] = [None, *run.data.train["b"][1:]]
    run.data.train["note"] = "two\nlines [of] text " * 9
    header, *lines, summary, origin = text(data_table(run)).splitlines()
    assert header.split() == ["column", "type", "missing", "in", "train", "in", "test", "an", "example"]
    assert [line.split()[0] for line in lines] == ["id", "a", "b", "y", "note"]
    assert lines[2].split()[:4] == ["b", "number", "1.7%", "0.0%"]
    assert lines[3].split()[3] == "-"  # the target is not in test
    assert "two lines [of] text" in lines[4]
    assert summary == "60 train rows, 60 test rows, 3 folds"
    assert origin == f"from {run.root}, PRACTICE DATA"


def test_the_blend_table_lists_the_best_member_first_and_the_ensemble_last(run: Run) -> None:
    assembled = assemble(run, train(run, ["ridge", "own"], workers=1), "ridge")
    lines = text(blend_table(assembled)).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["model", "own", "ridge", "ensemble"]
    assert lines[0].split()[-1] == "weight"
    assert "-0.000" not in "".join(lines)
    assert lines[4].startswith("Honest scores by method: best ")
    assert tuple(lines[5:]) == assembled.blend.sentences


def test_the_board_keeps_numbers_whole_on_a_narrow_terminal(run: Run) -> None:
    train(run, ["own"], workers=1)
    rows = standings(run)
    wide = text(board_table(run, rows)).splitlines()
    assert [line.split()[0] for line in wide[:4]] == ["model", "own", "lightgbm", "ridge"]
    interval = f"{rows[0].low:.5f} to {rows[0].high:.5f}"
    assert interval in wide[1]
    assert interval in text(board_table(run, rows), width=70)
    assert run.fingerprint in wide[4]
    assert run.folds.hash in wide[4]


def test_a_score_that_cannot_be_trimmed_leaves_its_place_empty_on_the_board(run: Run) -> None:
    text_of = text(board_table(run, [Standing("own", "complete", 0.5, float("nan"), 0.4, 0.6, 1.0)]))
    assert text_of.splitlines()[1].split() == ["own", "0.50000", "0.40000", "to", "0.60000", "1.0", "s", "complete"]
    assert "trimmed score leaves out" not in text_of


def test_categories_of_boxes_are_counted_with_their_smallest_side(scenes: Path, tmp_path: Path) -> None:
    opened = open_run("scenes", runs=tmp_path / "runs", rows=24)
    truth = opened.y.of(opened.ids[:3])
    box = np.array([[0, 0, 30, 8], [0, 0, 9, 40], [5, 5, 12, 12]])
    three = Truth(
        truth.images, truth.categories, truth.images[[0, 0, 1]], truth.categories[[0, 0, 2]], box, np.zeros(3, dtype=bool)
    )
    header, *lines, told = text(categories_table(dataclasses.replace(opened, y=three))).splitlines()
    assert header.split() == ["category", "id", "boxes", "images", "smallest", "side", "median", "side"]
    assert [line.split() for line in lines] == [
        ["red", "87", "2", "1", "8", "px", "8", "px"],
        ["green", "1034", "0", "0"],
        ["blue", "131", "1", "1", "12", "px", "12", "px"],
    ]
    assert told.startswith("1 of 3 train images have no box.")


def test_a_failure_on_the_board_is_one_line(run: Run) -> None:
    lines = text(board_table(run, [Standing("own", "failed in fold 1: too\nbad [red]")])).splitlines()
    assert lines[1].rstrip().endswith("failed in fold 1: too bad [red]")
    assert len(lines) == 3


def test_pairs_stand_one_to_a_line() -> None:
    assert [line.split() for line in text(pairs_table([("a", "1"), ("b", "[2]")])).splitlines()] == [["a", "1"], ["b", "[2]"]]
