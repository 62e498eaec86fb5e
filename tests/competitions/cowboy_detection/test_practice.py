"""Practice data: is it read like the real files, and are the real troubles in it?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from competitions.cowboy_detection import competition
from competitions.cowboy_detection.drawing import Thing
from competitions.cowboy_detection.files import ID, load
from competitions.cowboy_detection.practice import (
    CATEGORIES,
    LEAST,
    LEFT_OUT,
    MARKER,
    OF_IMAGES,
    SHARES,
    annotated,
    asked,
    left_out,
    plan,
    practice,
)
from pipeline.competition import Data
from pipeline.errors import BadData
from pipeline.predictions import Truth

ROOT = Path(__file__).resolve().parents[3]
ROWS, SEED = 60, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("practice") / "made" / "here"
    practice(root, rows=ROWS, seed=SEED)
    return root


@pytest.fixture(scope="module")
def data(folder: Path) -> Data:
    return load(folder)


def read(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------------------------------ the files


def test_it_is_read_whole_and_bears_its_mark(folder: Path, data: Data) -> None:
    assert len(data.train) == ROWS
    assert data.test["phase"].tolist() == ["valid"] * 10 + ["test"] * 10
    assert data.sample[ID].tolist() == data.test[ID].tolist()
    assert len(list((folder / "images").iterdir())) == ROWS + 20
    assert f"rows={ROWS}, seed={SEED}" in (folder / MARKER).read_text()


def test_ids_are_64_bits_that_the_files_are_named_by(folder: Path, data: Data) -> None:
    both = pd.concat([data.train, data.test])
    assert [f"{int(one):016x}.jpg" for one in both[ID]] == both["image"].tolist()
    assert 0.2 < np.mean([int(one) >= 2**63 for one in both[ID]]) < 0.8
    numbers = [one["id"] for one in json.loads((folder / "train.json").read_text())["images"]]
    assert list(map(str, numbers)) == data.train[ID].tolist()


def test_categories_stand_in_an_order_that_is_not_that_of_their_ids(data: Data) -> None:
    assert data.categories is not None
    assert dict(zip(data.categories["name"], data.categories["id"].astype(int), strict=True)) == CATEGORIES
    assert sorted(CATEGORIES.values()) == [87, 131, 318, 588, 1034]
    assert list(CATEGORIES.values()) != sorted(CATEGORIES.values())


def test_pictures_are_of_the_size_that_the_file_says(folder: Path, data: Data) -> None:
    for _, name, width, height in data.train.itertuples(index=False):
        with Image.open(folder / "images" / name) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (width, height))
    assert data.train[["width", "height"]].drop_duplicates().shape[0] > 2


def test_nothing_tells_the_answer_of_test(folder: Path, data: Data) -> None:
    texts = [path.read_text() for path in folder.iterdir() if path.is_file() and path.name not in ("valid.csv", "test.csv")]
    for one, name in zip(data.test[ID], data.test["image"], strict=True):
        assert not any(one in text or name in text for text in texts)
    assert not set(data.train[ID]) & set(data.test[ID])


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_pictures(tmp_path: Path) -> None:
    """In another process too, whose sets of texts have another order."""
    call = "from pathlib import Path; from competitions.cowboy_detection.practice import practice; "
    code = f"{call}practice(Path(r'{tmp_path / 'same'}'), 20, 0)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, check=True)
    practice(tmp_path / "one", rows=20, seed=0)
    practice(tmp_path / "other", rows=20, seed=1)
    one, same, other = (read(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert not set(one.values()) & set(other.values())
    assert not set(plan(20, 0).ids) & set(plan(20, 1).ids)


def test_real_tables_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,file_name\n")
    with pytest.raises(BadData, match=r"holds a train.csv but no PRACTICE.md: it may be the real one"):
        practice(tmp_path, rows=50, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(BadData, match="rows=19 is too few"):
        plan(19, 0)


# ---------------------------------------------------------------------------------------------------------------------- its troubles


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(20, 1500), seed=st.integers(0, 2**32))
def test_every_collection_has_copies_and_the_rarest_things_in_pictures_of_their_own(rows: int, seed: int) -> None:
    planned = plan(rows, seed)
    train, rest = planned.source[:rows], planned.source[rows:]
    assert len(planned.source) == len(planned.ids) == len(set(planned.ids)) == rows + 2 * asked(rows)
    assert sorted(set(train)) == list(range(len(set(train))))
    assert rest == list(range(len(set(train)), len(planned.scenes)))
    belts = [sum("belt" in wears for wears in people) for people in planned.scenes]
    assert max(belts) == 1
    assert sum(belts[scene] for scene in set(train)) >= LEAST + 1
    assert rows - len(set(train)) == max(2, -(-rows // 50))
    copied = [scene for scene in set(train) if train.count(scene) > 1]
    assert not any(belts[scene] for scene in copied)
    assert sum(any(people) for people in planned.scenes) == len(planned.scenes)


def test_things_are_as_unequal_as_the_real_ones() -> None:
    planned = plan(3000, 0)
    counts = {name: sum(name in wears for people in planned.scenes[:2940] for wears in people) for name in CATEGORIES}
    for name, share in SHARES.items():
        assert counts[name] == pytest.approx((1 + LEFT_OUT) * share / OF_IMAGES * 2940, abs=1)


def test_what_is_drawn_has_five_pictures_with_a_belt_and_they_come_into_all_five_folds(folder: Path, data: Data) -> None:
    y = competition.task.truth(data)
    assert isinstance(y, Truth)
    belt = y.presence[:, y.categories.tolist().index(str(CATEGORIES["belt"]))]
    assert belt.sum() == LEAST
    twins = [(folder / "images" / name).read_bytes() for name in data.train["image"]]
    folds = competition.folds.make(y.images, data.train.assign(twins=twins), y)
    assert [int(belt[folds.validate(fold)].sum()) for fold in range(5)] == [1] * 5


def test_copies_are_the_same_bytes_under_two_ids_and_their_boxes_agree(folder: Path, data: Data) -> None:
    assert data.boxes is not None
    content = [(folder / "images" / name).read_bytes() for name in data.train["image"]]
    ids = pd.Series(data.train[ID].tolist()).groupby(content).agg(list)
    copies = [group for group in ids if len(group) > 1]
    assert len(ids) == ROWS - 2
    for group in copies:
        boxes = [data.boxes[data.boxes[ID] == one].drop(columns=ID).to_numpy().tolist() for one in group]
        assert all(boxes[0] == other for other in boxes)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 60), min_size=5, max_size=5), seed=st.integers(0, 2**32))
def test_of_every_category_some_things_get_no_box_and_most_do(counts: list[int], seed: int) -> None:
    things = [
        Thing(name, (i, 0, 10, 10))
        for name, count in zip(CATEGORIES, counts, strict=True)
        for i in range(count + left_out(count))
    ]
    scenes = [things[start::7] for start in range(7)]
    kept = annotated(scenes, seed)
    for before, after in zip(scenes, kept, strict=True):
        assert [thing for thing in before if thing in after] == after
    for name, count in zip(CATEGORIES, counts, strict=True):
        assert count - 1 <= sum(thing.name == name for scene in kept for thing in scene) <= count
