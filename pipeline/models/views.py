"""What a model can see of a features table: tree boosters codes, linear models and nets a dense or sparse matrix of scaled numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder

from pipeline.errors import BadRecipe
from pipeline.predictions import Array

TAILS, FAR = 0.001, 4.0
BLOCK = 4_096  # rows


def kinds(X: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """Names of the number, category and text columns."""
    category = [c for c in X if isinstance(X[c].dtype, pd.CategoricalDtype)]
    number = [c for c in X if c not in category and pd.api.types.is_numeric_dtype(X[c].dtype)]
    return number, category, [c for c in X if c not in category and c not in number]


class Coded:
    """Numbers and category codes as a dense (n, p) float32 matrix, NaN where missing or not met in `fit`. Text is left out.

    categories: positions of the category columns. Raises BadRecipe where text is all there is.
    """

    def fit(self, X: pd.DataFrame) -> Coded:
        self.columns, category, _ = kinds(X)
        self.levels = {column: X[column].cat.categories for column in category}
        self.categories = list(range(len(self.columns), len(self.columns) + len(category)))
        refuse_nothing(X, self.columns + category)
        return self

    def transform(self, X: pd.DataFrame) -> Array:
        out = np.empty((len(X), len(self.columns) + len(self.levels)), dtype=np.float32)
        for place, column in enumerate(self.columns):
            out[:, place] = X[column].to_numpy(dtype=np.float32, na_value=np.nan)
        for place, codes in zip(self.categories, codes_of(X, self.levels), strict=True):
            out[:, place] = np.where(codes < 0, np.nan, codes)
        out[~np.isfinite(out)] = np.nan
        return out


def codes_of(X: pd.DataFrame, levels: Mapping[str, pd.Index]) -> list[Array]:
    """For each category column its (n,) codes among these levels, -1 where missing or not among them."""
    return [X[column].cat.set_categories(known).cat.codes.to_numpy() for column, known in levels.items()]


def labels_of(X: pd.DataFrame, columns: Sequence[str]) -> Array:
    """(n, c) text of the category columns, empty where missing."""
    return X[columns].astype(object).where(X[columns].notna(), "").astype(str).to_numpy(dtype=object)


def refuse_nothing(X: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise BadRecipe where a family can read none of the columns."""
    if not columns:
        raise BadRecipe(
            f"The features have no column that this family reads, only {', '.join(map(repr, X.columns[:8])) or 'none at all'}. "
            "Make numbers or categories of the texts, or use a linear family, which reads words."
        )


def probabilities(model: Any, X: Any, classes: int, labels: Array | None = None) -> Array:
    """(n, k) probabilities with a column for each of k classes, also those absent in training; (n, 1) values for regression.

    labels: the class of each of the model's columns; its own `classes_`, without.
    """
    if not classes:
        return np.asarray(model.predict(X), dtype=np.float64).reshape(-1, 1)
    out = np.zeros((X.shape[0], classes))
    out[:, np.asarray(model.classes_ if labels is None else labels, dtype=np.intp)] = model.predict_proba(X)
    return out


class Numbers:
    """Numbers as a dense (n, q) float32 matrix: standardised, gaps filled with the mean and flagged.

    Mean and standard deviation are of the values between the outer `TAILS`, and what lies beyond `FAR` of these deviations
    stands at `FAR`: one gross error neither sets the scale nor pulls a weight.
    """

    def fit(self, X: pd.DataFrame) -> Numbers:
        self.columns, gaps, centre, scale = [], [], [], []
        for column in kinds(X)[0]:
            values = _finite(X, column)
            known = values[~np.isnan(values)]
            if not len(known):
                continue
            # The outermost values on each side are tails; of few rows, one each.
            inner = np.clip(known, np.quantile(known, TAILS, method="higher"), np.quantile(known, 1 - TAILS, method="lower"))
            spread = inner.std()
            self.columns.append(column)
            gaps.append(len(known) < len(values))
            centre.append(inner.mean())
            scale.append(1 / spread if spread > 0 else 1.0)
        self.gaps, self.centre, self.scale = np.array(gaps, bool), np.array(centre), np.array(scale)
        return self

    def transform(self, X: pd.DataFrame) -> Array:
        """A column at a time, since of a large table each copy counts."""
        out = np.empty((len(X), len(self.columns) + int(self.gaps.sum())), dtype=np.float32)
        flag = len(self.columns)
        for place, column in enumerate(self.columns):
            values = _finite(X, column)
            missing = np.isnan(values)
            out[:, place] = np.where(missing, 0, np.clip((values - self.centre[place]) * self.scale[place], -FAR, FAR))
            if self.gaps[place]:
                out[:, flag] = missing
                flag += 1
        return out


def _finite(X: pd.DataFrame, column: str) -> Array:
    """(n,) float64, NaN where missing or infinite."""
    values = X[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


class Sparse:
    """Everything as one sparse (n, q) matrix for linear models: scaled numbers, one-hot categories, TF-IDF of each text."""

    def __init__(self, words: int = 5_000, min_rows: int = 5) -> None:
        self.words, self.min_rows = words, min_rows

    def fit(self, X: pd.DataFrame) -> Sparse:
        _, self.category, text = kinds(X)
        self.numbers = Numbers().fit(X)
        self.one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=self.min_rows, dtype=np.float32)
        if self.category:
            self.one_hot.fit(labels_of(X, self.category))
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
        """(n, q) float32 in rows (CSR). A block of rows at a time, since on the way numbers are dense."""
        return stacked([self._block(X.iloc[start : start + BLOCK]) for start in range(0, max(len(X), 1), BLOCK)])

    def _block(self, X: pd.DataFrame) -> Any:
        parts: list[Any] = [sparse.csr_matrix(self.numbers.transform(X))]
        if self.category:
            parts.append(self.one_hot.transform(labels_of(X, self.category)))
        parts += [tfidf.transform(X[column].fillna("").astype(str)) for column, tfidf in self.tfidf.items()]
        return sparse.hstack(parts, format="csr", dtype=np.float32)


def stacked(blocks: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    """The CSR blocks below each other, as `scipy.sparse.vstack`, but in one copy: each block is let go (from the list too) when it is in."""
    rows, columns = sum(block.shape[0] for block in blocks), blocks[0].shape[1]
    values = np.empty(sum(block.nnz for block in blocks), blocks[0].dtype)
    places, starts = np.empty(len(values), np.int32), np.zeros(rows + 1, np.int64)
    row = at = 0
    while blocks:
        block = blocks.pop(0)
        values[at : at + block.nnz], places[at : at + block.nnz] = block.data, block.indices
        starts[row + 1 : row + 1 + block.shape[0]] = at + block.indptr[1:]
        row, at = row + block.shape[0], at + block.nnz
    return sparse.csr_matrix((values, places, starts), shape=(rows, columns), copy=False)
