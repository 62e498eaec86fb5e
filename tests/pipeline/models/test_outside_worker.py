"""The libraries themselves train and are asked, without a network; skipped by name where they are absent."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import identity
from pipeline.competition import Model
from pipeline.errors import UnknownName
from pipeline.models import build, outside_process
from pipeline.models.outside import Outside
from pipeline.models.place import Place
from pipeline.models.weights import BadWeights
from tests.pipeline.models import boxed

NETS = {"libreyolo": ("picodet-s", "yolox-n"), "ultralytics": ("yolov5nu", "yolo11n")}
N = 8


@pytest.fixture(scope="module", params=NETS)
def library(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if identity.versions([name])[name] == identity.ABSENT:
        pytest.skip(f"needs {name}, here or in an environment of its own that {identity.variable(name)} names")
    return name


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return boxed.draw(tmp_path_factory.mktemp("pictures"), N)


def model(library: str, place: Place, **params: Any) -> Outside:
    quick = {"net": NETS[library][0], "size": 96, "epochs": 2, "batch": 4, "device": "cpu"}
    made = build(Model(library, {**quick, **params}), 3, 5, place)
    assert isinstance(made, Outside)
    return made


@pytest.fixture(scope="module")
def trained(library: str, drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    pictures, X, y = drawn
    return model(library, boxed.place(pictures, tmp_path_factory.mktemp("trained"))).fit(X, y)


def test_boxes_are_of_our_images_and_categories_and_inside_the_pictures(trained: Outside, drawn: Any) -> None:
    _, X, y = drawn
    found = trained.predict(X)
    assert found.images.tolist() == y.images.tolist()
    assert set(found.image) <= set(y.images)
    assert set(found.category) <= set(y.categories)
    assert len(found)
    assert (found.box[:, :2] >= 0).all()
    assert (found.box[:, :2] + found.box[:, 2:] <= [boxed.WIDTH + 1e-9, boxed.HEIGHT + 1e-9]).all()
    assert found.score.min() >= 0.001
    assert np.unique(found.image, return_counts=True)[1].max() <= 100
    few = trained.predict(X[::-3])
    for one in few.images:
        np.testing.assert_allclose(few.of([one]).box, found.of([one]).box, rtol=0, atol=1e-2)


def tensors(library: str, file: Path) -> dict[str, Any]:
    """Of a checkpoint; ultralytics' holds objects, so it is read where the library is."""
    code = (
        "import sys, torch; from ultralytics.nn.tasks import torch_safe_load; c = torch_safe_load(sys.argv[1])[0]; "
        "torch.save((c.get('ema') or c['model']).state_dict(), sys.argv[2])"
    )
    if library == "ultralytics":
        bare, about = file.with_suffix(".bare"), {**os.environ, "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(file.parent)}
        subprocess.run(
            [identity.interpreter(library), "-P", "-c", code, str(file), str(bare)], env=about, check=True, capture_output=True
        )
        return dict(torch.load(bare, weights_only=True))
    return dict(torch.load(file, weights_only=True)["model"])


def test_the_seed_decides_and_a_training_that_was_stopped_goes_on(
    library: str, trained: Outside, drawn: Any, tmp_path: Path
) -> None:
    """libreyolo to the same bits; ultralytics goes on from rounded weights."""
    pictures, X, y = drawn
    said: list[str] = []

    class Stopped(BaseException):
        pass

    def stop(line: str) -> None:
        if line.startswith("epoch 1 "):
            raise Stopped

    place = boxed.place(pictures, tmp_path, said)
    with pytest.raises(Stopped):
        model(library, dataclasses.replace(place, say=stop)).fit(X, y)
    made = model(library, place).fit(X, y)
    assert said[0] == "goes on after epoch 1 of 2"
    assert len(said) == 2
    ours, theirs = (tensors(library, each.folder / "trained.pt") for each in (made, trained))
    farthest = max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in theirs)
    assert farthest == 0 if library == "libreyolo" else farthest < 1
    assert not list(made.folder.glob("training"))


def test_a_damaged_checkpoint_is_no_end(library: str, drawn: Any, tmp_path: Path) -> None:
    pictures, X, y = drawn
    said: list[str] = []
    made = model(library, boxed.place(pictures, tmp_path, said), epochs=1)
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(made, place=dataclasses.replace(made.place, say=interrupted)).fit(X, y)
    (made.folder / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut short")
    made.fit(X, y)
    assert said[0].startswith("the checkpoint of an earlier start cannot be used")
    assert said[1].startswith("epoch 1 of 1")


def interrupted(line: str) -> None:
    raise KeyboardInterrupt


def test_nets_are_checked_before_anything_trains(library: str, drawn: Any, tmp_path: Path) -> None:
    place = boxed.place(drawn[0], tmp_path)
    wrong = NETS[library][0][:-1] + "z"
    with pytest.raises(UnknownName, match=f"No net of {library} is called '{wrong}'. Did you mean .*{NETS[library][0]}"):
        model(library, place, net=wrong)
    assert set(NETS[library]) <= set(outside_process.nets(library))


def test_weights_of_the_net_are_taken_and_of_others_refused(library: str, trained: Outside, drawn: Any, tmp_path: Path) -> None:
    pictures, X, y = drawn
    place, weights = boxed.place(pictures, tmp_path), str(trained.folder / "trained.pt")
    with pytest.raises(BadWeights, match=rf"of {NETS[library][1]}: .*Other ways: "):
        model(library, place, net=NETS[library][1], weights=weights).fit(X, y)
    made = model(library, place, weights=weights, epochs=1, rate=1e-9).fit(X, y)
    ours, theirs = tensors(library, made.folder / "trained.pt"), tensors(library, Path(weights))
    name = max((name for name in theirs if theirs[name].ndim == 4), key=lambda name: theirs[name].numel())
    torch.testing.assert_close(ours[name].float(), theirs[name].float(), rtol=0, atol=1e-3)


def test_nothing_in_a_file_of_weights_is_run(library: str, drawn: Any, tmp_path: Path) -> None:
    pictures, X, y = drawn

    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    file = tmp_path / "hostile.pt"
    torch.save({"model": Hostile(), "epoch": -1}, file, pickle_module=pickle)
    with pytest.raises(BadWeights, match=r"hostile\.pt"):
        model(library, boxed.place(pictures, tmp_path), weights=str(file)).fit(X, y)
    assert not (tmp_path / "ran").exists()


def test_a_download_that_cannot_be_had_is_told_with_the_other_ways(
    library: str, drawn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    pictures, X, y = drawn
    with pytest.raises(BadWeights, match=r'weights="hub" of .*Other ways: weights="PATH"'):
        model(library, boxed.place(pictures, tmp_path), weights="hub").fit(X, y)
