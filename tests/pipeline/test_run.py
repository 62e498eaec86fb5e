"""A run opens on the data that the person chose, and says what it found."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import run as run_module
from pipeline.competition import Data
from pipeline.errors import BadData, BadFolds, StoreError, UnknownName
from pipeline.folds import Folds
from pipeline.predictions import as_ids
from pipeline.run import PRACTICE_MARK, PRACTICE_SUMS, Run, open_run, store_folds, unique_ids
from pipeline.store import STRAY, Store, unpack


@pytest.fixture
def opened(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def open_toy(*given: Any, **named: Any) -> tuple[Run, list[str]]:
        said: list[str] = []
        return open_run("toy", *given, **{"rows": 60, "say": said.append, **named}), said

    return open_toy


def real(practice: Path, folder: Path) -> Path:
    """The same files without the mark: nobody can tell them from real ones."""
    shutil.copytree(practice, folder)
    (folder / PRACTICE_MARK).unlink()
    return folder


def test_the_path_given_goes_before_what_was_downloaded_and_that_before_practice_data(opened: Any, tmp_path: Path) -> None:
    run, said = opened()
    assert run.practice
    assert any(message.startswith("PRACTICE DATA") for message in said)
    assert run.root.parent == Path("runs/toy/practice")
    downloaded = real(run.root, tmp_path / "data" / "toy")
    run, said = opened()
    assert (run.root, run.practice, said) == (Path("data/toy"), False, [])
    given = Path(shutil.copytree(downloaded, tmp_path / "mine"))
    run, said = opened(data=given)
    assert (run.root, run.practice, said) == (given, False, [])


def test_practice_data_is_flagged_also_when_it_is_given(opened: Any) -> None:
    run, _ = opened()
    again, said = opened(data=run.root)
    assert again.practice
    assert "made up" in said[0]


def test_practice_data_is_made_once_and_whole(opened: Any) -> None:
    run, _ = opened()
    before = {path: path.stat().st_mtime_ns for path in run.root.iterdir()}
    assert {path.name for path in before} == {"train.csv", "test.csv", "sample_submission.csv", PRACTICE_MARK, PRACTICE_SUMS}
    opened()
    assert {path: path.stat().st_mtime_ns for path in run.root.iterdir()} == before
    assert opened(rows=61)[0].root != run.root != opened(seed=1)[0].root


def test_practice_data_cut_off_while_it_was_made_is_not_taken(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written before the end stays a stray, also the mark."""
    write = run_module.write_practice

    def interrupted(entry: Any, root: Path, rows: int, seed: int) -> None:
        write(entry, root, rows, seed)
        (root / "train.csv").write_text("id,a")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_module, "write_practice", interrupted)
        opened()
    run, _ = opened()
    assert len(run.ids) == 60


@pytest.mark.parametrize(
    "harm",
    [
        lambda root: (root / "train.csv").write_text((root / "train.csv").read_text().replace("1", "2", 1)),
        lambda root: (root / "test.csv").unlink(),
        lambda root: (root / "more.csv").write_text("id"),
        lambda root: (root / PRACTICE_MARK).unlink(),
        lambda root: (root / PRACTICE_SUMS).write_text("{}"),
        lambda root: (root / PRACTICE_SUMS).unlink(),
    ],
)
def test_practice_data_that_changed_is_set_aside_said_and_made_again(opened: Any, harm: Callable[[Path], object]) -> None:
    run, said = opened()
    assert len(said) == 1
    harm(run.root)
    again, said = opened()
    assert (again.root, again.fingerprint) == (run.root, run.fingerprint)
    assert f"{run.root} is not as it was made: it was set aside as .damaged-{run.root.name}-" in said[0]
    (run.root / ".DS_Store").touch()
    assert len(opened()[1]) == 1


def open_one(runs: Path, start: Any) -> None:
    start.wait()
    assert len(open_run("toy", runs=runs, rows=60).ids) == 60


def test_several_processes_may_open_the_same_run_at_once(toy: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(5):
        start = context.Barrier(3)
        openers = [context.Process(target=open_one, args=(tmp_path / str(number), start)) for _ in range(3)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join(60)
        assert [opener.exitcode for opener in openers] == [0, 0, 0]
        assert not list((tmp_path / str(number)).rglob(f"{STRAY}*"))


def test_a_folder_that_is_not_there_is_said_with_the_cure(opened: Any, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"nowhere is no folder. Give the folder that holds"):
        opened(data=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match=r"train.csv is missing"):
        opened(data=tmp_path / "empty")


def test_an_unknown_competition_is_refused_with_the_nearest_name(opened: Any) -> None:
    with pytest.raises(UnknownName, match=r"No competition is called 'toi'. Did you mean toy"):
        open_run("toi")


def test_runs_that_cannot_be_written_are_said_with_the_cure(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot write .*--runs DIR"):
        opened(runs=tmp_path / "file")


def test_strays_of_a_killed_run_are_swept_and_said(opened: Any) -> None:
    run, _ = opened()
    (run.store.path("units", "ridge", f"{STRAY}another-host-1-0")).mkdir(parents=True)
    assert not any("Swept" in message for message in opened()[1])
    (run.store.path("units", "ridge", f"{STRAY}{socket.gethostname()}-{2**22 + 1}-0")).mkdir()
    assert "Swept 1 half-written results of a run that was killed." in opened()[1]
    assert os.listdir(run.store.path("units", "ridge")) == [f"{STRAY}another-host-1-0"]


def test_a_number_or_a_file_of_folds_stands_in_for_the_plan(opened: Any, tmp_path: Path) -> None:
    run, _ = opened()
    assert (len(run.folds), len(opened(folds=4)[0].folds), len(opened(folds="4")[0].folds)) == (3, 4, 4)
    written = run.store.path(f"folds-{run.folds.hash}", "folds.csv")
    assert opened(folds=str(written))[0].folds.hash == run.folds.hash
    with pytest.raises(BadFolds, match="neither a number nor a file"):
        opened(folds="nowhere.csv")


def test_the_fold_plan_is_kept_for_podium_and_for_people(opened: Any) -> None:
    run, _ = opened()
    kept = run.store.read(f"folds-{run.folds.hash}")
    assert Folds.from_arrays(unpack(kept["folds.npz"])).hash == run.folds.hash


def test_a_damaged_fold_plan_is_said_and_made_again(opened: Any) -> None:
    run, _ = opened()
    file = run.store.path(f"folds-{run.folds.hash}", "folds.npz")
    before = file.read_bytes()
    file.write_bytes(before[:9])
    assert any("made again" in message for message in opened()[1])
    assert file.read_bytes() == before


def test_ids_with_commas_and_quotes_come_back_from_the_fold_file(tmp_path: Path) -> None:
    ids = as_ids(["a,b", 'say "7"', "two\nlines"])
    folds, store = Folds(ids, np.array([[2, 1], [1, 2], [2, 1]])), Store(tmp_path)
    store_folds(store, folds)
    back = pd.read_csv(tmp_path / f"folds-{folds.hash}" / "folds.csv", dtype=str)
    assert back["id"].tolist() == ids.tolist()
    assert back["fold"].tolist() == ["0", "1", "0"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["1", None, "3"], r"train has 1 rows without id, first row 2. Every row needs one"),
        (["1", "2", " "], r"train has 1 rows without id, first row 3"),
        (["1", "2", "1"], r"train has 1 ids twice, first id 1. Keep one row of each"),
        ([7, "7", "8"], r"train has 1 ids twice, first id 7"),
    ],
)
@pytest.mark.parametrize("where", ["train", "test"])
def test_ids_that_are_missing_or_stand_twice_are_refused(ids: list[Any], message: str, where: str) -> None:
    good, bad = pd.DataFrame({"id": ["4", "5", "6"]}), pd.DataFrame({"id": pd.Series(ids, dtype=object)})
    data = Data(bad, good, good) if where == "train" else Data(good, bad, good)
    with pytest.raises(BadData, match=message.replace("train", where)):
        unique_ids(data, "id")


def test_a_table_without_the_id_column_is_refused_by_name() -> None:
    table = pd.DataFrame({"Id": ["1"]})
    with pytest.raises(BadData, match=r"train has no column 'id'; it has Id"):
        unique_ids(Data(table, table, table), "id")


def test_any_changed_cell_is_another_fingerprint_and_the_place_is_not(opened: Any, tmp_path: Path) -> None:
    run, _ = opened()
    shutil.copytree(run.root, tmp_path / "copy")
    assert opened(data=tmp_path / "copy")[0].fingerprint == run.fingerprint
    text = (tmp_path / "copy" / "test.csv").read_text()
    (tmp_path / "copy" / "test.csv").write_text(text[:-2] + str((int(text[-2]) + 1) % 10) + "\n")
    assert opened(data=tmp_path / "copy")[0].fingerprint != run.fingerprint
