"""Flipped bits, in every file of a run folder: none is taken for what was written, and what is made again has the bytes of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.reopening import last_options
from pipeline.run import open_run
from pipeline.store import MANIFEST, Damaged, Store
from submit.write import kept
from tests.reliability.conftest import Proof
from tests.reliability.small import Small, answer, sums

ROWS = ("--rows", "50")


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """With one bit that is another."""
    flipped = bytearray(content)
    at = int(rng.integers(8 * len(content)))
    flipped[at // 8] ^= 1 << at % 8
    return bytes(flipped)


def flip_results(root: Path, flips: int, rng: np.random.Generator) -> None:
    """Bits of all results that have a manifest, one at a time: reading them finds each."""
    store = Store(root)
    files = [file for manifest in sorted(root.rglob(MANIFEST)) for file in sorted(manifest.parent.iterdir())]
    files = [file for file in files if file.stat().st_size]
    for number in rng.integers(len(files), size=flips).tolist():
        content = files[number].read_bytes()
        files[number].write_bytes(flip(content, rng))
        with pytest.raises(Damaged):
            store.read_folder(files[number].parent)
        files[number].write_bytes(content)


def flip_note(root: Path, flips: int, rng: np.random.Generator) -> None:
    note = root / "last.json"
    content = note.read_bytes()
    for _ in range(flips):
        note.write_bytes(flip(content, rng))
        assert last_options(note) == {}
    note.write_bytes(content)


def flip_practice(small: Small, flips: int, rng: np.random.Generator) -> None:
    """The made-up data that a run folder holds: it is made again, the same."""
    rows = open_run(small.name, rows=int(ROWS[1]))
    files = sorted(path for path in rows.root.iterdir() if path.is_file())
    for number in rng.integers(len(files), size=flips).tolist():
        files[number].write_bytes(flip(files[number].read_bytes(), rng))
        said: list[str] = []
        again = open_run(small.name, rows=int(ROWS[1]), say=said.append)
        assert "is not as it was made" in said[0]
        assert again.fingerprint == rows.fingerprint


def flip_submission(root: Path, flips: int, rng: np.random.Generator) -> None:
    """Of a submission that is kept: it counts as none."""
    [file] = kept(root / "submissions")
    content = file.read_bytes()
    for _ in range(flips):
        file.write_bytes(flip(content, rng))
        assert kept(root / "submissions") == []
    file.write_bytes(content)


def flip_all_files(podium: Any, words: tuple[str, ...], root: Path, rounds: int, rng: np.random.Generator) -> int:
    """One bit of every file of the run folder at once, then the same command: its answer is that of before, and so are all bytes."""
    before, told, flipped = sums(root), "", 0
    for _ in range(rounds):
        files = [file for file in sorted(root.rglob("*")) if file.is_file() and file.stat().st_size and not hidden(file, root)]
        for file in files:
            file.write_bytes(flip(file.read_bytes(), rng))
        ran = podium(*words)
        assert ran.code == 0, ran.err
        assert ran.out.count("It was set aside as") + ran.out.count("it was set aside as") > 2
        assert sums(root) == before
        told = told or answer(Path(ran.last)).hex()
        assert answer(Path(ran.last)).hex() == told
        flipped += len(files)
    return flipped


def hidden(file: Path, root: Path) -> bool:
    """Whether it lies in a folder that was set aside, or is a lock; the sums of practice data count, though their name has a dot."""
    parts = file.relative_to(root).parts
    return any(part.startswith(".") for part in parts[:-1]) or parts[-1].endswith(".lock")


def flip_one_file(podium: Any, words: tuple[str, ...], root: Path, rng: np.random.Generator, step: int) -> int:
    """One bit of one file of the run folder, then the same command; every step-th file in turn."""
    before, told = sums(root), answer(Path(podium(*words).last))
    files = [file for file in sorted(root.rglob("*")) if file.is_file() and file.stat().st_size and not hidden(file, root)]
    files = files[::step]
    for file in files:
        if file.is_file():  # else it was set aside with another of its folder, and has not been wanted since
            file.write_bytes(flip(file.read_bytes(), rng))
            ran = podium(*words)
            assert ran.code == 0, ran.err
            assert answer(Path(ran.last)) == told, file
    for path in sums(root).items() - before.items():
        assert path[0].startswith("features/"), path  # not looked at while the units are kept
    return len(files)


def flips(small: Small, podium: Any, results: int, rounds: int, rng: np.random.Generator) -> dict[str, int]:
    root, words = Path("runs") / small.name, ("run", small.name, *small.quick, *ROWS)
    ran = podium(*words)
    assert ran.code == 0, ran.err
    flip_results(root, results, rng)
    flip_note(root, results // 10, rng)
    flip_submission(root, results // 10, rng)
    flip_practice(small, 3 * rounds, rng)
    told = answer(Path(ran.last))
    flipped = flip_all_files(podium, words, root, rounds, rng)
    assert answer(Path(podium(*words).last)) == told
    return {
        "bits flipped": results + 2 * (results // 10) + 3 * rounds + flipped,
        "of these, followed by the command": 3 * rounds + flipped,
        "accepted": 0,
        "bytes that differ after the repair": 0,
    }


@pytest.mark.parametrize("small", ["tables", "images"], indirect=True)
def test_a_flipped_bit_is_never_accepted(small: Small, podium: Any) -> None:
    flips(small, podium, 300, 1, np.random.default_rng(6))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thousands_of_flipped_bits_are_never_accepted(small: Small, podium: Any, proof: Proof) -> None:
    rng, words = np.random.default_rng(7), ("run", small.name, *small.quick, *ROWS)
    figures = flips(small, podium, 4000, 4 if small.kind == "tables" else 1, rng)
    step = 3 if small.kind == "boxes" else 1  # whose command takes longer
    alone = flip_one_file(podium, words, Path("runs") / small.name, rng, step)
    proof(4, "flipped bits", {**figures, "files flipped alone, with the command after each": alone}, small.kind)
