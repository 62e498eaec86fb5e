"""The same run in a fresh process: the same bytes, whatever the threads, the workers and the seed of Python's hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.conftest import Proof
from tests.reliability.small import Small, answer, start, sums

SETTINGS = (  # threads that libraries may use, seed of hashes, workers
    ("1", "0", "1"),
    ("4", "1", "2"),
    ("2", "2", "1"),
    ("1", "random", "2"),
)
SAME_WORKERS = (("1", "0", "2"), ("4", "random", "2"))


def made(
    small: Small, models: tuple[str, ...], runs: Path, threads: str, seed: str, workers: str
) -> tuple[dict[str, str], bytes]:
    """The sums of all that a process of its own made, and its answer."""
    words = (*small.words("run", *models, runs=runs), "--workers", workers, "--folds", "2")
    process = start(*words, OMP_NUM_THREADS=threads, PYTHONHASHSEED=seed)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return sums(runs / small.name), answer(Path(out.splitlines()[-1]))


def same(small: Small, models: tuple[str, ...], folder: Path, settings: tuple[tuple[str, str, str], ...]) -> dict[str, int]:
    first, *others = (made(small, models, folder / str(number), *setting) for number, setting in enumerate(settings))
    for setting, other in zip(settings[1:], others, strict=True):
        assert {path for path, digest in first[0].items() if other[0].get(path) != digest} == set(), setting
        assert other == first, setting
    return {"processes": len(settings), "files compared": len(first[0]) + 1, "files that differ": 0}


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_threads_workers_and_hashes_change_no_byte(small: Small, tmp_path: Path) -> None:
    same(small, small.quick, tmp_path, SETTINGS[:2])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fresh_processes_give_the_same_bytes(small: Small, tmp_path: Path, proof: Proof) -> None:
    models = ("lightgbm", *small.quick) if small.kind == "tables" else small.quick
    figures = same(small, models, tmp_path, SETTINGS)
    proof(6, "fresh processes: 1, 2 and 4 threads, 1 and 2 workers, several hash seeds", figures, small.kind)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("small", ["images", "boxes"], indirect=True)
def test_fresh_processes_give_the_same_nets(small: Small, tmp_path: Path, proof: Proof) -> None:
    """A net computes with as many threads as there are workers, which decides in what order it adds up; so that number stays."""
    figures = same(small, ("net",), tmp_path, SAME_WORKERS)
    proof(6, "fresh processes that train nets: several numbers of OMP_NUM_THREADS, several hash seeds", figures, small.kind)
