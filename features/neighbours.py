"""Comparables: what the most similar examples sold for, as an appraiser would ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from features.columns import Names, centre_and_scale, frame, keys, label, numbers, present, present_keys, signed_log
from features.fitting import logs, measured
from pipeline.errors import BadContract
from pipeline.predictions import Array

FAR = 5.0  # robust standard deviations; a gross error must not be its row's whole distance
ALL = ""  # the key of the tree of all rows


@dataclass(eq=False, repr=False)
class Comparables(TransformerMixin, BaseEstimator):
    """The target of the `neighbours` nearest training rows of the same group.

    columns: numeric column -> weight of its distance; distances are Euclidean on sign(x) log(1 + |x|), centred and scaled
    robustly; a missing number stands at the median. groups: categories, the finest first; a row looks in the first of its groups
    with at least `min_group` rows, else among all rows. Features: `NAME__mean` of the neighbours' target, with Gaussian weights
    that fall to 0.14 at the farthest of them, `NAME__median`, `NAME__spread` (weighted standard deviation) and `NAME__distance`
    of the farthest. With `per` the target is taken per area, and `NAME__times` is the mean plus log(area), the value expected.

    Learned: the scales, the training rows' places and targets (log, per: see `measured`). A training row is never its own
    neighbour: `fit_transform` leaves it out, which keeps the neighbours as dense as they are for new rows. (n, c) -> (n, 4 or 5).
    """

    columns: Mapping[str, float]
    groups: Sequence[Names] = ()
    neighbours: int = 30
    min_group: int = 40
    log: bool = True
    per: str | None = None
    name: str = "near"

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> Comparables:
        if self.neighbours < 1:
            raise BadContract(f"Comparables(neighbours={self.neighbours}): at least 1 is needed.")
        target = measured(X, y, self.log, self.per)
        self.pool_ = np.flatnonzero(np.isfinite(target))
        pool = X.iloc[self.pool_]
        self.target_ = target[self.pool_]
        self.scales_ = {name: centre_and_scale(signed_log(numbers(pool, name))) for name in present(pool, self.columns)}
        places = self._places(pool)
        self.groups_ = present_keys(pool, self.groups)
        members = {ALL: np.arange(len(pool))}
        for names in self.groups_:
            group = _group(pool, names)
            members |= {key: rows for key, rows in group.groupby(group.to_numpy()).indices.items() if len(rows) >= self.min_group}
        self.trees_ = {key: (rows, cKDTree(places[rows])) for key, rows in members.items()}
        return self

    def _places(self, X: pd.DataFrame) -> Array:
        """(n, columns) scaled and weighted coordinates; one column of zeros where there are none."""
        axes = [np.zeros(len(X))]
        for name, (centre, scale) in self.scales_.items():
            z = (signed_log(numbers(X, name)) - centre) / (scale or 1.0)
            axes.append(self.columns[name] * np.clip(np.nan_to_num(z), -FAR, FAR))
        return np.column_stack(axes)

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None) -> pd.DataFrame:
        self.fit(X, y)
        own = np.full(len(X), -1)
        own[self.pool_] = np.arange(len(self.pool_))
        return self._compared(X, own)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return self._compared(X, np.full(len(X), -1))

    def _compared(self, X: pd.DataFrame, own: Array) -> pd.DataFrame:
        """own: (n,) each row's place among the training rows that may be neighbours, or -1."""
        places, made = self._places(X), np.full((len(X), 4), np.nan)
        tree_of = pd.Series(ALL, index=X.index)
        for names in reversed(self.groups_):
            group = _group(X, names)
            tree_of = group.where(group.isin(self.trees_.keys()), tree_of)
        for key, rows in tree_of.groupby(tree_of.to_numpy()).indices.items():
            members, tree = self.trees_[key]
            made[rows] = self._summary(*self._nearest(tree, members, places[rows], own[rows]))
        columns = {f"{self.name}__{what}": made[:, i] for i, what in enumerate(("mean", "median", "spread", "distance"))}
        if self.per is not None:
            columns[f"{self.name}__times"] = made[:, 0] + logs(X, self.per)
        return frame(columns, X.index)

    def _nearest(self, tree: cKDTree, members: Array, places: Array, own: Array) -> tuple[Array, Array]:
        """Distances and targets (n, neighbours) of the nearest members but the row itself; inf and NaN where there are fewer."""
        distance, found = tree.query(places, k=list(range(1, self.neighbours + 2)))
        absent = np.isinf(distance)
        row = np.append(members, -2)[np.where(absent, len(members), found)]
        distance = np.where(row == own[:, None], np.inf, distance)
        order = np.argsort(distance, axis=1, kind="stable")[:, : self.neighbours]
        distance = np.take_along_axis(distance, order, axis=1)
        target = np.append(self.target_, np.nan)[np.take_along_axis(row, order, axis=1).clip(-1)]
        return distance, np.where(np.isinf(distance), np.nan, target)

    @staticmethod
    def _summary(distance: Array, target: Array) -> Array:
        """(n, 4) weighted mean, median, weighted spread, reach; NaN for rows without neighbours."""
        made = np.full((len(target), 4), np.nan)
        some = np.isfinite(target).any(axis=1)
        distance, target = distance[some], target[some]
        reach = np.where(np.isinf(distance), 0.0, distance).max(axis=1, initial=0.0)
        weight = np.where(np.isinf(distance), 0.0, np.exp(-2 * (distance / np.where(reach > 0, reach, 1.0)[:, None]) ** 2))
        weight /= weight.sum(axis=1, keepdims=True)
        mean = np.nansum(weight * target, axis=1)
        spread = np.sqrt(np.nansum(weight * (target - mean[:, None]) ** 2, axis=1))
        made[some] = np.column_stack([mean, np.nanmedian(target, axis=1), spread, reach])
        return made


def _group(X: pd.DataFrame, names: Names) -> pd.Series:
    """(n,) the key of each row's group at this level; NaN where it has none."""
    return f"{label(names)}=" + keys(X, names)
