"""Batches of training pictures, prepared ahead of the step that learns from them.

Which pictures, in which order and how changed depends on (seed, epoch, picture, how many times it was there before) alone, not on who prepares
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.models.augment import augment
from pipeline.predictions import Array

AHEAD = 2  # batches that each worker prepares before they are asked for
ORDER, CHANGE, MIX, NET, HELD, TURN = range(6)  # what random numbers are drawn for: streams that never meet

Batch = tuple[int, Array]  # the epoch, and places (b,) among the training pictures


@dataclass(frozen=True)
class Pictures:
    """pixels: (m, size, size, 3) uint8, of all pictures. rows: (n,) which of them are trained on. y: (n,) int64 classes, of so many."""

    pixels: Array
    rows: Array
    y: Array
    classes: int

    def __len__(self) -> int:
        return len(self.rows)


def generator(purpose: int, seed: int, epoch: int, what: int = 0, *more: int) -> np.random.Generator:
    return np.random.default_rng([purpose, seed, epoch, what, *more])


def parts(total: int, most: int) -> int:
    """Into how many batches, as equal as can be and of at most `most`. Never one of a single row, which batch norm cannot learn
    from, unless that is all there is or what is asked for: three rows in batches of two are one batch of three."""
    count = -(-total // most)
    return count if most == 1 or total >= 2 * count else max(1, total // 2)


def in_batches(places: Array, most: int) -> list[Array]:
    """Places (m,) in their order, in batches as equal as can be."""
    return np.array_split(places, parts(len(places), most))


def epoch_batches(total: int, most: int, seed: int, epoch: int) -> list[Array]:
    """Places 0 to total - 1 in this epoch's random order, each in one batch."""
    return in_batches(generator(ORDER, seed, epoch).permutation(total), most)


class Labelled(Dataset):
    """(b, size, size, 3) uint8 of the i-th batch, augmented as asked (see `augment.augment`)."""

    def __init__(self, pictures: Pictures, batches: Sequence[Batch], asked: str | Mapping[str, Any], seed: int) -> None:
        self.pictures, self.batches, self.seed = pictures, batches, seed
        self.augment = augment(asked, pictures.pixels.shape[1])
        self.before = times_before(batches, len(pictures))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Tensor:
        epoch, places = self.batches[number]
        made = []
        for row, before in zip(self.pictures.rows[places].tolist(), self.before[number].tolist(), strict=True):
            draw = generator(CHANGE, self.seed, epoch, row, *[before] * (before > 0))
            made.append(self.augment(np.array(self.pictures.pixels[row]), draw))
        return torch.from_numpy(np.stack(made))


def times_before(batches: Sequence[Batch], total: int) -> list[Array]:
    """For each batch (b,) how many times each of its pictures was in its epoch before: copies shall not look alike."""
    seen: dict[int, Array] = {}
    made = []
    for epoch, places in batches:
        so_far = seen.setdefault(epoch, np.zeros(total, dtype=np.int64))
        before = np.empty(len(places), dtype=np.int64)
        for at, place in enumerate(places.tolist()):
            before[at] = so_far[place]
            so_far[place] += 1
        made.append(before)
    return made


def ahead(prepared: Any, workers: int) -> Generator[Any, None, None]:
    """What is prepared, in turn. workers: processes, with pinned memory, for a GPU that waits; 0: one thread, which is enough where the
    step itself is slow and needs the cores. prepared: with a length and `__getitem__`, such as `Labelled`."""
    if not workers:
        yield from _by_thread(prepared)
        return
    yield from DataLoader(
        prepared,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # its own, so that the net's random numbers do not depend on who prepares
        multiprocessing_context="fork",  # so that the map of pixels is shared, not copied
        worker_init_fn=_one_thread,
    )


def _by_thread(prepared: Any) -> Generator[Any, None, None]:
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(prepared.__getitem__, number) for number in range(min(AHEAD, len(prepared))))
        try:
            for number in range(len(prepared)):
                batch = waiting.popleft().result()
                if number + AHEAD < len(prepared):
                    waiting.append(pool.submit(prepared.__getitem__, number + AHEAD))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def _one_thread(worker: int) -> None:  # noqa: ARG001 - the loader tells each worker its number
    cv2.setNumThreads(0)  # its pool of threads does not survive a fork
