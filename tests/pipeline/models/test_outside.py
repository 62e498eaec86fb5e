"""Detectors of other libraries get pictures, boxes and ids, and give them back, whole; what comes from their process is not trusted."""

from __future__ import annotations

import dataclasses
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import identity
from pipeline.competition import Model
from pipeline.errors import BadData, BadPredictions, BadRecipe, UnknownName
from pipeline.models import build, prepare
from pipeline.models.outside import MOST, Outside, numbered, plain, told
from pipeline.models.place import Place
from pipeline.models.weights import BadWeights
from pipeline.predictions import Array, Truth
from pipeline.resample import Resample
from pipeline.resample.sampler import Sampler
from pipeline.store import pack
from tests.pipeline.models import boxed
from tests.pipeline.models.boxed import CATEGORIES, WIDTH

N = 6
IDS = np.array(["18446744073709551615", "9223372036854775809", "7"])
SIZES = np.array([(80, 60), (33, 47), (640, 480)])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return boxed.draw(tmp_path_factory.mktemp("pictures") / "images", N)  # a name that YOLO's layout takes for its own


@pytest.fixture
def standing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxed.stand_in(tmp_path, monkeypatch)


@pytest.fixture
def place(drawn: Any, tmp_path: Path) -> Place:
    return boxed.place(drawn[0], tmp_path)


def model(place: Place, seed: int = 0, family: str = "libreyolo", **params: Any) -> Outside:
    made = build(Model(family, {"net": "tiny-n", "size": 64, "epochs": 2, **params}), 3, seed, place)
    assert isinstance(made, Outside)
    return made


def rows(*boxes: Any) -> Array:
    """Boxes sorted, so that they can be compared."""
    return np.array(sorted(map(tuple, np.column_stack(boxes).tolist())))


@pytest.mark.usefixtures("standing_in")
def test_ids_boxes_and_categories_come_back_from_the_library(drawn: Any, place: Place) -> None:
    _, X, y = drawn
    prepare(Model("libreyolo", {"net": "tiny-n"}), place)
    found = model(place).fit(X, y).predict(X)
    assert found.images.tolist() == X["image_id"].tolist()
    assert set(found.score) == {0.9}
    np.testing.assert_array_equal(rows(found.image, found.category)[:, :2], rows(y.image, y.category)[:, :2])
    for one in y.images:
        theirs, ours = found.of(np.array([one])), y.of(np.array([one]))
        np.testing.assert_allclose(rows(theirs.box), rows(ours.box), rtol=0, atol=1e-9)


@pytest.mark.usefixtures("standing_in")
def test_images_are_known_by_id_whatever_their_order(drawn: Any, place: Place) -> None:
    _, X, y = drawn
    made = model(place).fit(X[:4].sample(frac=1, random_state=0), y)
    found = made.predict(X[:4].iloc[::-1])
    assert found.images.tolist() == X["image_id"][3::-1].tolist()
    for one in found.images:
        np.testing.assert_allclose(rows(found.of([one]).box), rows(y.of([one]).box), rtol=0, atol=1e-9)


@pytest.mark.usefixtures("standing_in")
def test_what_is_trained_is_not_trained_again_and_another_recipe_is(drawn: Any, place: Place) -> None:
    _, X, y = drawn
    for _ in range(2):
        made = model(place).fit(X, y)
    assert (made.folder / "trainings").read_text().count("once") == 1
    (made.folder / "checkpoint.pt").write_text("of the first seed")
    model(place, seed=1).fit(X, y)
    assert not (made.folder / "checkpoint.pt").exists()
    (made.folder / "done.txt").unlink()
    (made.folder / "checkpoint.pt").write_text("of a training that was killed")
    model(place, seed=1).fit(X, y)
    assert (made.folder / "checkpoint.pt").exists()  # the worker's to go on from


@pytest.mark.usefixtures("standing_in")
@pytest.mark.parametrize("way", ["repeat-factor", "class-aware", "copy"])
def test_pictures_with_rare_categories_are_listed_more_often_and_none_is_left_out(drawn: Any, place: Place, way: str) -> None:
    _, X, y = drawn
    rare = y.images[0]
    kept = (y.image == rare) | (y.category != y.category[y.image == rare][0])
    fewer = Truth(y.images, y.categories, y.image[kept], y.category[kept], y.box[kept], y.crowd[kept])
    made = model(place).fit(X, fewer, Sampler(Resample(way, {"at": 1.0}), 3, 0))
    listed = Counter(Path(line).stem for line in (made.folder / "train.txt").read_text().splitlines())
    assert len(listed) == len(X)
    assert listed["1"] == max(listed.values()) > 1
    again = model(place).fit(X, fewer)
    assert len((again.folder / "train.txt").read_text().splitlines()) == len(X)


@pytest.mark.usefixtures("standing_in")
def test_a_person_hears_of_it(drawn: Any, tmp_path: Path) -> None:
    pictures, X, y = drawn
    said: list[str] = []
    model(boxed.place(pictures, tmp_path, said)).fit(X, y).predict(X)
    assert said == ["train", "predict"]


@pytest.mark.usefixtures("standing_in")
@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"net": "tiny-m"}, UnknownName, "No net of libreyolo is called 'tiny-m'. Did you mean tiny-"),
        ({"nett": "tiny-n"}, UnknownName, "No parameter of libreyolo is called 'nett'. Did you mean net"),
        ({"device": "gpu"}, UnknownName, "No device is called 'gpu'"),
        ({"size": 100}, BadRecipe, "size is 100; give a multiple of 32, such as 128"),
        ({"epochs": 0}, BadRecipe, "epochs is 0; give a whole number of 1 or more"),
        ({"batch": 1.5}, BadRecipe, "batch is 1.5"),
        ({"rate": -1.0}, BadRecipe, "rate is -1.0"),
        ({"close_mosaic": 3}, BadRecipe, "close_mosaic is 3 of 2 epochs"),
        ({"mosaic": 1.5}, BadRecipe, "mosaic 1.5"),
        ({"weights": "absent.pt"}, BadWeights, r'"absent.pt" is no file. Other ways: .*weights="hub".*weights=None'),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_trains(
    place: Place, params: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        model(place, **params)


@pytest.mark.parametrize("family", ["libreyolo", "ultralytics"])
def test_an_absent_library_is_told_with_the_line_that_installs_it(
    place: Place, family: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variable = f"PODIUM_{family.upper()}_PYTHON"
    monkeypatch.setenv(variable, str(tmp_path / "no-python"))
    with pytest.raises(BadRecipe, match=f"{variable} is .*no-python.*Run: uv pip install --python .*no-python {family}"):
        model(place, family=family)
    monkeypatch.delenv(variable)
    if identity.versions([family])[family] == identity.ABSENT:
        with pytest.raises(
            BadRecipe,
            match=rf"not installed.*uv venv .venv-{family} && uv pip install .* {family} && export PODIUM_{family.upper()}_PYTHON=",
        ):
            model(place, family=family)


@pytest.mark.usefixtures("standing_in")
def test_labels_that_cannot_be_learned_are_refused(drawn: Any, place: Place) -> None:
    _, X, y = drawn
    with pytest.raises(BadRecipe, match=f"1 pictures have no labels.* first {y.images[0]}"):
        model(place).fit(X, y[1:])
    with pytest.raises(BadRecipe, match="None of the 6 pictures to learn from has a box"):
        model(place).fit(X, Truth(y.images, CATEGORIES, [], [], np.zeros((0, 4)), np.zeros(0, dtype=bool)))
    with pytest.raises(BadRecipe, match="3 categories where 2 classes"):
        build(Model("libreyolo", {"net": "tiny-n"}), 2, 0, dataclasses.replace(place, labels=("belt", "boot"))).fit(X, y)
    with pytest.raises(BadData, match="are not in the index"):
        model(place).fit(X.assign(file_name="b.png"), y)


def truth(image: Array, category: Array, box: Array, crowd: Array | None = None) -> Truth:
    crowd = np.zeros(len(image), dtype=bool) if crowd is None else crowd
    return Truth(IDS, CATEGORIES, IDS[image], CATEGORIES[category], box.reshape(-1, 4), crowd)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), *[st.floats(-50, 700)] * 2, *[st.floats(0, 700)] * 2), max_size=20)
)
def test_boxes_go_to_shares_of_the_picture_and_back(made: list[tuple[float, ...]]) -> None:
    table = np.array(made).reshape(-1, 6)
    table = table[(table[:, 4:] > 0).all(axis=1)]  # a true box has an area
    y = truth(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])
    row, labels = numbered(y, IDS, SIZES)
    assert (labels[:, 1:] >= 0).all()
    assert (labels[:, 1:] <= 1).all()
    size = np.hstack([SIZES[row], SIZES[row]])
    middle, extent = labels[:, 1:3], labels[:, 3:]
    corners = np.hstack([middle - extent / 2, middle + extent / 2]) * size
    found = told(packed(row + 1, labels[:, 0], corners, np.full(len(row), 0.5)), IDS, SIZES, CATEGORIES)
    low = np.clip(y.box[:, :2], 0, SIZES[table[:, 0].astype(int)])
    high = np.clip(y.box[:, :2] + y.box[:, 2:], 0, SIZES[table[:, 0].astype(int)])
    wide = (high - low > 1e-6).all(axis=1)  # narrower ones may come back as nothing
    expected = {
        (i, c, *np.round([*a, *(b - a)], 6))
        for i, c, a, b in zip(y.image[wide], y.category[wide], low[wide], high[wide], strict=True)
    }
    back = {(i, c, *np.round(box, 6)) for i, c, box in zip(found.image, found.category, found.box, strict=True)}
    assert {each[:2] for each in expected} <= {each[:2] for each in back}
    assert len(expected) <= len(back) + 1e-9 or len(back) == 3 * MOST
    np.testing.assert_allclose(rows_of(expected, found), rows_of(expected, found, own=True), rtol=0, atol=1e-6)


def rows_of(expected: set[Any], found: Any, own: bool = False) -> Array:
    """For each expected box itself, or the nearest of those that were found under its image and category."""
    picked = []
    for image, category, *box in sorted(expected):
        near = found.box[(found.image == image) & (found.category == category)]
        picked.append(np.array(box) if own else near[np.abs(near - np.array(box)).sum(axis=1).argmin()])
    return np.array(picked).reshape(-1, 4)


def test_crowds_copies_and_boxes_outside_are_no_labels() -> None:
    box = np.array([(1, 1, 5, 5), (1, 1, 5, 5), (2, 2, 5, 5), (90, 5, 5, 5), (70, 50, 20, 20)], dtype=float)
    y = truth(np.zeros(5, dtype=int), np.zeros(5, dtype=int), box, np.array([False, False, True, False, False]))
    _, labels = numbered(y, IDS, SIZES)
    np.testing.assert_allclose(labels[:, 1:] * [80, 60, 80, 60], [(3.5, 3.5, 5, 5), (75, 55, 10, 10)])


def packed(image: Any, category: Any, box: Any, score: Any) -> bytes:
    return pack(
        {
            "image": np.asarray(image, dtype=np.int64),
            "category": np.asarray(category, dtype=np.int64),
            "box": np.asarray(box, dtype=np.float64).reshape(-1, 4),
            "score": np.asarray(score, dtype=np.float64),
        }
    )


def test_boxes_are_cut_off_at_the_edges_and_the_best_hundred_kept() -> None:
    score = np.linspace(0.5, 1.0000001, 130)
    found = told(packed([1] * 130, [0] * 130, [(-5, 10, 200, 30)] * 130, score), IDS, SIZES, CATEGORIES)
    assert len(found) == MOST
    assert found.score.min() == pytest.approx(np.sort(score)[30])
    assert found.score.max() == 1
    assert {tuple(box) for box in found.box.tolist()} == {(0, 10, WIDTH, 20)}
    faint = told(
        packed([1, 2, 3], [0] * 3, [(0, 0, 9, 9), (0, 0, 9, 9), (-9, 0, 0, 9)], [0.0009, 0.001, 1]), IDS, SIZES, CATEGORIES
    )
    assert faint.image.tolist() == [IDS[1]]
    assert faint.images.tolist() == IDS.tolist()


GOOD = {"image": np.array([1]), "category": np.array([2]), "box": np.array([[1.0, 2, 3, 4]]), "score": np.array([0.5])}


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": np.array([0])},
        {"image": np.array([4])},
        {"image": np.array([2**62])},
        {"image": np.array([1.0])},
        {"image": np.array(1)},
        {"image": np.array([1, 2])},
        {"category": np.array([-1])},
        {"category": np.array([3])},
        {"category": np.array(["2"])},
        {"box": np.array([[1.0, np.nan, 3, 4]])},
        {"box": np.array([[1.0, np.inf, 3, 4]])},
        {"box": np.array([1.0, 2, 3, 4])},
        {"score": np.array([np.nan])},
        {"score": np.array([0.5 + 0j])},
    ],
    ids=str,
)
def test_a_file_of_boxes_with_what_cannot_be_is_refused(wrong: dict[str, Array]) -> None:
    assert len(told(pack(GOOD), IDS, SIZES, CATEGORIES)) == 1
    with pytest.raises(BadPredictions, match="The file of boxes"):
        told(pack({**GOOD, **wrong}), IDS, SIZES, CATEGORIES)


def test_nothing_pickled_is_run() -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return exec, ("raise SystemExit('it ran')",)

    content = io.BytesIO()
    np.savez(content, **{**GOOD, "image": np.array([Hostile()], dtype=object)})
    with pytest.raises(BadPredictions, match="cannot be read"):
        told(content.getvalue(), IDS, SIZES, CATEGORIES)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"boxes", pack({"image": np.zeros(3)})], ids=["nothing", "zip", "text", "less"]
)
def test_what_is_no_file_of_boxes_is_refused(content: bytes) -> None:
    with pytest.raises(BadPredictions, match="cannot be read"):
        told(content, IDS, SIZES, CATEGORIES)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(pack(GOOD)) - 1))
def test_a_file_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(BadPredictions):
        told(pack(GOOD)[:length], IDS, SIZES, CATEGORIES)


def test_pictures_that_a_library_may_read_otherwise_are_written_anew(tmp_path: Path, standing_in: None) -> None:
    """And the originals are never changed: ultralytics would mend a JPEG through a link."""
    root = tmp_path / "pictures"
    root.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image, turned = PIL.Image.fromarray(pixels), PIL.Image.Exif()
    turned[0x0112] = 6
    image.save(root / "good.jpg")
    image.save(root / "turned.jpg", exif=turned)
    (root / "tail.jpg").write_bytes((root / "good.jpg").read_bytes() + b"\0\0")
    (root / "no ending").write_bytes((root / "good.jpg").read_bytes())
    image.convert("P").save(root / "palette.png")
    image.convert("RGBA").save(root / "clear.png")
    image.convert("L").save(root / "grey.png")
    image.save(root / "one.webp")
    endings = {path.name: plain(path) for path in sorted(root.iterdir())}
    assert {name for name, ending in endings.items() if ending} == {"good.jpg", "grey.png", "no ending"}
    pictures = boxed.gallery(root, list(endings))
    before = pictures.index.sha256.tolist()
    place = boxed.place(pictures, tmp_path)
    X = pd.DataFrame({"image_id": IDS[0] + pd.Series(range(len(endings))).astype(str), "file_name": list(endings)})
    files = model(place)._pictures(X, "images")
    assert [file.is_symlink() for file in files] == [bool(ending) for ending in endings.values()]
    assert [file.stem for file in files] == [str(number) for number in range(1, len(files) + 1)]
    for file, width, height in zip(files, pictures.index.width, pictures.index.height, strict=True):
        with PIL.Image.open(file) as opened:
            assert opened.size == (width, height)
    assert boxed.gallery(root, list(endings)).index.sha256.tolist() == before
