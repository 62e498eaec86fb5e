"""The same rows in another order are the same answers, row by row."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.store import unpack
from tests.conftest import Said
from tests.reliability.small import Small, answer, opened
from tests.reliability.spoiling import spoilt, submissions

Podium = Callable[..., Said]
TESTS = {
    "tables": ("test.csv", "sample_submission.csv"),
    "images": ("test.csv", "sample_submission.csv"),
    "boxes": ("valid.csv", "test.csv"),
}


STILL = """

from pipeline.predictions import join_boxes

class Still(Finder):
    def predict(self, X):
        return join_boxes([Finder.predict(self, X.iloc[[row]]) for row in range(len(X))])

def models():
    return {"strict": Still(40), "lax": Still(110)}
"""  # the competition's own models draw from one stream for all rows: their answers depend on the order by themselves


def shuffled(file: Path, seed: int) -> None:
    """The rows below the header in another order, byte by byte as they were."""
    header, *rows = file.read_text().splitlines(keepends=True)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert (order != np.arange(len(rows))).any()
    file.write_text("".join([header, *(rows[place] for place in order)]))


def rows_of(file: Path) -> list[str]:
    """The submission's rows, or its boxes, as text."""
    if file.suffix == ".zip":
        return [json.dumps(one) for one in json.loads(answer(file))]
    return answer(file).decode().splitlines()


def by_image(file: Path) -> dict[str, list[str]]:
    """The boxes of each image, in their order."""
    found: dict[str, list[str]] = {}
    for row in rows_of(file):
        found.setdefault(str(json.loads(row)["image_id"]), []).append(row)
    return found


def other(one: Small, folder: Path) -> Path:
    """The same data in another place."""
    shutil.copytree(one.data, folder)
    return folder


@pytest.mark.parametrize("kind", TESTS)
def test_shuffled_test_rows_give_the_same_submission_row_by_row(kind: str, podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened(kind, tmp_path) as one, spoilt(one, STILL if kind == "boxes" else "\n"):
        models = ("lightgbm", *one.quick) if kind == "tables" else one.quick
        assert podium(*one.words("run", *models, runs="first")).code == 0
        data = other(one, tmp_path / "other")
        for seed, name in enumerate(TESTS[kind]):
            shuffled(data / name, seed)
        said = podium("run", one.name, *models, "--data", data, "--runs", "second")
        assert (said.code, said.err) == (0, "")
        (first,), (second,) = submissions("first"), submissions("second")
        assert sorted(rows_of(first)) == sorted(rows_of(second))
        if kind == "boxes":
            assert by_image(first) == by_image(second)
        else:
            assert rows_of(first) != rows_of(second)
            asked = (data / "sample_submission.csv").read_text().splitlines()
            assert [row.partition(",")[0] for row in rows_of(second)] == [row.partition(",")[0] for row in asked]
    proof(16, "shuffled test rows", {"rows": len(rows_of(first)) - (kind != "boxes"), "rows that differ in a byte": 0}, kind=kind)


def folds_by_id(runs: str) -> dict[str, str]:
    file = next(Path(runs).rglob("folds-*/folds.csv"))
    return dict(tuple(row) for row in csv.reader(io.StringIO(file.read_text())))  # type: ignore[arg-type]


def predictions(runs: str, model: str) -> dict[str, np.ndarray]:
    """The mean of a model's test predictions over folds, by id."""
    found: dict[str, list[np.ndarray]] = {}
    for file in sorted(Path(runs).rglob(f"units/{model}/[!.]*/test.npz")):
        arrays = unpack(file.read_bytes())
        for name, values in zip(arrays["ids"].tolist(), arrays["values"], strict=True):
            found.setdefault(name, []).append(values)
    return {name: np.mean(values, axis=0) for name, values in found.items()}


@pytest.mark.parametrize("kind", ["tables", "images"])
def test_shuffled_train_rows_with_the_same_folds_give_the_same_answers_but_for_rounding(
    kind: str, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    """Sums over rows are made in another order, so bits may differ; what a model learns may not."""
    with opened(kind, tmp_path) as one:
        model, again = one.quick[0], other(one, tmp_path / "other")
        assert podium(*one.words("train", model, runs="plain")).code == 0
        folds = next(Path("plain").rglob("folds-*/folds.csv"))
        shuffled(again / "train.csv", 3)
        for data, runs in ((one.data, "first"), (again, "second")):
            said = podium("train", one.name, model, "--data", data, "--runs", runs, "--folds", folds)
            assert (said.code, said.err) == (0, "")
        assert folds_by_id("first") == folds_by_id("second") == folds_by_id("plain")
        first, second = predictions("first", model), predictions("second", model)
        assert first.keys() == second.keys()
        apart = max(float(np.abs(first[name] - second[name]).max()) for name in first)
        assert apart < 1e-6
    proof(16, "shuffled train rows, folds by id", {"rows": len(first), "largest difference": f"{apart:.1g}"}, kind=kind)


NETS = {"tables": ("mlp", 'Model("mlp", {"epochs": 3})'), "images": ("net", 'Model("image", {**NET, "epochs": 2})')}


@pytest.mark.parametrize("kind", NETS)
def test_nets_on_shuffled_test_rows_give_the_same_answers_but_for_rounding(
    kind: str, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    """A net multiplies many rows at once, and in what order it adds may depend on where a row stands among them."""
    name, recipe = NETS[kind]
    with opened(kind, tmp_path) as one, spoilt(one, f'\n\ndef models():\n    return {{"{name}": {recipe}}}\n'):
        again = other(one, tmp_path / "other")
        for seed, file in enumerate(TESTS[kind]):
            shuffled(again / file, seed)
        for data, runs in ((one.data, "first"), (again, "second")):
            said = podium("train", one.name, name, "--data", data, "--runs", runs)
            assert (said.code, said.err) == (0, "")
        first, second = predictions("first", name), predictions("second", name)
    apart = max(float(np.abs(first[row] - second[row]).max()) for row in first)
    assert apart < 1e-5
    proof(16, "nets on shuffled test rows", {"rows": len(first), "largest difference": f"{apart:.1g}"}, kind=kind)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_shuffled_test_rows_of_houses_give_the_same_submission_row_by_row(podium: Podium, tmp_path: Path, proof: Any) -> None:
    assert podium("data", "house-prices", "--practice", tmp_path / "data", "--rows", 300).code == 0
    for runs in ("first", "second"):
        words = ("--data", tmp_path / "data", "--runs", runs, "--folds", 2)
        assert podium("run", "house-prices", "lightgbm", "ridge", *words).code == 0
        for seed, name in enumerate(("test.csv", "sample_submission.csv")):
            shuffled(tmp_path / "data" / name, seed)
    (first,), (second,) = submissions("first"), submissions("second")
    assert rows_of(first) != rows_of(second)
    assert sorted(rows_of(first)) == sorted(rows_of(second))
    proof(
        16,
        "shuffled test rows of house-prices",
        {"rows": len(rows_of(first)) - 1, "rows that differ in a byte": 0},
        kind="tables",
    )
