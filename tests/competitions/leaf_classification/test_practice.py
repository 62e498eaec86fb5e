"""Practice data: are the drawn leaves leaves, and is there in the collection what the pipeline has to cope with?"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_score

from competitions.leaf_classification.drawing import SIZE, draw, jpeg
from competitions.leaf_classification.files import ID, TARGET, load
from competitions.leaf_classification.practice import (
    ALIKE,
    DRAWN,
    MARKER,
    MIRRORED,
    SAME,
    SAME_FILE,
    SAVED_AGAIN,
    WRONG,
    plan,
    practice,
)
from competitions.leaf_classification.shapes import SPECIES
from pipeline.errors import BadData

ROWS, SEED = 160, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("practice") / "made" / "here"
    practice(root, rows=ROWS, seed=SEED)
    return root


def read(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        return np.asarray(picture).astype(float)


# ------------------------------------------------------------------------------------------------------------------------ the files


def test_it_is_read_whole_and_bears_its_mark(folder: Path) -> None:
    data = load(folder)
    assert (len(data.train), len(data.test)) == (ROWS, ROWS // 4)
    assert data.sample[ID].tolist() == data.test[ID].tolist()
    assert len(list((folder / "images").iterdir())) == ROWS + ROWS // 4
    assert f"rows={ROWS}, seed={SEED}" in (folder / MARKER).read_text()
    assert data.train[ID].str.startswith("images/drawn-").all()
    assert data.train[TARGET].str.startswith("drawn-").all()


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_pictures(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        practice(tmp_path / name, rows=50, seed=seed)
    one, same, other = (read(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one.keys() == other.keys()
    assert all(one[file] != other[file] for file in one if file.suffix == ".jpg")


def test_real_tables_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image,label\n")
    with pytest.raises(BadData, match=r"holds a train.csv but no PRACTICE.md: it may be the real one"):
        practice(tmp_path, rows=50, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(BadData, match="rows=49 is too few"):
        plan(49, 0)


# ---------------------------------------------------------------------------------------------------------------------- its troubles


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(50, 3000), seed=st.integers(0, 2**32))
def test_every_collection_has_its_share_of_each_trouble(rows: int, seed: int) -> None:
    planned = plan(rows, seed)
    number = len(planned.species)
    copies = planned.kind != DRAWN
    assert (planned.source == np.arange(number)).tolist() == (~copies).tolist()
    assert (planned.kind[planned.source[copies]] == DRAWN).all()
    assert (planned.species[planned.source] == planned.species).all()
    assert (planned.kind == SAME_FILE).sum() == np.ceil(SAME * number)
    assert np.isin(planned.kind, (MIRRORED, SAVED_AGAIN)).sum() == np.ceil(ALIKE * number)
    assert (
        np.ceil(WRONG * rows) <= (planned.labels != planned.species[:rows]).sum() <= np.ceil(WRONG * rows) + copies.sum() / 5 + 1
    )
    for part in (planned.species[:rows], planned.species[rows:]):
        assert np.bincount(part, minlength=len(SPECIES)).min() >= 2


def test_species_are_as_unequal_as_the_real_ones() -> None:
    counts = np.bincount(plan(4000, 0).species)
    assert 5 < counts.max() / counts.min() < 8


def test_copies_stand_in_one_part_and_in_both_with_the_same_label_and_with_another() -> None:
    planned = plan(600, 0)
    copies = np.flatnonzero(planned.kind != DRAWN)
    across = (copies < 600) != (planned.source[copies] < 600)
    within = copies[(copies < 600) & (planned.source[copies] < 600)]
    differ = planned.labels[within] != planned.labels[planned.source[within]]
    assert 3 < across.sum() < len(copies)
    assert 0 < differ.sum() < len(within) / 2


def test_copies_of_a_file_are_the_same_bytes_and_the_other_copies_the_same_picture(folder: Path) -> None:
    planned = plan(ROWS, SEED)
    files = [folder / "images" / f"drawn-{i}.jpg" for i in range(len(planned.species))]
    far = np.abs(pixels(files[0]) - pixels(files[1])).mean()
    for i in np.flatnonzero(planned.kind != DRAWN).tolist():
        one, other = files[i], files[planned.source[i]]
        assert (one.read_bytes() == other.read_bytes()) == (planned.kind[i] == SAME_FILE)
        seen = pixels(one)[:, ::-1] if planned.kind[i] == MIRRORED else pixels(one)
        assert np.abs(seen - pixels(other)).mean() < min(3, far / 3)
    drawn = np.flatnonzero(planned.kind == DRAWN).tolist()
    assert len({files[i].read_bytes() for i in drawn}) == len(drawn)


# ------------------------------------------------------------------------------------------------------------------------- its leaves


@pytest.fixture(scope="module")
def leaves() -> tuple[np.ndarray, np.ndarray]:
    """Twenty leaves of each species, all different, and the species."""
    y = np.repeat(np.arange(len(SPECIES)), 20)
    return np.stack([draw(np.random.default_rng([7, i]), SPECIES[k]) for i, k in enumerate(y.tolist())]), y


def test_every_picture_shows_something_before_its_paper(leaves: tuple[np.ndarray, np.ndarray]) -> None:
    pictures, _ = leaves
    assert pictures.shape[1:] == (SIZE, SIZE, 3)
    assert pictures.dtype == np.uint8
    thinned = pictures[:, ::2, ::2].astype(np.float32)
    other = np.abs(thinned - np.median(thinned[:, :4, :4], axis=(1, 2), keepdims=True)).max(axis=-1) > 40
    assert ((other.mean(axis=(1, 2)) > 0.004) & (other.mean(axis=(1, 2)) < 0.95)).mean() > 0.95


def test_a_simple_classifier_tells_species_apart_better_than_chance(leaves: tuple[np.ndarray, np.ndarray]) -> None:
    """Trees on the spectrum of small pictures, which does not depend on where the leaf lies; chance is a twelfth."""
    pictures, y = leaves
    small = pictures.reshape(-1, 32, 7, 32, 7, 3).mean(axis=(2, 4, 5))
    spectrum = np.abs(np.fft.rfft2(small - np.median(small, axis=(1, 2), keepdims=True))).reshape(len(y), -1)
    trees = ExtraTreesClassifier(60, random_state=0)
    assert 0.18 < cross_val_score(trees, spectrum, y, cv=4).mean() < 0.7
    assert cross_val_score(trees, spectrum, np.random.default_rng(0).permutation(y), cv=4).mean() < 0.15


def test_a_jpeg_of_lower_quality_is_smaller_and_both_are_the_picture(leaves: tuple[np.ndarray, np.ndarray]) -> None:
    picture = leaves[0][100]
    good, poor = jpeg(picture, 95), jpeg(picture, 60)
    assert len(poor) < len(good)
    for file in (good, poor):
        with Image.open(io.BytesIO(file)) as found:
            assert np.abs(np.asarray(found)[..., ::-1].astype(float) - picture).mean() < 4
