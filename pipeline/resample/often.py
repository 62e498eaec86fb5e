"""How many times an epoch sees each row, and in which order, so that rare classes are seen more often."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.predictions import Array


def repeat_factors(presence: Array, at: float) -> Array:
    """max(1, sqrt(at / f)) for the rarest of a row's classes, f the share of the rows that have it (Gupta et al. 2019).

    at: the share below which a class counts as rare.
    """
    share = presence.mean(axis=0)
    by_class = np.sqrt(at / np.maximum(share, 1 / len(presence)))
    return np.maximum(1, np.where(presence, by_class, 0).max(axis=1, initial=1))


def class_aware(presence: Array, at: float) -> Array:
    """An epoch draws a class, each alike, and then a row that has it, as often as there are rows (Shen et al. 2016).

    at: the share of an epoch that is drawn so; the rest is each row once. Images without boxes have their share of that alone.
    """
    count = presence.sum(axis=0)
    there = count > 0
    if not there.any():
        return np.ones(len(presence))
    drawn = (presence[:, there] / count[there]).sum(axis=1) / max(there.sum(), 1) * len(presence)
    return at * drawn + (1 - at)


def copies(presence: Array, at: float) -> Array:
    """Rows are copied until each class is in at least `at` times as many rows as the most frequent one.

    Of classes that exclude each other this is random oversampling; what is left of a whole number of copies is drawn.
    """
    count = presence.sum(axis=0)
    by_class = at * count.max(initial=0) / np.maximum(count, 1)
    if presence.sum(axis=1).max(initial=0) > 1:
        by_class = np.ceil(by_class)  # an image brings other classes along: whole copies, so that `at` is reached
    return np.maximum(1, np.where(presence, by_class, 0).max(axis=1, initial=1))


def fewer(presence: Array, at: float) -> Array:
    """Rows are left out until no class has more than 1 / at times the rows of the smallest (random undersampling)."""
    count = presence.sum(axis=0)
    most = count[count > 0].min(initial=len(presence)) / at
    kept = np.minimum(1, most / np.maximum(count, 1))
    return np.where(presence, kept, 1).min(axis=1, initial=1)


TIMES: Mapping[str, Callable[[Array, float], Array]] = {
    "repeat-factor": repeat_factors,
    "class-aware": class_aware,
    "balanced": class_aware,
    "copy": copies,
    "under": fewer,
}


def drawn(times: Array, draw: np.random.Generator) -> Array:
    """Places (m,) among the rows, each as often as its `times` says, what is left of a whole number by chance; shuffled."""
    whole = np.floor(times)
    often = (whole + (draw.random(len(times)) < times - whole)).astype(np.int64)
    return draw.permutation(np.repeat(np.arange(len(times)), often))


def drawn_by_class(times: Array, y: Array, draw: np.random.Generator) -> Array:
    """The same where `times` is equal within the classes y (n,): of each class the exact number, to the nearest row.

    So a class that shall be as large as another one is, and of the rows none is learned twice before all are once.
    """
    chosen = []
    for label in np.unique(y):
        rows = draw.permutation(np.flatnonzero(y == label))
        total = max(1, round(float(times[rows].sum())))
        chosen.append(np.resize(rows, total))
    return draw.permutation(np.concatenate(chosen))


def in_turn(places: Array, y: Array, draw: np.random.Generator) -> Array:
    """The places ordered so that the classes y (n,) are spread evenly: any stretch holds each as often as the whole does."""
    label = y[places]
    at = np.empty(len(places))
    for one in np.unique(label):
        mine = draw.permutation(np.flatnonzero(label == one))
        at[mine] = (np.arange(len(mine)) + draw.random()) / len(mine)
    ordered: Array = places[np.argsort(at, kind="stable")]
    return ordered
