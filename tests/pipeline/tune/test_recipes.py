"""Files of tuned recipes: taken for the data and the recipe that they are of, and for no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import competitions
from pipeline.competition import Entry, Model
from pipeline.store import Store
from pipeline.tune.recipes import with_tuned, write

VALUES = {"hidden": (8, 8), "rate": 0.01}


@pytest.fixture
def entry(toy: Path) -> Entry:
    models: Callable[[], dict[str, Any]] = lambda: {"mlp": Model("mlp", {"epochs": 3, "batch": 32})}  # noqa: E731
    return dataclasses.replace(competitions.find("toy"), models=models)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "runs")
    write(store, "mlp", Model("mlp", {"epochs": 3, "batch": 32}), VALUES, {"data": "d1", "score": 0.5})
    return store


def test_a_tuned_recipe_is_the_untuned_one_with_what_was_found(entry: Entry, store: Store) -> None:
    found = with_tuned(entry, store, "d1").models()
    assert list(found) == ["mlp", "mlp-tuned"]
    assert dict(found["mlp-tuned"].params) == {"epochs": 3, "batch": 32, **VALUES}


def test_without_files_the_entry_is_the_same(entry: Entry, tmp_path: Path) -> None:
    assert with_tuned(entry, Store(tmp_path / "none"), "d1") is entry


def test_of_other_data_it_is_left_out_and_said(entry: Entry, store: Store) -> None:
    said: list[str] = []
    assert list(with_tuned(entry, store, "d2", said.append).models()) == ["mlp"]
    assert said == ["mlp-tuned was tuned on other data, and is left out. Tune it on these."]


def test_of_a_recipe_that_changed_it_is_left_out_and_said(entry: Entry, store: Store) -> None:
    other = dataclasses.replace(entry, models=lambda: {"mlp": Model("mlp", {"epochs": 4})})
    said: list[str] = []
    assert list(with_tuned(other, store, "d1", said.append).models()) == ["mlp"]
    assert "from a recipe that has changed since" in said[0]


def test_a_flipped_digit_is_seen(entry: Entry, store: Store) -> None:
    file = store.path("tuned", "mlp.json")
    file.write_text(file.read_text().replace("0.01", "0.02"))
    said: list[str] = []
    assert list(with_tuned(entry, store, "d1", said.append).models()) == ["mlp"]
    assert "is damaged" in said[0]
