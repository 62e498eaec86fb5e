"""Does resampling help, and by more than noise? Every answer is what `podium compare` says."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.compare import compare
from pipeline.competition import Model
from pipeline.resample import parse
from pipeline.run import open_run
from pipeline.train import train
from tests.bench_setting import LEAF, PODIUM, ROOT, Setting, table

MADE_UP = ROOT / "tests" / "made_up"
OF_TABLES = {
    "lightgbm": ("copy", "under", "smotenc", "inverse", "inverse:correct=no"),
    "ridge": ("copy", "under", "smotenc", "inverse", "inverse:correct=no"),
    "mlp": ("balanced", "inverse"),
}
OF_LEAVES = {"logistic": "copy:at=0.5", "knn": "copy", "lda": "copy"}  # by head
LEAF_PROBE = {
    "net": "tf_efficientnet_lite0",
    "weights": "package",
    "views": ("plain",),
    "shrinkage": 0.03,
}  # learned in little time


def resampling_table(setting: Setting) -> Iterator[str]:
    """A made-up table with one row of a hundred of the class that matters: ways of resampling against none."""
    for model, ways in OF_TABLES.items():
        for way in ways:
            yield compared(["rare", model, "--resample", way], setting.scratch)


def resampling_leaves(setting: Setting) -> Iterator[str]:
    """176 species with 53 to 353 pictures each: the heads of a probe learned from copies, against the same learned as they are."""
    run = open_run(LEAF, setting.leaves, setting.runs or setting.scratch / "leaves")
    rows = []
    for head, way in OF_LEAVES.items():
        plain = Model("probe", {**LEAF_PROBE, "head": head})
        pair = {head: plain, f"{head}+{way}": dataclasses.replace(plain, resample=parse(way))}
        found = compare(run, *train(run, pair).values())
        beyond = [one.difference > 0 for one in found.classes if one.beyond_noise]
        told = found.overall
        rows.append(
            (
                head,
                way,
                *(f"{score:.5f}" for score in told.scores),
                f"{told.difference:+.4f}",
                f"{told.low:+.4f} to {told.high:+.4f}",
                f"{sum(beyond)} better, {len(beyond) - sum(beyond)} worse",
            )
        )
    yield table(("head", "way", "accuracy without", "with", "difference", "95 %", "species beyond noise (F1)"), rows)
    yield f"{len(run.ids)} pictures, {len(run.columns)} species, {len(run.folds)} folds; of intervals of 95 % one in twenty misses 0 by chance."


def compared(words: Sequence[str], folder: Path) -> str:
    """What `podium compare` prints at last: the table and the verdict."""
    done = subprocess.run(
        [PODIUM, "compare", *words],
        cwd=folder,
        env={**os.environ, "PODIUM_COMPETITIONS": str(MADE_UP), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"podium compare {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    lines = done.stdout.splitlines()
    start = max(number for number, line in enumerate(lines) if line.startswith("class "))
    return "\n".join([f"podium compare {' '.join(words)}", *lines[start:]])
