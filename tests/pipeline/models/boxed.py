"""Pictures with boxes for the tests of detectors, and a stand-in for a library: it answers with the boxes that it was taught."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from pipeline.models.place import Place
from pipeline.pictures.gallery import Gallery
from pipeline.pictures.index import make_index
from pipeline.predictions import Truth
from pipeline.store import Store

WIDTH, HEIGHT, SIDE = 80, 60, 20
COLOURS = np.array([(220, 40, 40), (40, 200, 40), (40, 40, 220)])
CATEGORIES = np.array(["87", "1034", "131"])  # in no order of numbers
LABELS = ("belt", "sunglasses", "boot")

STAND_IN = """
import hashlib, json, os, signal, sys, time
from pathlib import Path
import numpy as np

if sys.argv[2] == "-c":  # asked for versions
    print("\\n".join("1.2.3" for name in sys.argv[4:]))
    sys.exit()
job = json.loads(Path(sys.argv[3]).read_text())
way = os.environ.get("STAND_IN", "") if job["do"] != "list" else ""
print("podium: " + job["do"], flush=True)
print("a secret of the log")
if way == "fails":
    print("\\n".join(f"line {n}" for n in range(100)))
    sys.exit(3)
if way == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if way == "memory":
    sys.exit("RuntimeError: CUDA out of memory. Tried to allocate 2 GiB")
if way == "weights":
    Path(job["failed"]).write_text(json.dumps({"kind": "weights", "message": "it is of another net"}))
    sys.exit(1)

def hashed(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()

if job["do"] == "list":
    Path(job["nets"]).write_text(json.dumps(["tiny-n", "tiny-s"]))
elif job["do"] == "train":
    data = json.loads(Path(job["data"]).read_text())
    taught = {}
    for file in Path(data["path"], data["train"]).read_text().splitlines():
        label = Path(file.replace("/images/", "/labels/")).with_suffix(".txt")
        taught[hashed(file)] = [[float(part) for part in line.split()] for line in label.read_text().splitlines()]
    Path(job["trained"]).write_text(json.dumps(taught))
    with Path(job["folder"], "trainings").open("a") as file:
        file.write("once\\n")
else:
    taught, rows = json.loads(Path(job["weights"]).read_text()), []
    for picture in job["pictures"]:
        w, h = picture["width"], picture["height"]
        for c, x, y, bw, bh in taught[hashed(picture["file"])]:
            rows.append((picture["number"], c, (x - bw / 2) * w, (y - bh / 2) * h, (x + bw / 2) * w, (y + bh / 2) * h, 0.9))
    rows = np.array(rows).reshape(-1, 7)
    np.savez(job["boxes"], image=rows[:, 0].astype(int), category=rows[:, 1].astype(int), box=rows[:, 2:6], score=rows[:, 6])
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, library: str = "libreyolo") -> None:
    """From now on, an interpreter with a library that knows the nets tiny-n and tiny-s."""
    script, python = folder / "stand_in.py", folder / "python"
    script.write_text(STAND_IN, encoding="utf-8")
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv(f"PODIUM_{library.upper()}_PYTHON", str(python))


def draw(root: Path, count: int) -> tuple[Gallery, pd.DataFrame, Truth]:
    """Pictures with two squares each, coloured by category; ids beyond 63 bits, and names that a library may stumble on."""
    random = np.random.default_rng(0)
    ids = np.array([str(2**63 + 17 * number) for number in range(count)])
    names = [f"a b/picture #{number}, é.png" for number in range(count)]
    (root / "a b").mkdir(parents=True)
    image, category, box = [], [], []
    for number, name in enumerate(names):
        pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for kind in random.permutation(3)[:2]:
            left, top = random.integers(0, (WIDTH - SIDE, HEIGHT - SIDE))
            pixels[top : top + SIDE, left : left + SIDE] = COLOURS[kind]
            image.append(ids[number])
            category.append(CATEGORIES[kind])
            box.append((left, top, SIDE, SIDE))
        PIL.Image.fromarray(pixels).save(root / name)
    y = Truth(ids, CATEGORIES, np.array(image), np.array(category), np.array(box, dtype=float), np.zeros(len(box), dtype=bool))
    return gallery(root, names), pd.DataFrame({"image_id": ids, "file_name": names}), y


def gallery(root: Path, names: list[str]) -> Gallery:
    return Gallery(root, make_index(root, names, root / "kept", 1, lambda message: None), root / "cache", 10**8)


def place(pictures: Gallery, folder: Path, said: list[str] | None = None) -> Place:
    """Where a detector finds these pictures. said: gets what it tells while it works."""
    same = pictures.index.sha256
    return Place(
        gallery=pictures,
        column="file_name",
        id="image_id",
        labels=LABELS,
        kept=Store(folder / "kept"),
        scratch=folder / "scratch",
        same=same,
        labelled=np.ones(len(same), dtype=bool),
        boxes=True,
        say=([] if said is None else said).append,
    )
