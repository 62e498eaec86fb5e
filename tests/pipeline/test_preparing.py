"""Before units of pictures run: what is shared is made, what was given up is cleared, and one model's trouble stays its own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import competitions
from pipeline import models
from pipeline.competition import Model
from pipeline.errors import UnknownName
from pipeline.preparing import ABANDONED, SCRATCH, clear_abandoned, place_of, prepare
from pipeline.run import IMAGE, Run, open_run, write_practice

ROWS = 50
PROBE = {"net": "test_resnet", "weights": None, "size": 32, "views": ("plain",)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("leaves")
    write_practice(competitions.find("leaf-classification"), root / "data", ROWS, 0)
    return open_run("leaf-classification", root / "data", runs=root / "runs", folds=3)


def test_a_unit_knows_copies_and_which_pictures_have_labels(run: Run) -> None:
    place = place_of(run, "net", "key")
    rows = place.gallery.rows(run.data.train[IMAGE])
    assert (place.same[rows] == run.data.train["twins"].to_numpy()).all()
    assert place.labelled.sum() == place.labelled[rows].sum() == ROWS


def test_what_cannot_be_prepared_is_said_and_a_wrong_parameter_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def too_large(recipe: Model, place: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(models, "prepare", too_large)
    prepare(run, {"large": Model("probe", PROBE)}, 1, said.append)
    assert said == ["large could not be prepared (RuntimeError: DefaultCPUAllocator: can't allocate memory)."]
    with pytest.raises(UnknownName, match="sise"):
        prepare(run, {"large": Model("probe", {**PROBE, "sise": 32})}, 1, said.append)


def test_old_checkpoints_of_units_that_were_given_up_are_removed(run: Run) -> None:
    folders: dict[str, Path] = {key: run.store.path(SCRATCH, "net", key) for key in ("wanted", "given-up", "of-today")}
    for key, folder in folders.items():
        (folder / "training").mkdir(parents=True)
        for path in (folder / "training", folder):
            old = time.time() - (2 * ABANDONED if key != "of-today" else 0)
            os.utime(path, (old, old))
    clear_abandoned(run, {("net", "wanted")})
    assert {key for key, folder in folders.items() if folder.exists()} == {"wanted", "of-today"}
