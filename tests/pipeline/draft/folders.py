"""Folders as Kaggle gives them, of competitions that nobody here has written a line for."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.practice.pictures import draw
from pipeline.practice.scenes import scenes

TRAIN, TEST = 240, 80
WORDS = [
    "an",
    "old",
    "bright",
    "house",
    "with",
    "large",
    "garden",
    "near",
    "the",
    "quiet",
    "sea",
    "and",
    "small",
    "kitchen",
    "view",
    "of",
    "hills",
]


def write(root: Path, train: pd.DataFrame, test: pd.DataFrame | None, sample: pd.DataFrame) -> Path:
    root.mkdir(parents=True)
    for name, table in {"train": train, "test": test, "sample_submission": sample}.items():
        if table is not None:
            table.to_csv(root / f"{name}.csv", index=False)
    return root


def split(table: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return table[:TRAIN], table[TRAIN:].drop(columns=target)


def flats(root: Path) -> Path:
    """A price, from numbers, a text, a category and a date in American writing; test is what was sold later."""
    rng, rows = np.random.default_rng(0), TRAIN + TEST
    table = pd.DataFrame(
        {
            "id": np.arange(rows),
            "sold_on": pd.date_range("2020-01-01", periods=rows).strftime("%m/%d/%Y"),
            "area": rng.uniform(20, 300, rows).round(1),
            "rooms": np.where(rng.random(rows) < 0.1, "", rng.integers(1, 9, rows).astype(str)),
            "zip": rng.choice(["98001", "98002", "98003"], rows),
            "fee": [f"${fee:,}" for fee in rng.integers(900, 3000, rows)],
            "summary": [" ".join(rng.choice(WORDS, 9)) for _ in range(rows)],
            "empty": "",
        }
    )
    table["price"] = (table["area"] * rng.lognormal(7, 0.1, rows)).round(2)
    train, test = split(table, "price")
    agent = rng.choice(["a", "b"], TRAIN)
    return write(root, train.assign(agent=agent), test, test[["id"]].assign(price=0))


def fraud(root: Path) -> Path:
    """A chance: three of a hundred are positive; ids are text; the columns are v0 to v11."""
    rng, rows = np.random.default_rng(1), TRAIN + TEST
    table = pd.DataFrame(rng.normal(size=(rows, 12)), columns=[f"v{number}" for number in range(12)])
    table.insert(0, "key", [f"row_{number:04d}" for number in range(rows)])
    signs = table["v3"] + rng.normal(0, 0.3, rows)
    table["is_fraud"] = (signs > signs.quantile(0.97)).astype(int)
    train, test = split(table, "is_fraud")
    return write(root, train, test, test[["key"]].assign(is_fraud=0.5))


def states(root: Path) -> Path:
    """A chance of each of three classes, whose columns have a prefix; rows of one patient belong together; the files are packed."""
    rng, rows = np.random.default_rng(2), TRAIN + TEST
    table = pd.DataFrame(
        {
            "id": np.arange(rows),
            "patient_id": np.arange(rows) // 4 + 7000,
            "drug": rng.choice(["placebo", "penicillamine", ""], rows),
            "bilirubin": rng.lognormal(0, 1, rows).round(2),
            "age": rng.integers(9000, 29000, rows),
        }
    )
    table["Status"] = np.array(["C", "CL", "D"])[np.digitize(table["bilirubin"] * rng.lognormal(0, 0.3, rows), [0.8, 2])]
    train, test = split(table, "Status")
    sample = test[["id"]].assign(Status_C=0.3, Status_CL=0.3, Status_D=0.4)
    write(root, train, test, sample)
    (root / "train.csv.gz").write_bytes(gzip.compress((root / "train.csv").read_bytes()))
    with zipfile.ZipFile(root / "test.csv.zip", "w") as archive:
        archive.write(root / "test.csv", "test.csv")
    for name in ("train", "test"):
        (root / f"{name}.csv").unlink()
    return root


def digits(root: Path) -> Path:
    """A label of ten, no ids at all, and another name for the answer in the sample, which is not called so."""
    rng, rows = np.random.default_rng(3), TRAIN + TEST
    table = pd.DataFrame(rng.integers(0, 256, (rows, 20)), columns=[f"pixel{number}" for number in range(20)])
    table.insert(0, "label", (table["pixel4"] // 26))
    train, test = split(table, "label")
    write(root, train, test, pd.DataFrame({"ImageId": np.arange(1, TEST + 1), "Label": 0}))
    (root / "sample_submission.csv").rename(root / "gender_submission.csv")
    return root


def leaves(root: Path) -> Path:
    """Pictures of four classes, train's and test's in folders of their own; only the sample submission lists those of test."""
    rng = np.random.default_rng(4)
    names = [f"{number:016x}" for number in rng.integers(0, 2**63, 64).tolist()]
    label = rng.choice(["oak", "beech", "elm", "fir"], 64)
    train = pd.DataFrame({"image_id": names[:48], "species": label[:48]})
    write(root, train, None, pd.DataFrame({"image_id": names[48:], "species": "oak"}))
    draw(root, [f"train_images/{name}.png" for name in names[:48]], label[:48].tolist(), 0)
    draw(root, [f"test_images/{name}.png" for name in names[48:]], label[48:].tolist(), 1)
    return root


def things(root: Path) -> Path:
    """Boxes of three categories in pictures, in the layout of COCO, with two lists of images to look at."""
    root.mkdir(parents=True)
    categories = {11: "cup", 407: "hat", 93: "shoe"}
    first = 2**63 + 10
    content = scenes(root / "images", {first + number: f"{number}.jpg" for number in range(30)}, categories, 0)
    (root / "train.json").write_text(json.dumps(content))
    for place, name in enumerate(("valid", "test"), 1):
        names = {first + place * 1000 + number: f"{name}-{number}.jpg" for number in range(9)}
        scenes(root / "images", names, categories, place)
        pd.DataFrame({"id": names.keys(), "file_name": names.values()}).to_csv(root / f"{name}.csv", index=False)
    return root


ALL = {"flats": flats, "fraud": fraud, "states": states, "digits": digits, "leaves": leaves, "things": things}
