"""Dates: when something happened, the season it happened in, and how long after something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from features.columns import frame, present, texts
from features.fitting import Unsupervised

ORIGIN = pd.Timestamp("2000-01-01")  # fixed, so that days mean the same in every fold


@dataclass(eq=False, repr=False)
class Dates(Unsupervised):
    """Features of each named date: `days__D` since 2000-01-01, `year__D`, `month__D` 1-12, `weekday__D` 0 (Monday) to 6, and
    `season_sin__D`, `season_cos__D`, the day of the year on a circle.

    Of each pair (a, b): `days__a__b`, days from b to a, and `after__a__b`, 1 where a is later than b, else 0 (a last sale
    after the listing is the sale itself). What is no date in `format` (see pandas.to_datetime) is missing. Times of day
    and zones are dropped after conversion to UTC. (n, c) -> (n, 6 columns + 2 pairs). Nothing is learned.
    """

    columns: Sequence[str]
    pairs: Sequence[tuple[str, str]] = ()
    format: str = "ISO8601"  # a guessed format would read "3" as the third of the current month

    def learn(self, X: pd.DataFrame) -> None:
        self.columns_ = present(X, self.columns)
        self.pairs_ = [(a, b) for a, b in self.pairs if len(present(X, (a, b))) == 2]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, pd.Series] = {}
        for name in self.columns_:
            date = self._dates(X, name)
            angle = 2 * np.pi * date.dt.dayofyear / 365.25
            made[f"days__{name}"] = (date - ORIGIN).dt.days
            made[f"year__{name}"] = date.dt.year
            made[f"month__{name}"] = date.dt.month
            made[f"weekday__{name}"] = date.dt.weekday
            made[f"season_sin__{name}"] = np.sin(angle)
            made[f"season_cos__{name}"] = np.cos(angle)
        for a, b in self.pairs_:
            days = (self._dates(X, a) - self._dates(X, b)).dt.days
            made[f"days__{a}__{b}"] = days
            made[f"after__{a}__{b}"] = (days > 0).astype(np.float64).where(days.notna())
        return frame(made, X.index)

    def _dates(self, X: pd.DataFrame, name: str) -> pd.Series:
        written = name in X and not pd.api.types.is_datetime64_any_dtype(X[name])
        cells = X[name] if name in X and not written else texts(X, name)
        return pd.to_datetime(cells, format=self.format, errors="coerce", utc=True).dt.tz_localize(None).dt.normalize()
