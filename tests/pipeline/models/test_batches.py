"""Batches: every picture once an epoch, never one alone, the same whoever prepares them."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.models.batches import Labelled, Pictures, ahead, epoch_batches


@settings(deadline=None)
@given(total=some.integers(1, 300), most=some.integers(1, 70), epoch=some.integers(0, 5))
def test_every_row_is_in_one_batch_and_no_batch_is_of_one_row(total: int, most: int, epoch: int) -> None:
    made = epoch_batches(total, most, 0, epoch)
    sizes = [len(batch) for batch in made]
    assert sorted(np.concatenate(made).tolist()) == list(range(total))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(most, 3)
    assert min(sizes) > 1 or total == 1 or most == 1


def test_the_order_is_the_seeds_and_the_epochs() -> None:
    orders = [np.concatenate(epoch_batches(50, 8, seed, epoch)).tolist() for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3


def pictures() -> Pictures:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    return Pictures(pixels, np.arange(3, 20), np.zeros(17, dtype=np.int64), 1)


def prepared(workers: int, batches: list[tuple[int, np.ndarray]]) -> Generator[torch.Tensor, None, None]:
    return ahead(Labelled(pictures(), batches, "strong", 5), workers)


def test_a_batch_is_the_same_whoever_prepares_it() -> None:
    batches = [(epoch, places) for epoch in range(2) for places in epoch_batches(17, 4, 5, epoch)]
    by_thread, by_processes = (torch.cat(list(prepared(workers, batches))) for workers in (0, 2))
    assert by_thread.shape == (34, 16, 16, 3)
    assert torch.equal(by_thread, by_processes)
    alone = list(prepared(0, [batches[-1]]))
    assert torch.equal(alone[0], by_thread[-len(alone[0]) :])


def test_a_picture_looks_different_in_each_epoch() -> None:
    first, second = prepared(0, [(0, np.arange(5)), (1, np.arange(5))])
    assert not torch.equal(first, second)


def test_a_picture_that_comes_again_in_an_epoch_looks_different_and_its_first_time_is_as_without() -> None:
    once = Labelled(pictures(), [(0, np.array([3, 1]))], "strong", 5)[0]
    often = Labelled(pictures(), [(0, np.array([3, 3])), (0, np.array([1, 3]))], "strong", 5)
    first, second = often[0], often[1]
    assert torch.equal(first[0], once[0])
    assert torch.equal(second[0], once[1])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], second[1])


@pytest.mark.parametrize("taken", [0, 1])
def test_one_may_stop_before_the_end(taken: int) -> None:
    batches = prepared(0, [(0, np.arange(5))] * 9)
    for _ in range(taken):
        next(batches)
    batches.close()
