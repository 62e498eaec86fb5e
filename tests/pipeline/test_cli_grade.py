"""`podium grade` as a person types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Podium = Callable[..., Any]
ROWS = 60


@pytest.fixture
def files(toy: Path, podium: Podium) -> Podium:
    """In a folder with a submission, answers in two parts, and a board of 150 teams."""
    rng = np.random.default_rng(0)
    answers = pd.DataFrame({"id": np.arange(ROWS), "y": rng.normal(size=ROWS), "Usage": ["Public", "Private"] * (ROWS // 2)})
    answers.to_csv("answers.csv", index=False)
    answers.drop(columns="Usage").assign(y=answers["y"] + 0.5).to_csv("mine.csv", index=False)
    board = pd.DataFrame({"TeamName": [f"t{number}" for number in range(150)], "Score": np.linspace(0.1, 1.59, 150).round(2)})
    board.to_csv("board.csv", index=False)
    return podium


def test_the_last_line_is_the_private_score(files: Podium) -> None:
    said = files("grade", "toy", "mine.csv", "--answers", "answers.csv")
    assert (said.code, said.err, said.last) == (0, "", "0.5")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["part", "rows", "rmse", "95", "%", "interval"]
    assert [line[:3] for line in lines[1:3]] == [["public", "30", "0.50000"], ["private", "30", "0.50000"]]


def test_a_board_gives_rank_and_medal_by_kaggles_rule(files: Podium) -> None:
    said = files("grade", "toy", "mine.csv", "--answers", "answers.csv", "--board", "board.csv")
    assert said.code == 0
    public, private = said.out.splitlines()[1:3]
    assert "42 of 151" in public
    assert public.split()[-1] == "bronze"
    assert "of 151" not in private
    assert "gold to place 10 (0.19), silver to place 30 (0.39), bronze to place 60 (0.69)." in said.out


def test_data_that_is_at_hand_says_which_file_is_at_fault(files: Podium) -> None:
    assert files("data", "toy", "--practice", "data/toy", "--rows", "60").code == 0
    said = files("grade", "toy", "mine.csv", "--answers", "answers.csv")
    assert said.code == 2
    assert "Error: answers.csv does not fit the sample submission: it lacks 60 of its 60 ids" in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mine.csv", "--answers", "none.csv"], "The answers cannot be read. none.csv is missing."),
        (["none.csv", "--answers", "answers.csv"], "[file-missing] none.csv is not a file"),
        (["mine.csv", "--answers", "answers.csv", "--board", "mine.csv"], "a leaderboard has one of teams"),
        (["mine.csv", "--answers", "answers.csv", "--data", "nowhere"], "nowhere is no folder"),
        (["mine.csv"], "Missing option '--answers'"),
    ],
)
def test_what_is_wrong_is_one_message(files: Podium, words: list[str], says: str) -> None:
    said = files("grade", "toy", *words)
    assert said.code == 2
    assert says in said.err
    assert "Traceback" not in said.err


def test_a_file_in_another_order_has_a_score_and_a_word(files: Podium) -> None:
    pd.read_csv("mine.csv").iloc[::-1].to_csv("mine.csv", index=False)
    said = files("grade", "toy", "mine.csv", "--answers", "answers.csv")
    assert said.last == "0.5"
    assert "Odd, but it has a score: [id-order] Ids out of place: 60" in said.out
