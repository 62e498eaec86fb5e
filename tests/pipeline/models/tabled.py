"""A stand-in for a library of AutoML: it predicts the mean of what it learned, and misbehaves when told to."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.predictions import Array

STAND_IN = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np

if sys.argv[2] == "-c":  # asked for versions
    print("\\n".join("1.2.3" for name in sys.argv[4:]))
    sys.exit()
job = json.loads(Path(sys.argv[3]).read_text())
folder, way = Path(job["folder"]), os.environ.get("STAND_IN", "")
print("podium: " + job["do"], flush=True)
print("a line of its own log", flush=True)
mean = folder / "mean.json"
if job["do"] == "train":
    (folder / "begun").touch()
    if way == "fails":
        print("\\n".join(f"line {n}" for n in range(100)))
        sys.exit(3)
    if way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if way != "nothing":
        with np.load(folder / "train.npz") as file:
            y = file["y"]
            shares = np.bincount(y, minlength=job["classes"]) / len(y) if job["classes"] else [y.mean()]
            (folder / "seen.json").write_text(json.dumps({name: list(file[name].shape) for name in file.files} | {"job": job}))
        mean.write_text(json.dumps(list(shares)))
    if way == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if way in ("deaf", "late", "nothing"):
        child = subprocess.Popen(["sleep", "600"])
        (folder.parent / "pids").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    if way == "large":
        held = bytearray(700 * 2**20)
        time.sleep(600)
elif not mean.exists():
    (folder / "failed.json").write_text(json.dumps({"kind": "nothing", "message": ""}))
    sys.exit(1)
else:
    with np.load(folder / "asked.npz") as file:
        rows = len(file["numbers"])
    found = np.tile(np.array(json.loads(mean.read_text()), dtype=float), (rows, 1))
    if way == "short":
        found = found[1:]
    np.savez(folder / "predicted.npz", predicted=found)
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, way: str = "") -> None:
    """From now on, an interpreter with an AutoGluon that does nothing but that."""
    script, python = folder / "stand_in.py", folder / "python"
    script.write_text(STAND_IN, encoding="utf-8")
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("PODIUM_AUTOGLUON_TABULAR_PYTHON", str(python))
    monkeypatch.setenv("STAND_IN", way)


def rows(n: int, seed: int = 0) -> tuple[pd.DataFrame, Array]:
    """(n, 4) numbers with gaps and infinities, a category and a text; and (n,) values that they tell."""
    rng = np.random.default_rng(seed)
    area, town = rng.normal(size=n), rng.choice(list("abc"), n)
    X = pd.DataFrame(
        {
            "area (m²)": np.where(rng.random(n) < 0.1, np.nan, area),
            "odd": np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
            'town: "[x]"': pd.Categorical(np.where(rng.random(n) < 0.1, None, town), categories=["nowhere", *"abc"]),
            "told": np.where(rng.random(n) < 0.5, "a bright flat", "a garden"),
        }
    )
    return X, 3 * area + (town == "a") + rng.normal(0, 0.1, n)
