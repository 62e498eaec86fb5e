"""Does resampling help, and by more than noise? Every answer is what `podium compare` prints."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench_setting import LEAF, PODIUM, ROOT, Setting

MADE_UP = ROOT / "tests" / "made_up"
OF_TABLES = {
    "lightgbm": ("copy", "under", "smotenc", "inverse", "inverse:correct=no"),
    "ridge": ("copy", "under", "smotenc", "inverse", "inverse:correct=no"),
    "mlp": ("balanced", "inverse"),
}
OF_LEAVES = {"probe-logistic": "copy:at=0.5", "probe-knn": "copy", "probe-lda": "copy"}


def resampling_table(setting: Setting) -> Iterator[str]:
    """A made-up table with one row of a hundred of the class that matters: ways of resampling against none."""
    for model, ways in OF_TABLES.items():
        for way in ways:
            yield compared(["rare", model, "--resample", way], setting.scratch)


def resampling_leaves(setting: Setting) -> Iterator[str]:
    """176 species with 53 to 353 pictures each: the heads of a probe learned from copies, against the same learned as they are."""
    runs = (setting.runs or setting.scratch / "leaves").resolve()
    for probe, way in OF_LEAVES.items():
        yield compared([LEAF, probe, "--resample", way, "--data", str(setting.leaves), "--runs", str(runs)], setting.scratch)


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
