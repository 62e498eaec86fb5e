"""What a model can see of a features table: tree boosters codes, linear models and nets a dense or sparse matrix of scaled numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipeline.predictions import Array


def kinds(X: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """Names of the number, category and text columns."""
    category = [c for c in X if isinstance(X[c].dtype, pd.CategoricalDtype)]
    number = [c for c in X if c not in category and pd.api.types.is_numeric_dtype(X[c].dtype)]
    return number, category, [c for c in X if c not in category and c not in number]


def coded(X: pd.DataFrame) -> tuple[Array, list[int]]:
    """(n, p) float32 of numbers and category codes, NaN where missing; positions of the categories. Text is left out."""
    number, category, _ = kinds(X)
    out = np.empty((len(X), len(number) + len(category)), dtype=np.float32)
    for place, column in enumerate(number):
        out[:, place] = X[column].to_numpy(dtype=np.float32, na_value=np.nan)
    for place, column in enumerate(category, start=len(number)):
        codes = X[column].cat.codes.to_numpy()
        out[:, place] = np.where(codes < 0, np.nan, codes)
    out[~np.isfinite(out)] = np.nan
    return out, list(range(len(number), out.shape[1]))


def probabilities(model: Any, X: Any, classes: int) -> Array:
    """(n, k) probabilities with a column for each of k classes, also those absent in training; (n, 1) values for regression."""
    if not classes:
        return np.asarray(model.predict(X), dtype=np.float64).reshape(-1, 1)
    out = np.zeros((X.shape[0], classes))
    out[:, np.asarray(model.classes_, dtype=np.intp)] = model.predict_proba(X)
    return out


class Numbers:
    """Numbers as a dense (n, q) float32 matrix: gaps filled with the median and flagged, scaled, far outliers pulled in.

    robust: scale by quantiles and squash smoothly to about -3..3 (the preprocessing of RealMLP, Holzmüller et al. 2024),
    which takes the harm out of gross errors; else by mean and standard deviation.
    """

    def __init__(self, robust: bool = True) -> None:
        self.robust = robust

    def fit(self, X: pd.DataFrame) -> Numbers:
        self.columns = kinds(X)[0]
        values = self._values(X)
        some = np.flatnonzero(np.isfinite(values).any(axis=0))
        self.columns = [self.columns[place] for place in some]
        values = values[:, some]
        self.gaps = ~np.isfinite(values).all(axis=0)
        quantiles = np.nanquantile(values, [0, 0.25, 0.5, 0.75, 1], axis=0) if values.size else np.zeros((5, values.shape[1]))
        self.centre, spread, reach = quantiles[2], quantiles[3] - quantiles[1], (quantiles[4] - quantiles[0]) / 2
        if not self.robust:
            self.centre, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        self.scale = 1 / np.where(spread > 0, spread, np.where(reach > 0, reach, 1))
        return self

    def transform(self, X: pd.DataFrame) -> Array:
        values = self._values(X)
        missing = ~np.isfinite(values)
        scaled = np.where(missing, 0, (values - self.centre) * self.scale)
        if self.robust:
            scaled = scaled / np.sqrt(1 + (scaled / 3) ** 2)
        return np.hstack([scaled, missing[:, self.gaps]]).astype(np.float32)

    def _values(self, X: pd.DataFrame) -> Array:
        values = (
            np.column_stack([X[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in self.columns])
            if self.columns
            else np.empty((len(X), 0))
        )
        return np.where(np.isfinite(values), values, np.nan)


class Sparse:
    """Everything as one sparse (n, q) matrix for linear models: scaled numbers, one-hot categories, TF-IDF of each text."""

    def __init__(self, words: int = 5_000, min_rows: int = 5) -> None:
        self.words, self.min_rows = words, min_rows

    def fit(self, X: pd.DataFrame) -> Sparse:
        _, self.category, text = kinds(X)
        self.numbers = Numbers().fit(X)
        self.scaler = StandardScaler().fit(self.numbers.transform(X)) if len(X.columns) else None
        self.one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=self.min_rows, dtype=np.float32)
        if self.category:
            self.one_hot.fit(self._labels(X))
        self.tfidf: dict[str, TfidfVectorizer] = {}
        for column in text:
            tfidf = TfidfVectorizer(
                max_features=self.words, min_df=self.min_rows, sublinear_tf=True, ngram_range=(1, 2), dtype=np.float32
            )
            try:
                self.tfidf[column] = tfidf.fit(X[column].fillna("").astype(str))
            except ValueError:  # no word stands in enough rows: the column has nothing to give
                continue
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        numbers = self.numbers.transform(X)
        parts: list[Any] = [sparse.csr_matrix(self.scaler.transform(numbers) if self.scaler is not None else numbers)]
        if self.category:
            parts.append(self.one_hot.transform(self._labels(X)))
        parts += [tfidf.transform(X[column].fillna("").astype(str)) for column, tfidf in self.tfidf.items()]
        return sparse.hstack(parts, format="csr", dtype=np.float64)

    def _labels(self, X: pd.DataFrame) -> Array:
        return X[self.category].astype(object).where(X[self.category].notna(), "").astype(str).to_numpy(dtype=object)
