"""A kill at the n-th write, sync, rename or removal, for every n: the same command goes on, and the end is the same to the byte."""

from __future__ import annotations

import random
import shutil
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.store import STRAY
from tests.reliability.conftest import Proof
from tests.reliability.dying import NEVER, command, killed_at, served
from tests.reliability.small import Small, answer, finished, litter, sums

ACTS = {"tables": ("run", "own"), "images": ("train", "net"), "boxes": ("train", "strict")}


def killed_at_each(small: Small, podium: Any, folder: Path, act: tuple[str, ...], first: int, step: int) -> dict[str, int]:
    """Of the calls first, first + step, ... of a command with its models."""
    more = ("--folds", "2", "--workers", "1")
    whole, tried, units, strays = folder / "whole" / small.name, 0, 0, 0
    assert podium(*small.words(*act, runs=whole.parent), *more[:2]).code == 0
    told = {answer(file) for file in whole.glob("submissions/2*/submission.csv")}
    for at in count(first, step):
        root = folder / str(at) / small.name
        life = partial(command, *small.words(*act, runs=root.parent), *more)
        if not killed_at(at, life, root, served):
            break
        tried += 1
        before = finished(root)
        strays += len(list(root.rglob(f"{STRAY}*")))
        assert not killed_at(NEVER, life, root, served)
        after = finished(root)
        assert {place: after.get(place) for place in before} == before, f"call {at}: a finished unit was lost or changed"
        assert not litter(root), f"call {at}"
        assert sums(root) == sums(whole), f"call {at}"
        assert {answer(file) for file in root.glob("submissions/2*/submission.csv")} == told, f"call {at}"
        units += len(before)
        shutil.rmtree(root.parent)
    assert tried > 5
    assert strays
    return {
        "calls that were the last": tried,
        "half-written folders swept": strays,
        "finished units met": units,
        "units lost or changed": 0,
        "bytes that differ at the end": 0,
    }


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_a_kill_at_some_writes_loses_nothing(small: Small, podium: Any, tmp_path: Path) -> None:
    first = random.Random(4).randrange(1, 11)
    killed_at_each(small, podium, tmp_path, ACTS[small.kind], first, 11)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kill_at_every_write_loses_nothing(small: Small, podium: Any, tmp_path: Path, proof: Proof) -> None:
    """Of tables every one; of pictures, where a life takes longer, some."""
    step = {"tables": 1, "images": 40, "boxes": 10}[small.kind]
    figures = killed_at_each(small, podium, tmp_path, ACTS[small.kind], 1, step)
    proof(2, f"a kill at every {f'{step}th ' if step > 1 else ''}write, sync, rename or removal", figures, small.kind)
