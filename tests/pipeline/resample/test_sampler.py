"""A step at work sees what it is given and nothing else, counts it, and knows what its probabilities are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from pipeline.errors import BadRecipe
from pipeline.resample import WAYS, Resample
from pipeline.resample.sampler import Sampler

Y = np.repeat([0, 1], [990, 10])
OF_CLASSES = sorted(name for name, way in WAYS.items() if "classes" in way.of and name not in ("recency", "likeness"))


def made(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """One row of a hundred is of class 1."""
    draw = np.random.default_rng(seed)
    y = (draw.random(n) < 0.01).astype(np.int64)
    return pd.DataFrame({"a": draw.normal(2.0 * y, 1), "b": draw.normal(size=n)}), y


@pytest.mark.parametrize("way", [way for way in OF_CLASSES if way not in ("adasyn", "borderline-smote")])
def test_corrected_probabilities_are_as_sure_as_they_are_right(way: str) -> None:
    """A logistic regression on 20,000 rows of which 1 in 100 is rare: the mean of its probabilities is again the rare class's share."""
    (X, y), (new, truth) = made(20_000, 0), made(20_000, 1)
    sampler = Sampler(Resample(way), 2, 0)
    more, labels, weight = sampler.rows(X, y)
    p = LogisticRegression().fit(more, labels, weight).predict_proba(new)
    right = sampler.corrected(p)
    assert right[:, 1].mean() == pytest.approx(truth.mean(), rel=0.2)
    np.testing.assert_allclose(right.sum(axis=1), 1)
    as_it_is = Sampler(Resample(way, correct=False), 2, 0)
    as_it_is.rows(X, y)
    assert as_it_is.corrected(p) is p
    if way not in ("effective", "repeat-factor", "square-root"):
        assert p[:, 1].mean() > 5 * truth.mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(OF_CLASSES))
def test_all_that_is_learned_are_given_rows_or_between_them(seed: int, way: str) -> None:
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.repeat([0, 1, 2], [40, 12, 3]))
    X = pd.DataFrame(draw.normal(size=(55, 2)), columns=["a", "b"])
    sampler = Sampler(Resample(way), 3, seed % 2**31)
    more, labels, weight = sampler.rows(X, y)
    assert len(more) == len(labels)
    assert (weight is None) == (WAYS[way].kind != "weights")
    assert set(labels) == {0, 1, 2}
    if WAYS[way].kind == "often":
        given_rows = {(*row, label) for row, label in zip(X.itertuples(index=False, name=None), y.tolist(), strict=True)}
        assert {
            (*row, label) for row, label in zip(more.itertuples(index=False, name=None), labels.tolist(), strict=True)
        } <= given_rows
    assert sampler.before is not None
    assert sampler.before.tolist() == [40, 12, 3]
    learned = np.bincount(labels, minlength=3) if weight is None else np.bincount(y, weights=weight, minlength=3)
    assert sampler.after == pytest.approx(learned)


def test_an_epoch_draws_anew_and_balanced_batches_hold_all_classes_alike() -> None:
    sampler = Sampler(Resample("balanced"), 2, 0)
    first, second = (sampler.epoch(Y, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.tolist() != second.tolist()
    for start in range(0, 1000, 50):
        assert abs(int(Y[first[start : start + 50]].sum()) - 25) <= 1


def test_of_numbers_the_effective_rows_are_counted() -> None:
    sampler = Sampler(Resample("recency"), 0, 0, when=np.arange(100.0))
    X, y = pd.DataFrame({"a": np.arange(10.0)}), np.arange(10.0)
    _, _, weight = sampler.rows(X, y, at=np.arange(90, 100))
    assert weight is not None
    assert weight[-1] == weight.max()
    assert sampler.before is not None
    assert sampler.after is not None
    assert sampler.before.tolist() == [10]
    assert 5 < sampler.after[0] < 10
    assert sampler.corrected(X.to_numpy()) is not None


def test_what_a_step_needs_and_lacks_is_said() -> None:
    X, y = pd.DataFrame({"a": np.arange(10.0)}), np.arange(10.0)
    with pytest.raises(BadRecipe, match="recency needs to know when each row was"):
        Sampler(Resample("recency"), 0, 0).rows(X, y)
    with pytest.raises(BadRecipe, match="likeness needs the features of the test rows"):
        Sampler(Resample("likeness"), 0, 0).rows(X, y)
