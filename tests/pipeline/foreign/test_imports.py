"""A member made elsewhere stands in the store like ours: whole or not there, in versions, for one plan of folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.assemble import assemble
from pipeline.board import standings
from pipeline.compare import compare
from pipeline.competition import Model
from pipeline.errors import BadImport, NothingUsable, UnknownName
from pipeline.foreign import imports
from pipeline.foreign.imports import Foreign, bring, default_name, fit_to_submit, split
from pipeline.gathering import gathered
from pipeline.run import Run, open_run
from pipeline.train import train


def file(run: Run, folder: Path, noise: float = 0.3, name: str = "theirs.oof.csv", seed: int = 0) -> Path:
    y = run.y + noise * np.random.default_rng(seed).normal(size=len(run.y))
    pd.DataFrame({"id": run.ids, "y": y, "fold": run.folds.fold_of}).to_csv(folder / name, index=False)
    return folder / name


def test_file(run: Run, folder: Path) -> Path:
    pd.DataFrame({"id": run.test_ids, "y": 0.25}).to_csv(folder / "test.csv", index=False)
    return folder / "test.csv"


test_file.__test__ = False  # type: ignore[attr-defined]


def test_a_name_is_the_files_without_its_ending() -> None:
    assert [default_name(Path(name)) for name in ("a/x.oof.csv", "x_oof.npz", "x-oof.json", "oof.csv", "x.v2.csv")] == [
        "x",
        "x",
        "x",
        "oof",
        "x.v2",
    ]


def test_it_joins_board_comparison_ensemble_and_submission(values: Run, tmp_path: Path) -> None:
    mine = train(values, {"ridge": Model("ridge", {"alpha": 300.0}), "few": Model("extra-trees", {"n_estimators": 3})}, workers=1)
    taken = bring(values, [file(values, tmp_path)], test=test_file(values, tmp_path), ours=mine)
    [row] = [row for row in standings(values) if row.model == "theirs"]
    assert (row.state, row.score) == ("imported", taken.score)
    assert compare(values, mine["few"], taken).overall.scores[1] == pytest.approx(taken.score)
    made = assemble(values, {**mine, "theirs": taken})
    assert made.blend.weights["theirs"] > 0.1
    assert made.about(values)["models"]["theirs"]["imported"] == taken.time  # type: ignore[index]
    assert made.key != assemble(values, mine).key


def test_the_same_again_is_the_same_folder_and_another_file_another_version(values: Run, tmp_path: Path) -> None:
    first = bring(values, [file(values, tmp_path)])
    said: list[str] = []
    assert bring(values, [file(values, tmp_path)], say=said.append).keys == first.keys
    assert "imported before with the same predictions" in said[0]
    second = bring(values, [file(values, tmp_path, seed=1)])
    assert len(list(values.store.list("imports", "theirs"))) == 2
    assert imports.members(values)["theirs"].keys == second.keys != first.keys
    assert bring(values, [file(values, tmp_path)]).keys == imports.members(values)["theirs"].keys  # what came last counts
    assert imports.remove(values.store, "theirs") == 2
    assert imports.members(values) == {}
    with pytest.raises(UnknownName, match="No imported member is called 'theirs'"):
        imports.remove(values.store, "theirs")


def test_a_damaged_version_counts_for_none_and_is_said(values: Run, tmp_path: Path) -> None:
    taken = bring(values, [file(values, tmp_path)])
    values.store.path("imports", "theirs", taken.keys[0], "oof.npz").write_bytes(b"")
    said: list[str] = []
    assert imports.members(values, say=said.append) == {}
    assert "must be imported again" in said[0]


def test_without_test_predictions_it_is_compared_but_never_blended(values: Run, tmp_path: Path) -> None:
    taken = bring(values, [file(values, tmp_path)])
    assert taken.test is None
    assert "no test predictions" in taken.state
    with pytest.raises(NothingUsable, match="theirs came without test predictions"):
        assemble(values, {"theirs": taken})
    full = bring(values, [file(values, tmp_path, name="full.csv")], test=test_file(values, tmp_path))
    both, said = {"theirs": taken, "full": full}, list[str]()
    assert list(fit_to_submit(both, said.append, named=False)) == ["full"]
    assert "Import again with --test FILE" in said[0]
    with pytest.raises(NothingUsable, match="or name other models"):
        fit_to_submit(both, said.append, named=True)


def test_what_was_imported_for_other_folds_is_only_told_of(values: Run, tmp_path: Path) -> None:
    bring(values, [file(values, tmp_path)])
    other = open_run("toy", runs=values.store.root.parent, rows=120, folds=4)
    assert imports.members(other) == {}
    assert dict(imports.elsewhere(other)) == {"theirs": f"imported for other folds ({values.folds.hash})"}
    assert [row.state for row in standings(other) if row.model == "theirs"] == [f"imported for other folds ({values.folds.hash})"]
    with pytest.raises(NothingUsable, match="imported for other data or other folds"):
        gathered(other, ["theirs"], 1, lambda told: None)


def test_names_are_parted_and_unknown_ones_name_the_nearest(values: Run, tmp_path: Path) -> None:
    bring(values, [file(values, tmp_path)])
    assert split(values.store, ["ridge", "theirs"]) == (["ridge"], ["theirs"])
    assert list(gathered(values, ["theirs"], 1, lambda told: None)) == ["theirs"]
    with pytest.raises(UnknownName, match=r"No model is called 'their'\. Did you mean theirs"):
        gathered(values, ["their"], 1, lambda told: None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ridge", "is the name of a model that is, or would be, trained here"),
        ("a-tuned", "is the name of a model"),
        ("a/b", "cannot be called 'a/b'"),
    ],
)
def test_names_that_cannot_be_are_refused(values: Run, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(BadImport, match=says):
        bring(values, [file(values, tmp_path)], name, taken=list(values.entry.models()))


def test_a_flag_stays_with_it_and_the_board_compares_anew(values: Run, tmp_path: Path) -> None:
    alone = bring(values, [file(values, tmp_path, noise=0.001)])
    assert alone.flags == ()
    assert "no member of our own" in alone.notes[0]
    weak = train(values, {"ridge": Model("ridge", {"alpha": 1e4})}, workers=1)
    copied = bring(values, [file(values, tmp_path, noise=0.0, name="copied.csv")], ours=weak)
    assert any("equal the target to nine digits" in flag for flag in copied.flags)
    assert any("far better than our best member's interval" in flag for flag in copied.flags)
    states = {row.model: row.state for row in standings(values)}
    assert states["copied"].startswith("SUSPICIOUS: 100.0% of its rows equal the target")
    assert isinstance(imports.members(values)["copied"], Foreign)
