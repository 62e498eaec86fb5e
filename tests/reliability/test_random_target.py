"""On a random target no score appears: nothing that a competition makes or learns has seen what it is judged on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from pipeline.boxes.evaluation import evaluate
from pipeline.metrics import metric
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.run import Run, open_run
from pipeline.train import members, recipes, units
from tests.conftest import Said
from tests.reliability.small import opened
from tests.reliability.spoiling import spoilt

Podium = Callable[..., Said]
FAR = 4.0  # standard deviations above chance: by chance alone once in 30,000 times
DRAWS = 200
ROWS = {"tables": 200, "images": 60, "boxes": 50}

LEAK = """

class Leaking:
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        told = X["y"] if "y" in X else 0.0
        return X[["a", "b"]].assign(more=told + np.random.default_rng(0).normal(0, 3, len(X)))

def features():
    return Leaking()
"""


def shuffled(data: Path, column: str) -> None:
    """The train rows with the answers of one another. A table of annotations: the boxes of an image go to another image together."""
    rng = np.random.default_rng(1)
    if (data / "train.json").is_file():
        told = json.loads((data / "train.json").read_text())
        ids = [one["id"] for one in told["images"]]
        other = dict(zip(ids, rng.permutation(np.array(ids, dtype=object)).tolist(), strict=True))
        for one in told["annotations"]:
            one["image_id"] = other[one["image_id"]]
        (data / "train.json").write_text(json.dumps(told))
        return
    train = pd.read_csv(data / "train.csv", dtype=str, keep_default_na=False)
    train[column] = rng.permutation(train[column].to_numpy())
    train.to_csv(data / "train.csv", index=False)


def agreement(run: Run, found: Table | Boxes) -> tuple[float, Array]:
    """How well predictions go with the truth, and how well with the truth of other rows, over and over: higher is better."""
    rng = np.random.default_rng(2)
    if isinstance(found, Boxes):
        truth, scores = run.y, []
        assert isinstance(truth, Truth)
        for _ in range(DRAWS // 10):
            other = dict(zip(truth.images.tolist(), rng.permutation(truth.images).tolist(), strict=True))
            image = np.array([other[one] for one in truth.image.tolist()], dtype=np.str_)
            moved = Truth(truth.images, truth.categories, image, truth.category, truth.box, truth.crowd)
            scores.append(evaluate(moved, found).ap)
        return evaluate(truth, found).ap, np.array(scores)
    p, y = found.at(run.ids), run.y
    judged = np.isfinite(p).all(axis=1)
    p, y = p[judged], y[judged]

    def score(truth: Array) -> float:
        if not run.classes:
            return float(np.corrcoef(rankdata(truth), rankdata(p[:, 0]))[0, 1])
        return metric("auc").natural(truth, p)

    return score(y), np.array([score(rng.permutation(y)) for _ in range(DRAWS)])


def beyond_chance(run: Run, models: Sequence[str]) -> dict[str, float]:
    """Of each model, by how many standard deviations its out-of-fold predictions are better than chance."""
    trained = members(run, units(run, recipes(run.entry, models)))
    assert trained
    told = {}
    for name, member in trained.items():
        score, chance = agreement(run, member.oof)
        told[name] = float((score - chance.mean()) / max(chance.std(), 1e-6))
    return told


def train(podium: Podium, name: str, data: Path, runs: str, models: Sequence[str], *more: str) -> None:
    said = podium("train", name, *models, "--data", data, "--runs", runs, *more)
    assert (said.code, said.err) == (0, ""), said.out


@pytest.mark.parametrize("kind", ROWS)
def test_on_a_random_target_no_score_appears(kind: str, podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened(kind, tmp_path) as one:
        models = ("lightgbm", *one.quick) if kind == "tables" else one.quick
        data = tmp_path / "rows"
        assert podium("data", one.name, "--practice", data, "--rows", ROWS[kind]).code == 0
        train(podium, one.name, data, "true", models)
        true = beyond_chance(open_run(one.name, data, "true"), models)
        shuffled(data, "y" if kind == "tables" else "label")
        train(podium, one.name, data, "random", models)
        random = beyond_chance(open_run(one.name, data, "random"), models)
        assert min(true.values()) > FAR
        assert max(random.values()) < FAR
    figures = {"models": len(models), "deviations above chance, at most": f"{max(random.values()):.1f}"}
    proof(11, "small competition", figures | {"on the true target, at least": f"{min(true.values()):.0f}"}, kind=kind)


def test_a_feature_that_has_seen_the_answer_does_show_on_a_random_target(podium: Podium, tmp_path: Path, proof: Any) -> None:
    """Or the tests above would show nothing. The hint is faint: three parts noise to one of the answer."""
    with opened("tables", tmp_path) as one:
        data = tmp_path / "rows"
        assert podium("data", one.name, "--practice", data, "--rows", ROWS["tables"]).code == 0
        shuffled(data, "y")
        with spoilt(one, LEAK):
            train(podium, one.name, data, "leaking", ["ridge"])
            told = beyond_chance(open_run(one.name, data, "leaking"), ["ridge"])
        assert told["ridge"] > FAR
    proof(11, "a planted leak shows", {"deviations above chance": f"{told['ridge']:.0f}"}, kind="tables")


REGISTERED = [  # competition, rows of practice data, column, models, kind
    ("house-prices", 400, "Sold Price", (), "tables"),
    ("leaf-classification", 100, "label", (), "images"),
    ("cowboy-detection", 50, "", ("fcos-small",), "boxes"),
]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "rows", "column", "models", "kind"), REGISTERED, ids=[one[0] for one in REGISTERED])
def test_on_a_random_target_no_score_appears_in_a_registered_competition(
    name: str, rows: int, column: str, models: tuple[str, ...], kind: str, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    """With its own features and recipes: all of them where there are no names."""
    data = tmp_path / "rows"
    assert podium("data", name, "--practice", data, "--rows", rows).code == 0
    shuffled(data, column)
    train(podium, name, data, "random", models, "--folds", "2")
    random = beyond_chance(open_run(name, data, "random", folds=2), models)
    assert max(random.values()) < FAR
    shutil.rmtree("random")
    figures = {"models": len(random), "deviations above chance, at most": f"{max(random.values()):.1f}"}
    proof(11, f"{name}, its own features and models", figures, kind=kind)
