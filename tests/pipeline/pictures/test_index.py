"""Each picture is read once, what was read is kept, and every bad one is named at once."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadData
from pipeline.pictures import index as module
from pipeline.pictures.index import VIEWS, Index, make_index, prints_of, view
from pipeline.pictures.reading import BadPicture


def fill(root: Path, count: int = 40) -> list[str]:
    """Pictures of a few random patches each, of three sizes."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    names = [f"images/{number}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        patches = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        patches.resize((40 + 20 * (number % 3), 60), Image.Resampling.BICUBIC).save(root / name, quality=90)
    return names


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return fill(tmp_path / "data")


def make(tmp_path: Path, names: list[str], workers: int = 2) -> Index:
    return make_index(tmp_path / "data", names, tmp_path / "kept", workers, lambda message: None)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that were decoded."""
    seen: list[str] = []
    facts = module._facts

    def noted(root: Path, name: str) -> object:
        seen.append(name)
        return facts(root, name)

    monkeypatch.setattr(module, "_facts", noted)
    return seen


def same(a: Index, b: Index) -> bool:
    return all((getattr(a, part) == getattr(b, part)).all() for part in Index.__dataclass_fields__)


def test_an_index_tells_of_every_picture_in_the_order_asked(tmp_path: Path, names: list[str]) -> None:
    index = make(tmp_path, [*names[::-1], names[3]])
    assert index.names.tolist() == names[::-1]
    assert index.width.tolist() == [40 + 20 * (number % 3) for number in range(40)][::-1]
    assert set(index.height) == {60}
    assert set(index.mode) == {"RGB"}
    assert len(set(index.sha256)) == len(set(index.prints[:, 0])) == len(index) == 40
    assert index.rows([names[0], names[39], names[0]]).tolist() == [39, 0, 39]
    assert {path.name for path in (tmp_path / "data").rglob("*")} == {"images", *(name[7:] for name in names)}


def test_threads_change_nothing_and_equal_pictures_have_equal_fingerprints(tmp_path: Path, names: list[str]) -> None:
    one, other = make(tmp_path, names, 1), make_index(tmp_path / "data", names, tmp_path / "elsewhere", 4, print)
    assert same(one, other)
    assert one.fingerprint == other.fingerprint == pickle.loads(pickle.dumps(one)).fingerprint
    assert one.fingerprint != make(tmp_path, names[1:]).fingerprint
    assert one.fingerprint != make(tmp_path, names[::-1]).fingerprint


def test_only_new_or_changed_files_are_read_again(tmp_path: Path, names: list[str], reads: list[str]) -> None:
    first = make(tmp_path, names[:30])
    make(tmp_path, names[10:20])
    assert sorted(reads) == sorted(names[:30])
    reads.clear()
    (tmp_path / "data" / names[5]).write_bytes((tmp_path / "data" / names[6]).read_bytes())
    os.utime(tmp_path / "data" / names[7], ns=(0, 0))
    again = make(tmp_path, names)
    assert sorted(reads) == sorted([names[5], names[7], *names[30:]])
    assert again.sha256[5] == again.sha256[6] == first.sha256[6]
    assert (again.sha256[:5] == first.sha256[:5]).all()
    reads.clear()
    assert same(again, make(tmp_path, names))
    assert reads == []


def test_another_folder_shares_nothing(tmp_path: Path, names: list[str], reads: list[str]) -> None:
    make(tmp_path, names)
    (tmp_path / "data").rename(tmp_path / "moved")
    make_index(tmp_path / "moved", names, tmp_path / "kept", 2, print)
    assert len(reads) == 80


def test_what_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, names: list[str], reads: list[str]) -> None:
    whole = make(tmp_path, names)
    (file,) = (tmp_path / "kept").rglob(module.FILE)
    content = file.read_bytes()
    for damaged in (b"", content[:-10], content[:5000] + b"x" + content[5001:]):
        reads.clear()
        file.write_bytes(damaged)
        assert same(make(tmp_path, names), whole)
        assert len(reads) == 40
    assert file.read_bytes() == content


def test_all_bad_pictures_are_named_with_their_reasons_and_the_good_ones_kept(
    tmp_path: Path, names: list[str], reads: list[str]
) -> None:
    data = tmp_path / "data"
    (data / names[0]).unlink()
    (data / names[1]).write_bytes(b"")
    (data / names[2]).write_bytes((data / names[2]).read_bytes()[:-300])
    with pytest.raises(BadPicture) as caught:
        make(tmp_path, [*names, "../out.jpg"])
    message = str(caught.value)
    assert message.startswith("4 of 41 pictures cannot be used:")
    for reason in ("0.jpg is missing", "1.jpg is empty", "2.jpg is damaged or cut short", "'../out.jpg' is no picture's name"):
        assert reason in message
    assert len(reads) == 39
    make(tmp_path, names[3:])
    assert len(reads) == 39


def test_of_very_many_bad_pictures_the_first_are_shown(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match=r"^50 of 50 (.*\n){11}and 40 more$"):
        make(tmp_path, [f"{number}.jpg" for number in range(50)])


def test_a_name_that_is_not_there_is_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(BadData, match=r"1 of 2 pictures are not in the index, first 'other.jpg'"):
        make(tmp_path, names).rows([names[0], "other.jpg"])


def test_an_index_of_no_pictures_is_empty(tmp_path: Path) -> None:
    assert len(make(tmp_path, [])) == 0


def test_the_print_of_a_view_is_the_print_of_the_picture_seen_so() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (50, 32, 32), dtype=np.uint8)
    prints = prints_of(pictures)
    for number in range(VIEWS):
        assert (np.bitwise_count(prints_of(view(pictures, number))[:, 0] ^ prints[:, number]) <= 2).all()
    assert len({view(pictures[:1], number).tobytes() for number in range(VIEWS)}) == VIEWS
    assert (np.bitwise_count(prints[:, 0]) == 32).all()
