"""Numbers: repairs (the whole table comes back, some columns mended) and features (only the new columns come back)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from features.columns import centre_and_scale, frame, numbers, present, signed_log, texts
from features.fitting import Unsupervised
from pipeline.errors import BadContract


@dataclass(frozen=True)
class Unit:
    """A column that mixes two units. Values under `below` are in the large unit and are multiplied by `factor`; values over
    `above` were converted twice and are divided by it. Acres among square feet: Unit(43560, below=100, above=1e8)."""

    factor: float
    below: float
    above: float = np.inf


@dataclass(eq=False, repr=False)
class UnitRepair(Unsupervised):
    """Repair: columns that mix two units, in one unit. (n, c) -> (n, c), the named columns float64. Nothing is learned."""

    units: Mapping[str, Unit]

    def learn(self, X: pd.DataFrame) -> None:
        self.columns_ = present(X, self.units)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return X.assign(**{name: self._mended(numbers(X, name), self.units[name]) for name in self.columns_})

    @staticmethod
    def _mended(values: pd.Series, unit: Unit) -> pd.Series:
        return values.mask(values < unit.below, values * unit.factor).mask(values > unit.above, values / unit.factor)


@dataclass(eq=False, repr=False)
class Clip(Unsupervised):
    """Repair: values outside what is plausible become missing or, with outside="edge", the nearest plausible value.

    limits: column -> (low, high), both still plausible; a None is learned as median -+ `spread` robust standard deviations
    of sign(x) log(1 + |x|) (Hampel's rule on the log scale; Pearson, Comput. Chem. Eng. 23, 1999). A column with no spread
    has no learned limit. (n, c) -> (n, c), the named columns float64.
    """

    limits: Mapping[str, tuple[float | None, float | None]]
    spread: float = 6.0
    outside: Literal["missing", "edge"] = "missing"

    def learn(self, X: pd.DataFrame) -> None:
        if self.outside not in ("missing", "edge"):
            raise BadContract(f"Clip(outside={self.outside!r}): choose 'missing' or 'edge'.")
        self.limits_ = {name: self._limits(numbers(X, name), *self.limits[name]) for name in present(X, self.limits)}

    def _limits(self, values: pd.Series, low: float | None, high: float | None) -> tuple[float, float]:
        centre, scale = centre_and_scale(signed_log(values))
        reach = self.spread * scale
        lowest, highest = (_unlogged(centre - reach), _unlogged(centre + reach)) if scale else (-np.inf, np.inf)
        return lowest if low is None else low, highest if high is None else high

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return X.assign(**{name: self._clipped(numbers(X, name), *limits) for name, limits in self.limits_.items()})

    def _clipped(self, values: pd.Series, low: float, high: float) -> pd.Series:
        return values.clip(low, high) if self.outside == "edge" else values.where(values.between(low, high))


def _unlogged(value: float) -> float:
    """The way back from `signed_log`, short of overflow."""
    return float(np.sign(value) * np.expm1(min(abs(value), 700.0)))


@dataclass(eq=False, repr=False)
class ItemCounts(Unsupervised):
    """Repair: cells that hold a count, or else list the items ("Ground Floor Bedroom, Master Bedroom"), as the count.

    (n, c) -> (n, c), the named columns float64. Nothing is learned.
    """

    columns: Sequence[str]
    separator: str = ","

    def learn(self, X: pd.DataFrame) -> None:
        self.columns_ = present(X, self.columns)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return X.assign(**{name: self._counted(X, name) for name in self.columns_})

    def _counted(self, X: pd.DataFrame, name: str) -> pd.Series:
        text = texts(X, name)
        items = text.str.split(self.separator, regex=False).map(lambda parts: sum(bool(part.strip()) for part in parts))
        return numbers(X, name).fillna(items.where(text != "").astype(np.float64))


@dataclass(eq=False, repr=False)
class Numbers(Unsupervised):
    """Feature: the named columns as numbers, under their own names. (n, c) -> (n, those with a number). Nothing is learned."""

    columns: Sequence[str]

    def learn(self, X: pd.DataFrame) -> None:
        self.columns_ = present(X, self.columns)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return frame({name: numbers(X, name) for name in self.columns_}, X.index)


@dataclass(eq=False, repr=False)
class Logs(Unsupervised):
    """Feature: `log__COLUMN`, log(1 + x), missing where x < 0. (n, c) -> (n, named columns). Nothing is learned."""

    columns: Sequence[str]

    def learn(self, X: pd.DataFrame) -> None:
        self.columns_ = present(X, self.columns)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        positive = {name: numbers(X, name) for name in self.columns_}
        return frame({f"log__{name}": np.log1p(values.where(values >= 0)) for name, values in positive.items()}, X.index)


@dataclass(eq=False, repr=False)
class Ratios(Unsupervised):
    """Features of pairs (a, b) of amounts: `ratio__a__b`, log(a / b) where both are positive. Nothing is learned."""

    pairs: Sequence[tuple[str, str]]

    def learn(self, X: pd.DataFrame) -> None:
        self.pairs_ = both_present(X, self.pairs)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, pd.Series] = {}
        for a, b in self.pairs_:
            left, right = numbers(X, a), numbers(X, b)
            made[f"ratio__{a}__{b}"] = np.log(left.where(left > 0)) - np.log(right.where(right > 0))
        return frame(made, X.index)


@dataclass(eq=False, repr=False)
class Repeats(Unsupervised):
    """Features of pairs (a, b) of amounts: `same__a__b`, 1 where they differ by at most `tolerance` of the larger, else 0.

    A price that repeats another one is such a flag: a tax value set to what was paid. Nothing is learned.
    """

    pairs: Sequence[tuple[str, str]]
    tolerance: float = 0.005

    def learn(self, X: pd.DataFrame) -> None:
        self.pairs_ = both_present(X, self.pairs)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, pd.Series] = {}
        for a, b in self.pairs_:
            left, right = numbers(X, a), numbers(X, b)
            apart = (left - right).abs()
            same = apart <= self.tolerance * np.maximum(left.abs(), right.abs())
            made[f"same__{a}__{b}"] = same.astype(np.float64).where(apart.notna())
        return frame(made, X.index)


def both_present(X: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the pairs of which both columns have a value in some row."""
    return [(a, b) for a, b in pairs if len(present(X, (a, b))) == 2]
