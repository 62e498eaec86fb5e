"""NaN and infinity put in wherever numbers pass: the run stops, or the model is listed as failed, before a submission is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import NOTHING_USABLE, SOME_FAILED, WRONG_COMMAND
from pipeline.models import nets
from tests.conftest import Said
from tests.reliability.small import Small, answer, opened
from tests.reliability.spoiling import finite, rewritten, spoilt, submissions

Podium = Callable[..., Said]
NUMBERS = ("nan", "inf", "-inf")

FEATURES = """

class Spoilt:
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        made = X.filter(["a", "b", "image_id", "image", "file"]).assign(more=0.0)
        made.loc[3, "more"] = SAID if len(X) == ROWS else 0.0
        return made

def features():
    return Spoilt()
"""
SCALE = """

class Scale:
    def fit(self, X, y):
        return self

    def transform(self, X, y):
        return np.where(np.arange(len(y)) == TO, SAID, y)

    def inverse(self, X, z):
        return np.where(np.arange(len(z)) == BACK, SAID, z)

def target():
    return Scale()
"""
TABLE = """

from sklearn.base import BaseEstimator

class Odd(BaseEstimator):
    def __init__(self, said, rows):
        self.said, self.rows = said, rows

    def fit(self, X, y):
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        found = self.mean_ + X[:, 0] / 10
        found[3] = self.said if len(X) == self.rows else found[3]
        return found

def models():
    said = {"nan": np.nan, "inf": np.inf, "minus": -np.inf, "huge": 1e200}
    odd = {f"{name}-{rows}": Odd(value, rows) for name, value in said.items() for rows in (20, 60)}
    return {**odd, "own": Ridge(alpha=0.1)}
"""
PICTURE = """

from sklearn.base import BaseEstimator

class Odd(BaseEstimator):
    def __init__(self, said, rows):
        self.said, self.rows = said, rows

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X):
        found = np.full((len(X), 3), 1 / 3)
        found[3] = self.said if len(X) == self.rows else found[3]
        return found

def models():
    from sklearn.pipeline import make_pipeline
    said = {"nan": np.nan, "inf": np.inf, "below": -0.5, "none": 0.0}
    odd = {f"{name}-{rows}": make_pipeline(FunctionTransformer(means), Odd(value, rows)) for name, value in said.items() for rows in (8, 12)}
    return {**odd, "own": make_pipeline(FunctionTransformer(means), LogisticRegression())}
"""
BOX = """

class Odd(BaseEstimator):
    def __init__(self, part, said, rows):
        self.part, self.said, self.rows = part, said, rows

    def fit(self, X, y):
        return self

    def predict(self, X):
        n = len(X)
        found = Boxes(X["image_id"].to_numpy(), X["image_id"].to_numpy(), np.full(n, "87"), np.tile([1.0, 2, 30, 40], (n, 1)), np.linspace(0, 1, n))
        if n == self.rows:
            getattr(found, self.part)[3] = self.said  # behind the back of its own checks
        return found

def models():
    said = {"nan": np.nan, "inf": np.inf, "minus": -np.inf}
    odd = {f"{part}-{name}-{rows}": Odd(part, value, rows) for part in ("box", "score") for name, value in said.items() for rows in (8, 16)}
    return {**odd, "own": Finder(60)}
"""
PREDICTIONS = {"tables": (TABLE, 8), "images": (PICTURE, 8), "boxes": (BOX, 12)}
LOSSES = {
    "tables": 'Model("mlp", {"rate": 1e30, "optimiser": "sgd", "clip": 1e30, "epochs": 5})',
    "images": 'Model("image", {**NET, "epochs": 2, "rate": 1e30, "clip": 0.0})',
    "boxes": 'Model("detector", {"net": "test_efficientnet", "weights": None, "size": 64, "batch": 4, "plain": 0, "epochs": 2, "rate": 1e30, "clip": 0.0})',
}
NETS = {
    "images": 'Model("image", {**NET, "net": "test_efficientnet", "epochs": 1, "weights": WEIGHTS})',
    "boxes": 'Model("detector", {"net": "test_efficientnet", "size": 64, "epochs": 1, "plain": 0, "weights": WEIGHTS})',
}


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_model_that_predicts_what_is_no_number_is_left_out_and_the_submission_is_that_of_the_others(
    kind: str, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    more, faults = PREDICTIONS[kind]
    with opened(kind, tmp_path) as one, spoilt(one, more):
        alone = podium(*one.words("run", "own", runs="alone"))
        assert (alone.code, alone.err) == (0, "")
        said = podium(*one.words("run"))
        assert (said.code, said.err) == (SOME_FAILED, "")
        assert said.out.count("\nFAILED ") == faults
        ours, theirs = submissions("runs"), submissions("alone")
        assert [answer(file) for file in ours] == [answer(file) for file in theirs]
        assert all(map(finite, ours))
    proof(8, "predictions", {"put in": faults, "listed as failed": faults, "submissions with one of them": 0}, kind=kind)


def stopped(podium: Podium, one: Small, *models: str) -> Said:
    """What the command said that ended without any submission."""
    shutil.rmtree("runs", ignore_errors=True)
    said = podium(*one.words("run", *models))
    assert said.code in (NOTHING_USABLE, WRONG_COMMAND), said.out
    assert "Traceback" not in said.err
    assert not submissions("runs")
    return said


@pytest.mark.parametrize("kind", ["tables", "images", "boxes"])
def test_infinity_in_features_stops_every_model(kind: str, podium: Podium, tmp_path: Path, proof: Any) -> None:
    """In the rows that are learnt, validated or predicted."""
    parts = {"tables": (40, 20, 60), "images": (16, 8, 12), "boxes": (16, 8)}[kind]
    model = {"tables": "ridge", "images": "bold", "boxes": "strict"}[kind]
    cases = list(zip(("np.inf", "-np.inf", "np.inf"), parts, strict=False))
    with opened(kind, tmp_path) as one:
        for value, rows in cases:
            with spoilt(one, FEATURES.replace("SAID", value).replace("ROWS", str(rows))):
                said = stopped(podium, one, model)
                assert f"features() gives infinity in 1 of {rows} rows" in said.out
    proof(8, "features", {"put in": len(cases), "stopped": len(cases)}, kind=kind)


def test_gaps_in_all_features_end_in_answers_that_are_all_alike_and_these_are_refused(
    podium: Podium, tmp_path: Path, proof: Any
) -> None:
    """NaN in a feature is a gap, which models take; where all of it is gaps, nothing is left to tell rows apart."""
    with opened("tables", tmp_path) as one, spoilt(one, FEATURES.replace("return made", 'return made[["a", "b"]] * np.nan')):
        for model in ("ridge", "own", "lightgbm"):
            said = stopped(podium, one, model)
            assert "[constant]" in said.err or f"FAILED {model}" in said.out
    proof(8, "nothing but gaps in features", {"models": 3, "stopped": 3}, kind="tables")


def test_the_target_and_its_scale_are_numbers_or_nothing_is_learned(podium: Podium, tmp_path: Path, proof: Any) -> None:
    cells = ("nan", "", "inf", "-inf", "1e999")
    scales = [(value, to, back) for value in NUMBERS for to, back in ((3, -1), (-1, 3))]
    with opened("tables", tmp_path) as one:
        for value, to, back in scales:
            more = SCALE.replace("SAID", f'float("{value}")').replace("TO", str(to)).replace("BACK", str(back))
            with spoilt(one, more):
                assert "FAILED ridge in 3 of 3 folds" in stopped(podium, one, "ridge").out
        whole = (one.data / "train.csv").read_text()
        for cell in cells:
            first, row, rest = whole.split("\n", 2)
            (one.data / "train.csv").write_text("\n".join([first, f"{row.rpartition(',')[0]},{cell}", rest]))
            assert "'y' is" in stopped(podium, one, "ridge").err
    proof(8, "target and its scale", {"put in": len(cells) + len(scales), "stopped": len(cells) + len(scales)}, kind="tables")


def test_labels_and_boxes_that_are_none_stop_before_anything_is_learned(podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened("images", tmp_path) as one:
        for cell in ("nan", "NaN", "", "NA"):
            rewritten(
                one.data / "train.csv",
                lambda text, cell=cell: "\n".join([text.split("\n")[0], f"000.png,{cell}", *text.split("\n")[2:]]),
            )
            assert "'label' is missing in 1 train rows" in stopped(podium, one, "bold").err
    proof(8, "labels", {"put in": 4, "stopped": 4}, kind="images")


def test_boxes_of_the_truth_are_numbers(podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened("boxes", tmp_path) as one:
        file = one.data / "train.json"
        whole = json.loads(file.read_text())
        cases = [(place, value) for place in range(4) for value in (float("nan"), float("inf"), -float("inf"))]
        for place, value in cases:
            told = json.loads(json.dumps(whole))
            told["annotations"][5]["bbox"][place] = value
            file.write_text(json.dumps(told))
            assert "four finite numbers are needed" in stopped(podium, one, "strict").err
    proof(8, "boxes of the truth", {"put in": len(cases), "stopped": len(cases)}, kind="boxes")


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_that_is_no_number_fails_its_model(kind: str, podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened(kind, tmp_path) as one, spoilt(one, f'\n\ndef models():\n    return {{"wild": {LOSSES[kind]}}}\n'):
        said = stopped(podium, one)
        assert "FAILED wild in 3 of 3 folds" in said.out
        assert "loss became" in said.out.lower()
    proof(8, "loss", {"folds": 3, "stopped": 3}, kind=kind)


@pytest.mark.parametrize("kind", NETS)
def test_weights_with_what_is_no_number_are_refused_before_training(
    kind: str, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    torch.set_num_threads(1)
    own = {name: tensor.clone() for name, tensor in nets.create("test_efficientnet", 3).backbone.state_dict().items()}
    with opened(kind, tmp_path) as one:
        for value in NUMBERS:
            own["conv_stem.weight"][0, 0, 0, 0] = float(value)
            torch.save(own, tmp_path / "weights.pth")
            with spoilt(
                one,
                f'\n\ndef models():\n    return {{"net": {NETS[kind].replace("WEIGHTS", repr(str(tmp_path / "weights.pth")))}}}\n',
            ):
                said = stopped(podium, one)
                assert "holds NaN or infinite numbers, first in conv_stem.weight" in said.out + said.err
    proof(8, "weights", {"put in": len(NUMBERS), "stopped": len(NUMBERS)}, kind=kind)
