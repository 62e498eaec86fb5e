"""Made-up rows: every column says a little of the answer, so that models have something to find."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from pipeline.practice.columns import Category, Columns, Date, Kind, Number, Text
from pipeline.predictions import Array

SAYS, SAYS_WHEN, SURE = 0.7, 0.2, 0.95  # correlation with what is behind all columns: of most, of dates, of the answer
QUANTILES = norm.ppf([0.01, 0.5, 0.99])
SKEWED = 20.0  # times the lowest is the highest of numbers that are spread over their logs
WORDS = 300
SYLLABLES = ("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su", "ta", "ve")


def made_up(columns: Columns, answer: str, rows: int, seed: int) -> pd.DataFrame:
    """A table of these columns, `answer` among them; its index counts from 0. Equal arguments give equal cells.

    A number is behind each row, which nobody sees. The answer follows it closely, the other columns loosely. The classes of an answer
    are equally frequent.
    """
    rng = np.random.default_rng(seed)
    behind = rng.normal(size=rows)
    made = {name: _cells(rng, kind, behind, SURE if name == answer else SAYS) for name, kind in columns.items()}
    return pd.DataFrame(made)


def _cells(rng: np.random.Generator, kind: Kind, behind: Array, says: float) -> pd.Series:
    """(n,) cells that correlate by `says` with `behind`, a standard normal number."""
    says = SAYS_WHEN if isinstance(kind, Date) else says
    place = says * behind + np.sqrt(1 - says**2) * rng.normal(size=len(behind))
    share = (rankdata(place) - 0.5) / len(place)
    if isinstance(kind, Number):
        cells = _numbers(kind, place)
    elif isinstance(kind, Category):
        cells = _levels(kind.levels, share)
    elif isinstance(kind, Date):
        first, last = pd.Timestamp(kind.first), pd.Timestamp(kind.last)
        seconds = pd.Series(np.rint(share * (last - first).total_seconds()))
        cells = (first + pd.to_timedelta(seconds, unit="s")).dt.strftime(kind.format)
    else:
        cells = _texts(rng, kind, share)
    lacking = rng.random(len(behind)) < kind.missing
    return cells.astype(object).where(~lacking, "") if lacking.any() else cells


def _numbers(kind: Number, place: Array) -> pd.Series:
    bounds = np.array([kind.low, kind.middle, kind.high], dtype=np.float64)
    if kind.low > 0 and kind.high > SKEWED * kind.low:
        found = np.exp(np.interp(place, QUANTILES, np.log(bounds)))
    else:
        found = np.interp(place, QUANTILES, bounds)
    return pd.Series(np.rint(found).astype(np.int64)) if kind.whole else pd.Series([float(f"{one:.5g}") for one in found])


def _levels(levels: tuple[str, ...] | int, share: Array) -> pd.Series:
    """Levels in their order go up with the share, which spreads them evenly."""
    names = [f"made-{number:04d}" for number in range(levels)] if isinstance(levels, int) else list(levels)
    return pd.Series([names[min(int(one * len(names)), len(names) - 1)] for one in share])


def _texts(rng: np.random.Generator, kind: Text, share: Array) -> pd.Series:
    """Words that no language has; which of them stand in a text follows its share."""
    words = [_word(number) for number in range(WORDS)]
    lengths = np.maximum(rng.poisson(kind.words, len(share)), 1)
    chosen = [np.clip(rng.normal(one, 0.2, length), 0, 0.999) for one, length in zip(share, lengths, strict=True)]
    return pd.Series([" ".join(words[int(at * WORDS)] for at in places) for places in chosen])


def _word(number: int) -> str:
    first, rest = divmod(number, len(SYLLABLES) ** 2)
    return "".join(SYLLABLES[part % len(SYLLABLES)] for part in (first, *divmod(rest, len(SYLLABLES))))
