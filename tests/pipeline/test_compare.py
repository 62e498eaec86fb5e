"""Two ways of resampling on the same rows: the difference, class by class, and whether it is more than noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.board import counts, standings
from pipeline.boxes.evaluation import evaluate
from pipeline.compare import compare
from pipeline.competition import Model
from pipeline.errors import BadPredictions, BadRecipe, UnknownName
from pipeline.predictions import Table
from pipeline.report import comparison_table, counts_table
from pipeline.run import Run, open_run
from pipeline.train import Member, recipes, train, units, with_steps
from tests.pipeline.test_report import text as shown

RARE = {
    'Regression(id="id", target="y", metric="rmse")': 'Classification(id="id", target="y", metric="log_loss")',
    "import Competition, Data, Model, Regression": "import Classification, Competition, Data, Model",
    '"train.csv", ["id", "a", "b", "y"], {"a", "b", "y"}': '"train.csv", ["id", "a", "b", "y"], {"a", "b"}',
    "y=table.a - table.b": 'y=np.select([table.a + table.b > 2, table.a > 1], ["rare", "few"], "many")',
    "y=0": 'y="many"',
}


@pytest.fixture
def rare(toy: Path, tmp_path: Path) -> Run:
    """The toy with three classes, of which one is rare."""
    text = toy.read_text()
    for before, after in RARE.items():
        assert before in text
        text = text.replace(before, after)
    toy.write_text(text)
    return open_run("toy", runs=tmp_path / "runs", rows=400)


def member(run: Run, name: str, values: np.ndarray) -> Member:
    table = Table(run.ids, values, run.columns)
    return Member(name, table, table, 0.0, 0.0, 0.0, ())


def test_classes_are_compared_by_f1_from_the_rarest_up(rare: Run) -> None:
    random = np.random.default_rng(0)
    right = np.eye(3)[rare.y] * 0.4 + random.dirichlet(np.ones(3), len(rare.y)) * 0.6
    blind = np.tile(np.bincount(rare.y) / len(rare.y), (len(rare.y), 1))
    found = compare(rare, member(rare, "blind", blind), member(rare, "seeing", right))
    assert [one.name for one in found.classes][-1] == "many"
    assert [one.rows for one in found.classes] == sorted(np.bincount(rare.y).tolist())
    for one in found.classes:
        label = rare.columns.index(one.name)
        expected = [f1_score(rare.y == label, p.argmax(1) == label, zero_division=0) for p in (blind, right)]
        assert one.scores == pytest.approx(expected)
        assert one.low <= one.difference <= one.high
        assert one.beyond_noise
    assert found.overall.difference < 0  # a loss: less is better
    assert found.verdict.startswith("seeing is better than blind, by more than noise. By class beyond noise: ")
    text = shown(comparison_table(found, "log_loss"))
    assert "all, log_loss" in text
    assert "Classes by F1." in text


def test_the_same_predictions_differ_by_nothing(rare: Run) -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), len(rare.y))
    found = compare(rare, member(rare, "a", p), member(rare, "b", p))
    assert (found.overall.difference, found.overall.low, found.overall.high) == (0, 0, 0)
    assert found.verdict == "b against a: no more than noise."


def test_members_of_different_rows_are_not_compared(rare: Run) -> None:
    whole = member(rare, "a", np.full((len(rare.y), 3), 1 / 3))
    part = dataclasses.replace(whole, name="b", oof=whole.oof.of(rare.ids[1:]))
    with pytest.raises(BadPredictions, match="a and b do not predict the same rows"):
        compare(rare, whole, part)


def test_boxes_are_compared_by_the_average_precision_of_each_category(scenes: Path, tmp_path: Path) -> None:
    run = open_run("scenes", runs=tmp_path / "runs", rows=24)
    kept = train(run, workers=1)
    found = compare(run, kept["strict"], kept["lax"])
    assert found.measure == "average precision"
    assert {one.name for one in found.classes} == {"red", "green", "blue"}
    for pick, name in enumerate(("strict", "lax")):
        assert found.overall.scores[pick] == pytest.approx(evaluate(run.y, kept[name].oof).ap)


def test_a_name_with_a_plus_is_a_recipe_resampled_with_its_counts_on_the_board(rare: Run) -> None:
    names = with_steps(["ridge"], ["smote:at=0.5", "none"], ())
    assert names == ["ridge+smote:at=0.5", "ridge"]
    found = train(rare, names, workers=1)
    assert set(found) == set(names)
    assert found[names[0]].score != found["ridge"].score
    assert [row.model for row in standings(rare) if row.state == "complete"].count(names[0]) == 1
    [told] = counts(rare)
    for fold in range(3):
        before = np.bincount(rare.y[rare.folds.fit(fold)], minlength=3)
        assert told.before[fold].tolist() == before.tolist()
        assert told.after[fold].tolist() == np.maximum(before, round(0.5 * before.max())).tolist()
    text = shown(counts_table(rare, [told]))
    assert "ridge+smote:at=0.5" in text
    assert f"{told.before[0].min():.0f} > {told.after[0].min():.0f}" in text


def test_what_a_resampled_unit_is_decided_by_is_in_its_key(rare: Run) -> None:
    keys = [
        unit.key
        for step in (None, "copy", "copy:at=0.5", "copy:correct=no")
        for unit in units(rare, {"m": Model("ridge", resample=step)})
        if unit.fold == 0
    ]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("rigde+smote", UnknownName, "No model is called 'rigde'. Did you mean ridge"),
        ("ridge+smot", UnknownName, "No way of resampling is called 'smot'"),
        ("own+smote", BadRecipe, "'own' is an estimator by itself, .* imbalanced-learn's Pipeline"),
    ],
)
def test_a_name_that_says_nothing_is_refused(rare: Run, name: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        recipes(rare.entry, [name])


def test_resampling_sees_the_training_part_alone(rare: Run) -> None:
    """Whatever the validation rows' labels are, what is learned and what is predicted for them is the same."""
    fold, recipe = 0, {"m": Model("lightgbm", {"n_estimators": 5}, resample="smote")}
    unit = units(rare, recipe)[fold]
    first = train(rare, recipe, workers=1)["m"].oof.of(rare.ids[rare.folds.validate(fold)])
    y = rare.y.copy()
    judged = rare.folds.validate(fold)
    y[judged] = np.roll(y[judged], 1)
    from pipeline.store import unpack
    from pipeline.train import fit_and_predict

    other = Table.from_arrays(unpack(fit_and_predict(dataclasses.replace(rare, y=y), unit)["oof.npz"]))
    assert other.of(first.ids).values.tobytes() == first.values.tobytes()
    assert len(first) == len(judged)  # nothing that was made up is among the predictions
