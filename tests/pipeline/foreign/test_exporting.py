"""What is exported is imported bit by bit, whatever the ids and the numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecipe, UnknownName
from pipeline.folds import FoldFile, TimeBlocks
from pipeline.foreign import exporting, reading
from pipeline.foreign.exporting import content, export, export_folds
from pipeline.foreign.imports import bring
from pipeline.predictions import Boxes, Table
from pipeline.run import Run
from pipeline.train import train
from tests.pipeline.foreign.conftest import made

WRITTEN = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.sampled_from("\",;\r\n\t'= "), min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def bits(found: Table | Boxes | None) -> list[Any]:
    assert found is not None
    return [(array.tolist(), array.dtype.kind) for array in found.arrays().values()]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), kind=st.sampled_from(exporting.OF_TABLES), told=st.booleans())
def test_a_table_is_read_back_bit_by_bit(
    data: st.DataObject, kind: str, told: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ids with quotes and line ends, numbers with all their digits, columns called like the fold's."""
    columns = data.draw(
        st.lists(WRITTEN.filter(lambda name: name != "id") | st.just("fold"), min_size=2, max_size=4, unique=True)
    )
    ids = data.draw(st.lists(WRITTEN, min_size=1, max_size=6, unique=True))
    numbers = data.draw(st.lists(st.tuples(*[NUMBERS] * len(columns)), min_size=len(ids), max_size=len(ids)))
    table = Table(np.array(ids), np.array(numbers), tuple(columns))
    task: Any = SimpleNamespace(entry=SimpleNamespace(competition=SimpleNamespace(task=SimpleNamespace(id="id"))))
    fold = np.arange(len(ids)) % 3
    file = tmp_path_factory.mktemp("out") / f"m.oof.{kind}"
    file.write_bytes(content(task, table, (lambda _: fold) if told else None, kind))
    found = reading.read([file], "id", columns, None, boxes=False)
    assert found.ids.tolist() == ids
    assert found.numbers.tobytes() == table.at(table.ids).tobytes()
    assert (found.fold is None) == (not told)
    assert found.fold is None or found.fold.tolist() == fold.astype(str).tolist()


@pytest.mark.parametrize("kind", exporting.OF_TABLES)
def test_a_trained_member_comes_back_as_it_was(values: Run, kind: str, tmp_path: Path) -> None:
    mine = train(values, ["ridge"], workers=1)["ridge"]
    oof, test = export(values, mine, tmp_path / "out", kind)
    taken = bring(values, [oof], "theirs", test)
    assert bits(taken.oof) == bits(mine.oof)
    assert bits(taken.test) == bits(mine.test)
    assert taken.told
    assert taken.score == mine.score


@pytest.mark.parametrize("kind", exporting.OF_TABLES)
def test_chances_of_classes_come_back_as_they_were(classes: Run, kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tables = [Table(ids, random.dirichlet(np.ones(3), len(ids)), classes.columns) for ids in (classes.ids, classes.test_ids)]
    files = export(classes, made(classes, *tables), tmp_path, kind)
    taken = bring(classes, files[:1], test=files[1])
    assert taken.name == "theirs"
    assert [bits(taken.oof), bits(taken.test)] == [bits(table) for table in tables]


def test_boxes_come_back_as_they_were(boxes: Run, tmp_path: Path) -> None:
    mine = train(boxes, ["strict"], workers=1)["strict"]
    files = export(boxes, mine, tmp_path)
    assert [file.suffix for file in files] == [".json", ".json"]
    taken = bring(boxes, files[:1], "theirs", files[1])
    assert [bits(taken.oof), bits(taken.test)] == [bits(mine.oof), bits(mine.test)]
    assert taken.told


def test_a_format_that_does_not_fit_is_said(values: Run, tmp_path: Path) -> None:
    table = Table(values.ids, np.zeros(len(values.ids)), values.columns)
    with pytest.raises(BadRecipe, match="predicts a table, which is written as csv or parquet or npz"):
        export(values, made(values, table, None), tmp_path, "json")
    with pytest.raises(UnknownName, match=r"No format is called 'parket'\. Did you mean parquet"):
        export(values, made(values, table, None), tmp_path, "parket")
    assert [file.name for file in export(values, made(values, table, None), tmp_path)] == ["theirs.oof.csv"]


def test_the_folds_are_written_as_a_fold_file_and_as_what_may_be_learned(values: Run, tmp_path: Path) -> None:
    folds, fit = export_folds(values, tmp_path)
    again = FoldFile(folds).make(values.ids, values.data.train, values.y)
    assert again.hash == values.folds.hash
    table = pd.read_csv(fit, dtype={"id": str})
    assert table.pop("id").tolist() == values.ids.tolist()
    np.testing.assert_array_equal(table.to_numpy(), values.folds.roles == 1)


def test_of_blocks_of_time_what_may_be_learned_lies_before(values: Run, tmp_path: Path) -> None:
    plan = TimeBlocks("a", 3)
    run = dataclasses.replace(values, plan=plan, folds=plan.make(values.ids, values.data.train, values.y))
    folds, fit = (pd.read_csv(file) for file in export_folds(run, tmp_path))
    time = values.data.train["a"].to_numpy()
    for block in range(3):
        assert time[fit[f"fit_{block}"] == 1].max() < time[folds["fold"] == block].min()
