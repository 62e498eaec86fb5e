"""A fold's features are made once, from the fold's own rows, and the same bytes are read ever after."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.errors import BadContract
from pipeline.feature_cache import PARTS, Part, features_key, fold_features, from_arrow, make, to_arrow
from pipeline.run import Run, open_run
from pipeline.tables import TEXT


class Features:
    """Whatever a function makes of the rows; it counts how often it was fitted."""

    def __init__(self, function: Callable[[pd.DataFrame], Any] = lambda X: X[["a", "b"]]) -> None:
        self.function = function

    fitted = 0

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Features:
        assert len(X) == len(y)
        Features.fitted += 1
        self.mean_ = float(y.mean())
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        return self.function(X)


def with_features(run: Run, function: Callable[[pd.DataFrame], Any]) -> Run:
    return dataclasses.replace(run, entry=dataclasses.replace(run.entry, features=lambda: Features(function)))


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Run:
    return open_run("toy", runs=tmp_path / "runs", rows=60)


def odd_types(X: pd.DataFrame) -> pd.DataFrame:
    town = pd.Categorical(np.where(X.a > 0, "x", None), categories=["x", "nobody's"], ordered=True)
    return pd.DataFrame(
        {"a": X.a.astype(np.float32), "town": town, "told": np.where(X.b > 0, "sea", None), 'odd "name", [1]': np.nan}
    )


def all_parts(run: Run, fold: int) -> dict[str, pd.DataFrame]:
    return {part: fold_features(run, fold, part) for part in PARTS}


def test_features_are_made_once_and_read_as_they_were_made(run: Run) -> None:
    run = with_features(run, odd_types)
    Features.fitted = 0
    first, again = all_parts(run, 1), all_parts(run, 1)
    assert Features.fitted == 1
    for part, made in make(run, 1):
        pd.testing.assert_frame_equal(first[part], again[part])
        pd.testing.assert_frame_equal(first[part], made.astype({"told": TEXT}))
    assert [len(first[part]) for part in PARTS] == [40, 20, 60]
    assert first["test"].town.cat.categories.tolist() == ["x", "nobody's"]
    assert fold_features(run, 0, "fit").a.tolist() != first["fit"].a.tolist()


def test_a_part_that_is_read_lies_in_memory_once(run: Run) -> None:
    content = to_arrow(pd.DataFrame({"x": np.arange(1e5), "gaps": np.where(np.arange(1e5) % 2, 1.0, np.nan), "t": "sea"}))
    before = pa.total_allocated_bytes()
    read = from_arrow(content)
    assert pa.total_allocated_bytes() - before <= 9 * len(read)  # but for where each text begins
    assert not any(read[column].to_numpy().flags.owndata for column in ("x", "gaps"))


@pytest.mark.parametrize("lost", PARTS)
def test_a_part_that_is_not_there_is_made_again_and_the_others_stay(run: Run, lost: Part) -> None:
    before = all_parts(run, 0)
    run.store.remove("features", features_key(run), f"fold-0-{lost}")
    for part, table in all_parts(run, 0).items():
        pd.testing.assert_frame_equal(table, before[part])


def test_damaged_features_are_made_again(run: Run) -> None:
    fold_features(run, 0, "fit")
    file = run.store.path("features", features_key(run), "fold-0-fit", "features.arrow")
    before = file.read_bytes()
    file.write_bytes(before[:-5])
    fold_features(run, 0, "fit")
    assert file.read_bytes() == before


def test_an_encoder_of_the_target_is_fitted_by_fit_transform_on_the_training_rows_alone(run: Run) -> None:
    seen: list[np.ndarray] = []

    class Inner(Features):
        def fit_transform(self, X: pd.DataFrame, y: np.ndarray) -> pd.DataFrame:
            seen.append(y)
            return self.fit(X, y).transform(X) * 0

    run = dataclasses.replace(run, entry=dataclasses.replace(run.entry, features=Inner))
    made = dict(make(run, 2))
    assert (made["fit"] == 0).all(axis=None)
    assert not (made["validate"] == 0).any(axis=None)
    assert seen[0].tolist() == run.y[run.folds.fit(2)].tolist()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda X: X[["a"]].to_numpy(), r"must give a DataFrame; it gave a ndarray for 'fit'"),
        (lambda X: X[["a", "b"][: 1 + len(X) // 40]], r"same columns for every part; 'validate' differs"),
        (lambda X: X[["a"]][::-1], r"keep the rows and their order; of 40 in 'fit' it gave 40"),
        (lambda X: X[["a"]].drop(index=0), r"keep the rows and their order; of 40 in 'fit' it gave 39"),
        (lambda X: X.assign(y=1.0), r"hands on the target column 'y'"),
        (
            lambda X: X[["a"]].assign(c=np.where(X.index == 3, -np.inf, 1.0).astype(np.float32)),
            r"infinity in 1 of 40 rows of 'fit', first in row 4 of 'c'",
        ),
        (
            lambda X: X[["a"]].assign(c=pd.Series(np.where(X.index == 50, np.inf, 1.0), dtype="Float64")),
            r"infinity in 1 of 60 rows of 'test', first in row 51 of 'c'",
        ),
    ],
    ids=["no table", "other columns", "other order", "fewer rows", "the target", "infinity", "infinity in test"],
)
def test_features_that_break_the_contract_are_refused(run: Run, function: Callable[[pd.DataFrame], Any], message: str) -> None:
    with pytest.raises(BadContract, match=message):
        fold_features(with_features(run, function), 0, "fit")
    assert not run.store.path("features").exists()


def test_the_same_table_gives_the_same_bytes() -> None:
    table = odd_types(pd.DataFrame({"a": [1.0, -1, np.nan], "b": [0.5, -0.5, np.nan]}))
    assert to_arrow(table) == to_arrow(table.copy())
    kept = from_arrow(to_arrow(table))
    assert to_arrow(kept) == to_arrow(from_arrow(to_arrow(kept)))


def test_a_table_put_together_of_pieces_gives_the_bytes_of_one_piece() -> None:
    pieces = pd.concat([pd.DataFrame({"text": pd.Series([text], dtype=TEXT)}) for text in "ab"], ignore_index=True)
    assert to_arrow(pieces) == to_arrow(pickle.loads(pickle.dumps(pieces)))  # as a worker process gets it
