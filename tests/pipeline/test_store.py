"""A result is whole or not there: whatever is cut, flipped, killed, full or done twice."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.store import DAY, MANIFEST, STRAY, Damaged, Store, pack, replace_file, to_json, unpack
from tests.reliability.dying import killed_at

FILES = {"oof.npz": pack({"values": np.arange(6.0)}), "log.txt": b"", "unit.json": to_json({"score": 0.5})}
HOST = socket.gethostname()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "run")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_what_is_written_is_read_and_nothing_else_is_left(store: Store) -> None:
    place = store.write("units", "ridge", "k", files=FILES)
    assert store.read("units", "ridge", "k") == FILES
    assert store.has("units", "ridge", "k")
    assert names(store.root) == {"units", "ridge", "k", *FILES, MANIFEST}
    assert place == store.path("units", "ridge", "k")
    assert list(store.list("units")) == ["ridge"]


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.whole("units", "ridge", "k") is None
    assert not store.has("units", "ridge", "k")
    assert list(store.list("units")) == []
    with pytest.raises(FileNotFoundError):
        store.read("units", "ridge", "k")


def test_the_first_result_stands(store: Store) -> None:
    store.write("k", files={"a": b"first"})
    store.write("k", files={"a": b"second"})
    assert store.read("k") == {"a": b"first"}
    assert names(store.root) == {"k", "a", MANIFEST}


def test_a_file_cut_at_any_length_is_never_accepted(store: Store) -> None:
    folder = store.write("k", files=FILES)
    for name in [*FILES, MANIFEST]:
        whole = (folder / name).read_bytes()
        for length in range(len(whole)):
            (folder / name).write_bytes(whole[:length])
            with pytest.raises(Damaged):
                store.read("k")
        (folder / name).write_bytes(whole)
    assert store.read("k") == FILES


def test_a_flipped_bit_is_never_accepted(store: Store) -> None:
    folder = store.write("k", files={**FILES, "a0": b"x", "a1": b"y"})  # a flipped bit makes the one name into the other
    rng = np.random.default_rng(0)
    for name in ("oof.npz", "unit.json", "a0", MANIFEST):
        whole = (folder / name).read_bytes()
        for place in rng.permutation(8 * len(whole))[:250]:
            flipped = bytearray(whole)
            flipped[place // 8] ^= 1 << place % 8
            (folder / name).write_bytes(flipped)
            with pytest.raises(Damaged):
                store.read("k")
        (folder / name).write_bytes(whole)
    assert len(store.read("k")) == 5


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "oof.npz").unlink(),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text("{}"),
        lambda folder: (folder / MANIFEST).write_text("[1, 2]"),
        lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "more.txt").write_text("more"),
        lambda folder: (folder / "a folder").mkdir(),
        lambda folder: (folder / "oof.npz").rename(folder / "oof2.npz"),
        lambda folder: [path.unlink() for path in folder.iterdir()],
        lambda folder: ((folder / "log.txt").unlink(), (folder / "log.txt").symlink_to("nowhere")),
        lambda folder: (folder / MANIFEST).write_bytes(
            to_json({name: value for name, value in json.loads((folder / MANIFEST).read_text()).items() if name != "log.txt"})
        ),
    ],
)
def test_a_damaged_result_is_set_aside_said_and_made_again(store: Store, harm: Callable[[Path], object]) -> None:
    folder = store.write("units", "k", files=FILES)
    harm(folder)
    said: list[str] = []
    assert store.whole("units", "k", damaged=said.append) is None
    assert len(said) == 1
    assert str(folder) in said[0]
    assert "set aside as .damaged-k-" in said[0]
    assert "made again" in said[0]
    assert list(store.list("units")) == []
    store.write("units", "k", files=FILES)
    assert store.whole("units", "k", damaged=said.append) == FILES
    assert len(list(folder.parent.glob(".damaged-k-*"))) == 1


def test_writing_over_a_damaged_result_replaces_it(store: Store) -> None:
    (store.write("k", files=FILES) / "oof.npz").write_bytes(b"")
    store.write("k", files=FILES)
    assert store.read("k") == FILES


def test_a_desktops_hidden_files_do_no_harm(store: Store) -> None:
    (store.write("k", files=FILES) / ".DS_Store").write_bytes(b"\0")
    assert store.whole("k") == FILES


def test_a_damaged_result_that_another_process_set_aside_first_is_no_error(store: Store) -> None:
    store.set_aside(store.path("k"))
    store.remove("k")


def test_a_removed_result_is_gone(store: Store) -> None:
    store.write("k", files=FILES)
    store.remove("k")
    assert store.whole("k") is None
    assert names(store.root) == set()


def process_that_is_no_more() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_strays_of_the_dead_are_swept_those_of_the_living_stay(store: Store) -> None:
    dead = [f"{STRAY}{HOST}-{process_that_is_no_more()}-0", f"{STRAY}{HOST}-{2**40}-0", f"{STRAY}{HOST}-{10**30}-0"]
    alive = [f"{STRAY}{HOST}-{os.getpid()}-0", f"{STRAY}another-host-1-0", f"{STRAY}odd", f"{STRAY}{HOST}-²-0"]
    for name in dead + alive:
        folder = store.path("units", "ridge", name)
        folder.mkdir(parents=True)
        (folder / "oof.npz").write_bytes(b"half")
    assert store.sweep() == len(dead)
    assert {path.name for path in store.path("units", "ridge").iterdir()} == set(alive)
    assert list(store.list("units", "ridge")) == []


def test_another_machines_strays_are_swept_after_a_day(store: Store) -> None:
    stray = store.path(f"{STRAY}another-host-1-0")
    stray.mkdir(parents=True)
    yesterday = time.time() - DAY - 60
    os.utime(stray, (yesterday, yesterday))
    assert store.sweep() == 1
    assert Store(store.root / "not there").sweep() == 0


def test_sweeping_does_not_mind_folders_that_come_and_go(store: Store) -> None:
    churn = multiprocessing.get_context("fork").Process(target=write_and_remove, args=(store.root, 60))
    churn.start()
    while churn.is_alive():
        assert store.sweep() == 0
    assert churn.exitcode == 0


def write_and_remove(root: Path, rounds: int) -> None:
    store = Store(root)
    for number in range(rounds):
        store.write("units", str(number % 7), files={"a": b"x"})
        store.remove("units", str(number % 7))


def write_many(root: Path, rounds: int, start: Any) -> None:
    store = Store(root)
    for number in range(rounds):
        start.wait()
        store.write("units", str(number), files={"a": str(number).encode() * 1000})
        assert store.read("units", str(number))["a"] == str(number).encode() * 1000


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_write_the_same_result_at_once_agree(store: Store, damaged: bool) -> None:
    """Where a damaged one is in the way, too."""
    rounds, context = 40, multiprocessing.get_context("fork")
    for number in range(rounds if damaged else 0):
        (store.write("units", str(number), files={"a": b"x"}) / "a").write_bytes(b"y")
    start = context.Barrier(3)
    writers = [context.Process(target=write_many, args=(store.root, rounds, start)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    for number in range(rounds):
        assert store.read("units", str(number)) == {"a": str(number).encode() * 1000}
    assert not list(store.root.rglob(f"{STRAY}*"))


def test_a_result_that_appears_while_it_is_looked_at_is_not_set_aside(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files were asked for before another process put it there, and the folder itself after."""
    folder = store.write("units", "a", files=FILES)
    asked: list[Path] = []
    whole = store._read_once

    def between(found: Path) -> dict[str, bytes]:
        asked.append(found)
        if len(asked) == 1:
            raise Damaged("No such file or directory")
        return whole(found)

    monkeypatch.setattr(store, "_read_once", between)
    store.set_aside(folder)
    assert store.read("units", "a") == FILES


def test_a_full_disk_is_said_with_path_and_cure_and_nothing_is_lost(store: Store) -> None:
    """The system refuses files above a size, as a full disk does."""
    store.write("units", "kept", files=FILES)
    code = """
import sys, resource
from pathlib import Path
from pipeline.store import Store
from pipeline.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    Store(Path(sys.argv[1])).write("units", "big", files={"a": b"x" * 9_000, "b": b"x" * 20_000})
except StoreError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, check=True)
    assert f"Cannot write {store.root / 'units' / 'big'}: File too large. Nothing half-written was kept." in run.stdout
    assert "Free some space" in run.stdout
    assert "--runs DIR" in run.stdout
    assert store.read("units", "kept") == FILES
    assert names(store.path("units")) == {"kept", *FILES, MANIFEST}


def test_a_folder_that_cannot_be_is_said_with_path_and_cure(store: Store) -> None:
    store.root.mkdir()
    store.path("units").write_text("a file stands where the folder should be")
    with pytest.raises(StoreError, match=r"Cannot write .*units/ridge/k: .*--runs DIR"):
        store.write("units", "ridge", "k", files=FILES)
    store.path("taken").write_text("a file stands where the result should be")
    with pytest.raises(StoreError, match=r"Cannot write .*taken: Not a directory"):
        store.write("taken", files=FILES)
    assert names(store.root) == {"units", "taken"}


def test_what_cannot_be_read_is_not_taken_for_damage(store: Store) -> None:
    """Too many open files, say: the result is whole, and setting it aside would lose it."""
    store.write("k", files=FILES)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StoreError, match=r"Cannot read .*Too many open files") as caught:
            store.whole("k")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not isinstance(caught.value, Damaged)
    assert store.whole("k") == FILES


def write(store: Store) -> None:
    store.write("units", "k", files=FILES)


def remove(store: Store) -> None:
    store.remove("units", "k")


@pytest.mark.parametrize("act", ["write", "write over damage", "remove"])
def test_a_kill_at_any_write_sync_or_rename_leaves_a_whole_result_or_none(tmp_path: Path, act: str) -> None:
    at, left = 0, 0
    killed = True
    while killed:
        at += 1
        store = Store(tmp_path / str(at))
        store.write("units", "other", files=FILES)
        if act != "write":
            folder = store.write("units", "k", files=FILES)
            if act == "write over damage":
                (folder / "log.txt").write_bytes(b"more")
        killed = killed_at(at, partial(remove if act == "remove" else write, store))
        left += store.sweep()
        assert store.whole("units", "k") in (None, FILES)
        assert store.read("units", "other") == FILES
        assert not list(store.root.rglob(f"{STRAY}*"))
        store.write("units", "k", files=FILES)
        assert store.read("units", "k") == FILES
    assert at > (5 if act == "remove" else 15)
    assert left > 3


def test_a_kill_while_a_file_is_replaced_leaves_the_old_one_or_the_new(store: Store) -> None:
    file = store.path("note.json")
    store.root.mkdir()
    found, at, killed = [], 0, True
    while killed:
        at += 1
        file.write_bytes(b"the old one")
        killed = killed_at(at, lambda: replace_file(file, b"the new"))
        store.sweep()
        assert names(store.root) == {"note.json"}
        found.append(file.read_bytes())
    assert at > 4
    assert set(found) == {b"the old one", b"the new"}
    with pytest.raises(StoreError, match=r"Cannot write .*nowhere/note.json: No such file.*--runs DIR"):
        replace_file(store.path("nowhere", "note.json"), b"")


@given(st.dictionaries(st.text("abc", min_size=1), st.lists(st.floats(), max_size=5), max_size=4))
def test_arrays_come_back_bit_for_bit_and_the_same_arrays_give_the_same_bytes(lists: dict[str, list[float]]) -> None:
    arrays = {name: np.array(values, dtype=np.float64) for name, values in lists.items()}
    back = unpack(pack(arrays))
    assert {name: array.tobytes() for name, array in back.items()} == {name: array.tobytes() for name, array in arrays.items()}
    assert pack(arrays) == pack(back)


def test_nothing_pickled_is_ever_read_nor_what_is_compressed_nor_any_other_bytes() -> None:
    with pytest.raises(Damaged, match=r"in the run folder is none that podium wrote .*allow_pickle.*Remove the folder"):
        unpack(pack({"a": np.array([print], dtype=object)}))
    bomb = io.BytesIO()
    np.savez_compressed(bomb, a=np.zeros(10**6))
    with pytest.raises(Damaged, match=r"/x/oof\.npz is none .*a\.npy is compressed"):
        unpack(bomb.getvalue(), Path("/x/oof.npz"))
    for content in (b"", b"PK\x03\x04", b"text", pack({"a": np.arange(9)})[:-30], np.lib.format.magic(1, 0)):
        with pytest.raises(Damaged):
            unpack(content)


def test_numpys_numbers_are_written_as_json_and_what_json_lacks_is_refused() -> None:
    assert json.loads(to_json({"b": np.float64(0.5), "a": np.int64(3)})) == {"a": 3, "b": 0.5}
    with pytest.raises(TypeError, match="set cannot be written as JSON"):
        to_json({"a": {1}})
    with pytest.raises(ValueError):
        to_json({"a": float("nan")})


def test_a_disk_that_is_really_full_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    try:
        store = Store(disk / "run")
        store.write("units", "kept", files=FILES)
        with pytest.raises(StoreError, match="No space left on device"):
            store.write("units", "big", files={"a": b"x" * 100_000})
        assert store.read("units", "kept") == FILES
        assert names(store.path("units")) == {"kept", *FILES, MANIFEST}
    finally:
        subprocess.run(["umount", str(disk)], check=True)
