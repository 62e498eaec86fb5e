"""Files cut short: whatever their length, they are never taken for whole."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadFolds, BadSubmission
from pipeline.folds import plan_from
from pipeline.reopening import last_options
from pipeline.run import open_run
from pipeline.store import MANIFEST, Damaged, Store
from submit import require
from tests.reliability.conftest import Proof
from tests.reliability.small import Small, answer, sums

MOST = 150  # lengths of a file that the fast test tries; the slow one tries all


def lengths(whole: bytes, most: int) -> list[int]:
    """Of a file's cuts the first, the last, and some between."""
    n = len(whole)
    if n <= most:
        return list(range(n))
    third = most // 3
    return sorted({*range(third), *range(n - third, n), *np.linspace(0, n - 1, third).astype(int).tolist()})


def one_of_each(root: Path) -> list[Path]:
    """A result of each sort that a run keeps: a unit, a part of the features, the folds, what is known of the pictures, an ensemble."""
    found: dict[str, Path] = {}
    for manifest in sorted(root.rglob(MANIFEST)):
        place = manifest.parent.relative_to(root).parts
        sort = place[0] if place[0] != "pictures" else place[1].partition("-")[0]
        found.setdefault(sort if not sort.startswith("folds-") else "folds", manifest.parent)
    return list(found.values())


def cut_results(root: Path, most: int) -> tuple[int, int]:
    """The number of files, and of lengths that were tried of them."""
    store, tried, files = Store(root), 0, 0
    for folder in one_of_each(root):
        whole = store.read_folder(folder)
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            content = file.read_bytes()
            for length in lengths(content, most):
                file.write_bytes(content[:length])
                with pytest.raises(Damaged):
                    store.read_folder(folder)
                tried += 1
            file.write_bytes(content)
            files += 1
        assert store.read_folder(folder) == whole
    return files, tried


def cut_submission(small: Small, file: Path, most: int) -> int:
    run = open_run(small.name, small.data, runs="runs")
    require(run, file)
    content, tried = file.read_bytes(), 0
    cut = Path(f"cut{file.suffix}")
    for length in lengths(content, most):
        cut.write_bytes(content[:length])
        with pytest.raises(BadSubmission):
            require(run, cut)
        tried += 1
    return tried


def cut_fold_file(small: Small, podium: Any, most: int) -> int:
    """A person's own folds, through the same functions that the command calls; and the command itself, with two of them."""
    run = open_run(small.name, small.data, runs="runs")
    file = Path("folds.csv")
    whole = "id,fold\n" + "".join(f"{row},{place % 3}\n" for place, row in enumerate(run.ids))
    file.write_text(whole, encoding="utf-8")
    assert len(plan_from(str(file), run.plan).make(run.ids, run.data.train, run.y)) == 3
    tried = lengths(whole.encode(), most)
    for length in tried:
        file.write_text(whole[:length], encoding="utf-8")
        with pytest.raises(BadFolds):
            plan_from(str(file), run.plan).make(run.ids, run.data.train, run.y)
    for length in (len(whole) - 1, whole.rindex("\n", 0, -1) + 1):
        file.write_text(whole[:length], encoding="utf-8")
        said = podium(*small.words("train", small.quick[0], runs="other"), "--folds", file)
        assert said.code == 2
        assert "folds.csv" in said.err
        assert not list(Path("other").rglob("unit.json"))
    return len(tried)


def cut_note(root: Path) -> int:
    note = root / "last.json"
    content = note.read_bytes()
    assert last_options(note)
    for length in range(len(content)):
        note.write_bytes(content[:length])
        assert last_options(note) == {}
    note.write_bytes(content)
    return len(content)


def cut(small: Small, podium: Any, most: int) -> dict[str, int]:
    root = Path("runs") / small.name
    ran = podium(*small.words("run", *small.quick))
    assert ran.code == 0, ran.err
    files, results = cut_results(root, most)
    told = Path(ran.last)
    figures = {
        "files of results": files,
        "lengths of them": results,
        "lengths of a submission": cut_submission(small, told, most),
        "lengths of a fold file": cut_fold_file(small, podium, most),
        "lengths of the note of the last run": cut_note(root),
        "accepted": 0,
    }
    made_again(small, podium, root, answer(told))
    return figures


def made_again(small: Small, podium: Any, root: Path, told: bytes) -> None:
    """A file of each unit cut at a random length: the command says so, makes them anew, and the bytes are those before."""
    rng, before = random.Random(5), sums(root)
    units = sorted(path.parent for path in root.glob(f"units/*/[!.]*/{MANIFEST}"))
    for unit, name in zip(units, ("oof.npz", "test.npz", "unit.json", MANIFEST) * len(units), strict=False):
        content = (unit / name).read_bytes()
        (unit / name).write_bytes(content[: rng.randrange(len(content))])
    ran = podium(*small.words("run", *small.quick))
    assert ran.code == 0
    assert ran.out.count("It was set aside as") == len(units)
    assert sums(root) == before
    assert answer(Path(ran.last)) == told


def test_a_file_cut_short_is_never_taken_for_whole(small: Small, podium: Any) -> None:
    cut(small, podium, MOST)


@pytest.mark.slow
def test_a_file_cut_at_any_length_is_never_taken_for_whole(small: Small, podium: Any, proof: Proof) -> None:
    proof(3, "files cut short at every length", cut(small, podium, 10**9), small.kind)
