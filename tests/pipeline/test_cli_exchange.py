"""`podium import` and `podium export` as a person types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.test_docs import blocks

Podium = Callable[..., Any]
ROWS = ("--rows", "60")


@pytest.fixture
def trained(toy: Path, podium: Podium) -> Podium:
    assert podium("train", "toy", "ridge", "--seeds", "2", *ROWS).code == 0
    return podium


def test_what_is_exported_is_imported_and_blended(trained: Podium) -> None:
    said = trained("export", "toy", "ridge", "--to", "out", "--format", "parquet")
    assert (said.code, said.last) == (0, "out/ridge.test.parquet")
    taken = trained("import", "toy", "out/ridge.oof.parquet", "--test", said.last, "--name", "theirs")
    assert taken.code == 0, taken.err
    assert Path(taken.last).parent.as_posix() == "runs/toy/imports/theirs"
    assert "To forget it: podium import toy --remove theirs" in taken.out
    board = trained("board", "toy").out
    assert [line.split()[0] for line in board.splitlines() if line.startswith(("ridge ", "theirs "))] == ["ridge", "theirs"]
    ensemble = trained("ensemble", "toy").out
    assert "Errors correlate the most: ridge and theirs (1.000)" in ensemble
    assert "How alike the members err" in ensemble
    assert "1 of 2 members do not help" in ensemble
    assert "ridge: 2 seeds have rmse " in ensemble
    assert "theirs against ridge: no more than noise." in trained("compare", "toy", "ridge", "theirs").out
    assert trained("submit", "toy", "theirs").code == 0
    assert trained("run", "toy", "ridge", "theirs", "--seeds", "2", *ROWS).code == 0
    assert "cannot be trained" in trained("run", "toy", "theirs").err
    assert trained("import", "toy", "--remove", "theirs").out == "Forgotten: theirs, 1 version.\n"
    assert "No imported member is called 'theirs'" in trained("import", "toy", "--remove", "theirs").err


def test_a_file_with_rows_missing_is_refused_and_nothing_is_kept(trained: Podium) -> None:
    assert trained("export", "toy", "ridge", "--to", "out").code == 0
    table = pd.read_csv("out/ridge.oof.csv", dtype=str)
    table[3:].to_csv("short.csv", index=False)
    said = trained("import", "toy", "short.csv")
    assert said.code == 2
    assert "Error: [missing-id] 3 of the 60 train rows that the folds validate have no prediction, first 0, 1, 2." in said.err
    assert not Path("runs/toy/imports").exists()


def test_a_copy_of_the_target_is_said_loudly_and_stands_so_on_the_board(trained: Podium) -> None:
    assert trained("export", "toy", "--plan", "--to", "out").last == "out/fit.csv"
    practice = next(Path("runs/toy/practice").glob("*/train.csv"))
    pd.read_csv(practice).merge(pd.read_csv("out/folds.csv"), on="id")[["id", "y", "fold"]].to_csv("copied.csv", index=False)
    said = trained("import", "toy", "copied.csv")
    assert said.code == 0, said.err
    assert "SUSPICIOUSLY GOOD: 100.0% of its rows equal the target" in said.out
    assert "Without --test FILE it can be compared" in said.out
    assert "SUSPICIOUS" in trained("board", "toy").out
    assert "Left out: copied: imported without test predictions" in trained("ensemble", "toy").out
    refused = trained("ensemble", "toy", "copied")
    assert (refused.code, "Import again with --test FILE" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["import", "toy"], "There is no file to take"),
        (["import", "tyo", "x.csv"], "Did you mean toy?"),
        (["import", "toy", "none.csv"], "[file] none.csv is not a file that is there"),
        (["export", "toy", "ridge", "--format", "cvs"], "No format is called 'cvs'. Did you mean csv"),
        (["export", "toy", "rigde"], "No model is called 'rigde'. Did you mean ridge"),
        (["compare", "toy", "ridge", "own"], "own is not trained on this data and these folds"),
        (["compare", "toy", "ridge", "own", "--resample", "density"], "Two models are compared as they are"),
    ],
)
def test_wrong_words_are_said(trained: Podium, words: list[str], says: str) -> None:
    said = trained(*words)
    assert said.code != 0
    assert says in said.err


def test_the_notebook_of_the_docs_makes_a_member(podium: Podium) -> None:
    assert podium("data", "house-prices", "--practice", "data/house-prices", "--rows", "120").code == 0
    assert podium("export", "house-prices", "--plan", "--to", "out").code == 0
    (code,) = blocks("docs/exchange.md", "python")
    exec(compile(code, "docs/exchange.md", "exec"), {})
    said = podium("import", "house-prices", "theirs.oof.csv", "--test", "theirs.test.csv")
    assert said.code == 0, said.err
    assert "does not say" not in said.out
    assert "theirs" in podium("board", "house-prices").out
