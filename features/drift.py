"""The drift of a target over time, carried forward: what is scored lies in the future, and trees cannot extrapolate."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils.validation import check_is_fitted

from features.columns import numbers, present, texts
from features.dates import Dates
from features.target import LogRatio
from pipeline.predictions import Array

YEAR = 365.25  # days
MONTH_NOISE = 0.006  # standard deviation of a month's level about trend and season
ROUNDS = 150
MISSING = -1.0  # below every amount; scikit-learn's boosting does not take a column that is missing throughout a fold


@dataclass(eq=False, repr=False)
class Drift(BaseEstimator):
    """A log target less its level at the row's date; the level is put back, for the row's own date, when predictions come.

    The level is a line over time and a yearly cosine, level(t) = g t + a cos(2 pi (t - peak) / year). It is fitted by Bayesian
    linear regression (Bishop 2006, 3.3) to the monthly means of what a boosted model without any date leaves over, out of fold.
    Less than a year of rows cannot tell a trend from a season; there the priors decide, and with years of rows the rows do.

    scale: the log scale underneath. clock: the date column. growth: mean and standard deviation of g, per year. season: the same
    of a, in logs. peak: the day of the year at which the season is highest. The prior means are for prices themselves: of the
    rows whose target is a ratio to a reference of the same day they do not hold, so they shrink by the share of such rows.
    numeric, category: columns that explain the target apart from the date. Learned: the level's three coefficients.
    """

    scale: LogRatio
    clock: str
    numeric: tuple[str, ...]
    category: tuple[str, ...] = ()
    growth: tuple[float, float] = (0.0, 0.05)
    season: tuple[float, float] = (0.0, 0.02)
    peak: float = 172.0
    seed: int = field(default=0, kw_only=True)

    def fit(self, X: pd.DataFrame, y: Array) -> Drift:
        self.scale_ = clone(self.scale).fit(X, y)
        days = self._days(X)
        self.coefficients_, self.origin_ = np.zeros(3), float(days.median()) if days.notna().any() else 0.0
        if days.min() < days.max():
            z = self.scale_.transform(X, y)
            prior = 1 - float(self.scale_.believed(X).mean())
            self._fit_level(days, self._left_over(X, z), prior)
        return self

    def _left_over(self, X: pd.DataFrame, z: Array) -> pd.Series:
        """What a model without dates leaves over, out of fold; gross errors are held to the bulk of the rest."""
        known = [numbers(X, c).fillna(MISSING).to_numpy() for c in present(X, self.numeric)]
        codes = [pd.factorize(texts(X, c), sort=True)[0] for c in present(X, self.category)]
        if not known + codes:
            return pd.Series(z - z.mean(), index=X.index)
        model = HistGradientBoostingRegressor(max_iter=ROUNDS, learning_rate=0.1, random_state=self.seed)
        folds = KFold(5, shuffle=True, random_state=self.seed)
        rest = z - cross_val_predict(model, np.column_stack(known + codes), z, cv=min_folds(folds, len(z)))
        return pd.Series(rest, index=X.index).clip(*np.quantile(rest, [0.01, 0.99]))

    def _fit_level(self, days: pd.Series, rest: pd.Series, prior: float) -> None:
        month = (days // (YEAR / 12)).rename("month")
        table = pd.DataFrame({"rest": rest, "days": days}).groupby(month)
        rows, shape = table.size().to_numpy(), self._shape(table["days"].mean())
        weight = 1 / (MONTH_NOISE**2 + rest.var() / rows)
        mean = np.array([0.0, prior * self.growth[0], prior * self.season[0]])
        precision = np.diag([1e-6, self.growth[1] ** -2, self.season[1] ** -2])
        left = (shape.T * weight) @ shape + precision
        self.coefficients_ = np.linalg.solve(left, (shape.T * weight) @ table["rest"].mean().to_numpy() + precision @ mean)

    def level(self, X: pd.DataFrame) -> Array:
        """(n,) the target's log level at each row's date; a row without one stands at the middle of the training rows."""
        check_is_fitted(self)
        shape = self._shape(self._days(X).fillna(self.origin_))
        return shape @ self.coefficients_

    def transform(self, X: pd.DataFrame, y: Array) -> Array:
        check_is_fitted(self)
        return self.scale_.transform(X, y) - self.level(X)

    def inverse(self, X: pd.DataFrame, z: Array) -> Array:
        return self.scale_.inverse(X, np.asarray(z, dtype=np.float64) + self.level(X))

    def _shape(self, days: pd.Series) -> Array:
        years = ((days - self.origin_) / YEAR).to_numpy(dtype=np.float64)
        # Days count from the first of a year, so that whole years drop out of the cosine.
        season = np.cos(2 * np.pi * (days.to_numpy(dtype=np.float64) - self.peak) / YEAR)
        return np.column_stack([np.ones_like(years), years, season])

    def _days(self, X: pd.DataFrame) -> pd.Series:
        made = Dates([self.clock]).fit(X).transform(X)
        name = f"days__{self.clock}"
        return made[name].astype(np.float64) if name in made else pd.Series(np.nan, index=X.index)


def min_folds(folds: KFold, rows: int) -> KFold:
    """As many folds as there are rows to put into them."""
    return folds if rows >= folds.n_splits else KFold(max(2, rows))
