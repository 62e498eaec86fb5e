"""A zip of boxes is refused by the name of the rule that it breaks, and good ones are not."""

from __future__ import annotations

import copy
import io
import json
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.predictions import Boxes
from submit.boxes import FILE, RULES, answer, check

BIG = "15984033263460081658"  # no float64 has it
SIZES: dict[str, tuple[int, int] | None] = {BIG: (640, 480), "7": (100, 100), "unseen": None}
CATEGORIES = {"87", "1034"}
GOOD = [
    {"image_id": int(BIG), "category_id": 87, "bbox": [10.5, 20, 30, 40], "score": 0.75},
    {"image_id": 7, "category_id": 1034, "bbox": [0, 0, 100, 100], "score": 0.5},
]


def boxes(count: int, seed: int = 0) -> Boxes:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 50, (count, 2))
    box = np.column_stack([corner, random.uniform(1, 50, (count, 2))])
    image = random.choice([BIG, "7", "unseen"], count)
    return Boxes(np.array(list(SIZES)), image, random.choice(["87", "1034"], count), box, random.random(count))


def zipped(folder: Path, text: str | bytes, name: str = FILE) -> Path:
    path = folder / "answer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return path


def changed(**change: Any) -> list[dict[str, Any]]:
    results = copy.deepcopy(GOOD)
    results[0].update(change)
    return results


@settings(deadline=None, max_examples=40)
@given(count=some.integers(1, 90), seed=some.integers(0, 10_000))
def test_what_is_written_passes_and_says_the_same_boxes_to_the_digit(tmp_path_factory: Any, count: int, seed: int) -> None:
    found = boxes(count, seed)
    path = tmp_path_factory.mktemp("answer") / "answer.zip"
    path.write_bytes(answer(found))
    assert check(path, SIZES, CATEGORIES) == []
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        results = json.loads(archive.read(FILE))
    assert [str(one["image_id"]) for one in results] == found.image.tolist()
    assert [one["bbox"] for one in results] == found.box.tolist()
    assert [one["score"] for one in results] == found.score.tolist()
    assert answer(found) == path.read_bytes()


@pytest.mark.parametrize(
    ("results", "rule"),
    [
        ([], "no-boxes"),
        ({"images": [], "annotations": []}, "not-a-list"),
        ([1, 2], "not-a-list"),
        ([{key: value for key, value in GOOD[0].items() if key != "score"}], "keys"),
        (changed(area=5), "keys"),
        (changed(image_id=float(BIG)), "id-type"),
        (changed(category_id=True), "id-type"),
        (changed(image_id=None), "id-type"),
        (changed(image_id=int(BIG) + 1), "unknown-image"),
        (changed(image_id="007"), "unknown-image"),
        (changed(image_id="x" * 10**6), "unknown-image"),
        (changed(category_id=1), "unknown-category"),
        (changed(bbox=[1, 2, 3]), "box"),
        (changed(bbox="1 2 3 4"), "box"),
        (changed(bbox=[1, 2, None, 4]), "box"),
        (changed(bbox=[1, 2, True, 4]), "box"),
        (changed(bbox=[1, 2, 1e400, 4]), "not-json"),
        (changed(bbox=[1, 2, 10**400, 4]), "box"),
        (changed(score=10**400), "score"),
        (changed(bbox=[1, 2, 0, 4]), "no-area"),
        (changed(bbox=[1, 2, 3, -4]), "no-area"),
        (changed(bbox=[600, 400, 620, 440]), "corners"),
        (changed(score=1.01), "score"),
        (changed(score=-0.1), "score"),
        (changed(score="0.5"), "score"),
        (changed(score=None), "score"),
        (changed(image_id=BIG), "id-type"),
        (changed(category_id="87"), "id-type"),
        ([*GOOD, GOOD[0]], "duplicate"),
        ([*GOOD, {**GOOD[1], "bbox": [0.0, 0.0, 100.0, 100.0]}], "duplicate"),
        ([{**GOOD[1], "bbox": [0, 0, 1 + n / 10, 5], "score": n / 200} for n in range(101)], "too-many"),
        ([{**GOOD[1], "bbox": [0, 0, 1 + n, 5]} for n in range(20)], "constant"),
        ([*({**GOOD[1], "bbox": [0, 0, 1 + n, 5]} for n in range(9)), {**GOOD[1], "bbox": [90, 0, 20, 5]}], "outside"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_name(tmp_path: Path, results: Any, rule: str) -> None:
    found = check(zipped(tmp_path, json.dumps(results)), SIZES, CATEGORIES)
    assert rule in [broken.rule for broken in found]
    assert found[0].rule == rule
    assert set(RULES) >= {broken.rule for broken in found}
    assert all(len(broken.message) < 1000 for broken in found)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('[{"image_id": 7, "category_id": 87, "bbox": [1, 2, NaN, 4], "score": 0.5}]', "not-json"),
        ('[{"image_id": 7, "image_id": 7, "category_id": 87, "bbox": [1, 2, 3, 4], "score": 0.5}]', "not-json"),
        ('[{"image_id": 7', "not-json"),
        (b"\xff\xfe[]", "not-json"),
    ],
)
def test_what_json_does_not_allow_is_refused(tmp_path: Path, text: str | bytes, rule: str) -> None:
    assert [broken.rule for broken in check(zipped(tmp_path, text), SIZES, CATEGORIES)] == [rule]


def test_a_file_that_is_no_such_zip_is_refused(tmp_path: Path) -> None:
    def rule(path: Path) -> str:
        (found,) = check(path, SIZES, CATEGORIES)
        return found.rule

    assert rule(tmp_path / "none.zip") == "file-missing"
    assert rule(zipped(tmp_path, json.dumps(GOOD), "results.json")) == "zip-content"
    assert rule(zipped(tmp_path, json.dumps(GOOD), "folder/answer.json")) == "zip-content"
    whole = zipped(tmp_path, json.dumps(GOOD)).read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.zip").write_bytes(whole[:length])
        assert rule(tmp_path / "cut.zip") == "not-zip"
    for at, name in ((whole.index(b"PK\x03\x04") + 8, "method"), (whole.index(b"PK\x03\x04") + 6, "flags")):  # unknown, encrypted
        odd, central = bytearray(whole), whole.index(b"PK\x01\x02") + 2
        for place in (at, at + central):
            odd[place] = 99 if name == "method" else 1
        (tmp_path / "odd.zip").write_bytes(odd)
        assert rule(tmp_path / "odd.zip") == "not-zip"
    (tmp_path / "plain.zip").write_text(json.dumps(GOOD), encoding="utf-8")
    assert rule(tmp_path / "plain.zip") == "not-zip"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_with_other_bytes_is_refused_or_read_never_half(tmp_path: Path, method: int) -> None:
    path = tmp_path / "answer.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(FILE, json.dumps(GOOD * 3))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        check(path, SIZES, CATEGORIES)  # whatever it says, it says it


def test_an_answer_for_a_few_of_many_images_is_refused(tmp_path: Path) -> None:
    sizes: dict[str, tuple[int, int] | None] = {str(number): (640, 480) for number in range(100)}
    results = [{**GOOD[0], "image_id": number, "score": number / 100} for number in range(49)]
    (found,) = check(zipped(tmp_path, json.dumps(results)), sizes, CATEGORIES)
    assert (found.rule, found.count) == ("few-images", 51)
    more = [*results, {**GOOD[0], "image_id": 49, "score": 0.9}]
    assert check(zipped(tmp_path, json.dumps(more)), sizes, CATEGORIES) == []


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submit.boxes.LEAST_ROOM", 1000)
    assert [broken.rule for broken in check(zipped(tmp_path, " " * 10**6), SIZES, CATEGORIES)] == ["too-large"]


def lying(method: int, mebibytes: int, told: int) -> bytes:
    """A zip of so many blanks that tells another size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(FILE, b" " * (mebibytes << 20))
    content = bytearray(buffer.getvalue())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", told)
    return bytes(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_bomb_that_tells_a_small_size_is_not_unpacked_either(tmp_path: Path, method: int) -> None:
    (tmp_path / "answer.zip").write_bytes(lying(method, 64, 1000))
    tracemalloc.start()
    (found,) = check(tmp_path / "answer.zip", SIZES, CATEGORIES)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.rule == "not-zip"
    assert most < 2**22


def test_an_entry_that_is_a_link_or_hides_another_name_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo(FILE)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, json.dumps(GOOD))
    hidden = zipped(tmp_path, json.dumps(GOOD), FILE + "_/../x").read_bytes().replace(b"json_/../x", b"json\0/../x")
    (tmp_path / "hidden.zip").write_bytes(hidden)
    for name in ("link.zip", "hidden.zip"):
        assert [broken.rule for broken in check(tmp_path / name, SIZES, CATEGORIES)] == ["zip-content"]


def test_a_size_that_is_not_the_entrys_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path, json.dumps(GOOD)).read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 2000)
    (tmp_path / "odd.zip").write_bytes(content)
    assert [broken.rule for broken in check(tmp_path / "odd.zip", SIZES, CATEGORIES)] == ["not-zip"]


def test_several_faults_are_told_together_in_the_order_of_the_rules(tmp_path: Path) -> None:
    results = [*changed(score=2, image_id=5), {**GOOD[1], "category_id": 3}]
    assert [broken.rule for broken in check(zipped(tmp_path, json.dumps(results)), SIZES, CATEGORIES)] == [
        "unknown-image",
        "unknown-category",
        "score",
    ]
