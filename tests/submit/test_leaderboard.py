"""A score's place on a leaderboard, and the medal for it, by Kaggle's rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadData
from pipeline.metrics import METRICS
from submit.leaderboard import Leaderboard, medal, medal_places, of_part, read

TEAMS = st.integers(1, 20_000)


@pytest.mark.parametrize(
    ("teams", "places"),
    [
        (1, (1, 1, 1)),
        (50, (5, 10, 20)),
        (99, (9, 19, 39)),
        (100, (10, 20, 40)),
        (249, (10, 49, 99)),
        (250, (10, 50, 100)),
        (500, (11, 50, 100)),
        (999, (11, 50, 100)),
        (1000, (12, 50, 100)),
        (5000, (20, 250, 500)),
    ],
)
def test_medals_go_by_the_number_of_teams(teams: int, places: tuple[int, int, int]) -> None:
    assert tuple(medal_places(teams).values()) == places


@given(TEAMS, st.integers(0, 3_000))
@settings(deadline=None, max_examples=60)
def test_a_better_medal_is_never_easier_and_more_teams_never_mean_fewer_medals(teams: int, more: int) -> None:
    gold, silver, bronze = medal_places(teams).values()
    assert 1 <= gold <= silver <= bronze <= max(teams, 1)
    assert all(now <= then for now, then in zip(medal_places(teams).values(), medal_places(teams + more).values(), strict=True))
    order = ["gold", "silver", "bronze", "none"]
    found = [order.index(medal(rank, teams)) for rank in range(1, min(teams, 600) + 1)]
    assert found == sorted(found)


def board(scores: list[float], higher: bool, digits: int = 5) -> Leaderboard:
    return Leaderboard(np.sort(scores)[:: -1 if higher else 1], digits, higher)


def test_the_direction_of_the_metric_decides_what_is_ahead() -> None:
    scores = [0.1, 0.2, 0.3]
    assert [board(scores, False).rank(score) for score in (0.05, 0.15, 0.9)] == [1, 2, 4]
    assert [board(scores, True).rank(score) for score in (0.05, 0.15, 0.9)] == [4, 3, 1]
    assert board(scores, True).teams == 4


def test_among_equal_scores_as_the_board_shows_them_the_one_from_home_is_last() -> None:
    assert board([0.1, 0.2, 0.2, 0.3], False).rank(0.2) == 4
    assert board([0.11922, 0.12], False).rank(0.119219) == 2
    assert board([0.11922, 0.12], False, digits=6).rank(0.119219) == 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(0, 50), st.integers(0, 50), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_better_score_never_stands_lower(scores: list[int], one: int, other: int, higher: bool) -> None:
    better, worse = (max(one, other), min(one, other)) if higher else (min(one, other), max(one, other))
    found = board([float(score) for score in scores], higher)
    assert 1 <= found.rank(better) <= found.rank(worse) <= found.teams


def test_the_thresholds_are_scores_of_the_board() -> None:
    found = board([float(score) for score in range(1, 200)], False)
    assert found.thresholds() == {"gold": (10, 10.0), "silver": (40, 40.0), "bronze": (80, 80.0)}
    assert board([0.5], True).thresholds()["bronze"] == (1, 0.5)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_history_counts_each_team_with_its_best(tmp_path: Path) -> None:
    text = "TeamId,TeamName,SubmissionDate,Score\n1,a,2021-01-01,0.5\n1,a,2021-01-02,0.3\n2,b,2021-01-01,0.25\n"
    path = written(tmp_path / "board.csv", text)
    assert read(path, METRICS["rmse"])["score"].scores.tolist() == [0.25, 0.3]
    assert read(path, METRICS["auc"])["score"].scores.tolist() == [0.5, 0.25]
    assert read(path, METRICS["auc"])["score"].digits == 2


def test_both_scores_may_stand_in_one_file_and_plain_ones_are_public(tmp_path: Path) -> None:
    boards = read(written(tmp_path / "b.csv", "Team,Public Score,PrivateScore\na,0.5,0.7\nb,0.6,0.1\n"), METRICS["accuracy"])
    assert of_part(boards, "public") is boards["public"]
    assert of_part(boards, "private") is boards["private"]
    plain = read(written(tmp_path / "p.csv", "team,score\na,0.5\n"), METRICS["accuracy"])
    assert [of_part(plain, part) for part in ("all", "public", "private")] == [plain["score"], plain["score"], None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("team,points\na,1\n", "a leaderboard has one of teams"),
        ("score\n1\n", "a leaderboard has one of teams"),
        ("team,score\na,0.5\nb,\n", r"1 scores in 'score' are no numbers, first '' in row 2"),
        ("team,score\na,nan\n", "are no numbers, first 'nan'"),
        ("team,score\n", "a header and no rows"),
    ],
)
def test_what_is_no_board_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadData, match=says):
        read(written(tmp_path / "board.csv", text), METRICS["rmse"])
