"""Fixtures for all tests: the real data beside the repository, and two small competitions, each written to a file of its own."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

import competitions
from pipeline import cli

# A shell's background job ignores Ctrl-C, and so would all that tests start and stop.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

TOY = '''"""A toy: does one file make a competition?"""

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

from pipeline.competition import Competition, Data, Model, Regression
from pipeline.folds import KFold
from pipeline.tables import read_table, read_text

task = Regression(id="id", target="y", metric="rmse")
competition = Competition(name="toy", kaggle="toy", task=task, folds=KFold(k=3))


def load(root):
    train, _ = read_table(root / "train.csv", ["id", "a", "b", "y"], {"a", "b", "y"}, {"id", "y"})
    test, _ = read_table(root / "test.csv", ["id", "a", "b"], {"a", "b"}, {"id"})
    return Data(train, test, read_text(root / "sample_submission.csv"))


def features():
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["a", "b"]})


def models():
    return {"lightgbm": Model("lightgbm", {"n_estimators": 20}), "ridge": Model("ridge"), "own": Ridge(alpha=0.1)}


def practice(root, rows, seed):
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(2 * rows, 2)), columns=["a", "b"]).rename_axis("id")
    table.assign(y=table.a - table.b)[:rows].to_csv(root / "train.csv")
    table[rows:].to_csv(root / "test.csv")
    table[rows:].assign(y=0)[["y"]].to_csv(root / "sample_submission.csv")
'''

SCENES = '''"""Scenes: which coloured things are where?"""

import json

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.preprocessing import FunctionTransformer

from pipeline.boxes import coco
from pipeline.competition import Competition, Data, Detection
from pipeline.folds import KFold
from pipeline.predictions import Boxes
from pipeline.tables import read_table

COLOURS = {"red": (210, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 220)}
IDS = {"red": 87, "green": 1034, "blue": 131}  # not in the order of their numbers
WIDTH, HEIGHT = 96, 72
COLUMNS, PHASES = ("image_id", "image"), ("valid", "test")

task = Detection()
competition = Competition(name="scenes", kaggle="scenes", task=task, folds=KFold(k=3, strata=1, groups=("twins",)))


def load(root):
    found = coco.read(root / "train.json")
    train = found.images.rename(columns={"id": "image_id", "file_name": "image"})
    test = pd.concat([read_table(root / f"{phase}.csv", COLUMNS, (), COLUMNS)[0].assign(phase=phase) for phase in PHASES])
    train, test = (placed(table.reset_index(drop=True), root / "images") for table in (train, test))
    return Data(train, test, test[["image_id"]], found.boxes, found.categories, root / "images", found.notes)


def placed(table, folder):
    return table.assign(file=[str((folder / name).resolve()) for name in table["image"]])


def features():
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["image_id", "file"]})


class Finder(BaseEstimator):
    """Learns the colour in the middle of each category's boxes and finds spots of it. far: how different a colour may be."""

    def __init__(self, far=60, random_state=0):
        self.far, self.random_state = far, random_state

    def fit(self, X, y):
        pictures = {image: pixels(file) for image, file in zip(X["image_id"], X["file"])}
        middle = (y.box[:, :2] + y.box[:, 2:] / 2).astype(int)
        colours = pd.DataFrame([pictures[image][down, across] for image, (across, down) in zip(y.image, middle)])
        self.colours = colours.groupby(y.category).median()
        return self

    def predict(self, X):
        rng, rows = np.random.default_rng(self.random_state), []
        for image, file in zip(X["image_id"], X["file"]):
            picture = pixels(file)
            for category, colour in self.colours.iterrows():
                off = np.abs(picture - colour.to_numpy()).sum(axis=2)
                spots, _ = ndimage.label(off < self.far)
                for number, (down, across) in enumerate(ndimage.find_objects(spots), 1):
                    box = [across.start, down.start, across.stop - across.start, down.stop - down.start]
                    if min(box[2:]) >= 4:
                        score = (spots[down, across] == number).mean() * (1 - off[down, across].mean() / 800)
                        rows.append((image, category, box + rng.normal(0, 1, 4).clip(-1, 1), max(score, 0)))
        image, category, box, score = zip(*rows) if rows else ((), (), (), ())
        return Boxes(X["image_id"].to_numpy(), np.array(image, str), np.array(category, str), np.array(box), np.array(score))


def models():
    return {"strict": Finder(40), "lax": Finder(110)}


def pixels(file):
    return np.asarray(Image.open(file).convert("RGB")).astype(float)


def practice(root, rows, seed):
    """Of the things one in ten has no box, and one in twelve stands under any category."""
    rng, images, boxes = np.random.default_rng(seed), [], []
    (root / "images").mkdir()
    for number in range(rows + 2 * (rows // 3)):
        scene = rng.normal(128, 12, (HEIGHT, WIDTH, 3))
        images.append({"id": 2**64 - 1 - number, "file_name": f"{number:03}.png", "width": WIDTH, "height": HEIGHT})
        for name in rng.choice(list(IDS), rng.integers(1, 4), replace=False):
            wide, high = rng.integers(8, 40, 2).tolist()
            left, top = int(rng.integers(WIDTH - wide)), int(rng.integers(HEIGHT - high))
            scene[top : top + high, left : left + wide] = rng.normal(COLOURS[name], 12, (high, wide, 3))
            category = IDS[rng.choice(list(IDS)) if rng.random() < 1 / 12 else name]
            if number < rows and rng.random() > 0.1:
                box = {"image_id": images[-1]["id"], "category_id": category, "bbox": [left, top, wide, high]}
                boxes.append({"id": len(boxes), **box})
        Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(root / "images" / images[-1]["file_name"])
    categories = [{"id": number, "name": name} for name, number in IDS.items()]
    (root / "train.json").write_text(json.dumps({"images": images[:rows], "annotations": boxes, "categories": categories}))
    for phase, part in zip(PHASES, (images[rows : rows + rows // 3], images[rows + rows // 3 :])):
        table = pd.DataFrame(part)[["id", "file_name"]].set_axis(COLUMNS, axis=1)
        table.to_csv(root / f"{phase}.csv", index=False)
'''


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped by name where it is not."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data")
    return SHARED


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    """The file of a competition named toy, found like any other; nothing of it stands in the project."""
    with competition(tmp_path / "more_competitions", "toy", TOY) as file:
        yield file


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of a competition named scenes: boxes in drawn pictures, two phases, and two models that train in a moment."""
    with competition(tmp_path_factory.mktemp("more_competitions"), "scenes", SCENES) as file:
        yield file


@contextmanager
def competition(folder: Path, name: str, text: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PODIUM_COMPETITIONS", str(folder))  # for worker processes and commands
        patch.setattr(competitions, "__path__", [*competitions.__path__, str(folder)])
        importlib.invalidate_caches()
        yield file
    sys.modules.pop(f"competitions.{name}", None)


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


@pytest.fixture
def podium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command in a folder of its own, as a person types it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def podium(*words: object) -> Said:
        if words and words[0] in ("train", "run"):
            words = (*words, "--workers", "1")
        monkeypatch.setattr(sys, "argv", ["podium", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return Said(int(stop.value.code or 0), said.out, said.err)

    return podium
