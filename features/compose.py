"""Putting transformers together. One after the other (repairs, then features) is `sklearn.pipeline.make_pipeline`: it calls each
step's own `fit_transform`, hands DataFrames on as they are, clones and pickles. Side by side is `Union`, because sklearn's
FeatureUnion renames the columns, or lets two have the same name, and needs a second naming protocol from each part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.errors import BadContract
from pipeline.predictions import Array


@dataclass(eq=False, repr=False)
class Union(TransformerMixin, BaseEstimator):
    """The features of several transformers beside each other, as one DataFrame on X's index.

    Training rows get each part's `fit_transform`, so that supervised encoders keep their inner folds. Learned: a fitted copy of
    each part. Raises BadContract where two parts make a column of the same name.
    """

    parts: Sequence[Any]

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> Union:
        self.parts_ = [clone(part).fit(X, y) for part in self.parts]
        return self

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None) -> pd.DataFrame:
        self.parts_ = [clone(part) for part in self.parts]
        return self._beside(X, lambda part: part.fit_transform(X, y))

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        return self._beside(X, lambda part: part.transform(X))

    def _beside(self, X: pd.DataFrame, make: Callable[[Any], pd.DataFrame]) -> pd.DataFrame:
        tables = [make(part) for part in self.parts_]
        makers = Counter(column for table in tables for column in table.columns)
        twice = [column for column, parts in makers.items() if parts > 1]
        if twice:
            raise BadContract(f"{len(twice)} features are made by two parts of a Union, first {twice[0]!r}. Keep one of them.")
        return pd.concat([pd.DataFrame(index=X.index), *tables], axis=1)
