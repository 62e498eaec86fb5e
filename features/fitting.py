"""How transformers are fitted: those that never see the target, and those that keep each training row from its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import KFold

from features.columns import numbers
from pipeline.errors import BadContract, BadData
from pipeline.predictions import Array


def measured(X: pd.DataFrame, y: Array | None, log: bool, per: str | None) -> Array:
    """(n,) float64: y, or log(1 + y), less log(X[per]) where a column `per` (an area) is named; NaN where that is not positive.

    With log and per this is the log price per area. Raises BadData where y is absent, of another length, or cannot be logged.
    """
    if y is None or len(y) != len(X):
        came = "none" if y is None else len(y)
        raise BadData(f"An encoder of the target needs one target per row: {len(X)} rows came with {came}.")
    values = np.asarray(y, dtype=np.float64)
    if log:
        if (values <= -1).any():
            raise BadData(f"The log of the target needs values above -1; the lowest is {values.min():g}. Use log=False.")
        values = np.log1p(values)
    return values if per is None else values - logs(X, per)


def logs(X: pd.DataFrame, name: str) -> Array:
    """(n,) float64 log of a positive column; NaN elsewhere."""
    positive = numbers(X, name)
    return np.log(positive.where(positive > 0)).to_numpy()


class Unsupervised(TransformerMixin, BaseEstimator, ABC):
    """A transformer that cannot see the target: a subclass writes `learn(X)`, and y stops here."""

    @abstractmethod
    def learn(self, X: pd.DataFrame) -> None:
        """Take from the training rows X what `transform` needs."""

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> Self:  # noqa: ARG002 - sklearn hands it over
        self.learn(X)
        return self


class InnerFolds(TransformerMixin, BaseEstimator):
    """A transformer whose training rows are encoded without their own target.

    `fit_transform` splits the training rows at random into `inner` folds and encodes each by what the others teach; then it
    fits on all of them, which is what `transform` encodes new rows by, as sklearn's TargetEncoder does. A subclass has the
    fields `inner` and `seed`.
    """

    inner: int
    seed: int

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None) -> pd.DataFrame:
        if self.inner < 2:
            raise BadContract(f"{type(self).__name__}(inner={self.inner}): a row needs 2 or more to be kept from its own target.")
        self.fit(X, y)
        columns = self.transform(X.iloc[:0]).columns
        encoded = np.full((len(X), len(columns)), np.nan, dtype=np.float32)
        if len(X) > 1:
            y = np.asarray(y)
            for others, own in KFold(min(self.inner, len(X)), shuffle=True, random_state=self.seed).split(X):
                part = clone(self).fit(X.iloc[others], y[others]).transform(X.iloc[own])
                encoded[own] = part.reindex(columns=columns).to_numpy()
        return pd.DataFrame(encoded, index=X.index, columns=columns)
