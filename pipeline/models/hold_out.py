"""Rows held out inside a fold, and the temperature that is learned from them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from pipeline.errors import BadRecipe
from pipeline.models.batches import HELD, generator
from pipeline.predictions import Array
from pipeline.resample.prior import corrected


def held_out(same: Array, labelled: Array, y: Array, share: float, seed: int) -> Array:
    """(n,) whether a row is held out: this share of each class's pictures. same: (n,) equal for the same picture, which is on one side.

    labelled: (n,) whether y is a label or what a model takes for it (a pseudo-label); by the latter nothing is judged. Of every class
    something is left to learn. Raises BadRecipe where the share holds out none, or all.
    """
    names, group = np.unique(same, return_inverse=True)
    label, away = np.empty(len(names), dtype=np.int64), np.zeros(len(names), dtype=bool)
    label[group] = y
    judging = np.ones(len(names), dtype=bool)
    judging[group[~labelled]] = False
    draw = generator(HELD, seed, 0)
    for number in np.unique(label):
        members = draw.permutation(np.flatnonzero((label == number) & judging))
        away[members[: round(share * len(members))]] = True
    away[group[~np.isin(y, y[~away[group]])]] = False
    if share and (not away.any() or away.all()):
        raise BadRecipe(
            f"hold_out {share} of {len(y)} rows in {len(np.unique(y))} classes leaves one side empty; choose another share, or 0."
        )
    return away[group]


def log_loss(p: Array, y: Array) -> float:
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean())


def tempered(p: Array, temperature: float, ratio: Array | None = None) -> Array:
    """Probabilities made less (above 1) or more sure (below 1), in the same order. ratio: (k,) brings them back to the classes' shares
    after that (`resample.prior`): before, the temperature would change the shares too."""
    sure: Array = softmax(np.log(np.maximum(p, 1e-12)) / temperature, axis=1)
    return sure if ratio is None else corrected(sure, ratio)


def temperature(p: Array, y: Array, ratio: Array | None = None) -> float:
    """The one with the least loss on these rows (Guo et al. 2017), between 1 / 10 and 10."""
    found = minimize_scalar(lambda power: log_loss(tempered(p, 10**power, ratio), y), bounds=(-1, 1), method="bounded")
    return float(10**found.x)
