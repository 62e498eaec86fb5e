"""Numbers for names: text is compared once, and from then on integers are."""

from __future__ import annotations

import numba
import numpy as np

from pipeline.predictions import Array

BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # of the hash FNV-1a


def numbered(text: Array) -> tuple[Array, Array]:
    """The names in `text` (n,), sorted, and the number of each, (n,) int64: as np.unique with its inverse, which sorts all of the text."""
    words = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), text.dtype.itemsize // 4)
    first, number = _first_seen(words)
    order = np.argsort(text[first])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return text[first[order]], place[number]


@numba.njit(cache=True, nogil=True)
def _first_seen(words: Array) -> tuple[Array, Array]:
    """words: (n, w) uint32. The row in which each distinct one stands first, and (n,) int64, which of these each row is."""
    n = len(words)
    room = 16
    while room < 2 * n:
        room *= 2
    slots, first, number = np.full(room, -1), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    found = 0
    for row in range(n):
        if row and _equal(words[row], words[row - 1]):  # boxes of an image mostly stand together
            number[row] = number[row - 1]
            continue
        mixed = BASIS
        for word in words[row]:
            mixed = (mixed ^ np.uint64(word)) * PRIME
        slot = np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(room - 1))
        while slots[slot] >= 0 and not _equal(words[row], words[first[slots[slot]]]):
            slot = (slot + 1) % room
        if slots[slot] < 0:
            slots[slot] = found
            first[found] = row
            found += 1
        number[row] = slots[slot]
    return first[:found], number


@numba.njit(cache=True, nogil=True)
def _equal(a: Array, b: Array) -> bool:
    different = np.uint32(0)
    for at in range(len(a)):
        different |= a[at] ^ b[at]
    return bool(different == 0)
