"""Three small competitions, one of each kind, and the real commands on them: what the tests of this folder put their faults into."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from competitions import find
from pipeline.run import write_practice
from pipeline.store import MANIFEST, STRAY
from tests.conftest import SCENES, TOY, competition

ROOT = Path(__file__).resolve().parents[2]
# Ctrl-C is as in a terminal, also where the tests were started in the background, in which a shell has it ignored.
COMMAND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from pipeline.cli import main; main()"

DOTS = '''"""Dots: of which colour is the square?"""

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pipeline.competition import Classification, Competition, Data, Model
from pipeline.folds import KFold
from pipeline.tables import read_table, read_text

COLOURS = {"blue": (60, 70, 190), "green": (60, 190, 70), "red": (190, 60, 70)}
SIDE = 32
NET = {"net": "test_resnet", "weights": None, "size": SIDE, "batch": 8, "precision": "fp32", "views": ("plain",), "device": "cpu"}

task = Classification(id="image", target="label", metric="accuracy")
competition = Competition(name="dots", kaggle="dots", task=task, folds=KFold(k=3, strata=1, groups=("twins",)))


def load(root):
    train, _ = read_table(root / "train.csv", ["image", "label"], (), {"image", "label"})
    test, _ = read_table(root / "test.csv", ["image"], (), {"image"})
    train, test = (table.assign(file=[str((root / name).resolve()) for name in table["image"]]) for table in (train, test))
    return Data(train.assign(day=np.arange(len(train))), test, read_text(root / "sample_submission.csv"), images=root)


def features():
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["image", "file"]})


def means(X):
    """(n, 3) how much of each colour stands out in the pictures."""
    return np.array([np.asarray(Image.open(file)).reshape(-1, 3).mean(axis=0) / 255 for file in X["file"]])


def models():
    return {
        "bold": make_pipeline(FunctionTransformer(means), LogisticRegression(C=1e3)),
        "timid": make_pipeline(FunctionTransformer(means), LogisticRegression(C=1e1)),
        "net": Model("image", {**NET, "epochs": 3, "ema": 0.9}),
    }


def practice(root, rows, seed):
    rng, labels = np.random.default_rng(seed), []
    for number in range(rows + rows // 2):
        labels.append(sorted(COLOURS)[number % 3])
        picture = rng.integers(0, 256, (SIDE, SIDE, 3))
        top, left = rng.integers(0, SIDE // 2, 2)
        picture[top : top + 16, left : left + 16] = COLOURS[labels[-1]]
        Image.fromarray(picture.astype(np.uint8)).save(root / f"{number:03}.png")
    table = pd.DataFrame({"image": [f"{number:03}.png" for number in range(len(labels))], "label": labels})
    table[:rows].to_csv(root / "train.csv", index=False)
    table[["image"]][rows:].to_csv(root / "test.csv", index=False)
    table.assign(label="blue")[rows:].to_csv(root / "sample_submission.csv", index=False)
'''

DETECTOR = """
import dataclasses

from pipeline.competition import Model

bare = load


def load(root):
    data = bare(root)
    return dataclasses.replace(data, train=data.train.assign(day=np.arange(len(data.train))))


def features():
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["image_id", "image", "file"]})


def models():
    tiny = {"net": "test_efficientnet", "weights": None, "size": 64, "batch": 4, "plain": 0, "views": ("plain",), "device": "cpu"}
    net = Model("detector", {**tiny, "epochs": 2, "mosaic": 0.5, "precision": "fp32"})
    return {"strict": Finder(40), "lax": Finder(110), "net": net}
"""
TEXTS = {"tables": ("toy", TOY), "images": ("dots", DOTS), "boxes": ("scenes", SCENES + DETECTOR)}
QUICK = {"tables": ("ridge", "own"), "images": ("bold", "timid"), "boxes": ("strict", "lax")}
ROWS = {"tables": 60, "images": 24, "boxes": 24}


@dataclass(frozen=True)
class Small:
    """file: of the competition. data: its practice data, outside of any run folder. quick: models that train in a moment. clock: a
    column of train that can be the time."""

    kind: str
    name: str
    file: Path
    data: Path
    quick: tuple[str, ...]
    clock: str

    def words(self, command: str, *models: str, runs: Path | str = "runs") -> tuple[str, ...]:
        """Of a command on this data."""
        return (command, self.name, *models, "--data", str(self.data), "--runs", str(runs))

    def change(self, more: str) -> None:
        """Let the competition's file end with this, for processes that start from now on."""
        self.file.write_text(self.file.read_text(encoding="utf-8") + more, encoding="utf-8")


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Small]:
    """The small competition of a kind, found like any other, and its data."""
    name, text = TEXTS[kind]
    with competition(folder / "more_competitions", name, text) as file:
        data = folder / "data"
        write_practice(find(name), data, ROWS[kind], 0)
        yield Small(kind, name, file, data, QUICK[kind], "a" if kind == "tables" else "day")


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    """`podium WORDS` as a shell would start it, the leader of a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        start_new_session=True,
    )


def finished(root: Path) -> dict[Path, int]:
    """Every finished unit of a run folder, with the time of its last change."""
    return {file.parent: file.stat().st_mtime_ns for file in root.glob(f"units/*/[!.]*/{MANIFEST}")}


def litter(root: Path) -> list[Path]:
    """What is half-written below a run folder, and what was found damaged."""
    return [path for path in root.rglob(".*") if path.name.startswith((STRAY, ".damaged-"))]


def sums(root: Path, *patterns: str) -> dict[str, str]:
    """SHA-256 of the files below a run folder that the same run gives the same bytes of, by path: predictions of units and ensembles,
    features, folds; or of those that fit the patterns."""
    wanted = patterns or ("units/*/*/*.npz", "ensembles/*/*.npz", "features/*/*/*.arrow", "folds-*/*")
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for pattern in wanted
        for file in sorted(root.glob(pattern))
        if not any(part.startswith(".") for part in file.relative_to(root).parts)
    }


def answer(file: Path) -> bytes:
    """What a submission says, whatever its file is called: the bytes of a table, or of the zip's one member."""
    if file.suffix != ".zip":
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())
