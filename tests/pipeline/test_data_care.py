"""What a person should look at: copies, conflicting labels, labels that nobody believes."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Regression
from pipeline.data_care import (
    copies,
    copies_page,
    disagreements,
    disagreements_page,
    pages,
    refuse_unshown,
    scores_without_copies,
)
from pipeline.errors import BadData
from pipeline.predictions import Table
from pipeline.run import Run, open_run, say_split_copies, split_copies, write_practice

ROWS = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Drawn leaves, in which one picture stands three times under two labels, one twice under two, one also among the test rows."""
    import competitions

    root = tmp_path_factory.mktemp("leaves")
    write_practice(competitions.find("leaf-classification"), root / "data", ROWS, 3)
    table = pd.read_csv(root / "data" / "train.csv")
    test = pd.read_csv(root / "data" / "test.csv")
    for source, copy, label in ((0, 1, table.label[0]), (0, 2, "drawn-other"), (10, 11, "drawn-third")):
        shutil.copyfile(root / "data" / table.image[source], root / "data" / table.image[copy])
        table.loc[copy, "label"] = label
    shutil.copyfile(root / "data" / table.image[20], root / "data" / test.image[0])
    table.to_csv(root / "data" / "train.csv", index=False)
    return open_run("leaf-classification", root / "data", runs=root / "runs", folds=3)


def test_a_picture_and_its_copies_stand_in_one_fold(run: Run) -> None:
    group = run.data.train["twins"].to_numpy()
    assert group[0] == group[1] == group[2]
    assert group[10] == group[11]
    for number in np.unique(group):
        assert len(set(run.folds.fold_of[group == number])) == 1


def test_of_copies_with_several_labels_only_the_majority_is_learned_and_all_are_validated(run: Run) -> None:
    learned = run.folds.learned
    assert learned[[0, 1]].all()
    assert not learned[[2, 10, 11]].any()
    assert (run.folds.fold_of >= 0).all()


def test_copies_are_counted_and_conflicts_listed(run: Run) -> None:
    found = copies(run)
    group = run.data.train["twins"].to_numpy()
    assert {0, 1, 2, 10, 11} <= set(found.rows["row"])
    assert found.groups >= found.conflicting >= 2
    assert found.groups >= found.identical >= 3
    assert found.spanning >= 1
    assert found.unlearnt == (~run.folds.learned).sum() >= 3
    assert (found.rows["label"] == run.data.train["label"].to_numpy()[found.rows["row"]]).all()
    assert (group[found.rows["row"]] == found.rows["group"]).all()
    page = copies_page(run, found).read_text()
    assert run.data.train["image"][10] in page
    assert page.startswith("<!doctype html>")
    assert "PRACTICE DATA" in page


def believing(run: Run, wrong: dict[int, int]) -> Table:
    """Out-of-fold predictions that are sure of every label, but for these rows, which they are sure are of another class."""
    k = len(run.columns)
    chances = np.full((len(run.ids), k), 0.1 / (k - 1))
    believed = run.y.copy()
    for row, label in wrong.items():
        believed[row] = label
    chances[np.arange(len(chances)), believed] = 0.9
    return Table(run.ids, chances, run.columns)


def test_folds_that_part_copies_are_told(run: Run) -> None:
    group = run.data.train["twins"].to_numpy()
    assert copies(run).split == split_copies(run.folds, group) == 0
    assert "each kept in one fold" in str(copies(run))
    folds = dataclasses.replace(run.folds, roles=run.folds.roles[np.random.default_rng(0).permutation(len(group))])
    parted, said = dataclasses.replace(run, folds=folds), []
    assert copies(parted).split == split_copies(folds, group) > 0
    assert f"{copies(parted).split} of them on both sides of a fold" in str(copies(parted))
    say_split_copies(folds, group, said.append)
    assert [message.partition(":")[0] for message in said] == ["Copies on both sides of a fold"]


def test_where_the_target_is_a_number_nothing_conflicts(run: Run) -> None:
    task = Regression(id="image", target="label", metric="rmse")
    entry = dataclasses.replace(run.entry, competition=dataclasses.replace(run.entry.competition, task=task))
    weighed = dataclasses.replace(run, entry=entry, y=np.arange(ROWS) / ROWS)
    assert copies(weighed).conflicting == 0
    scores = scores_without_copies(weighed, Table(run.ids, np.zeros((ROWS, 1)), ("label",)))
    assert set(scores) == {"all rows", "rows without a copy", "one row of each picture, no conflicts"}


def test_a_part_of_the_rows_that_the_metric_cannot_judge_is_left_out(run: Run) -> None:
    task = dataclasses.replace(run.entry.competition.task, metric="auc")
    entry = dataclasses.replace(run.entry, competition=dataclasses.replace(run.entry.competition, task=task))
    group = run.data.train["twins"].to_numpy()
    y = (np.bincount(group)[group] > 1).astype(np.int64)  # without copies one class is left
    two = dataclasses.replace(run, entry=entry, y=y)
    scores = scores_without_copies(two, Table(run.ids, np.stack([1 - y, y], axis=1).astype(float), run.columns[:2]))
    assert "all rows" in scores
    assert "rows without a copy" not in scores


def test_labels_that_are_not_believed_come_first_where_the_margin_is_widest(run: Run) -> None:
    wrong = {5: (run.y[5] + 1) % len(run.columns), 30: (run.y[30] + 1) % len(run.columns)}
    oof = believing(run, wrong)
    values = np.array(oof.at(run.ids))
    values[30, run.y[30]], values[30, wrong[30]] = 0.4, 0.6
    found = disagreements(run, dataclasses.replace(oof, values=values / values.sum(axis=1, keepdims=True)))
    assert found["row"].tolist() == [5, 30]
    assert found["label"].tolist() == [run.columns[run.y[row]] for row in (5, 30)]
    assert found["predicted"].tolist() == [run.columns[wrong[row]] for row in (5, 30)]
    page = disagreements_page(run, oof, "a test").read_text()
    assert run.data.train["image"][5] in page
    assert f"labelled {run.columns[run.y[5]]} (" in page


def test_labelled_pictures_have_two_pages_and_numbers_or_tables_none(run: Run) -> None:
    found = pages(run, believing(run, {5: 0}), "a test")
    assert [path.name for path in found.values()] == ["copies.html", "disagreements.html"]
    assert "by a test out of fold" in list(found.values())[1].read_text()
    with pytest.raises(
        BadData, match=r"no pictures with labels or boxes .* podium data leaf-classification, .* podium board leaf-"
    ):
        refuse_unshown(dataclasses.replace(run, gallery=None))
    task = Regression(id="image", target="label", metric="rmse")
    entry = dataclasses.replace(run.entry, competition=dataclasses.replace(run.entry.competition, task=task))
    with pytest.raises(BadData, match="no pictures with labels or boxes"):
        pages(dataclasses.replace(run, entry=entry), believing(run, {}), "a test")


def test_scores_without_copies_leave_out_what_they_say(run: Run) -> None:
    other = (run.y[2] + 1) % len(run.columns)
    scores = scores_without_copies(run, believing(run, {2: other, 5: (run.y[5] + 1) % len(run.columns)}))
    group = run.data.train["twins"].to_numpy()
    alone = np.bincount(group)[group] == 1
    assert scores["all rows"] == pytest.approx(1 - 2 / ROWS)
    assert scores["rows without a copy"] == pytest.approx(1 - alone[5] / alone.sum())
    assert 0.9 < scores["one row of each picture, no conflicts"] < 1
