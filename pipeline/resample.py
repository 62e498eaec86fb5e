"""Rare categories more often: how many times an epoch sees each image. Only ever given the images of a fold's training part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.errors import BadRecipe, UnknownName
from pipeline.predictions import Array


def repeat_factors(presence: Array, at: float) -> Array:
    """max(1, sqrt(at / f)) for the rarest of an image's categories, f the share of the images that have it (Gupta et al. 2019).

    at: the share below which a category counts as rare.
    """
    share = presence.mean(axis=0)
    by_category = np.sqrt(at / np.maximum(share, 1 / len(presence)))
    return np.maximum(1, np.where(presence, by_category, 0).max(axis=1, initial=1))


def class_aware(presence: Array, at: float) -> Array:
    """An epoch draws a category, each alike, and then an image that has it, as often as there are images (Shen et al. 2016).

    at: the share of an epoch that is drawn so; the rest is each image once. Images without boxes have their share of that alone.
    """
    count = presence.sum(axis=0)
    there = count > 0
    if not there.any():
        return np.ones(len(presence))
    drawn = (presence[:, there] / count[there]).sum(axis=1) / max(there.sum(), 1) * len(presence)
    return at * drawn + (1 - at)


def copies(presence: Array, at: float) -> Array:
    """Images are copied until each category is in at least `at` times as many images as the most frequent one."""
    count = presence.sum(axis=0)
    by_category = np.ceil(at * count.max(initial=0) / np.maximum(count, 1))
    return np.maximum(1, np.where(presence, by_category, 0).max(axis=1, initial=1))


WAYS: Mapping[str, Callable[[Array, float], Array]] = {
    "repeat-factor": repeat_factors,
    "class-aware": class_aware,
    "copy": copies,
}


def times(presence: Array, way: str | None, at: float) -> Array:
    """(n,) how many times an epoch sees each image, on average. presence: (n, c) bool, which categories are in which images.

    way: of WAYS, None for each image once. at: in (0, 1], see there. Raises UnknownName, BadRecipe.
    """
    check(way, at)
    return np.ones(len(presence)) if way is None else WAYS[way](presence, at)


def check(way: str | None, at: float) -> None:
    """Raise UnknownName or BadRecipe for what cannot be."""
    if way is not None and way not in WAYS:
        raise UnknownName("way of resampling images", str(way), WAYS)
    if not isinstance(at, int | float) or not 0 < at <= 1:
        raise BadRecipe(f"resample_at is {at!r}; give a share above 0, up to 1.")


def drawn(times: Array, draw: np.random.Generator) -> Array:
    """Places (m,) among the images, each as often as its `times` says, what is left of a whole number by chance; shuffled."""
    whole = np.floor(times)
    often = (whole + (draw.random(len(times)) < times - whole)).astype(np.int64)
    return draw.permutation(np.repeat(np.arange(len(times)), often))
