"""What every competition must keep, whatever it is about. A new one gets all of this without a line of test code."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import competitions
from pipeline import models
from pipeline.assemble import assemble
from pipeline.competition import Entry, Model
from pipeline.errors import BadData
from pipeline.feature_cache import PARTS, make
from pipeline.folds import VALIDATE, KFold, group_codes
from pipeline.predictions import Truth
from pipeline.preparing import place_of
from pipeline.run import PRACTICE_MARK, Run, open_run, write_practice
from pipeline.train import train
from submit import require, submit

ROWS = 240
QUICK = ("ridge", "lightgbm", "random-forest")  # families that train in a second, the quickest first
TINY = {"net": "test_efficientnet", "weights": None, "size": 64, "epochs": 1, "plain": 0}  # of a detector: it need not find much

pytestmark = pytest.mark.parametrize("name", sorted({*competitions.names(), "toy"}))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As when units run: a library's own threads would only be in each other's way."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], Any]:
    """What is made once for all tests of this module, by kind and competition."""
    return {}


@pytest.fixture
def entry(name: str, request: pytest.FixtureRequest) -> Entry:
    if name == "toy":
        request.getfixturevalue("toy")
    return competitions.find(name)


@pytest.fixture
def run(name: str, entry: Entry, made: dict[tuple[str, str], Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    if ("run", name) not in made:
        folds = 3 if isinstance(entry.competition.folds, KFold) else None
        made["run", name] = open_run(name, runs=tmp_path_factory.mktemp("runs"), folds=folds, rows=ROWS)
    return made["run", name]


@pytest.fixture
def first(name: str, run: Run, made: dict[tuple[str, str], Any]) -> Parts:
    """The features of the first fold."""
    if ("first", name) not in made:
        made["first", name] = parts(run)
    return made["first", name]


class Parts(NamedTuple):
    """The features of a fold."""

    fit: pd.DataFrame
    validate: pd.DataFrame
    test: pd.DataFrame


def parts(run: Run, fold: int = 0) -> Parts:
    return Parts(**dict(make(run, fold)))


def changed(run: Run, **tables: Any) -> Run:
    """The run with other tables; the truth is read anew."""
    data = dataclasses.replace(run.data, **tables)
    return dataclasses.replace(run, data=data, y=run.entry.competition.task.truth(data))


def moved(
    table: pd.DataFrame, at: np.ndarray, columns: list[str] | None = None, seed: int = 1
) -> tuple[pd.DataFrame, np.ndarray]:
    """The table with rows `at` (or these columns of them) in another order, and that order: new place i has the row order[i]."""
    order = np.arange(len(table))
    order[at] = np.random.default_rng(seed).permutation(at)
    other = table.copy()
    for column in columns or table.columns:
        other[column] = table[column].array.take(order)
    return other, order


def out_of_fold_r2(run: Run, first: Parts) -> float:
    """How much of the truth's rank a plain linear model explains on the first fold's validation rows."""
    y = rankdata(run.y)
    numbers = first.fit.select_dtypes("number").columns
    linear = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), Ridge(alpha=30.0))
    linear.fit(first.fit[numbers], y[run.folds.fit(0)])
    return float(r2_score(y[run.folds.validate(0)], linear.predict(first.validate[numbers])))


# --------------------------------------------------------------------------------------------------------------------- contract


def test_it_is_found_by_its_name_and_says_its_purpose_in_a_line(name: str, entry: Entry) -> None:
    assert entry.competition.name == name
    assert 0 < len(competitions.purpose(name)) <= 80
    assert entry.competition.kaggle
    assert entry.competition.metric.name == entry.competition.task.metric


def test_every_recipe_can_be_built(entry: Entry, run: Run) -> None:
    recipes = entry.models()
    assert recipes
    for recipe in recipes.values():
        assert hasattr(models.build(recipe, run.classes, 0, place_of(run, "any", "key")), "fit")


# ----------------------------------------------------------------------------------------------------------------- practice data


def test_practice_data_bears_the_mark_and_follows_its_seed(entry: Entry, tmp_path: Path) -> None:
    for folder, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_practice(entry, tmp_path / folder, ROWS, seed)
    one, same, other = (
        {path.relative_to(tmp_path / folder): path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()}
        for folder in ("one", "same", "other")
    )
    assert Path(PRACTICE_MARK) in one
    assert one == same
    assert len(one) == len(other)  # the names of pictures may follow the seed too
    assert sum(one[file] != other.get(file) for file in one) >= 2  # the mark, and the rows themselves


def test_practice_data_is_loaded_whole(entry: Entry, run: Run) -> None:
    task, data = entry.competition.task, run.data
    assert run.practice
    assert len(data.train) == ROWS
    assert len(data.test)
    assert list(data.sample[task.id]) == list(data.test[task.id].astype(str))
    assert getattr(task, "target", None) not in data.test
    assert len(run.y.image) if isinstance(run.y, Truth) else np.isfinite(run.y).all()
    assert not set(run.ids) & set(run.test_ids)


@pytest.mark.parametrize("spoil", ["missing", "empty", "truncated"])
def test_a_spoilt_file_is_refused_by_its_name(entry: Entry, run: Run, tmp_path: Path, spoil: str) -> None:
    shutil.copytree(run.root, tmp_path / "data")
    for file in sorted((tmp_path / "data").glob("*.csv")):
        whole = file.read_bytes()
        if spoil == "missing":
            file.unlink()
        else:
            file.write_bytes(whole[: len(whole) * 2 // 3] if spoil == "truncated" else b"")
        with pytest.raises(BadData, match=file.name):
            entry.load(tmp_path / "data")
        file.write_bytes(whole)
    assert len(entry.load(tmp_path / "data").train) == ROWS


# ------------------------------------------------------------------------------------------------------------------------- folds


def test_no_fold_is_judged_on_what_it_learns_from_and_groups_stay_together(entry: Entry, run: Run) -> None:
    plan = entry.competition.folds
    groups = group_codes(run.data.train, getattr(plan, "groups", ()))
    for fold in range(len(run.folds)):
        fit, validate = run.folds.fit(fold), run.folds.validate(fold)
        assert not set(fit) & set(validate)
        assert not set(groups[fit]) & set(groups[validate])
    times = (run.folds.roles == VALIDATE).sum(axis=1)
    assert (times == plan.repeats).all() if isinstance(plan, KFold) else (times <= 1).all()


# ---------------------------------------------------------------------------------------------------------------------- features


def test_features_are_new_and_unfitted_each_time(entry: Entry, run: Run, first: Parts) -> None:
    one, other = entry.features(), entry.features()
    assert one is not other
    steps = [step for _, step in getattr(one, "steps", [("", one)])]
    assert not [name for step in steps for name in vars(step) if name.endswith("_") and not name.startswith("_")]


def test_all_parts_have_the_same_columns_and_none_is_the_target(entry: Entry, run: Run, first: Parts) -> None:
    for part in PARTS:
        table = getattr(first, part)
        assert list(table.columns) == list(first.fit.columns)
        assert getattr(entry.competition.task, "target", None) not in table
    assert [len(getattr(first, part)) for part in PARTS] == [
        len(run.folds.fit(0)),
        len(run.folds.validate(0)),
        len(run.data.test),
    ]


def test_targets_of_rows_that_are_not_learnt_from_change_no_feature(entry: Entry, run: Run, first: Parts) -> None:
    others = np.setdiff1d(np.arange(ROWS), run.folds.fit(0))
    if isinstance(run.y, Truth):
        assert run.data.boxes is not None
        assert run.y[others].image.size
        other = changed(run, boxes=run.data.boxes[~run.data.boxes[entry.competition.task.id].isin(run.ids[others])])
        assert not other.y[others].image.size
    else:
        train_table, _ = moved(run.data.train, others, [entry.competition.task.target])  # type: ignore[union-attr]
        other = changed(run, train=train_table)
        assert (other.y != run.y).any()
    again = parts(other)
    for part in PARTS:
        pd.testing.assert_frame_equal(getattr(again, part), getattr(first, part))


def test_a_row_has_the_same_features_whatever_stands_beside_it(run: Run, first: Parts) -> None:
    """Validation rows change places, and only half of the test rows are there: features move with their rows."""
    validate = run.folds.validate(0)
    train_table, order = moved(run.data.train, validate)
    half = np.random.default_rng(1).permutation(len(run.data.test))[: len(run.data.test) // 2]
    again = parts(changed(run, train=train_table, test=run.data.test.iloc[half]))
    pd.testing.assert_frame_equal(again.fit, first.fit)
    place = np.searchsorted(validate, order[validate])
    pd.testing.assert_frame_equal(again.validate, first.validate.iloc[place].reset_index(drop=True))
    pd.testing.assert_frame_equal(again.test, first.test.iloc[half].reset_index(drop=True))


def test_on_a_shuffled_target_no_score_appears_where_on_the_real_one_it_does(entry: Entry, run: Run, first: Parts) -> None:
    if first.fit.select_dtypes("number").empty:
        pytest.skip("its features are no numbers: what learns from them is a model")
    train_table, _ = moved(run.data.train, np.arange(ROWS), [entry.competition.task.target])  # type: ignore[union-attr]
    shuffled = changed(run, train=train_table)
    assert out_of_fold_r2(run, first) > 0.2
    assert out_of_fold_r2(shuffled, parts(shuffled)) < 0.02


def test_the_scale_of_the_target_leads_back_to_it(entry: Entry, run: Run) -> None:
    if entry.target is None:
        pytest.skip("it learns the target as it is")
    fit, validate = run.folds.fit(0), run.folds.validate(0)
    rows, y = run.data.train.iloc[fit], run.y[fit]
    scale = entry.target().fit(rows, y)
    for at in (fit, validate):
        rows, y = run.data.train.iloc[at], run.y[at]
        z = scale.transform(rows, y)
        assert z.shape == y.shape
        np.testing.assert_allclose(scale.inverse(rows, z), y, rtol=1e-9)
    assert np.isfinite(scale.inverse(run.data.test, np.zeros(len(run.data.test)))).all()


# ------------------------------------------------------------------------------------------------------------------- the whole


def test_a_quick_recipe_goes_from_data_to_a_submission_that_keeps_every_rule(entry: Entry, run: Run) -> None:
    recipes = entry.models()
    by_family = {recipe.family: name for name, recipe in recipes.items() if isinstance(recipe, Model)}
    wanted = next((by_family[family] for family in QUICK if family in by_family), next(iter(recipes)))
    if isinstance(run.y, Truth):
        recipes[wanted] = Model("detector", TINY)
    members = train(run, {wanted: recipes[wanted]}, workers=1)
    path = submit(run, assemble(run, members))
    require(run, path)
