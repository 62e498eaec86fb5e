"""Where a score would have stood on a leaderboard, and for which medal: the rule of kaggle.com/progression.

A score from home is one more team's, and the last of all: among equal scores the earlier one stands higher, and all of the board's were
earlier. It is rounded to the digits that the board shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import BadData
from pipeline.metrics import Metric
from pipeline.predictions import Array
from pipeline.tables import read_text

TEAM = ("teamid", "teamname", "team")
SCORE = {"score": "score", "publicscore": "public", "public": "public", "privatescore": "private", "private": "private"}
SMALL, MIDDLE, LARGE = 100, 250, 1000  # teams from which the rule is another one


def medal_places(teams: int) -> dict[str, int]:
    """The last place for each medal among so many teams, gold first. Shares are rounded down, and one place is the least."""
    if teams < MIDDLE:
        gold = teams // 10 if teams < SMALL else 10
        silver, bronze = teams // 5, teams * 2 // 5
    else:
        gold = 10 + teams // 500
        silver, bronze = (50, 100) if teams < LARGE else (teams // 20, teams // 10)
    return {"gold": max(gold, 1), "silver": max(silver, 1), "bronze": max(bronze, 1)}


def medal(rank: int, teams: int) -> str:
    """The medal for a rank; "none" where there is none."""
    return next((name for name, last in medal_places(teams).items() if rank <= last), "none")


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """scores: (n,) the best of each team, the best first. digits: after the point, that the board shows."""

    scores: Array
    digits: int
    higher_is_better: bool

    @property
    def teams(self) -> int:
        """With the one from home."""
        return len(self.scores) + 1

    def rank(self, score: float) -> int:
        """From 1, behind all that are as good."""
        shown = round(score, self.digits)
        ahead = self.scores >= shown if self.higher_is_better else self.scores <= shown
        return 1 + int(ahead.sum())

    def medal(self, score: float) -> str:
        return medal(self.rank(score), self.teams)

    def thresholds(self) -> dict[str, tuple[int, float]]:
        """By medal its last place, and the score that stands there now; gold first."""
        last = {name: min(place, len(self.scores)) for name, place in medal_places(self.teams).items()}
        return {name: (place, float(self.scores[place - 1])) for name, place in last.items()}


def read(path: Path, metric: Metric) -> Mapping[str, Leaderboard]:
    """The boards of a CSV with a column of teams and one of scores, by what they are of: "score", "public" or "private".

    A team that stands several times, as in Kaggle's history of the public board, counts with its best score. Raises BadData.
    """
    table = read_text(path)
    plain = {re.sub(r"[^a-z]", "", column.lower()): column for column in table.columns}
    columns = {SCORE[name]: column for name, column in plain.items() if name in SCORE}
    team = next((plain[name] for name in TEAM if name in plain), None)
    if not columns or team is None:
        raise BadData(
            f"{path} has the columns {list(table.columns)}; a leaderboard has one of teams ({', '.join(TEAM)}) and one of scores "
            f"({', '.join(SCORE)})."
        )
    return {of: _board(path, table[team], table[column], metric) for of, column in columns.items()}


def of_part(boards: Mapping[str, Leaderboard], part: str) -> Leaderboard | None:
    """The board that a part of the answers is compared with; plain scores are those of the public board."""
    wanted = {"private": ("private",), "public": ("public", "score"), "all": ("score", "private", "public")}[part]
    return next((boards[of] for of in wanted if of in boards), None)


def _board(path: Path, team: pd.Series, cells: pd.Series, metric: Metric) -> Leaderboard:
    numbers = [_number(cell) for cell in cells]
    wrong = [row for row, number in enumerate(numbers) if number is None]
    if wrong:
        raise BadData(
            f"{path}: {len(wrong)} scores in {cells.name!r} are no numbers, first {cells[wrong[0]]!r} in row {wrong[0] + 1}. "
            "Mend or remove these rows."
        )
    known = [number for number in numbers if number is not None]
    digits = max(max(-int(number.as_tuple().exponent), 0) for number in known)
    by_team = pd.Series([float(number) for number in known]).groupby(team.to_numpy(dtype=object), dropna=False)
    best = by_team.max() if metric.higher_is_better else by_team.min()
    return Leaderboard(np.sort(best.to_numpy())[:: int(-metric.sign)], digits, metric.higher_is_better)


def _number(cell: str) -> Decimal | None:
    try:
        number = Decimal(cell.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
