"""How alike members err, as a matrix and as a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.ensemble.diversity import correlations, pairs, told
from pipeline.metrics import METRICS


def test_errors_are_correlated_not_predictions() -> None:
    """Two good members predict nearly the same, and err independently."""
    random = np.random.default_rng(0)
    y = 10 * random.normal(size=5000)
    P = (y + random.normal(size=(3, 5000)))[:, :, None]
    P[2] = P[0] + 0.1 * random.normal(size=(5000, 1))
    found = correlations(P, y, METRICS["rmse"])
    np.testing.assert_allclose(found, np.corrcoef(P[:, :, 0] - y), atol=1e-12)
    assert pairs(("a", "b", "c"), found)[0][:2] == ("a", "c")
    [sentence] = told(("a", "b", "c"), found)
    assert sentence.startswith("Errors correlate the most: a and c (0.99")
    assert sentence.endswith("1 of 3 pairs err alike to 0.98 or more: one of two would do.")


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "auc"])
def test_of_classes_it_is_what_the_true_class_lacks(name: str) -> None:
    random = np.random.default_rng(0)
    P, y = random.dirichlet(np.ones(3), (2, 400)), random.integers(3, size=400)
    np.testing.assert_allclose(correlations(P, y, METRICS[name]), np.corrcoef(P[:, np.arange(400), y]), atol=1e-12)


def test_a_member_that_never_errs_is_like_no_other() -> None:
    y = np.arange(5.0)
    found = correlations(np.stack([y, y + y % 2])[:, :, None], y, METRICS["rmse"])
    assert found.tolist() == [[1, 0], [0, 1]]
    assert told(("a",), np.ones((1, 1))) == ()
