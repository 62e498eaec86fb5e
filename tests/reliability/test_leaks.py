"""Planted leaks are found, by the real command too; data without one gives none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.audit import audit
from pipeline.audit.subject import Subject
from pipeline.errors import SEVERE_STANDS
from pipeline.folds import KFold
from tests.conftest import Said
from tests.pipeline.audit.made import as_classes, run_of, tables
from tests.pipeline.audit.test_audit import PLANTS, room

Podium = Callable[..., Said]
ROWS = {"house-prices": 400, "leaf-classification": 60, "cowboy-detection": 50}
CLEAN = 4  # tables of numbers, and as many of classes


@pytest.mark.slow
def test_planted_faults_of_tables_are_found_and_tables_without_give_none(tmp_path: Path, proof: Any) -> None:
    as_severe = 0
    for number, (name, plant) in enumerate(PLANTS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        train, test = plant.do(tables(3), np.random.default_rng(1))
        found = room(plant.room, Subject(run_of(folder, train, test, **plant.options)))
        severities = [one.severity for one in found if one.check == plant.check]
        assert severities, name
        as_severe += plant.severity in severities  # where harm is measured, another draw may do less of it
    for seed in range(CLEAN):
        for classes in (0, 3):
            folder = tmp_path / f"clean {seed} {classes}"
            folder.mkdir()
            train, test = tables(50 + seed)
            assert audit(run_of(folder, as_classes(train, classes) if classes else train, test, KFold(k=3, strata=2))) == []
    figures = {
        "faults planted": len(PLANTS),
        "not found": 0,
        "found, and as severe as meant": as_severe,
        "tables without a fault": 2 * CLEAN,
        "findings in these": 0,
    }
    proof(12, "copies, targets in columns, shift, features that see the target: planted one at a time", figures, kind="tables")


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_the_command_finds_a_planted_leak_and_none_before(name: str, podium: Podium, tmp_path: Path, proof: Any) -> None:
    folder = tmp_path / "data"
    assert podium("data", name, "--practice", folder, "--rows", ROWS[name]).code == 0
    before = podium("audit", name, "--data", folder)
    assert before.code == 0, before.out + before.err
    what, kind = PLANTED[name](folder)
    after = podium("audit", name, "--data", folder)
    assert after.code == SEVERE_STANDS, after.out + after.err
    told = json.loads(Path(after.out.splitlines()[-1]).read_text())
    assert "severe" in {one["severity"] for one in told["findings"]}
    proof(12, f"podium audit: {what}", {"exit code before": before.code, "after": after.code}, kind=kind)


def price_among_the_columns(folder: Path) -> tuple[str, str]:
    train = pd.read_csv(folder / "train.csv")
    train["Tax assessed value"] = train["Sold Price"]
    train.to_csv(folder / "train.csv", index=False)
    return "a column that is the price", "tables"


def a_species_of_one_leaf(folder: Path) -> tuple[str, str]:
    train = pd.read_csv(folder / "train.csv")
    train["label"] = np.where(np.arange(len(train)) == 0, "alone", train["label"])
    train.to_csv(folder / "train.csv", index=False)
    return "a species of one leaf", "images"


def a_category_in_one_picture(folder: Path) -> tuple[str, str]:
    told = json.loads((folder / "train.json").read_text())
    rare = told["categories"][0]["id"]
    kept = next(one["image_id"] for one in told["annotations"] if one["category_id"] == rare)
    told["annotations"] = [one for one in told["annotations"] if one["category_id"] != rare or one["image_id"] == kept]
    (folder / "train.json").write_text(json.dumps(told))
    return "a category in one picture alone", "boxes"


PLANTED = {
    "house-prices": price_among_the_columns,
    "leaf-classification": a_species_of_one_leaf,
    "cowboy-detection": a_category_in_one_picture,
}
