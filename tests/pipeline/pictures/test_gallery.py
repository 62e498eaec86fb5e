"""Decoded pixels are made once and are whole: whatever is killed, cut, full, changed or done twice."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from pipeline.errors import BadData, BadRecipe, StoreError, UnknownName
from pipeline.pictures import gallery as module
from pipeline.pictures.gallery import PIXELS, SUMS, Gallery
from pipeline.pictures.index import make_index
from pipeline.pictures.reading import BadPicture, fitted, read
from pipeline.store import STRAY

COUNT, SIZE = 80, 32
BYTES = COUNT * SIZE * SIZE * 3
KILLED = 9


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for number in range(COUNT):
        patches = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        patches.resize((50, 40), Image.Resampling.BICUBIC).save(tmp_path / "data" / f"{number}.jpg")
    names = [f"{number}.jpg" for number in range(COUNT)]
    index = make_index(tmp_path / "data", names, tmp_path / "kept", 1, print)
    return Gallery(tmp_path / "data", index, tmp_path / "cache", 10 * BYTES)


@pytest.fixture
def makings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the maps that were made."""
    seen: list[int] = []
    make = Gallery._make

    def noted(self: Gallery, key: str, size: int, *given: Any) -> None:
        seen.append(size)
        make(self, key, size, *given)

    monkeypatch.setattr(Gallery, "_make", noted)
    return seen


def maps(gallery: Gallery) -> list[Path]:
    return sorted(path for path in gallery.cache.iterdir() if not path.name.startswith("."))


def strays(gallery: Gallery) -> list[Path]:
    return [path for path in gallery.cache.iterdir() if path.name.startswith(STRAY)]


def test_a_map_holds_every_picture_in_the_order_of_the_index(gallery: Gallery, makings: list[int]) -> None:
    for how in ("squash", "crop", "pad"):
        pixels = gallery.pixels(SIZE, how)
        assert (type(pixels), pixels.shape, pixels.dtype) == (np.memmap, (COUNT, SIZE, SIZE, 3), np.uint8)
        assert not pixels.flags.writeable
        for name in ("0.jpg", "17.jpg", "79.jpg"):
            assert (pixels[gallery.rows([name])[0]] == fitted(read(gallery.root / name), SIZE, how)).all()
        assert (gallery.pixels(SIZE, how) == pixels).all()
    assert makings == [SIZE] * 3
    assert strays(gallery) == []


def test_another_process_opens_the_map_itself(gallery: Gallery, makings: list[int]) -> None:
    pixels = gallery.pixels(SIZE)
    assert (pickle.loads(pickle.dumps(gallery)).pixels(SIZE) == pixels).all()
    assert makings == [SIZE]


def test_what_cannot_be_asked_for_is_refused(gallery: Gallery) -> None:
    with pytest.raises(UnknownName, match="squash"):
        gallery.pixels(SIZE, "squish")
    with pytest.raises(BadRecipe, match="size of 1 or more"):
        gallery.pixels(0)
    empty = make_index(gallery.root, [], gallery.cache, 1, print)
    with pytest.raises(BadData, match="no pictures"):
        Gallery(gallery.root, empty, gallery.cache, BYTES).pixels(SIZE)


@pytest.mark.parametrize("name", [PIXELS, SUMS])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "long", "head"])
def test_a_damaged_map_is_made_again(gallery: Gallery, makings: list[int], name: str, damage: str) -> None:
    whole = np.array(gallery.pixels(SIZE))
    file = maps(gallery)[0] / name
    content = file.read_bytes()
    broken = {"empty": b"", "cut": content[:-1], "long": content + b"x", "head": b"x" + content[1:]}
    file.unlink()  # an open map keeps its bytes
    if damage != "gone":
        file.write_bytes(broken[damage])
    assert (gallery.pixels(SIZE) == whole).all()
    assert makings == [SIZE, SIZE] or (name, damage) == (SUMS, "long")  # behind an archive's end nothing is read


def test_a_map_that_cannot_be_read_is_not_made_again(gallery: Gallery, makings: list[int]) -> None:
    gallery.pixels(SIZE)
    file = maps(gallery)[0] / SUMS
    file.unlink()
    file.mkdir()
    with pytest.raises(StoreError, match=r"Cannot read .*Is a directory"):
        gallery.pixels(SIZE)
    assert makings == [SIZE]


def test_pixels_that_changed_are_found_where_it_looks(
    gallery: Gallery, makings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", COUNT)
    whole = np.array(gallery.pixels(SIZE))
    file = maps(gallery)[0] / PIXELS
    content = bytearray(file.read_bytes())
    for place in np.random.default_rng(0).integers(128, len(content), 10):
        flipped = content.copy()
        flipped[place] ^= 1
        file.unlink()
        file.write_bytes(flipped)
        assert (gallery.pixels(SIZE) == whole).all()
    assert len(makings) == 11


def test_pictures_that_changed_since_the_index_are_refused_and_nothing_is_left(gallery: Gallery) -> None:
    shutil.copy(gallery.root / "1.jpg", gallery.root / "0.jpg")
    (gallery.root / "5.jpg").unlink()
    with pytest.raises(BadPicture, match=r"^2 of 80 (.|\n)*0.jpg was changed since the index was made(.|\n)*5.jpg is missing"):
        gallery.pixels(SIZE)
    assert maps(gallery) == strays(gallery) == []


def test_the_maps_used_last_are_kept(gallery: Gallery, makings: list[int]) -> None:
    gallery = Gallery(gallery.root, gallery.index, gallery.cache, 2 * BYTES + 20_000)
    (gallery.cache / "somebody else's").mkdir(parents=True)
    first = gallery.pixels(SIZE)
    copy = np.array(first)
    gallery.pixels(SIZE, "crop")
    gallery.pixels(SIZE)
    gallery.pixels(SIZE, "pad")  # the crop goes
    assert len(maps(gallery)) == 3
    gallery.pixels(SIZE)
    assert makings == [SIZE] * 3
    gallery.pixels(SIZE, "crop")  # the pad goes
    gallery.pixels(SIZE + 1, "pad")  # the first goes, though it is open
    assert makings == [SIZE] * 4 + [SIZE + 1]
    assert (first == copy).all()
    assert (gallery.cache / "somebody else's").is_dir()


def test_old_maps_make_room_where_the_disk_is_full(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.pixels(SIZE)
    usage = shutil.disk_usage(gallery.cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=BYTES // 2))
    gallery.pixels(SIZE, "crop")  # the first goes
    assert len(maps(gallery)) == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(StoreError, match="has 10 bytes free"):
        gallery.pixels(2 * SIZE)
    assert len(maps(gallery)) == 1  # it would not have helped


def test_what_does_not_fit_is_refused_before_it_is_made(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Gallery(gallery.root, gallery.index, gallery.cache, BYTES - 1)
    with pytest.raises(StoreError, match=r"take 245,760 bytes, more than the 245,759"):
        small.pixels(SIZE)
    with pytest.raises(StoreError, match=r"bytes free; the decoded pictures need \d"):
        Gallery(gallery.root, gallery.index, gallery.cache, 2**62).pixels(10**6)
    assert maps(gallery) == strays(gallery) == []


def test_a_full_disk_is_an_error_and_leaves_nothing(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "gallery.pickle").write_bytes(pickle.dumps(gallery))
    code = f"""
import pickle, resource, sys
from pathlib import Path
from pipeline.errors import StoreError
gallery = pickle.loads(Path(sys.argv[1]).read_bytes())
resource.setrlimit(resource.RLIMIT_FSIZE, ({BYTES // 2}, {BYTES // 2}))
try:
    gallery.pixels({SIZE})
except StoreError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "gallery.pickle"], capture_output=True, text=True, check=True)
    assert "Cannot write" in run.stdout
    assert "File too large" in run.stdout
    assert maps(gallery) == strays(gallery) == []


def test_a_file_in_the_folders_place_is_an_error(gallery: Gallery) -> None:
    gallery.cache.write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write"):
        gallery.pixels(SIZE)


def die_at(gallery: Gallery, function: str, call: int) -> None:
    """Make a map, and die like from kill -9 at this call of os.pwrite, os.fsync or os.rename."""
    calls, real = [], getattr(os, function)

    def dying(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            os._exit(KILLED)
        return real(*given)

    setattr(os, function, dying)
    gallery.pixels(SIZE)


@pytest.mark.parametrize(("function", "call"), [("pwrite", 1), ("pwrite", 50), ("fsync", 1), ("fsync", 2), ("rename", 2)])
def test_a_kill_leaves_a_stray_that_the_next_making_sweeps(gallery: Gallery, function: str, call: int) -> None:
    process = multiprocessing.get_context("fork").Process(target=die_at, args=(gallery, function, call))
    process.start()
    process.join()
    assert process.exitcode == KILLED
    assert len(strays(gallery)) == 1
    assert maps(gallery) == []
    assert (gallery.pixels(SIZE)[7] == fitted(read(gallery.root / "7.jpg"), SIZE, "squash")).all()
    assert strays(gallery) == []


def count_makings(gallery: Gallery, made: Any) -> None:
    make = Gallery._make

    def counted(self: Gallery, *given: Any) -> None:
        with made.get_lock():
            made.value += 1
        make(self, *given)

    Gallery._make = counted  # type: ignore[assignment,method-assign]
    assert gallery.pixels(SIZE).shape[0] == COUNT


def test_of_several_processes_one_makes_it(gallery: Gallery) -> None:
    context = multiprocessing.get_context("fork")
    made = context.Value("i", 0)
    processes = [context.Process(target=count_makings, args=(gallery, made)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert made.value == 1


def test_who_waits_for_another_process_is_told(gallery: Gallery) -> None:
    gallery.cache.mkdir()
    told = threading.Event()
    said: list[str] = []

    def say(message: str) -> None:
        said.append(message)
        told.set()

    with FileLock(gallery.cache / ".making.lock", is_singleton=False):
        waiting = threading.Thread(target=gallery.pixels, args=(SIZE, "squash", say))
        waiting.start()
        assert told.wait(60)
    waiting.join()
    assert said == ["Another process is decoding pictures; waiting for it."]
    assert len(maps(gallery)) == 1
