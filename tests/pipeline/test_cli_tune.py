"""`podium tune` as a person types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Podium = Callable[..., Any]


def test_it_ends_with_the_page_and_its_recipe_is_trained_by_name(toy: Path, podium: Podium) -> None:
    said = podium("tune", "toy", "ridge", "--trials", 3, "-j", 1, "--rows", 60)
    assert (said.code, said.err) == (0, "")
    assert Path(said.last).is_file()
    lines = said.out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("trial ")] == [["trial", str(n)] for n in range(3)]
    assert any(line.startswith("Best of 3 complete trials") for line in lines)
    again = podium("tune", "toy", "ridge", "--trials", 3, "-j", 1, "--rows", 60)
    assert "The study goes on: 3 of 3 trials are finished." in again.out
    trained = podium("train", "toy", "ridge-tuned", "--rows", 60)
    assert (trained.code, trained.err) == (0, "")
    assert "3 of 3 folds were trained before" in trained.out
    board = podium("board", "toy")
    assert "ridge-tuned" in board.out
    assert "another recipe" not in board.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["toy", "rigde"], "Did you mean ridge"),
        (["toy", "own"], "no search space. Those that have one: lightgbm"),
        (["toy", "ridge", "--trials", 0], "greater than or equal to 1"),
        (["toy", "ridge", "--timeout", -1], "greater than or equal to 0"),
        (["toy", "ridge", "--storage", "nosuch://x"], "No study can be kept in the storage nosuch://x"),
        (["toyy", "ridge"], "Did you mean toy"),
    ],
)
def test_what_is_wrong_is_one_message(toy: Path, podium: Podium, words: list[Any], says: str) -> None:
    said = podium("tune", *words, "--rows", 60)
    assert said.code == 2
    assert says in " ".join(said.err.split())
    assert "Traceback" not in said.err
