"""Probabilities that were learned from other shares of the classes, brought back to the true ones."""

from __future__ import annotations

import numpy as np

from pipeline.predictions import Array


def ratio(before: Array, after: Array) -> Array:
    """(k,) by what the probability of each class is multiplied: its share before, by its share in what was learned.

    1 for a class of which nothing was learned.
    """
    there = (before > 0) & (after > 0)
    found = np.ones(len(before))
    found[there] = (before[there] / before.sum()) / (after[there] / after.sum())
    return found


def corrected(p: Array, by: Array) -> Array:
    """(n, k) rows that sum to 1: Bayes' rule with the other prior (Elkan 2001; Saerens et al. 2002). Rows of zeros stay."""
    moved = p * by
    total = moved.sum(axis=1, keepdims=True)
    return np.divide(moved, total, out=p.copy(), where=total > 0)
