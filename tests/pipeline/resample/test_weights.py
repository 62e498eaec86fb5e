"""Weights have a mean of 1 and say what their papers say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecipe
from pipeline.resample import Resample
from pipeline.resample.weights import CLASS_WEIGHTS, by_class, density, likeness, recency

COUNT = np.array([100, 25, 4, 0])


def test_class_weights_are_as_the_papers_say() -> None:
    inverse, root, effective = (by_class(Resample(way), COUNT) for way in ("inverse", "square-root", "effective"))
    assert inverse[0] * 100 == pytest.approx(inverse[1] * 25) == pytest.approx(inverse[2] * 4)
    assert root[2] / root[0] == pytest.approx(5)
    assert effective[2] / effective[0] == pytest.approx((1 - 0.999**100) / (1 - 0.999**4))
    assert by_class(Resample("effective", {"beta": 0.0}), COUNT)[:3].tolist() == [1, 1, 1]  # each row counts alike
    for weight in (inverse, root, effective):
        assert weight[3] == 0
        assert weight @ COUNT == pytest.approx(COUNT.sum())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(CLASS_WEIGHTS)))
def test_no_class_weight_is_lost(seed: int, way: str) -> None:
    count = np.random.default_rng(seed).integers(0, 10**6, 5)
    count[0] += 1
    weight = by_class(Resample(way), count)
    assert np.isfinite(weight).all()
    assert weight @ count == pytest.approx(count.sum())
    order = np.argsort(count[count > 0])
    assert (np.diff(weight[count > 0][order]) <= 1e-9).all()


def test_rare_targets_weigh_more() -> None:
    y = np.append(np.random.default_rng(0).normal(size=500), 8.0)
    weight = density(y, 1.0)
    assert weight.mean() == pytest.approx(1)
    assert weight[-1] == weight.max() > 2 * weight[np.abs(y) < 0.1].mean()
    assert (density(y, 0.0) == 1).all()
    assert (density(np.full(9, 3.0), 1.0) == 1).all()


def test_one_gross_error_does_not_make_all_others_alike() -> None:
    y = np.append(np.random.default_rng(0).normal(size=500), [3.5, 1e6])
    weight = density(y, 1.0)
    assert weight[-2] > 2 * weight[np.abs(y) < 0.1].mean()


def test_likeness_reads_categories_of_which_test_has_others() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"town": pd.Categorical(random.choice(list("abc"), 600))})
    asked = pd.DataFrame({"town": pd.Categorical(random.choice(list("cd"), 300))})
    weight = likeness(X, asked, 0, 10)
    assert weight[X["town"] == "c"].min() > 2 * weight[X["town"] == "a"].max()


def test_a_weight_halves_with_each_half_of_the_time() -> None:
    weight = recency(np.array([0.0, 50.0, 100.0]), 0.25)
    assert weight.mean() == pytest.approx(1)
    assert (weight / weight[2]).tolist() == pytest.approx([1 / 16, 1 / 4, 1])
    assert (recency(np.full(5, 7.0), 0.25) == 1).all()


def test_rows_like_the_test_rows_weigh_more() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"a": random.uniform(0, 1, 600), "b": random.normal(size=600)})
    asked = pd.DataFrame({"a": random.uniform(0.7, 1, 300), "b": random.normal(size=300)})
    weight = likeness(X, asked, 0, 10)
    assert weight.mean() == pytest.approx(1)
    assert weight[X.a > 0.8].mean() > 3 * weight[X.a < 0.6].mean()
    assert weight.max() / weight.min() <= 100 + 1e-9
    assert likeness(X, asked, 0, 10).tobytes() == weight.tobytes()
    with pytest.raises(BadRecipe, match="there are 600 and 3"):
        likeness(X, asked[:3], 0, 10)
