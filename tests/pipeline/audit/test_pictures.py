"""Copies, conflicting labels and other looks, planted among small pictures of noise; those without a fault give nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.audit.finding import Severity
from pipeline.audit.pictures import findings
from pipeline.audit.report import write
from pipeline.audit.subject import Subject
from pipeline.competition import Classification, Competition, Data, Entry
from pipeline.folds import KFold
from pipeline.run import Run, with_pictures
from pipeline.store import Store

ROWS, TEST = 90, 60


def drawn(root: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    names = [f"{number:03}.png" for number in range(ROWS + TEST)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(root / name)
    train = pd.DataFrame({"image": names[:ROWS], "label": [f"class {at % 3}" for at in range(ROWS)]})
    return train, pd.DataFrame({"image": names[ROWS:]})


def run_of(root: Path, train: pd.DataFrame, test: pd.DataFrame, groups: tuple[str, ...] = ()) -> Run:
    task, plan, store = Classification("image", "label"), KFold(k=3, groups=groups), Store(root / "runs")
    data, gallery = with_pictures(Data(train, test, test, images=root), "image", store, lambda message: None)
    entry = Entry(
        Competition("made", "made", task, plan),
        load=lambda root: data,
        features=lambda: None,  # type: ignore[arg-type, return-value]
        models=dict,
        practice=lambda root, rows, seed: None,
        target=None,
        module="made",
    )
    ids, y = train["image"].to_numpy(dtype=np.str_), task.truth(data)
    return Run(entry, data, ids, y, plan, plan.make(ids, data.train, y), store, root, practice=False, gallery=gallery)


def copy(root: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    for at in range(0, 30, 3):  # of the same class
        shutil.copyfile(root / train["image"][at], root / train["image"][at + 30])


def copy_to_test(root: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    for at in range(5):
        Image.open(root / train["image"][at]).save(root / test["image"][at], compress_level=1)


def relabel(root: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    for at in range(5):
        shutil.copyfile(root / train["image"][at], root / train["image"][at + 31])


def enlarge(root: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    for name in test["image"]:
        Image.open(root / name).resize((64, 40)).save(root / name)


def brighten(root: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    for name in test["image"]:
        Image.open(root / name).point(lambda value: 120 + value // 3).save(root / name)


@pytest.mark.parametrize("seed", range(3))
def test_pictures_without_a_fault_give_nothing(tmp_path: Path, seed: int) -> None:
    assert findings(Subject(run_of(tmp_path, *drawn(tmp_path, seed)))) == []


@pytest.mark.parametrize(
    ("do", "check", "severity"),
    [
        (copy, "copies of pictures", Severity.SEVERE),
        (copy_to_test, "pictures of train in test", Severity.WARNING),
        (relabel, "conflicting labels of pictures", Severity.WARNING),
        (enlarge, "sizes of pictures", Severity.WARNING),
        (brighten, "looks of pictures", Severity.WARNING),
    ],
)
def test_a_planted_fault_of_pictures_is_found(
    tmp_path: Path, do: Callable[[Path, pd.DataFrame, pd.DataFrame], None], check: str, severity: Severity
) -> None:
    train, test = drawn(tmp_path, 0)
    do(tmp_path, train, test)
    found = findings(Subject(run_of(tmp_path, train, test)))
    assert (check, severity) in [(one.check, one.severity) for one in found]


def test_copies_that_stay_in_one_fold_are_a_note_and_the_page_shows_those_that_do_not(tmp_path: Path) -> None:
    train, test = drawn(tmp_path, 0)
    copy(tmp_path, train, test)
    [kept] = findings(Subject(run_of(tmp_path, train, test, groups=("twins",))))
    assert (kept.severity, kept.pictures) == (Severity.NOTE, ())
    run = run_of(tmp_path, train, test)
    [apart] = findings(Subject(run))
    assert len(apart.pictures) == 2 * apart.numbers["on both sides of a fold"] > 0
    _, pages = write(run, [apart], ["pictures"])
    assert [page.name for page in pages] == ["audit.html", "audit-pictures.html"]
    assert all(one.name in pages[1].read_text() for one in apart.pictures)
    write(run, [kept], ["pictures"])
    assert not pages[1].exists()
