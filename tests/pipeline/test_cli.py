"""Every command as a person types it: what is printed, where, and the exit code."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import competitions

ROOT = Path(__file__).resolve().parents[2]
ROWS = ("--rows", "60")
LINES = ("ridge", "own")

OWN = """

class Own(Ridge):
    def fit(self, X, y):
        import pathlib
        {do}
        return super().fit(X, y)


def models():
    return {{"ridge": Model("ridge"), "own": Own()}}
"""


Podium = Callable[..., Any]


@pytest.fixture
def podium(toy: Path, podium: Podium) -> Podium:
    """With the toy competition."""
    return podium


@pytest.fixture
def trained(podium: Podium) -> Podium:
    assert podium("train", "toy", *LINES, *ROWS).code == 0
    return podium


def change(toy: Path, do: str) -> None:
    """Let the toy's own model do something in every fold that it is fitted on."""
    toy.write_text(toy.read_text() + OWN.format(do=do))


# ------------------------------------------------------------------------------------------------------------------------ help


def test_help_loads_neither_rich_nor_anything_that_computes() -> None:
    code = (
        "import sys; sys.argv = ['podium', '--help']\nfrom pipeline.cli import main\n"
        "try: main()\nfinally: print(sorted({'rich', 'numpy', 'pandas', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.endswith("[]\n")
    assert "podium run house-prices --data DIR --submission my.csv\n" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "data",
        "audit",
        "train",
        "ensemble",
        "show",
        "submit",
        "run",
        "board",
        "ledger",
        "compare",
        "doctor",
        "grade",
        "import",
        "export",
        "new",
    ],
)
def test_every_command_explains_itself_with_an_example(podium: Podium, command: str) -> None:
    said = podium(command, "--help")
    assert said.code == 0
    assert f"podium {command}" in said.out[said.out.index("Example") :]
    [line] = [line for line in podium("--help").out.splitlines() if line.startswith(f"  {command} ")]
    assert line.endswith(".")  # whole, not cut off


# ------------------------------------------------------------------------------------------------------------------ resampling


def test_a_way_of_resampling_is_compared_with_none_and_stands_on_the_board(podium: Podium) -> None:
    said = podium("compare", "toy", "ridge", "--resample", "density:alpha=2", *ROWS)
    assert said.code == 0, said.err
    assert "ridge+density:alpha=2 is better than ridge, by more than noise." in said.out
    board = podium("board", "toy").out
    assert "ridge+density:alpha=2" in board
    assert "Resampled: rows of a class that a fold learns, before and after" in board
    assert podium("train", "toy", "ridge", "--resample", "none", *ROWS).code == 0
    assert "ridge+density:alpha=2" in podium("ensemble", "toy").out
    assert podium("submit", "toy", "ridge+density:alpha=2").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "toy", "ridge"], "0 ways of resampling cannot be compared; give --resample once or twice"),
        (["compare", "toy", "ridge", "--resample", "none", "--resample", "none"], "Both ways of resampling are 'none'"),
        (["compare", "toy", "ridge", "--resample", "smot"], "No way of resampling is called 'smot'. Did you mean smote"),
        (["compare", "toy", "own", "--resample", "density"], "'own' is an estimator by itself"),
        (["train", "toy", "ridge", "--resample", "recency", *ROWS], "recency needs to know when each row was"),
        (
            ["train", "toy", "ridge", "--resample", "smote", *ROWS],
            "cannot resample numbers by 'smote'. It can do: density, recency, likeness",
        ),
    ],
)
def test_ways_that_cannot_be_are_said(podium: Podium, words: list[str], says: str) -> None:
    said = podium(*words)
    assert said.code != 0
    assert says in said.out + said.err


# ----------------------------------------------------------------------------------------------------------------- wrong words


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian", "toy"], "Did you mean 'train'?"),
        (["train", "tyo"], "No competition is called 'tyo'. Did you mean toy?"),
        (["board", "tyo"], "Did you mean toy?"),
        (["data", "tyo", "--practice", "p"], "Did you mean toy?"),
        (["train", "toy", "lightgmb", *ROWS], "No model is called 'lightgmb'. Did you mean lightgbm?"),
        (["run", "toy", "--method", "hill"], "No ensemble method is called 'hill'. Did you mean hill-climbing?"),
        (["train", "toy", "--seed", "2"], "--seeds"),
        (["train"], "Missing argument 'NAME'"),
        (["train", "toy", "--seeds", "0"], "greater than or equal to 1"),
        (["run", "toy", "--data", "nowhere"], "nowhere is no folder"),
        (["run", "toy", "--submission", "."], "is a directory"),
        (["run", "toy", *ROWS, "--folds", "1"], "1 folds cannot be made of 60 rows"),
        (["run", "toy", *ROWS, "--folds", "none.csv"], "--folds none.csv: neither a number nor a file"),
        (["run", "toy", *ROWS, "--phase", "valid"], "toy has no phases to choose from; leave --phase out"),
        (["--rows", "60", "train", "toy"], "No such option: --rows"),
    ],
)
def test_a_wrong_command_is_one_message_with_the_cure(podium: Podium, words: list[str], hint: str) -> None:
    said = podium(*words)
    assert said.code == 2
    [line] = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert hint in line
    assert "Traceback" not in said.err
    assert not list(Path("runs").rglob("unit.json"))


def test_an_error_that_podium_does_not_know_keeps_its_traceback(podium: Podium, toy: Path) -> None:
    toy.write_text(toy.read_text() + "\ndef load(root):\n    return 1 / 0\n")
    said = podium("train", "toy", *ROWS)
    assert said.code == 1
    assert said.err.startswith("Traceback (most recent call last):\n")
    assert said.err.endswith("\nZeroDivisionError: division by zero\n")


# --------------------------------------------------------------------------------------------------------------- all the steps


def test_list_names_every_competition_with_its_purpose(podium: Podium) -> None:
    said = podium("list")
    width = max(map(len, competitions.names()))
    assert f"{'toy':<{width}}  A toy: does one file make a competition?\n" in said.out
    assert f"{'house-prices':<{width}}  " in said.out


def test_a_run_ends_with_the_path_of_a_file_that_keeps_every_rule(podium: Podium) -> None:
    said = podium("run", "toy", *LINES, *ROWS, "--submission", "deep/my.csv")
    assert (said.code, said.last, said.err) == (0, "deep/my.csv", "")
    assert "PRACTICE DATA" in said.out
    assert [path.name for path in Path("deep").iterdir()] == ["my.csv"]
    checked = podium("submit", "toy", "--check", "deep/my.csv")
    assert (checked.code, checked.last) == (0, "deep/my.csv")
    assert "keeps every rule" in checked.out


def test_without_a_copy_the_last_line_is_the_file_in_the_run_folder(trained: Podium) -> None:
    said = trained("submit", "toy")
    assert said.code == 0
    assert Path(said.last).is_file()
    assert Path(said.last).parts[:3] == ("runs", "toy", "submissions")


def test_what_is_no_terminal_gets_whole_lines_without_escape_codes(podium: Podium) -> None:
    said = podium("run", "toy", *LINES, *ROWS)
    assert "\x1b" not in said.out
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("/3)")] == ["ridge"] * 3 + ["own"] * 3
    assert any(line.startswith("Honest scores by method: best ") and "rank-mean" in line for line in lines)
    assert any(line.startswith("model ") and line.split() == ["model", "rmse", "95", "%", "interval", "weight"] for line in lines)


def test_a_second_run_takes_what_is_kept_and_fresh_forgets_it(trained: Podium) -> None:
    again = trained("train", "toy", *LINES, *ROWS)
    assert "6 of 6 folds were trained before" in again.out
    assert "/3)" not in again.out
    assert trained("train", "toy", "own", *ROWS, "--fresh").out.count("/3)") == 3


def test_the_board_shows_every_model_trained_or_not(trained: Podium) -> None:
    lines = trained("board", "toy").out.splitlines()
    state = {line.split()[0]: line for line in lines}
    assert state["own"].rstrip().endswith("complete")
    assert state["lightgbm"].rstrip().endswith("not trained")
    assert "practice data" in lines[-1]


def test_before_anything_is_trained_the_board_is_there_and_a_blend_is_not(podium: Podium) -> None:
    board = podium("board", "toy", *ROWS)
    assert (board.code, board.out.count("not trained")) == (0, 3)
    for command in ("ensemble", "submit"):
        said = podium(command, "toy", *ROWS)
        assert (said.code, said.out.count("\n")) == (1, 1)
        assert "First: podium train toy" in said.err


def test_the_blend_says_weights_and_how_it_compares_with_its_best_member(trained: Podium) -> None:
    said = trained("ensemble", "toy")
    assert said.code == 0
    assert "It is its best member, own, alone." in said.out
    assert "-0 " not in said.out
    assert "-0.000" not in trained("ensemble", "toy", "--method", "ridge").out
    assert "is not shown to be better than its best member, own" in trained("ensemble", "toy", "--method", "mean").out


def test_models_that_do_not_help_are_left_out_where_that_is_asked_for(trained: Podium) -> None:
    said = trained("ensemble", "toy", "--prune", "--method", "mean")
    assert said.code == 0
    assert "do not help a weighted sum" in said.out
    kept = said.out.splitlines()[-1].removeprefix("Next: podium submit toy ").split()
    assert 0 < len(kept) < 3
    assert trained("submit", "toy", *kept).code == 0


def test_tables_have_nothing_to_show_and_the_message_says_what_they_have(podium: Podium) -> None:
    said = podium("show", "toy", *ROWS)
    assert said.code == 2
    assert "toy has no pictures with labels or boxes to show." in said.err
    assert "podium data toy" in said.err
    assert "podium board toy" in said.err


# ---------------------------------------------------------------------------------------------------------------- the last run


def test_later_commands_go_on_from_the_options_of_the_last_run(podium: Podium, tmp_path: Path) -> None:
    assert podium("data", "toy", "--practice", "mine", *ROWS).last == "mine"
    folds = Path("folds.csv")
    folds.write_text("id,fold\n" + "".join(f"{row},{row % 2}\n" for row in range(60)))
    assert podium("train", "toy", "own", "--data", "mine", "--folds", folds, "--seeds", "2", "--runs", tmp_path / "r").code == 0
    for command in ("ensemble", "submit", "board"):
        said = podium(command, "toy", "--runs", tmp_path / "r")
        assert said.code == 0
        assert f"Taking the last run's data, {Path('mine').resolve()}" in said.out
    assert "complete" in said.out
    Path("mine").rename("moved")
    gone = podium("board", "toy", "--runs", tmp_path / "r")
    assert gone.code == 2
    assert "is no longer there. Say where it is now with --data DIR" in gone.err
    assert "complete" in podium("board", "toy", "--runs", tmp_path / "r", "--data", "moved").out


@pytest.mark.parametrize("text", ["", '{"rows": 60', "[1]", "null"])
def test_a_damaged_note_of_the_last_run_is_no_note(trained: Podium, text: str) -> None:
    Path("runs/toy/last.json").write_text(text)
    said = trained("board", "toy", *ROWS).out
    assert "complete" in said
    assert f"{Path('runs/toy/last.json')}, the note of the last run's options, is damaged and not taken. Give --data, " in said


def test_a_note_that_names_other_options_than_were_given_is_not_taken(podium: Podium) -> None:
    assert podium("train", "toy", "own", *ROWS, "--seeds", "2").code == 0
    note = Path("runs/toy/last.json")
    assert "damaged" not in podium("submit", "toy").out
    note.write_text(note.read_text().replace('"seeds": 2', '"seeds": 1'))
    assert "is damaged and not taken" in podium("board", "toy").out


# ------------------------------------------------------------------------------------------------------------------------ data


def test_data_shows_every_column_and_practice_data_is_not_written_over(podium: Podium) -> None:
    assert podium("data", "toy", "--practice", "mine", *ROWS).code == 0
    said = podium("data", "toy", "--data", "mine")
    assert [line.split()[0] for line in said.out.splitlines()[-6:-2]] == ["id", "a", "b", "y"]
    assert "60 train rows, 60 test rows, 3 folds\nfrom mine, PRACTICE DATA\n" in said.out
    again = podium("data", "toy", "--practice", "mine", *ROWS)
    assert again.code == 2
    assert "not empty. Name a new folder" in again.err


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda file: file.unlink(), "missing"),
        (lambda file: file.write_text(""), "empty"),
        (lambda file: file.write_bytes(file.read_bytes()[:-5]), "cut short"),
        (lambda file: file.write_text(file.read_text() + "60,1,x,2\n"), "'x' in row 61 (id 60)"),
        (lambda file: file.write_text("PassengerId,Survived\n1,0\n"), "another competition"),
    ],
)
def test_spoilt_files_are_refused_by_name(podium: Podium, spoil: Callable[[Path], object], word: str) -> None:
    podium("data", "toy", "--practice", "mine", *ROWS)
    spoil(Path("mine/train.csv"))
    for command in ("data", "run"):
        said = podium(command, "toy", "--data", "mine")
        assert said.code == 2
        assert "mine/train.csv" in said.err
        assert word in said.err


def test_data_that_was_downloaded_is_taken_before_practice_data(podium: Podium) -> None:
    podium("data", "toy", "--practice", "data/toy", *ROWS)
    assert "\nfrom data/toy, " in podium("data", "toy").out


# ------------------------------------------------------------------------------------------------------------------------ audit


def test_an_audit_of_clean_data_finds_nothing_and_ends_with_its_json(podium: Podium) -> None:
    said = podium("audit", "toy", "--rows", "200", "--folds", "4")
    assert said.code == 0, said.out
    assert "0 severe, 0 warning, 0 note" in said.out
    found = json.loads(Path(said.last).read_text())
    assert (found["findings"], found["practice"], found["train rows"]) == ([], True, 200)
    assert Path("runs/toy/audit.html").read_text().startswith("<!doctype html>")


def test_an_audit_that_finds_something_severe_ends_with_3_and_names_it_first(podium: Podium) -> None:
    podium("data", "toy", "--practice", "mine", "--rows", "200")
    table = pd.read_csv("mine/train.csv")
    table["a"] = 3 * table["y"] + 1
    table.to_csv("mine/train.csv", index=False)
    said = podium("audit", "toy", "--data", "mine")
    assert said.code == 3
    assert said.out[said.out.index("severity ") :].splitlines()[1].split()[:2] == ["severe", "one"]
    assert json.loads(Path(said.last).read_text())["findings"][0]["severity"] == "severe"


def test_a_check_that_fails_is_severe_and_says_why(podium: Podium, toy: Path) -> None:
    toy.write_text(toy.read_text() + "\n\ndef features():\n    raise ValueError('no such thing')\n")
    said = podium("audit", "toy", "--rows", "150")
    assert said.code == 3
    assert "could not be carried out (ValueError: no such thing)" in said.out


# ----------------------------------------------------------------------------------------------------------------------- submit


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda text: text[:-3], "cut-short"),
        (lambda text: "", "file-empty"),
        (lambda text: text.replace("y", "Y", 1), "columns"),
        (lambda text: text + text.splitlines()[-1] + "\n", "row-count"),
    ],
)
def test_a_bad_submission_is_refused_with_the_rule_that_it_breaks(
    trained: Podium, spoil: Callable[[str], str], rule: str
) -> None:
    good = Path(trained("submit", "toy").last).read_text()
    Path("bad.csv").write_text(spoil(good))
    said = trained("submit", "toy", "--check", "bad.csv")
    assert said.code == 2
    assert f"Error: [{rule}] " in said.err


def test_a_copy_that_cannot_be_written_says_where_the_file_is(trained: Podium) -> None:
    Path("file").touch()
    said = trained("submit", "toy", "--submission", "file/my.csv")
    assert said.code == 1
    [path] = [word for word in said.err.split() if word.endswith("submission.csv.")]
    assert Path(path[:-1]).is_file()


# -------------------------------------------------------------------------------------------------------- what can go wrong


def test_some_failed_models_are_listed_and_the_others_are_sent(podium: Podium, toy: Path) -> None:
    change(toy, "raise ValueError('too\\nbad')")
    said = podium("run", "toy", *ROWS)
    assert said.code == 3
    assert "FAILED own in 3 of 3 folds, first in fold 1: ValueError: too bad\n" in said.out
    assert Path(said.last).is_file()
    assert "failed in fold 1: ValueError: too bad" in podium("board", "toy").out


def test_where_every_model_failed_nothing_usable_came_out(podium: Podium, toy: Path) -> None:
    change(toy, "raise ValueError('too bad')")
    said = podium("run", "toy", "own", *ROWS, "--submission", "my.csv")
    assert said.code == 1
    assert not Path("my.csv").exists()
    assert f"Tracebacks are in {Path('runs/toy/failures')}" in said.out
    assert podium("train", "toy", "own", *ROWS).code == 1


def test_a_run_folder_that_cannot_be_written_is_one_message(podium: Podium) -> None:
    Path("runs").mkdir()
    Path("runs/toy").touch()
    said = podium("train", "toy", *ROWS)
    assert said.code == 1
    assert "--runs DIR" in said.err
    Path("file").touch()
    assert podium("train", "toy", *ROWS, "--runs", "file").code == 2


@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
def test_ctrl_c_says_what_is_kept_and_the_same_command_goes_on(podium: Podium, toy: Path, fresh: tuple[str, ...]) -> None:
    """Twice: in the second fold of the model, and when the third is reached."""
    change(
        toy,
        "f = pathlib.Path('n'); n = f.exists() and len(f.read_text()); f.write_text('x' * (n + 1)); n in (1, 3) and exec('raise KeyboardInterrupt')",
    )
    first = podium("train", "toy", "own", *ROWS, *fresh)
    assert first.code == 130
    assert f"Stopped. 1 of 3 folds are kept in {Path('runs/toy')}; the same command" in first.last
    assert ("without --fresh" in first.last) == bool(fresh)
    second = podium("train", "toy", "own", *ROWS)
    assert (second.code, second.out.count("/3)")) == (130, 1)
    assert "Stopped. 2 of 3 folds are kept" in second.last
    third = podium("train", "toy", "own", *ROWS)
    assert (third.code, third.out.count("/3)")) == (0, 1)
    assert "2 of 3 folds were trained before" in third.out


def test_ctrl_c_anywhere_else_is_no_traceback(podium: Podium, toy: Path) -> None:
    toy.write_text(toy.read_text() + "\ndef load(root):\n    raise KeyboardInterrupt\n")
    assert podium("board", "toy", *ROWS) == (130, "", "Stopped.\n")


# -------------------------------------------------------------------------------------------------------------------- terminal


def test_on_a_terminal_there_are_bars_and_nothing_of_them_gets_into_a_log(toy: Path, tmp_path: Path) -> None:
    change(toy, "print('printed')")
    command = f"from pipeline.cli import main; import sys; sys.argv[1:] = {['run', 'toy', *ROWS, '--workers', '1']}; main()"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", command], stdout=theirs, stderr=theirs, stdin=theirs, cwd=tmp_path, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 1 << 16)
        except OSError:  # how a terminal says that nobody is there any more
            break
    os.close(ours)
    assert process.wait() == 0
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    assert any("━" in line and "own" in line and "3/3" in line for line in lines)
    assert not any(code in shown for code in (b"\x1b[3", b"\x1b[9", b"\x1b[1;3"))  # no colours
    assert (tmp_path / lines[-1]).is_file()  # not wrapped, though longer than the terminal is wide
    logs = [path.read_text() for path in (tmp_path / "runs/toy/units/own").rglob("log.txt")]
    assert [log.split() for log in logs] == [["printed"]] * 3
