"""What the ledger teaches: whether CV predicts the board, and which two submissions to select before the board is closed."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from pipeline.predictions import Array
from submit.boxes import FILE as BOXES
from submit.ledger import SENT, Row
from submit.sending import digest, kept_files

LEAST = 5  # submissions, below which a correlation says nothing
RECENT = 6  # the last ones, by which a person sees that CV leads no further
DRAWS = 2000


@dataclass(frozen=True)
class Agreement:
    """How CV and public score go together over n submissions.

    spearman: of the two, with its 95 % bootstrap interval low to high (NaN where too few draws have one). slope: what one point of CV is on the
    board, the median over all pairs (Theil and Sen). recent: Spearman's over the last `RECENT`, None while there are no more than these.
    """

    n: int
    spearman: float
    low: float
    high: float
    slope: float
    recent: float | None

    def sentences(self) -> list[str]:
        """What to know, and a warning where CV does not predict the board, or no longer."""
        doubt = f"{self.low:.2f} to {self.high:.2f}" if np.isfinite(self.low) else "too many are alike for an interval"
        told = f"CV and board over {self.n} submissions: Spearman {self.spearman:.2f} ({doubt}), slope {self.slope:.2g}."
        cure = "Look for what the board's rows have and the folds' have not: podium audit. Until then small differences in either say nothing."
        if self.recent is not None and self.recent <= 0 < self.spearman:
            return [
                told,
                f"WARNING: CV stopped predicting the board: over the last {RECENT} Spearman's is {self.recent:.2f}. {cure}",
            ]
        if not self.low > 0:
            return [told, f"WARNING: CV is not shown to predict the board. {cure}"]
        return [told]


def comparable(rows: Sequence[Row], metric: str) -> list[Row]:
    """Those that arrived and have an honest CV by this metric; of equal files the first."""
    arrived = {
        row.sha256: row
        for row in reversed(rows)
        if row.state == SENT and row.origin.honest is not None and row.origin.metric == metric
    }
    return sorted(arrived.values(), key=lambda row: row.id)


def agreement(rows: Sequence[Row]) -> Agreement | None:
    """Over comparable rows with a public score, the oldest first; None for fewer than `LEAST`, or where all CVs or all scores are equal."""
    pairs = np.array([(row.origin.honest, row.public) for row in rows if row.public is not None], dtype=np.float64).reshape(-1, 2)
    cv, board = pairs.T
    if len(pairs) < LEAST or np.ptp(cv) == 0 or np.ptp(board) == 0:
        return None
    drawn = np.random.default_rng(0).integers(len(pairs), size=(DRAWS, len(pairs)))
    several = spearman(cv[drawn], board[drawn])
    several = several[np.isfinite(several)]
    low, high = np.quantile(several, [0.025, 0.975]).tolist() if len(several) > DRAWS // 2 else (np.nan, np.nan)
    one, other = np.triu_indices(len(pairs), 1)
    apart = cv[one] != cv[other]
    slope = float(np.median((board[one] - board[other])[apart] / (cv[one] - cv[other])[apart]))
    last = float(spearman(cv[-RECENT:], board[-RECENT:])) if len(pairs) > RECENT else np.nan
    return Agreement(len(pairs), float(spearman(cv, board)), low, high, slope, last if np.isfinite(last) else None)


def spearman(one: Array, other: Array) -> Array:
    """Of the last axis of two (..., n); NaN where a side is all alike."""
    ranks = [rankdata(side, axis=-1) for side in (one, other)]
    first, second = (side - side.mean(axis=-1, keepdims=True) for side in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (first * second).sum(axis=-1) / np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))


def selection(rows: Sequence[Row], sign: float, folder: Path) -> list[str]:
    """Which two of these comparable rows to select, a line each with the reason. sign: of the metric. folder: of kept submissions.

    The best honest CV, and of those whose CV lies in the best's interval the one whose predictions are least like the best's: where the board is
    another than the folds, the two fail for different reasons.
    """
    ranked = sorted(rows, key=lambda row: -sign * (row.origin.honest or 0.0))
    if not ranked:
        return []
    best, *others = ranked
    told = [f"Select 1: {called(best)}: the best honest CV, {best.origin.honest:.5g}."]
    if not others:
        return [*told, "Select 2: there is no other with a CV yet."]
    low, high = best.origin.low, best.origin.high
    near = [row for row in others if low is not None and high is not None and low <= (row.origin.honest or 0.0) <= high]
    of_best = answers(best, folder)
    found = [(row, alike(of_best, other)) for row in near if of_best is not None and (other := answers(row, folder)) is not None]
    known = [(row, likeness) for row, likeness in found if likeness is not None]
    if known:
        second, likeness = min(known, key=lambda pair: pair[1])
        why = f"CV {second.origin.honest:.5g}, within the best's interval ({low:.5g} to {high:.5g}), and of the {len(known)} there the least like the best: likeness {likeness:.3f}."
    else:
        second = others[0]
        reason = "its file, or the best's, is no longer there to compare" if near else "no other lies within the best's interval"
        why = f"CV {second.origin.honest:.5g}, the next best; {reason}."
    return [*told, f"Select 2: {called(second)}: {why}"]


def called(row: Row) -> str:
    return f"{row.message!r} of {row.time[:16].replace('T', ' ')} ({row.sha256[:8]})"


def answers(row: Row, folder: Path) -> dict[str, list[str]] | None:
    """What a sent file answers: the cells of each id, or of each picture and category its best box's score. None where it is gone or changed."""
    for file in (Path(row.file), *kept_files(folder, row.sha256)):
        if file.is_file() and digest(file) == row.sha256:
            content = file.read_bytes()
            return (
                boxes(content)
                if file.suffix == ".zip"
                else {cells[0]: cells[1:] for cells in csv.reader(io.StringIO(content.decode())) if cells}
            )
    return None


def boxes(content: bytes) -> dict[str, list[str]]:
    """Of a zip that was checked before it was sent."""
    best: dict[str, float] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for one in json.loads(archive.read(BOXES)):
            place = f"{one['image_id']} {one['category_id']}"
            best[place] = max(best.get(place, 0.0), one["score"])
    return {place: [str(score)] for place, score in best.items()}


def alike(one: dict[str, list[str]], other: dict[str, list[str]]) -> float | None:
    """Spearman's correlation of numbers, the share of equal labels; what one of them lacks counts as 0. None where it has no value."""
    places = sorted({*one, *other})
    width = max(map(len, [*one.values(), *other.values()]), default=0)
    cells = [[cell for place in places for cell in side.get(place, ["0"] * width)] for side in (one, other)]
    numbers = [_numbers(side) for side in cells]
    known = np.isfinite(numbers).all(axis=0)
    if 2 * known.sum() < len(cells[0]):  # labels; of a table of numbers the header alone is none
        return float(np.mean([a == b for a, b in zip(*cells, strict=True)]))
    found = float(spearman(numbers[0][known], numbers[1][known]))
    return found if np.isfinite(found) else None


def _numbers(cells: Sequence[str]) -> Array:
    def number(cell: str) -> float:
        try:
            return float(cell)
        except ValueError:
            return np.nan

    return np.array([number(cell) for cell in cells])
