"""Tables of every shape: the draft loads the real files, and practice data in the same format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Classification, Data
from pipeline.draft import Wishes, draft
from pipeline.folds import KFold
from tests.pipeline.draft import folders

ROWS = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=ROWS).round(3)
KIND = RNG.choice(["p", "q", "r"], ROWS)


def tables(**columns: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.DataFrame({"id": [f"r{row}" for row in range(ROWS)], "x": X} | columns)
    return table[:45], table[45:]


def drafted(
    folder: Path, train: pd.DataFrame, test: pd.DataFrame, sample: pd.DataFrame, **wishes: Any
) -> tuple[dict[str, Any], Data, Data]:
    """The module's names, the data, and practice data."""
    root = folders.write(folder / "data", train, test, sample)
    made: dict[str, Any] = {"__name__": "made"}
    exec(compile(draft("made", root, Wishes("made", **wishes)).text, "made.py", "exec"), made)
    (folder / "practice").mkdir()
    made["practice"](folder / "practice", 50, 0)
    return made, made["load"](root), made["load"](folder / "practice")


def test_a_column_of_0_and_1_for_each_class_becomes_a_label(tmp_path: Path) -> None:
    train, test = tables()
    flags = pd.get_dummies(pd.Series(KIND), dtype=int)
    sample = test[["id"]].assign(p=0.3, q=0.3, r=0.4)
    made, data, practice = drafted(tmp_path, train.join(flags[:45]), test, sample)
    assert data.train["label"].tolist() == KIND[:45].tolist()
    task = made["competition"].task
    for loaded in (data, practice):
        assert task.columns(loaded) == ("p", "q", "r")
        assert not {"p", "q", "r"} & set(loaded.train)


def test_rows_of_an_id_that_repeats_stay_together(tmp_path: Path) -> None:
    train, test = tables(y=X * 2)
    train = train.assign(id=[f"r{row // 3}" for row in range(45)])
    made, data, practice = drafted(tmp_path, train, test.drop(columns="y"), test[["id"]].assign(y=0))
    assert made["competition"].folds == KFold(k=5, groups=("group",))
    assert data.train["id"].is_unique
    assert data.train["group"].tolist() == train["id"].tolist()
    assert practice.train["id"].is_unique


def test_rows_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    train, test = tables(y=X * 2)
    train["y"] = train["y"].where(train.index > 4)
    root = folders.write(tmp_path / "other", train, test.drop(columns="y"), test[["id"]].assign(y=0))
    assert "5 rows of train have no answer and are left out." in draft("made", root, Wishes("made")).reasons
    _, data, _ = drafted(tmp_path, train, test.drop(columns="y"), test[["id"]].assign(y=0))
    assert len(data.train) == 40


def test_train_without_ids_gets_some_that_test_has_not(tmp_path: Path) -> None:
    train, test = tables(y=KIND)
    _, data, practice = drafted(tmp_path, train.drop(columns="id"), test.drop(columns="y"), test[["id"]].assign(y="p"))
    for loaded in (data, practice):
        assert loaded.train["id"].is_unique
        assert not set(loaded.train["id"]) & set(loaded.test["id"])


def test_many_classes_are_counted_not_listed(tmp_path: Path) -> None:
    train, test = tables(y=[f"kind-{row % 15}" for row in range(ROWS)])
    train = pd.concat([train] * 2).assign(id=[f"t{row}" for row in range(90)], x=np.arange(90) / 7)
    made, data, practice = drafted(tmp_path, train, test.drop(columns="y"), test[["id"]].assign(y="kind-3"))
    assert isinstance(made["competition"].task, Classification)
    assert len(made["competition"].task.columns(data)) == 15
    assert len(made["competition"].task.columns(practice)) == 12


@pytest.mark.parametrize("form", ["pixel{}", "v_{:03d}"])
def test_columns_of_a_name_and_a_number_are_one_line(tmp_path: Path, form: str) -> None:
    names = [form.format(number) for number in range(95, 108)]
    train, test = tables(y=KIND, **{name: RNG.integers(0, 9, ROWS) for name in names})
    made, data, _ = drafted(tmp_path, train, test.drop(columns="y"), test[["id"]].assign(y="p"))
    assert [name for name in made["COLUMNS"] if name != "x"] == names
    assert list(data.test[names].dtypes.astype(str).unique()) == ["float64"]
    text = draft("made", tmp_path / "data", Wishes("made")).text
    assert text.count("for number in range(95, 108)") == 1


def test_mae_is_what_trees_are_told_to_learn(tmp_path: Path) -> None:
    train, test = tables(y=X * 2)
    made, _, _ = drafted(tmp_path, train, test.drop(columns="y"), test[["id"]].assign(y=0), metric="mae")
    params = {name: recipe.params for name, recipe in made["models"]().items()}
    assert params["lightgbm"]["objective"] == "mae"
    assert params["catboost"]["loss_function"] == "MAE"
    assert params["xgboost"]["objective"] == "reg:absoluteerror"
