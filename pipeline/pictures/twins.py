"""Which pictures are the same one, and what follows for learning from them.

Two files show the same picture if their bytes are equal, or if they differ only as a picture does that was saved anew in
another quality or format, made larger or smaller, mirrored, or turned by right angles. That is looked for in two steps: prints
that differ in at most 6 of 64 bits name candidates, and their thumbnails of 32 x 32 grey values decide. On 18,353 photographs
of leaves on plain ground, 487,000 pairs have such prints, as very many leaves lie the same way; three of them are kept, and a
look at these shows one leaf twice each time. Of 250 such photographs saved anew, mirrored, turned or made smaller, 97 to 99 of
a hundred are found again; the others have hardly any contrast.

What it cannot find: crops, other angles, colours or brightness that were changed, pictures made smaller without smoothing (40 of
100 are missed), and the near twins of pictures with hardly any contrast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.errors import BadData
from pipeline.pictures.index import SIDE, VIEWS, Index, view
from pipeline.predictions import Array

# Of grey values 0 to 255, in thumbnails. They are set so that leaves which merely lie alike are told apart, see above.
BITS = 6  # that prints may differ in
CONTRAST = 2.0  # the standard deviation below which pictures look alike, whatever they show
FARTHEST = 16  # between two cells of the same place
NOISE = 4.0  # the mean square of what saving in low quality changes
DIFFERENT = 0.1  # the part of a tile's variance that may differ, after the noise
SHARP = 0.9  # how far edges must agree, over the whole picture
TILES = 4  # per side
COMPARISONS = 2**22  # of prints at a time
CANDIDATES = 2**13  # of thumbnails at a time


def twins(index: Index) -> Array:
    """(n,) int64: the same number for the same picture, counted from 0 in the order of the index.

    Every pair of pictures is compared: 18,000 take seconds, ten times as many a hundred times as long.
    """
    _, first, same = np.unique(index.sha256, return_index=True, return_inverse=True)
    pairs = [np.stack([first[same], np.arange(len(index))])]
    parts = np.split(first, range(CANDIDATES, len(first), CANDIDATES))
    worth = np.concatenate([part[index.thumbnails[part].std(axis=(1, 2)) >= CONTRAST] for part in parts])
    pairs += [pair[:, _same_picture(*_pair(index, pair, seen))] for seen, pair in _candidates(index.prints, worth)]
    left, right = np.concatenate(pairs, axis=1)
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(index), len(index)))
    _, group = connected_components(links, directed=False)
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group].astype(np.int64)


def conflicts(groups: Array, labels: Sequence[Any]) -> pd.DataFrame:
    """The rows of pictures that stand under different labels: columns group, row and label, sorted by group and row.

    groups: (n,) of `twins`. labels: (n,), None or NaN where a row has none.
    """
    rows = pd.DataFrame({"group": groups, "row": np.arange(len(groups)), "label": pd.Series(labels, dtype=object)}).dropna()
    different = rows.groupby("group")["label"].transform("nunique") > 1
    return rows[different].sort_values(["group", "row"], ignore_index=True)


def to_learn(sha256: Array, labels: Sequence[Any]) -> Array:
    """(n,) bool: which rows to learn from. Of byte-identical pictures with different labels only the rows with the majority's
    label (more than half of them); where no label has a majority, none.

    sha256, labels: (n,) of the labelled rows. Raises BadData if they do not go together.
    """
    if len(sha256) != len(labels):
        raise BadData(f"There are {len(sha256)} pictures and {len(labels)} labels; each row needs one of both.")
    keys = [str(key) for key in sha256]
    of_picture, of_label = Counter(keys), Counter(zip(keys, labels, strict=True))
    return np.array([2 * of_label[key, label] > of_picture[key] for key, label in zip(keys, labels, strict=True)], dtype=bool)


def _candidates(prints: Array, rows: Array) -> Iterator[tuple[int, Array]]:
    """A view's number, and pairs (2, m) of rows such that the second's print in that view is near the first's own."""
    own, block = prints[rows, 0], max(1, COMPARISONS // max(1, len(rows)))
    for start in range(0, len(rows), block):
        for seen in range(VIEWS):
            apart = np.bitwise_count(own[start : start + block, None] ^ prints[rows[start:], seen])
            left, right = np.nonzero(apart <= BITS)
            pair = rows[start + np.stack([left, right])[:, left < right]]
            yield from ((seen, pair[:, few : few + CANDIDATES]) for few in range(0, pair.shape[1], CANDIDATES))


def _pair(index: Index, pair: Array, seen: int) -> tuple[Array, Array]:
    left, right = index.thumbnails[pair]
    return left, view(right, seen)


def _same_picture(left: Array, right: Array) -> Array:
    """(m,) bool of thumbnails (m, 32, 32) each: no cell far off, edges alike, and no tile with something else in it.

    A correlation of whole thumbnails would see the ground and the ruler beside a leaf; of a needle on white it sees nothing.
    """
    same = (np.maximum(left, right) - np.minimum(left, right)).max(axis=(1, 2)) <= FARTHEST
    a, b = left[same].astype(np.float32), right[same].astype(np.float32)
    edges_a, edges_b = _edges(a), _edges(b)
    whole = ((edges_a - edges_b) ** 2).sum(axis=(1, 2)) / ((edges_a**2).sum(axis=(1, 2)) + (edges_b**2).sum(axis=(1, 2)) + 1e-9)
    off = (_tiles(a - b) ** 2).mean(axis=-1)
    variance = (_tiles(a).var(axis=-1) + _tiles(b).var(axis=-1)) / 2
    same[same] = (whole <= 1 - SHARP) & (off - NOISE <= DIFFERENT * (variance + NOISE)).all(axis=1)
    return same


def _edges(pictures: Array) -> Array:
    """Laplacian of the cells, (m, 32, 32); the border is continued as it is."""
    p = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return 4 * pictures - p[:, :-2, 1:-1] - p[:, 2:, 1:-1] - p[:, 1:-1, :-2] - p[:, 1:-1, 2:]


def _tiles(pictures: Array) -> Array:
    """(m, 16, 64): the cells of each tile."""
    m, side = len(pictures), SIDE // TILES
    return pictures.reshape(m, TILES, side, TILES, side).transpose(0, 1, 3, 2, 4).reshape(m, TILES**2, side**2)
