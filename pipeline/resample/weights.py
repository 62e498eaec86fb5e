"""The weight of each row in the loss, with a mean of 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from pipeline.errors import BadRecipe
from pipeline.predictions import Array
from pipeline.resample import Resample

GRID = 512  # points at which the density of a target is computed
LEAST = 1e-6
PARTS = 5  # each part of the rows is judged by a classifier that did not learn it


def by_class(step: Resample, count: Array) -> Array:
    """(k,) weight of a row of each class, of which there are so many rows (k,); of the rows the mean is 1. A class without rows has 0."""
    there = count > 0
    weight = np.zeros(len(count))
    if step.way == "effective":  # (1 - beta^n) / (1 - beta), Cui et al. 2019
        weight[there] = (1 - step["beta"]) / -np.expm1(count[there] * np.log(max(step["beta"], 1e-300)))
    else:
        weight[there] = count[there] ** (-1.0 if step.way == "inverse" else -0.5)
    return weight * count.sum() / (weight @ count)


def density(y: Array, alpha: float) -> Array:
    """(n,) more where targets are rare: 1 - alpha times the density, brought to 0 to 1 (DenseWeight, Steininger et al. 2021).

    The width of the kernel is that of Silverman (1986), and the density is computed where the rows are: one gross error shall not smooth
    all others into one.
    """
    if np.ptp(y) == 0:
        return np.ones(len(y))
    from scipy.stats import gaussian_kde

    middle = np.ptp(np.quantile(y, [0.25, 0.75])) / 1.34
    width = 0.9 * (min(y.std(), middle) if middle > 0 else y.std()) * len(y) ** -0.2
    points = np.unique(np.quantile(y, np.linspace(0, 1, GRID)))
    found = np.interp(y, points, gaussian_kde(y, width / y.std(ddof=1))(points))
    spread = np.ptp(found)
    dense = (found - found.min()) / spread if spread > 0 else np.zeros(len(y))
    return _mean_one(np.maximum(1 - alpha * dense, LEAST))


def recency(when: Array, half: float) -> Array:
    """(n,) halved with every `half` of the time between the first and the last row (when (n,), in any unit)."""
    span = np.ptp(when)
    age = (when.max() - when) / span if span > 0 else np.zeros(len(when))
    return _mean_one(0.5 ** (age / half))


def likeness(X: pd.DataFrame, asked: pd.DataFrame, seed: int, most: float) -> Array:
    """(n,) how much more likely a row is among the test rows than among these: p / (1 - p) of a classifier that tells the two apart
    (importance weights of covariate shift, Shimodaira 2000; Bickel et al. 2009), of the parts of a cross-validation that did not learn
    the row. At most `most` times the mean, and at least one by that."""
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import StratifiedKFold

    from pipeline.models.views import Coded

    both = pd.concat(_of_same_levels(X, asked), ignore_index=True)
    is_asked = np.repeat([0, 1], [len(X), len(asked)])
    if min(len(X), len(asked)) < PARTS:
        raise BadRecipe(f"likeness needs {PARTS} training and {PARTS} test rows or more; there are {len(X)} and {len(asked)}.")
    matrix = Coded().fit(both).transform(both)
    p = np.empty(len(both))
    for learn, judge in StratifiedKFold(PARTS, shuffle=True, random_state=seed).split(matrix, is_asked):
        model = LGBMClassifier(
            n_estimators=100, num_leaves=15, learning_rate=0.05, min_child_samples=20, subsample=0.8, subsample_freq=1,
            colsample_bytree=0.8, random_state=seed, n_jobs=1, verbose=-1, deterministic=True, force_col_wise=True,
        )  # fmt: skip
        p[judge] = model.fit(matrix[learn], is_asked[learn]).predict_proba(matrix[judge])[:, 1]
    odds = p[: len(X)] / np.maximum(1 - p[: len(X)], LEAST)
    return _mean_one(np.clip(odds / odds.mean(), 1 / most, most))


def _of_same_levels(X: pd.DataFrame, asked: pd.DataFrame) -> list[pd.DataFrame]:
    """Both with the categories of both: columns of other categories would come together as objects, which no classifier reads."""
    both = {
        name: pd.CategoricalDtype(X[name].cat.categories.union(asked[name].cat.categories, sort=False))
        for name in X.select_dtypes("category").columns
        if isinstance(asked[name].dtype, pd.CategoricalDtype)
    }
    return [X.astype(both), asked.astype(both)]


def _mean_one(weight: Array) -> Array:
    return weight / weight.mean()


CLASS_WEIGHTS: Mapping[str, Callable[[Resample, Array], Array]] = dict.fromkeys(("inverse", "square-root", "effective"), by_class)
