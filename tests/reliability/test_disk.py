"""A disk without room, a folder that is read-only: said with the cure, nothing finished lost, and with room it goes on."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.store import MANIFEST, Store
from tests.reliability.conftest import Proof
from tests.reliability.dying import command, served
from tests.reliability.small import Small, answer, finished, litter, sums

STEP = 24  # kibibytes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory; `resize` gives it another size or state."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or mount("tmpfs", place, f"size={STEP}k"):
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def mount(what: str, place: Path, options: str) -> int:
    return subprocess.run(["mount", "-t", what, "-o", options, "tmpfs", str(place)], capture_output=True).returncode


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def assert_whole(root: Path) -> None:
    """Whatever stands under a final name can be read, and nothing half-written is left."""
    for manifest in root.rglob(MANIFEST):
        Store(root).read_folder(manifest.parent)
    assert not litter(root)


def fill_up(small: Small, podium: Any, disk: Path) -> dict[str, int]:
    """The same command on a disk that grows a little after each try, until it is done."""
    root, lost, full = disk / small.name, 0, 0
    whole = podium(*small.words("run", *small.quick, runs="whole"))
    before: dict[Path, int] = {}
    for size in count(STEP, STEP):
        remount(disk, f"size={size}k")
        ran = podium(*small.words("run", *small.quick, runs=disk))
        now = finished(root)
        lost += sum(now.get(place) != time for place, time in before.items())
        before = now
        assert_whole(root)
        if ran.code == 0:
            break
        full += 1
        assert ran.code in (1, 3), ran
        assert "No space left on device" in ran.out + ran.err
        assert "Traceback" not in ran.err
        assert ran.code == 3 or "ree some space" in ran.out + ran.err or "Free space on that disk" in ran.err
    assert full > 3
    assert lost == 0
    assert sums(root) == sums(Path("whole") / small.name)
    assert answer(Path(ran.last)) == answer(Path(whole.last))
    return {"runs on a full disk": full, "units lost": lost, "half-written results": 0, "bytes that differ at the end": 0}


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_a_full_disk_is_said_and_with_room_it_goes_on(small: Small, podium: Any, disk: Path, proof: Proof) -> None:
    proof(5, "a disk that is full, and grows", fill_up(small, podium, disk), small.kind)


@pytest.mark.slow
@pytest.mark.parametrize("small", ["images", "boxes"], indirect=True)
def test_a_full_disk_loses_no_pictures_results(small: Small, podium: Any, disk: Path, proof: Proof) -> None:
    proof(5, "a disk that is full, and grows", fill_up(small, podium, disk), small.kind)


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_files_above_a_limit_are_refused_as_on_a_full_disk(small: Small, podium: Any, tmp_path: Path, proof: Proof) -> None:
    """Where nobody may mount a disk, the system's limit for the size of a file does the same."""
    podium(*small.words("run", *small.quick, runs="whole"))
    largest = max(file.stat().st_size for file in Path("whole").rglob("*") if file.is_file())
    refused = 0
    for limit in range(50, largest, largest // 12):
        words = (*small.words("run", *small.quick, runs=tmp_path / "runs"), "--workers", "1")
        code = served(partial(limited, limit, words))
        assert_whole(tmp_path / "runs" / small.name)
        assert code in (0, 1, 3)
        refused += code > 0
    assert refused > 2
    assert podium(*small.words("run", *small.quick, runs=tmp_path / "runs")).code == 0
    assert sums(tmp_path / "runs" / small.name) == sums(Path("whole") / small.name)
    proof(5, "files above a limit refused by the system", {"commands refused": refused, "half-written results": 0}, small.kind)


def limited(size: int, words: tuple[str, ...]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    command(*words)


def read_only(small: Small, podium: Any, disk: Path) -> dict[str, int]:
    """What only looks goes on; what would write says that it cannot, and the folder is as it was."""
    remount(disk, "size=64m")
    ran = podium(*small.words("run", *small.quick, runs=disk))
    root = disk / small.name
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    remount(disk, "ro")
    try:
        for words in (small.words("board", runs=disk), (*small.words("submit", runs=disk), "--check", ran.last)):
            assert podium(*words).code == 0
        refused = [("train", *small.quick), ("run", *small.quick), ("submit", *small.quick)]
        for name, *models in refused:
            said = podium(*small.words(name, *models, runs=disk))
            assert said.code == 1, said
            assert "Read-only file system" in said.err
            assert "--runs DIR" in said.err or "Choose a run folder that this user may write to" in said.err
            assert "Traceback" not in said.err
    finally:
        remount(disk, "rw")
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    return {"commands that only look": 2, "commands refused": len(refused), "files changed": 0}


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_a_read_only_folder_is_said(small: Small, podium: Any, disk: Path, proof: Proof) -> None:
    proof(5, "a run folder that is read-only", read_only(small, podium, disk), small.kind)


@pytest.mark.slow
@pytest.mark.parametrize("small", ["images", "boxes"], indirect=True)
def test_a_read_only_folder_of_pictures_is_said(small: Small, podium: Any, disk: Path, proof: Proof) -> None:
    proof(5, "a run folder that is read-only", read_only(small, podium, disk), small.kind)
