"""Probabilities learned from other shares of the classes come back to what they are for the true ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.predictions import Array
from pipeline.resample.prior import corrected, ratio


def posterior(x: Array, share: Array) -> Array:
    """Of classes that are normal around 0, 1, 2 with these shares."""
    likelihood = np.exp(-((x[:, None] - np.arange(len(share))) ** 2) / 2) * share
    return likelihood / likelihood.sum(axis=1, keepdims=True)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_true_posterior_is_found_again_whatever_was_sampled(seed: int) -> None:
    draw = np.random.default_rng(seed)
    before, after = draw.integers(1, 1000, (2, 3)).astype(float)
    x = draw.normal(1, 2, 50)
    learned = posterior(x, after / after.sum())
    np.testing.assert_allclose(corrected(learned, ratio(before, after)), posterior(x, before / before.sum()), rtol=1e-9)


def test_a_class_without_rows_and_rows_of_zeros_stay_as_they_are() -> None:
    by = ratio(np.array([90.0, 10.0, 0.0]), np.array([90.0, 90.0, 0.0]))
    assert by[2] == 1
    p = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    assert corrected(p, by)[0].tolist() == pytest.approx([0.9, 0.1, 0])
    assert corrected(p, by)[1].tolist() == [0, 0, 0]
