"""What podium is measured against: the loop one would write by hand, and the LightGBM that one would try first.

`python -m tests.bench_peers DIR FILE THREADS` runs the loop in a process of its own and leaves the folds' scores in FILE as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import competitions
from pipeline import models
from pipeline.competition import Data, Model
from pipeline.folds import Folds
from pipeline.predictions import Array, Table, as_ids
from pipeline.run import Run

PLAIN = {"n_estimators": 1000, "learning_rate": 0.05}  # its defaults otherwise; they alone (100 rounds of 0.1) score worse


def by_hand(root: Path, recipe: Model) -> tuple[list[float], Array]:
    """The folds' scores and the (m,) test prices of one recipe of house-prices: load, features, target, fit, predict, fold by fold.

    The same work as `podium train`, test predictions included, without podium's store, keys and processes.
    """
    entry = competitions.find("house-prices")
    task, metric = entry.competition.task, entry.competition.metric
    data = entry.load(root)
    train, test, y = data.train, data.test, task.truth(data)
    folds = entry.competition.folds.make(as_ids(train[task.id].to_numpy()), train, y)
    scores, predicted = [], []
    for fold in range(len(folds)):
        fit, validate = folds.fit(fold), folds.validate(fold)
        rows, held = train.iloc[fit].reset_index(drop=True), train.iloc[validate].reset_index(drop=True)
        features, scale = entry.features(), entry.target()  # type: ignore[misc]  # it has one
        X = features.fit_transform(rows, y[fit])  # type: ignore[attr-defined]  # so has a Pipeline
        model = models.build(recipe, 0, 0).fit(X, scale.fit(rows, y[fit]).transform(rows, y[fit]))
        oof = scale.inverse(held, model.predict(features.transform(held))[:, 0])
        predicted.append(scale.inverse(test, model.predict(features.transform(test))[:, 0]))
        scores.append(metric.natural(y[validate], oof))
    return scores, metric.unlink(np.mean(metric.link(np.array(predicted)), axis=0))


def plain_lightgbm(run: Run) -> tuple[Table, Table]:
    """Out-of-fold and test predictions of a first attempt: raw columns, texts as ordinal codes, the log of the price, our folds."""
    return _plain(run.data, run.ids, run.y, run.folds, run.columns)


def _plain(data: Data, ids: Array, y: Array, folds: Folds, columns: tuple[str, ...]) -> tuple[Table, Table]:
    import lightgbm

    ids_of = data.sample.columns[0]
    names = [c for c in data.test if c != ids_of]
    both = pd.concat([data.train[names], data.test[names]])
    X = np.column_stack([ordinal(both[name]) for name in names])
    X, X_test = X[: len(y)], X[len(y) :]
    oof, test = np.full(len(y), np.nan), np.zeros(len(X_test))
    for fold in range(len(folds)):
        fit, validate = folds.fit(fold), folds.validate(fold)
        model = lightgbm.LGBMRegressor(**PLAIN, n_jobs=1, verbose=-1).fit(X[fit], np.log1p(y[fit]))
        oof[validate] = model.predict(X[validate])
        test += model.predict(X_test) / len(folds)
    known = np.isfinite(oof)
    return Table(ids[known], np.expm1(oof[known]), columns), Table(as_ids(data.test[ids_of].to_numpy()), np.expm1(test), columns)


def ordinal(column: pd.Series) -> Array:
    """(n,) float64: numbers as they are, texts as their rank among the column's texts, NaN where missing."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64)
    codes = pd.factorize(column, sort=True)[0]
    return np.where(codes < 0, np.nan, codes)


def main(root: Path, scores: Path, threads: int) -> None:
    recipe = competitions.find("house-prices").models()["lightgbm"]
    recipe = Model(recipe.family, {**recipe.params, "n_jobs": threads})
    scores.write_text(json.dumps(by_hand(root, recipe)[0]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
