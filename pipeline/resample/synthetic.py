"""Rows made up between rows of a small class, by imbalanced-learn: SMOTE and its kin (Chawla et al. 2002; Han et al. 2005; He et al. 2008).

Numbers are brought to a standard deviation of 1 for it, so that no column's unit decides who is near, and gaps stand at the median. In
the end each row that was made up has the gaps of some row of its class: without, having none would tell it from those that are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import BadRecipe
from pipeline.predictions import Array
from pipeline.resample import Resample

CODES = 20  # different whole numbers, and no more, are taken for codes of categories
LEAST = 2  # rows of a class between which something can stand


def more_rows(step: Resample, X: Any, y: Array, seed: int) -> tuple[Any, Array]:
    """X (n, p), a DataFrame or an array of numbers, and y (n,), with rows made up below them until each class has `at` of the largest.

    Neighbours beyond the rows of a class are as many as it has; a class of one row is copied; a class that the way finds nothing to do
    for (none of its rows stand among other classes) stays as it is. Each is said in the log. Raises BadRecipe for columns between
    whose values nothing can stand.
    """
    table = _flags_as_numbers(X) if isinstance(X, pd.DataFrame) else None
    category = _categories(step, table) if table is not None else []
    number = [name for name in table if name not in category] if table is not None else []
    given = table[number].to_numpy(dtype=np.float64, na_value=np.nan) if table is not None else X
    values, centre, spread = _standard(given)
    codes = [table[name].cat.codes.to_numpy(dtype=np.float64) for name in category] if table is not None else []
    matrix = np.column_stack([values, *codes])
    made, labels = _made(step, matrix, y, [values.shape[1] + place for place in range(len(codes))], seed)
    if not len(made):
        return X, y
    numbers = made[:, : values.shape[1]] * spread + centre
    numbers[_gaps(~np.isfinite(given), y, labels, seed)] = np.nan
    if table is None:
        return np.concatenate([X, numbers.astype(X.dtype)]), np.concatenate([y, labels])
    more = {name: numbers[:, place].astype(_float(table[name])) for place, name in enumerate(number)}
    for place, name in enumerate(category):
        found = made[:, values.shape[1] + place].astype(np.int64)
        more[name] = pd.Categorical.from_codes(found, dtype=table[name].dtype)
    extended = pd.concat([table, pd.DataFrame(more)[list(table.columns)]], ignore_index=True)
    return extended, np.concatenate([y, labels.astype(y.dtype)])


def _gaps(gap: Array, y: Array, labels: Array, seed: int) -> Array:
    """(m, q) where rows made up, of classes `labels` (m,), have gaps: those of a row of their class, drawn. gap: (n, q) of the given rows."""
    rng, made = np.random.default_rng(seed), np.zeros((len(labels), gap.shape[1]), dtype=bool)
    for label in np.unique(labels):
        rows, own = np.flatnonzero(labels == label), np.flatnonzero(y == label)
        made[rows] = gap[rng.choice(own, len(rows))]
    return made


def _made(step: Resample, matrix: Array, y: Array, category: list[int], seed: int) -> tuple[Array, Array]:
    """The rows made up, class by class, each with neighbours of its own: (m, p), (m,)."""
    count = np.bincount(y)
    goal = max(1, round(step["at"] * count.max()))
    rows, labels = [matrix[:0]], [y[:0]]
    for label in np.flatnonzero((count > 0) & (count < goal)).tolist():
        lacking, have = goal - count[label], int(count[label])
        if have < LEAST:
            print(f"{step.way}: class {label} has {have} row; it is copied {lacking} times.")
            found = np.repeat(matrix[y == label], lacking, axis=0)
        else:
            neighbours = min(int(step["neighbours"]), have - 1)
            if neighbours < step["neighbours"]:
                print(f"{step.way}: class {label} has {have} rows, so {neighbours} neighbours instead of {step['neighbours']:g}.")
            found = _of_class(step.way, matrix, y, label, goal, neighbours, category, seed)
            if not len(found):
                print(f"{step.way}: no row of class {label} stands among other classes; it stays as it is.")
        rows.append(found)
        labels.append(np.full(len(found), label, dtype=y.dtype))
    return np.concatenate(rows), np.concatenate(labels)


def _of_class(way: str, matrix: Array, y: Array, label: int, goal: int, neighbours: int, category: list[int], seed: int) -> Array:
    from imblearn import over_sampling as by

    wanted: dict[str, Any] = {"sampling_strategy": {label: goal}, "random_state": seed}
    if way == "smotenc" and category:
        whole = len(category) == matrix.shape[1]
        kind = by.SMOTEN if whole else by.SMOTENC
        sampler = kind(**wanted, k_neighbors=neighbours, **({} if whole else {"categorical_features": category}))
    elif way == "borderline-smote":
        sampler = by.BorderlineSMOTE(**wanted, k_neighbors=neighbours, m_neighbors=min(10, len(y) - 1))
    elif way == "adasyn":
        sampler = by.ADASYN(**wanted, n_neighbors=neighbours)
    else:
        sampler = by.SMOTE(**wanted, k_neighbors=neighbours)
    try:
        found: Array = sampler.fit_resample(matrix, y)[0][len(matrix) :]
    except (RuntimeError, ValueError) as error:
        if way != "adasyn" or not any(told in str(error) for told in ("Not any neigbours", "No samples will be generated")):
            raise
        return matrix[:0]
    return found


def _categories(step: Resample, X: pd.DataFrame) -> list[str]:
    """Names of the category columns. Raises BadRecipe where the way can do nothing with a column."""
    from pipeline.models.views import kinds

    number, category, text = kinds(X)
    codes = [] if step.counts else [name for name in number if _are_codes(X[name])]
    if text:
        raise BadRecipe(
            f"{step.way} cannot make words up, and the features have columns of text: {_some(text)}. Leave them out of features(), or "
            "choose another way, such as copy."
        )
    if codes:
        raise BadRecipe(
            f"{step.way} would make up values between codes: {_some(codes)} hold whole numbers of {CODES} values or fewer. Make them "
            f"`category` in features() if they stand for categories (and choose smotenc), or say {step.way}:counts=yes if they count something."
        )
    if category and step.way != "smotenc":
        raise BadRecipe(
            f"{step.way} knows numbers alone, and the features have categories: {_some(category)}. Choose smotenc, or copy."
        )
    return category


def _flags_as_numbers(X: pd.DataFrame) -> pd.DataFrame:
    """With 0 and 1 for False and True: between them stands something, and a column of both kinds of values would be one of objects."""
    return X.astype({name: np.float64 for name in X if pd.api.types.is_bool_dtype(X[name].dtype)})


def _are_codes(column: pd.Series) -> bool:
    """Whether there are more than two different values, but few, and all of them whole: what it is kept as says nothing, since encoders
    give floats."""
    known = np.asarray(column.dropna().unique(), dtype=np.float64)
    known = known[np.isfinite(known)]
    return LEAST < len(known) <= CODES and bool((known % 1 == 0).all())


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _standard(values: Array) -> tuple[Array, Array, Array]:
    """(n, q) centred and scaled without gaps, and the centre (q,) and spread (q,)."""
    values = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    known = np.isfinite(values)
    there = known.any(axis=0)
    centre, spread = np.zeros(values.shape[1]), np.ones(values.shape[1])
    centre[there] = np.nanmedian(values[:, there], axis=0)
    spread[there] = np.nanstd(values[:, there], axis=0)
    spread[spread == 0] = 1.0
    return np.where(known, (values - centre) / spread, 0.0), centre, spread


def _float(column: pd.Series) -> Any:
    return column.dtype if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f" else np.float64
