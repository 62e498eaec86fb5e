"""The family "image" learns from files, goes on after a kill, and says what it cannot do before it trains."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.competition import Model
from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import build, prepare
from pipeline.models import image as module
from pipeline.models.image import VIEWS, Image, seen
from pipeline.models.place import Place
from pipeline.pictures.gallery import Gallery
from pipeline.predictions import Array
from pipeline.resample import parse
from pipeline.resample.sampler import Sampler
from tests.pipeline.models import coloured
from tests.pipeline.models.coloured import CLASSES, SIZE

N = 60
X = pd.DataFrame({"picture": coloured.names(N)})
Y = np.arange(N) % len(CLASSES)
LEARN, NEW = slice(0, 40), slice(40, N)
QUICK = {"net": "test_resnet", "weights": None, "size": SIZE, "epochs": 2, "batch": 16, "precision": "fp32", "views": ["plain"]}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return coloured.draw(tmp_path_factory.mktemp("pictures"), N)


@pytest.fixture
def place(pictures: Gallery, tmp_path: Path) -> Place:
    return coloured.place(pictures, tmp_path / "kept", tmp_path / "scratch")


def model(place: Place, classes: int = 3, seed: int = 0, **params: Any) -> Image:
    made = build(Model("image", {**QUICK, **params}), classes, seed, place)
    assert isinstance(made, Image)
    return made


def accuracy(p: Array) -> float:
    return float((p.argmax(1) == Y[NEW]).mean())


@pytest.mark.parametrize(
    "params",
    [
        {"net": "lenet", "rate": 3e-3, "views": VIEWS, "precision": "bf16"},
        {"optimizer": "sgd", "hold_out": 0.2, "patience": 9, "ema": 0.9, "augment": {"flips": "both", "crop": 0.7}},
    ],
)
def test_it_learns_and_gives_probabilities(place: Place, params: dict[str, Any]) -> None:
    made = model(place, **{"epochs": 12, "cutmix": 0.0, **params}).fit(X[LEARN], Y[LEARN])
    p = made.predict(X[NEW])
    assert accuracy(p) > 0.9
    assert p.shape == (N - 40, 3)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(1), 1, rtol=0, atol=1e-12)
    assert (made.temperature != 1) == ("hold_out" in params)


def test_the_seed_decides_and_the_order_of_new_rows_does_not(place: Place, tmp_path: Path) -> None:
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    made = [
        model(dataclasses.replace(place, scratch=tmp_path / str(number)), seed=seed).fit(X[LEARN], Y[LEARN])
        for number, seed in enumerate((0, 0, 1))
    ]
    first, same, other = (each.predict(X[NEW]).tobytes() for each in made)
    assert first == same != other
    shuffled = X[NEW].sample(frac=1, random_state=0)
    assert made[0].predict(shuffled)[np.argsort(shuffled.index)].tobytes() == first
    assert torch.equal(random, torch.get_rng_state())
    assert torch.get_num_threads() == threads


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests_image import CLASSES, X, Y, LEARN, N, model
from tests.pipeline.models import coloured

def say(message):
    if message.startswith("epoch 2 of"):
        os.kill(os.getpid(), signal.SIGKILL)

place = coloured.place(coloured.gallery(Path({root!r}), N), Path("kept"), Path({scratch!r}), say)
model(place, epochs=3).fit(X[LEARN], Y[LEARN])
"""


def test_after_kill_minus_nine_predictions_have_the_same_bits(place: Place, tmp_path: Path) -> None:
    whole = model(place, epochs=3).fit(X[LEARN], Y[LEARN]).predict(X[NEW])
    scratch, said = tmp_path / "killed", list[str]()
    (tmp_path / "tests_image.py").symlink_to(__file__)
    paths = {"path": [str(tmp_path), str(Path(__file__).parents[3])], "root": str(place.gallery.root), "scratch": str(scratch)}
    killed = subprocess.run([sys.executable, "-c", KILLED.format(**paths)], cwd=tmp_path, capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    resumed = model(dataclasses.replace(place, scratch=scratch, say=said.append), epochs=3).fit(X[LEARN], Y[LEARN])
    assert said[0] == "It goes on after epoch 2 of 3."
    assert resumed.predict(X[NEW]).tobytes() == whole.tobytes()


@pytest.mark.parametrize("change", [{"rate": 2e-3}, {"seed": 1}, {"rows": 39}, {"smoothing": 0.0}])
def test_a_checkpoint_of_another_training_is_not_gone_on_from(place: Place, change: dict[str, Any]) -> None:
    model(place).fit(X[LEARN], Y[LEARN])
    said: list[str] = []
    rows = slice(0, change.pop("rows", 40))
    model(dataclasses.replace(place, say=said.append), **change).fit(X[rows], Y[rows])
    assert said[0].startswith("epoch 1 of 2")


def test_a_class_without_rows_keeps_its_column(place: Place) -> None:
    some = Y != 1
    p = model(place, epochs=1).fit(X[some], Y[some]).predict(X[NEW])
    assert p.shape == (N - 40, 3)


def test_the_rows_held_out_are_judged_in_batches_that_fit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, whole = [], module.probabilities

    class Tight(module.FineTuning):
        def __init__(self, *about: Any) -> None:
            super().__init__(*about)
            self.micro = 4  # as after running out of memory

    def watched(*about: Any) -> Array:
        tried.append(about[-1])
        return whole(*about)

    monkeypatch.setattr(module, "FineTuning", Tight)
    monkeypatch.setattr(module, "probabilities", watched)
    model(place, hold_out=0.2).fit(X[LEARN], Y[LEARN])
    assert set(tried) == {4}


@pytest.mark.parametrize("way", ["copy", "balanced", "class-aware:at=1", "inverse"])
def test_resampled_it_is_as_sure_of_a_rare_class_as_it_may_be_and_judges_rows_as_they_are(place: Place, way: str) -> None:
    """Labels that nothing in the pictures tells: their shares are all there is to know."""
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [32, 8]))
    sampler = Sampler(parse(way), 2, 0)  # type: ignore[arg-type]
    two = dataclasses.replace(place, labels=("usual", "rare"))
    p = model(two, classes=2, hold_out=0.25, epochs=4).fit(X[LEARN], y, sampler).predict(X[NEW])
    assert sampler.before is not None
    assert sampler.before.tolist() == [24, 6]  # a quarter of each class is held out
    assert 0.05 < p[:, 1].mean() < 0.35  # without the correction about a half


def test_of_every_class_something_is_left_to_learn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = []
    monkeypatch.setattr(Image, "_train", lambda self, pictures, held, truth, sampler: learned.append(set(pictures.y)))
    y = np.array([0] * 20 + [1] * 19 + [2])
    model(place, hold_out=0.6).fit(X[LEARN], y)
    assert learned == [{0, 1, 2}]


def test_pictures_are_decoded_before_the_units_run(place: Place) -> None:
    prepare(Model("image", {**QUICK, "size": 40}), place)
    assert place.gallery.pixels(40, say=lambda message: pytest.fail(message)).shape == (N, 40, 40, 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epoch": 3}, "No parameter of image is called 'epoch'. Did you mean epochs"),
        ({"net": "resnet5"}, "No net is called 'resnet5'"),
        ({"views": ["plain", "miror"]}, "No view is called 'miror'. Did you mean mirror"),
        ({"how": "squish"}, "No way of fitting a picture is called 'squish'. Did you mean squash"),
        ({"precision": "fp16"}, "No precision is called 'fp16'"),
        ({"optimizer": "adam"}, "No optimizer is called 'adam'"),
        ({"augment": "wild"}, "No strength of augmentation is called 'wild'"),
    ],
)
def test_an_unknown_choice_is_refused_before_training(place: Place, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        model(place, **params)


@pytest.mark.parametrize(("params", "message"), [({"patience": 2}, "give hold_out too"), ({"views": []}, "at least one view")])
def test_what_cannot_be_is_refused_before_training(place: Place, params: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        model(place, **params)


def test_views_are_flips_and_corners() -> None:
    x = torch.rand(2, 3, SIZE, SIZE)
    shown = {name: list(seen(x, name)) for name in VIEWS}
    assert {name: len(each) for name, each in shown.items()} == {"plain": 1, "mirror": 1, "upside": 1, "crops": 4}
    assert all(view.shape == x.shape for each in shown.values() for view in each)
    assert torch.equal(shown["mirror"][0].flip(3), x)
    assert torch.equal(shown["upside"][0].flip(2), x)
    assert torch.equal(shown["crops"][0][..., 0, 0], x[..., 0, 0])
