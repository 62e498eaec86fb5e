"""The same picture is found however it was saved; pictures that only look alike are kept apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pipeline.errors import BadData
from pipeline.pictures.index import Index, make_index
from pipeline.pictures.twins import conflicts, to_learn, twins

T = Image.Transpose


def leaf(seed: int, size: int = 160) -> Image.Image:
    """A leaf of its own shape on plain ground, beside the same ruler as all."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), (235, 238, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle((8, 145, 152, 155), fill=(20, 20, 20))
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = 25 + 12 * np.cos(rng.integers(2, 6) * angle + rng.uniform(0, 6)) + rng.uniform(-4, 4, 60)
    outline = np.stack([75 + radius * np.cos(angle), 70 + 1.4 * radius * np.sin(angle)], axis=1)
    draw.polygon([tuple(point) for point in outline], fill=tuple(int(c) for c in rng.integers(30, 140, 3)))
    return image


def needle(x: int, y: int, tilt: int) -> Image.Image:
    image = Image.new("RGB", (160, 160), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((8, 145, 152, 155), fill=(20, 20, 20))
    draw.line((x, y, x + 14, y + tilt), fill=(60, 70, 50), width=2)
    return image


def saved(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def index_of(tmp_path: Path, files: list[bytes]) -> Index:
    for number, content in enumerate(files):
        (tmp_path / f"{number}").write_bytes(content)
    return make_index(tmp_path, [str(number) for number in range(len(files))], tmp_path / "kept", 1, print)


@pytest.mark.parametrize(
    "again",
    [
        lambda image: saved(image, quality=40),
        lambda image: saved(image, "PNG"),
        lambda image: saved(image, "WEBP", quality=60),
        lambda image: saved(image.resize((100, 100), Image.Resampling.LANCZOS)),
        lambda image: saved(image.resize((300, 300), Image.Resampling.BICUBIC)),
        *(lambda image, turn=turn: saved(image.transpose(turn).resize((120, 120)), quality=75) for turn in T),
    ],
    ids=["low quality", "PNG", "WebP", "smaller", "larger", *(turn.name for turn in T)],
)
def test_a_picture_saved_anew_is_the_same_picture_and_other_leaves_are_not(
    tmp_path: Path, again: Callable[[Image.Image], bytes]
) -> None:
    leaves = [leaf(seed) for seed in range(20)]
    groups = twins(index_of(tmp_path, [*(saved(image, quality=90) for image in leaves), *map(again, leaves)]))
    assert groups.tolist() == [*range(20), *range(20)]


def test_needles_on_the_same_ground_are_told_apart(tmp_path: Path) -> None:
    places = [(60, 60, 5), (66, 60, 5), (60, 60, -5), (60, 66, 9), (90, 80, 0)]
    files = [saved(needle(*place), quality=90) for place in places]
    assert twins(index_of(tmp_path, [*files, saved(needle(*places[0]), quality=75)])).tolist() == [0, 1, 2, 3, 4, 0]


def test_pictures_without_contrast_are_the_same_only_by_their_bytes(tmp_path: Path) -> None:
    blank = [saved(Image.new("RGB", (50, 50), (grey, grey, grey))) for grey in (0, 1, 255, 0)]
    assert twins(index_of(tmp_path, blank)).tolist() == [0, 1, 2, 0]


def test_a_chain_of_twins_is_one_group_and_no_picture_none(tmp_path: Path) -> None:
    files = [saved(leaf(0), quality=quality) for quality in (95, 60, 30)] + [saved(leaf(1))]
    index = index_of(tmp_path, files)
    assert twins(index).tolist() == [0, 0, 0, 1]
    assert twins(make_index(tmp_path, [], tmp_path / "kept", 1, print)).tolist() == []


def test_conflicts_are_listed_with_their_rows() -> None:
    found = conflicts(np.array([0, 1, 0, 1, 2, 2, 1]), ["a", "b", "c", "b", "a", None, None])
    assert found.to_dict("list") == {"group": [0, 0], "row": [0, 2], "label": ["a", "c"]}
    assert conflicts(np.array([0, 1]), ["a", "b"]).empty


def test_only_the_majority_label_of_identical_pictures_is_learned_from() -> None:
    keys = np.array(list("xxxyyzwww"))
    labels = ["a", "a", "b", "a", "b", "c", "d", "d", "d"]
    assert to_learn(keys, labels).tolist() == [True, True, False, False, False, True, True, True, True]
    with pytest.raises(BadData, match="9 pictures and 2 labels"):
        to_learn(keys, labels[:2])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30), st.randoms())
def test_what_is_learned_from_has_one_label_a_picture_and_knows_no_order(rows: list[tuple[int, int]], random: object) -> None:
    def learned(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
        keep = to_learn(np.array([key for key, _ in rows], dtype=np.str_), [label for _, label in rows])
        return sorted(row for row, kept in zip(rows, keep, strict=True) if kept)

    assert len(dict(learned(rows))) == len(set(learned(rows)))
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert learned(shuffled) == learned(rows)


@pytest.mark.slow
def test_the_leaves_that_are_known_to_be_the_same_are_found(shared: Path, tmp_path: Path) -> None:
    folder = shared / "leaf-classification"
    train, test = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "test.csv")
    index = make_index(folder, [*train.image, *test.image], tmp_path, 2, print)
    labels = [*train.label, *[None] * len(test)]
    _, identical = np.unique(index.sha256, return_inverse=True)
    groups = twins(index)
    assert (np.bincount(identical) > 1).sum() == 333
    assert conflicts(identical, labels)["group"].nunique() == conflicts(groups, labels)["group"].nunique() == 79
    assert len(set(identical)) - len(set(groups)) == 3
    for pair in (("1264", "15288"), ("15580", "17780"), ("818", "8596")):
        first, second = groups[index.rows([f"images/{number}.jpg" for number in pair])]
        assert first == second
