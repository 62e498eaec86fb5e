"""Comparables: what the most similar examples sold for, as an appraiser would ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.utils.validation import check_is_fitted

from features.columns import Names, centre_and_scale, frame, keys, label, numbers, present, present_keys, signed_log
from features.fitting import InnerFolds, logs, measured
from pipeline.errors import BadContract
from pipeline.predictions import Array

FAR = 5.0  # robust standard deviations; a gross error must not be its row's whole distance
FEW = 5  # neighbours of the median
ALL = ""  # the key of the tree of all rows


@dataclass(eq=False, repr=False)
class Comparables(InnerFolds):
    """The target of the most similar training rows of the same group, by a Laplacian kernel.

    columns: numeric column -> its length scale, the difference at which likeness falls to 1/e, in robust standard deviations of
    sign(x) log(1 + |x|); differences add up as in a Euclidean distance d, and a row weighs exp(-d). A missing number stands at
    the median. groups: categories, the finest first; a row looks in the first of its groups with at least `min_group` training
    rows, else among all. Only the `neighbours` nearest are looked at. `prior`: how many neighbours of full weight the group's
    own mean counts for (Nadaraya-Watson regression, shrunken). Features: `NAME__mean`, `NAME__median` of the nearest five,
    `NAME__weight` log(1 + sum of weights); with `per` the target is taken per area, and `NAME__times` is the mean plus
    log(area), the value expected.

    Learned: the scales, the training rows' places and targets (log, per: see `measured`). Training rows are encoded by inner
    folds: with each row left out on its own, the group's mean would give its target away. (n, c) -> (n, 3 or 4).
    """

    columns: Mapping[str, float]
    groups: Sequence[Names] = ()
    neighbours: int = 60
    min_group: int = 20
    prior: float = 0.7
    log: bool = True
    per: str | None = None
    name: str = "near"
    inner: int = field(default=10, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> Comparables:
        if self.neighbours < 1 or any(scale <= 0 for scale in self.columns.values()):
            raise BadContract(f"{self}: needs at least 1 neighbour, and length scales above 0.")
        target = measured(X, y, self.log, self.per)
        known = np.flatnonzero(np.isfinite(target))
        pool, self.target_ = X.iloc[known], target[known]
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
        """(n, columns) coordinates in length scales; one column of zeros where there are none."""
        axes = [np.zeros(len(X))]
        for name, (centre, scale) in self.scales_.items():
            z = (signed_log(numbers(X, name)) - centre) / (scale or 1.0)
            axes.append(np.clip(np.nan_to_num(z), -FAR, FAR) / self.columns[name])
        return np.column_stack(axes)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        places, made = self._places(X), np.full((len(X), 3), np.nan)
        tree_of = pd.Series(ALL, index=X.index)
        for names in reversed(self.groups_):
            group = _group(X, names)
            tree_of = group.where(group.isin(self.trees_.keys()), tree_of)
        for key, rows in tree_of.groupby(tree_of.to_numpy()).indices.items():
            members, tree = self.trees_[key]
            if len(members):
                made[rows] = self._summary(tree, self.target_[members], places[rows])
        columns = {f"{self.name}__{what}": made[:, i] for i, what in enumerate(("mean", "median", "weight"))}
        if self.per is not None:
            columns[f"{self.name}__times"] = made[:, 0] + logs(X, self.per)
        return frame(columns, X.index)

    def _summary(self, tree: cKDTree, target: Array, places: Array) -> Array:
        """(n, 3) shrunken mean, median of the nearest, log weight, of the rows at these places among the members of one tree."""
        distance, found = tree.query(places, k=list(range(1, min(self.neighbours, len(target)) + 1)))
        weight, values = np.exp(-distance), target[found]
        total = weight.sum(axis=1)
        mean = ((weight * values).sum(axis=1) + self.prior * target.mean()) / (total + self.prior)
        return np.column_stack([mean, np.median(values[:, :FEW], axis=1), np.log1p(total)])


def _group(X: pd.DataFrame, names: Names) -> pd.Series:
    """(n,) the key of each row's group at this level; NaN where it has none."""
    return f"{label(names)}=" + keys(X, names)
