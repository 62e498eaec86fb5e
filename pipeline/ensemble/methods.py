"""The ensemble methods by name."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ensemble.bagging import bagged_climbing
from pipeline.ensemble.climbing import hill_climbing
from pipeline.ensemble.ranks import rank_mean
from pipeline.ensemble.simplex import nnls
from pipeline.ensemble.stacking import ridge
from pipeline.ensemble.trees import trees
from pipeline.ensemble.weighted import Fit, best, mean

METHODS: Mapping[str, Fit] = {
    "best": best,
    "mean": mean,
    "hill-climbing": hill_climbing,
    "bagged-climbing": bagged_climbing,
    "nnls": nnls,
    "ridge": ridge,
    "rank-mean": rank_mean,
    "trees": trees,
}
"""Simplest first: of methods that score the same, the earlier is taken."""
