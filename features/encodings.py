"""Encodings of categories: by the target, by its median with a fall-back to wider groups, by frequency, or as categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from features.columns import Names, frame, keys, label, present, present_keys
from features.fitting import InnerFolds, Unsupervised, logs, measured
from pipeline.errors import BadContract
from pipeline.predictions import Array

RARE = "(rare)"


@dataclass(eq=False, repr=False)
class TargetEncoding(InnerFolds):
    """`mean__CATEGORY`: the mean of the target in each category, drawn towards the mean of all.

    columns: columns, or tuples of columns that form one category. A category of n rows weighs n / (n + strength); without a
    given strength it is the variance within categories over the variance between them (empirical Bayes, one-way random
    effects; Micci-Barreca, SIGKDD Explorations 3(1), 2001). An unseen category gets the mean of all, a missing one NaN.
    For a target of numbers, or of two classes as 0 and 1. Learned: a table per category. Training rows are encoded by inner
    folds. log, per: see `measured`. (n, c) -> (n, columns).
    """

    columns: Sequence[Names]
    strength: float | None = None
    log: bool = False
    per: str | None = None
    inner: int = field(default=5, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> TargetEncoding:
        target = pd.Series(measured(X, y, self.log, self.per), index=X.index)
        self.mean_ = float(target.mean())
        self.tables_ = {
            names: _shrunken_means(target.to_numpy(), keys(X, names).to_numpy(), self.strength)
            for names in present_keys(X, self.columns)
        }
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made, per = {}, f"__per__{self.per}" if self.per else ""
        for names, table in self.tables_.items():
            category = keys(X, names)
            mean = category.map(table).astype(np.float64).fillna(self.mean_)
            made[f"mean__{label(names)}{per}"] = mean.where(category.notna())
        return frame(made, X.index)


def _shrunken_means(target: Array, category: Array, strength: float | None) -> pd.Series:
    """Category -> mean of the target there, shrunken towards the mean of all rows."""
    target, category = target[np.isfinite(target)], category[np.isfinite(target)]
    groups = pd.Series(target).groupby(category).agg(["size", "mean", "var"])
    rows, means, total = groups["size"], groups["mean"], target.mean() if len(target) else np.nan
    if strength is None:
        strength = _strength(rows.to_numpy(), means.to_numpy(), groups["var"].fillna(0.0).to_numpy())
    weight = rows / (rows + strength)
    return weight * means + (1 - weight) * total


def _strength(rows: Array, means: Array, variances: Array) -> float:
    """Variance within over variance between, by the moments of the one-way analysis of variance; infinite if none is between."""
    n, k = rows.sum(), len(rows)
    if k < 2 or n == k:
        return float(np.inf)
    within = ((rows - 1) * variances).sum() / (n - k)
    grand = (rows * means).sum() / n
    between = ((rows * (means - grand) ** 2).sum() - (k - 1) * within) / (n - (rows**2).sum() / n)
    return float(within / between) if between > 0 else float(np.inf)


@dataclass(eq=False, repr=False)
class GroupMedian(InnerFolds):
    """The median of the target in a row's group, leaning on wider groups where it is small.

    levels: categories, the finest first, as ("Zip", "City", "Region"). From the widest (all rows) inwards, the median of n
    rows weighs n / (n + strength) against the level around it, so a missing or unseen group falls back by itself. With `per`
    the target is taken per area and there are two columns: `median__ZIP__per__AREA` and `median__ZIP__times__AREA`, the same
    plus log(area), the value expected of the row; without, `median__ZIP`. The name is the finest level's that is present.
    Learned: a table per level. Training rows are encoded by inner folds. log, per: see `measured`. (n, c) -> (n, 1 or 2).
    """

    levels: Sequence[Names]
    strength: float = 5.0
    log: bool = True
    per: str | None = None
    inner: int = field(default=5, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> GroupMedian:
        target = measured(X, y, self.log, self.per)
        finite = np.isfinite(target)
        self.levels_ = present_keys(X, self.levels)
        self.median_ = float(np.median(target[finite])) if finite.any() else float("nan")
        self.tables_ = [
            pd.Series(target[finite]).groupby(keys(X, names).to_numpy()[finite]).agg(["size", "median"]) for names in self.levels_
        ]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        if not self.levels_:
            return frame({}, X.index)
        value = np.full(len(X), self.median_)
        for names, table in zip(reversed(self.levels_), reversed(self.tables_), strict=True):
            group = keys(X, names)
            rows, median = (group.map(table[column]).astype(np.float64).fillna(0.0).to_numpy() for column in ("size", "median"))
            value = (rows * median + self.strength * value) / (rows + self.strength)
        name = f"median__{label(self.levels_[0])}"
        if self.per is None:
            return frame({name: value}, X.index)
        return frame({f"{name}__per__{self.per}": value, f"{name}__times__{self.per}": value + logs(X, self.per)}, X.index)


@dataclass(eq=False, repr=False)
class Frequency(Unsupervised):
    """`rows__CATEGORY`: log(1 + number of other training rows of the same category); 0 if unseen, NaN if missing.

    A training row does not count itself, so that a category seen once looks to the model as an unseen one will.
    Learned: a table per category. (n, c) -> (n, columns).
    """

    columns: Sequence[Names]

    def learn(self, X: pd.DataFrame) -> None:
        self.tables_ = {names: keys(X, names).value_counts() for names in present_keys(X, self.columns)}

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None) -> pd.DataFrame:
        return self.fit(X, y)._counted(X, own=1)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return self._counted(X, own=0)

    def _counted(self, X: pd.DataFrame, own: int) -> pd.DataFrame:
        made = {}
        for names, table in self.tables_.items():
            category = keys(X, names)
            others = category.map(table).astype(np.float64).fillna(own) - own
            made[f"rows__{label(names)}"] = np.log1p(others).where(category.notna())
        return frame(made, X.index)


@dataclass(eq=False, repr=False)
class Categories(Unsupervised):
    """The named columns as pandas categories of text under their own names, for models that take them as they are.

    Learned per column: the values in at least `min_rows` training rows, at most `max_levels`, in alphabetical order, and
    one level "(rare)" for the other values that were seen. Unseen and missing values are NaN. (n, c) -> (n, columns).
    """

    columns: Sequence[str]
    min_rows: int = 10
    max_levels: int = 500

    def learn(self, X: pd.DataFrame) -> None:
        if self.max_levels < 1:
            raise BadContract(f"Categories(max_levels={self.max_levels}): at least 1 level is needed.")
        self.levels_: dict[str, list[str]] = {}
        self.rare_: dict[str, frozenset[str]] = {}
        for name in present(X, self.columns):
            rows = keys(X, name).value_counts()
            ordered = rows[rows >= self.min_rows].sort_index().sort_values(ascending=False, kind="stable").index
            self.levels_[name] = sorted(ordered[: self.max_levels])
            self.rare_[name] = frozenset(rows.index) - frozenset(self.levels_[name])

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made = {}
        for name, levels in self.levels_.items():
            value = keys(X, name)
            value = value.mask(value.isin(self.rare_[name]), RARE)
            made[name] = pd.Categorical(value, categories=[*(level for level in levels if level != RARE), RARE])
        return pd.DataFrame(made, index=X.index)
