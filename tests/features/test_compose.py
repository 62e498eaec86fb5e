"""Transformers side by side and one after the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from features.compose import Union
from features.encodings import Categories, TargetEncoding
from features.numbers import Logs, Numbers, Unit, UnitRepair
from pipeline.errors import BadContract

X = pd.DataFrame({"lot": [0.5, 8000, 0.1, 4000], "zip": [1, 1, 2, 2], "kind": ["a", "b", "a", "b"]}, index=[9, 8, 7, 6])
Y = np.array([1.0, 2.0, 3.0, 4.0])
PARTS = [Logs(("lot",)), TargetEncoding(("zip",), inner=2), Categories(("kind",), min_rows=1)]


def test_a_union_is_its_parts_beside_each_other_with_their_inner_folds() -> None:
    union = Union(PARTS)
    expected = pd.concat([clone(part).fit_transform(X, Y) for part in PARTS], axis=1)
    assert_frame_equal(union.fit_transform(X, Y), expected)
    assert not union.transform(X)["mean__zip"].equals(expected["mean__zip"])
    assert_frame_equal(Union(PARTS).fit(X, Y).transform(X), union.transform(X))
    assert str(expected["kind"].dtype) == "category"


def test_the_parts_that_were_given_stay_unfitted() -> None:
    Union(PARTS).fit(X, Y)
    assert not [name for part in PARTS for name in vars(part) if name.endswith("_")]


def test_repairs_come_before_features_in_a_pipeline() -> None:
    chain = make_pipeline(
        UnitRepair({"lot": Unit(43560, below=100)}), Union([Numbers(("lot",)), TargetEncoding(("zip",), inner=2)])
    )
    made = chain.fit_transform(X, Y)
    assert made["lot"].tolist() == [21780, 8000, 4356, 4000]
    assert not made["mean__zip"].equals(chain.transform(X)["mean__zip"])


def test_two_parts_with_the_same_feature_are_refused() -> None:
    with pytest.raises(BadContract, match="1 features are made by two parts of a Union, first 'log__lot'"):
        Union([Logs(("lot",)), Logs(("lot",))]).fit_transform(X, Y)


def test_a_union_of_nothing_is_a_table_without_columns() -> None:
    assert Union([]).fit_transform(X, Y).shape == (4, 0)
