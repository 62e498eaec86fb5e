"""Several processes on one run folder: each ends with the same answer, and what they leave is what one alone leaves."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.store import MANIFEST, Store
from tests.reliability.conftest import Proof
from tests.reliability.small import Small, answer, finished, litter, start, sums

WORKERS = ("1", "2", "1")


def together(
    small: Small, podium: Any, runs: Path, models: tuple[str, ...], killed: bool, more: tuple[str, ...] = ()
) -> dict[str, int]:
    """Three at once; one of them may be killed on the way. The one alone runs after them, elsewhere."""
    root, words = runs / small.name, (*small.words("run", *models, runs=runs), *more)
    processes = [start(*words, "--workers", workers) for workers in WORKERS]
    if killed:
        while not finished(root) and processes[1].poll() is None:
            time.sleep(0.01)
        time.sleep(random.Random(8).uniform(0, 0.2))
        processes[1].kill()
    answers = []
    for number, process in enumerate(processes):
        out, err = process.communicate(timeout=600)
        if process.returncode == -signal.SIGKILL and killed and number == 1:
            continue
        assert process.returncode == 0, err
        answers.append(answer(Path(out.splitlines()[-1])))
    alone = podium(*small.words("run", *models, runs="alone"), *more)
    assert set(answers) == {answer(Path(alone.last))}
    assert sums(root) == sums(Path("alone") / small.name)
    for manifest in root.rglob(MANIFEST):
        Store(root).read_folder(manifest.parent)
    if killed:
        assert podium(*words).code == 0  # sweeps what the dead one left
    assert not litter(root)
    return {"processes": len(WORKERS), "of these killed": int(killed), "files that differ from one alone": 0, "strays left": 0}


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_three_processes_on_one_run_folder_agree(small: Small, podium: Any, tmp_path: Path) -> None:
    together(small, podium, tmp_path / "runs", small.quick, killed=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_processes_that_train_all_models_agree(small: Small, podium: Any, tmp_path: Path, proof: Proof) -> None:
    models = ("lightgbm" if small.kind == "tables" else "net", *small.quick)
    for killed in (False, True) if small.kind == "tables" else (True,):
        figures = together(small, podium, tmp_path / f"runs-{killed}", models, killed, ("--folds", "2"))
        proof(7, f"three processes on one run folder{', one killed' if killed else ''}", figures, small.kind)
