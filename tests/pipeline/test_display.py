"""The live display: what it counts, and that it stays whole whatever happens while it is shown."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.display import LONGEST, Display, Tally, duration, figure, short
from pipeline.train import Outcome, Unit


def outcome(model: str = "ridge", fold: int = 0, state: str = "done", score: float = 0.5, seed: int = 0) -> Outcome:
    unit = Unit(model, None, seed, fold, "key")
    if state == "failed":
        return Outcome(unit, "failed", seconds=1.0, error="ValueError: too\nbad [bold]")
    return Outcome(unit, state, score, 2.0)  # type: ignore[arg-type]


def shown(terminal: bool, models: list[str], outcomes: list[Outcome], total: int = 3, width: int = 100) -> tuple[Display, str]:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None, _environ={"TERM": "xterm"})
    with Display(console, total, models, "rmse") as display:
        for one in outcomes:
            display(one)
        display.say("A warning [of] some kind.")
    return display, console.file.getvalue()  # type: ignore[attr-defined]


def rows(screen: str) -> dict[str, str]:
    """The last state of every bar."""
    plain = re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", screen)
    return {
        line.split()[0]: " ".join(re.sub("[━╸╺]", "", line).split())
        for line in plain.splitlines()
        if re.search(r" \d+/\d+ ", line)
    }


def test_a_bar_per_model_shows_folds_score_and_what_became_of_it() -> None:
    outcomes = [outcome(fold=fold, state="kept") for fold in range(3)]
    outcomes += [outcome("own", fold, score=fold / 10) for fold in range(3)]
    outcomes += [outcome("bad", 0, state="failed"), outcome("half", 0)]
    display, screen = shown(True, ["ridge", "own", "bad", "half", "later"], outcomes)
    bars = rows(screen)
    assert bars["ridge"] == "ridge 3/3 rmse 0.50000 kept"
    assert bars["own"].startswith("own 3/3 rmse 0.10000 done in 2.0 s")
    assert bars["bad"].startswith("bad 1/3 rmse - 1 failed, ")
    assert bars["half"].endswith("s left")
    assert bars["later"] == "later 0/3 waiting"
    assert bars["all"].startswith("all 8/15 1 failed, ")
    assert (display.all.done, display.all.kept, display.all.failed) == (4, 3, 1)
    assert [failed.unit.model for failed in display.failures] == ["bad"]


def test_a_message_while_bars_are_shown_stands_above_them_as_it_is() -> None:
    _, screen = shown(True, ["ridge"], [outcome()])
    assert screen.count("A warning [of] some kind.\n") == 1
    assert "━" in screen.split("A warning")[1]  # the bars were drawn anew below it


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_bars_keep_to_one_line_each_on_any_terminal(width: int) -> None:
    models = ["ridge", "a-model-with-a-rather-long-name"]
    _, screen = shown(True, models, [outcome(), outcome(models[1], state="failed")], width=width)
    last = screen.split("A warning")[1].splitlines()[1:]
    assert len([line for line in last if "━" in line or "╸" in line]) % 3 == 0
    assert all(len(line) <= width + len("\x1b[1A\x1b[2K") * 4 for line in last)


def test_a_single_model_needs_no_bar_for_all() -> None:
    _, screen = shown(True, ["ridge"], [outcome()])
    assert list(rows(screen)) == ["ridge"]
    assert " so far, " in rows(screen)["ridge"]


def test_elsewhere_every_unit_is_one_line_and_kept_ones_are_none() -> None:
    outcomes = [outcome(state="kept"), outcome(fold=1), outcome(fold=2, state="failed"), outcome("extra", 0, seed=1)]
    _, screen = shown(False, ["ridge", "extra"], outcomes)
    assert screen.splitlines() == [
        "ridge  fold 2  rmse 0.50000  2.0 s  (2/3)",
        "ridge  fold 3  FAILED: ValueError: too bad [bold]",
        "extra  fold 1 seed 1  rmse 0.50000  2.0 s  (1/3)",
        "A warning [of] some kind.",
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert not Display(console, 1, ["ridge"], "rmse").live


def test_the_display_is_taken_down_when_training_is_interrupted() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with pytest.raises(KeyboardInterrupt), Display(console, 3, ["ridge"], "rmse"):
        raise KeyboardInterrupt
    assert console.file.getvalue().endswith("\x1b[?25h")  # type: ignore[attr-defined]  # the cursor is back


@given(st.lists(st.sampled_from(["done", "kept", "failed"]), min_size=1, max_size=8))
def test_whatever_becomes_of_units_they_add_up(states: list[str]) -> None:
    tally = Tally(len(states))
    for state in states:
        tally.add(outcome(state=state))
        assert tally.done + tally.kept + tally.failed == tally.finished
    assert tally.finished == tally.total
    words = tally.state(tally.end)
    assert words == "kept" if set(states) == {"kept"} else "done in" in words
    assert ("failed" in words) == ("failed" in states)


def test_the_time_left_runs_down_and_never_below_a_second() -> None:
    tally = Tally(3)
    tally.add(outcome())
    assert tally.state(tally.end) == "4.0 s left"
    assert tally.state(tally.end + 2) == "2.0 s left"
    assert tally.state(tally.end + 100) == "1.0 s left"


@pytest.mark.parametrize(
    ("score", "text"), [(0.123456, "0.12346"), (0, "0.00000"), (-1.5, "-1.50000"), (0.000052, "5.2e-05"), (64123.456, "64,123.5")]
)
def test_scores_are_written_so_that_people_can_compare_them(score: float, text: str) -> None:
    assert figure(score) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (89, "89 s"), (90, "2 min"), (7200, "2.0 h")])
def test_durations_are_written_in_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_error_is_one_line_however_long_it_is() -> None:
    assert short("a\n  b") == "a b"
    assert short("x" * 1000) == "x" * LONGEST + "..."
