"""A file that breaks a rule is refused with its name, the count and the first cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import BadImport
from pipeline.foreign.imports import bring
from pipeline.foreign.rules import RULES
from pipeline.run import Run

Change = Callable[[pd.DataFrame], pd.DataFrame]
N = 120


def at(row: int, column: str, value: object) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return change


def twice(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table[:2]])


def other_ids(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(id=[*table["id"][:-3], "x1", "x2", "x3"])


def shifted(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(fold=[*table["fold"][:-4], *(table["fold"][-4:] + 1) % 3])


def merged(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(fold=table["fold"].replace(2, 1))


OF_VALUES: dict[str, tuple[Change, str, str]] = {
    "duplicate": (twice, "duplicate-id", "2 ids stand more than once among the out-of-fold rows, first 0, 1."),
    "unknown": (other_ids, "unknown-id", "3 out-of-fold ids are not in train, first x1, x2, x3."),
    "missing": (
        lambda t: t[5:],
        "missing-id",
        f"5 of the {N} train rows that the folds validate have no prediction, first 0, 1, 2.",
    ),
    "empty": (at(7, "y", ""), "not-finite", "1 out-of-fold predictions are NaN, empty or infinite, id 7: [nan]"),
    "infinite": (at(7, "y", "inf"), "not-finite", "id 7: [inf]"),
    "word": (at(7, "y", "many"), "not-a-number", "1 cells of 'y' are no numbers, id 7: 'many'"),
    "underscore": (at(7, "y", "1_0"), "not-a-number", "id 7: '1_0'"),
    "beyond": (at(7, "y", 1e200), "range", "1 out-of-fold predictions are beyond what they can be, id 7: [1e+200]"),
    "folds": (shifted, "folds-differ", f"4 of {N} rows stand in other folds than here, first id 116: "),
    "fewer folds": (merged, "folds-differ", "40 of 120 rows stand in other folds than here"),
    "no fold": (at(3, "fold", ""), "fold-number", "1 rows say no fold, id 3."),
    "more columns": (lambda t: t.assign(z=1), "columns", "has 1 that nobody asked for (z)"),
    "no id": (lambda t: t.drop(columns="id"), "columns", "It lacks 1 (id)"),
}


def values_file(run: Run, tmp_path: Path, change: Change = lambda table: table, name: str = "theirs.oof.csv") -> Path:
    table = pd.DataFrame({"id": run.ids, "y": run.y + 0.5, "fold": run.folds.fold_of})
    change(table).to_csv(tmp_path / name, index=False)
    return tmp_path / name


@pytest.fixture
def refused() -> Callable[..., None]:
    def refused(rule: str, says: str, *words: Any, **more: Any) -> None:
        with pytest.raises(BadImport) as raised:
            bring(*words, **more)
        assert (raised.value.rule, says in str(raised.value)) == (rule, True), str(raised.value)

    return refused


def test_every_broken_rule_of_values_is_named_with_count_and_cases(
    values: Run, tmp_path: Path, refused: Callable[..., None]
) -> None:
    for change, rule, says in OF_VALUES.values():
        refused(rule, says, values, [values_file(values, tmp_path, change)])
    assert not list(values.store.list("imports"))


def test_all_that_is_broken_is_told_at_once(values: Run, tmp_path: Path, refused: Callable[..., None]) -> None:
    both = values_file(values, tmp_path, lambda table: at(9, "y", "nan")(table[5:]))
    refused("missing-id", "Also broken: not-finite (1).", values, [both])


def test_folds_may_have_other_names_as_long_as_they_part_alike(values: Run, tmp_path: Path) -> None:
    file = values_file(values, tmp_path, lambda t: t.assign(part=t.pop("fold").map({0: "c", 1: "a", 2: "b"})))
    assert bring(values, [file], fold="part").told
    unsaid = values_file(values, tmp_path, lambda t: t.drop(columns="fold"))
    assert not bring(values, [unsaid]).told
    with pytest.raises(BadImport, match=r"\[columns\].*lacks 1 \(part\)"):
        bring(values, [unsaid], fold="part")


def test_test_rows_must_all_be_there(values: Run, tmp_path: Path, refused: Callable[..., None]) -> None:
    oof, test = values_file(values, tmp_path), tmp_path / "test.csv"
    table = pd.DataFrame({"id": values.test_ids, "prediction": 0.5})
    table[:-2].to_csv(test, index=False)
    refused("missing-id", "2 of the 120 test rows have no prediction, first 238, 239.", values, [oof], test=test)
    refused("unknown-id", "120 test ids are not in test", values, [oof], test=oof)
    table.to_csv(test, index=False)  # of values there is one column, whatever it is called
    taken = bring(values, [oof], test=test)
    assert taken.test is not None
    assert len(taken.test.ids) == N


def test_files_of_different_rows_are_taken_together(values: Run, tmp_path: Path, refused: Callable[..., None]) -> None:
    parts = [values_file(values, tmp_path, lambda t, f=fold: t[t["fold"] == f], f"part{fold}.csv") for fold in range(3)]
    assert bring(values, parts, "parts").oof.ids.tolist() == values.ids.tolist()
    refused("duplicate-id", "40 ids stand more than once", values, [*parts, parts[0]])
    refused("missing-id", "80 of the 120", values, parts[:1])
    values_file(values, tmp_path, lambda t: t[t["fold"] == 0].drop(columns="fold"), "part0.csv")
    refused("columns", "part0.csv says nothing of folds, but others of these files do", values, parts)


def test_files_that_cannot_be_read_are_named(values: Run, tmp_path: Path, refused: Callable[..., None]) -> None:
    cut = values_file(values, tmp_path)
    cut.write_bytes(cut.read_bytes()[:-3])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    np.savez(tmp_path / "lacks.npz", ids=values.ids)
    np.savez(tmp_path / "floats.npz", ids=np.arange(N) * 1.0, values=values.y)
    np.savez(tmp_path / "shape.npz", ids=values.ids, values=values.y[1:])
    np.savez_compressed(tmp_path / "bomb.npz", ids=values.ids, values=np.zeros(4_000_000))
    for name, rule, says in (
        ("theirs.oof.csv", "file", "cut short"),
        ("none.csv", "file", "not a file that is there"),
        ("bad.json", "file", "tables come as CSV, parquet or npz"),
        ("bad.parquet", "file", "cannot be read as parquet"),
        ("bad.npz", "file", "cannot be read as npz"),
        ("lacks.npz", "columns", "lacks the arrays values"),
        ("floats.npz", "id-text", "all 120 ids are of type float64"),
        ("shape.npz", "columns", "has values of shape (119,)"),
        ("bomb.npz", "file", "more than 250 times its size"),
    ):
        refused(rule, says, values, [tmp_path / name])


def test_whole_numbers_are_ids_and_floating_point_ones_are_none(
    values: Run, tmp_path: Path, refused: Callable[..., None]
) -> None:
    table = pd.DataFrame({"id": values.ids.astype(int), "y": values.y + 0.5})
    table.to_parquet(tmp_path / "whole.parquet")
    assert bring(values, [tmp_path / "whole.parquet"]).oof.ids.tolist() == values.ids.tolist()
    table.astype({"id": float}).to_parquet(tmp_path / "float.parquet")
    refused("id-text", "ids are of type float64, first 0.0, 1.0, 2.0. Write them as text.", values, [tmp_path / "float.parquet"])


def test_chances_must_be_shares_that_sum_to_one(classes: Run, tmp_path: Path, refused: Callable[..., None]) -> None:
    file = tmp_path / "theirs.csv"
    shares = np.random.default_rng(0).dirichlet(np.ones(3), N)
    table = pd.DataFrame(shares, columns=list(classes.columns)).assign(id=classes.ids)
    for change, rule, says in (
        (at(4, "few", 1.5), "probability", "1 out-of-fold rows have a probability outside 0 to 1, id 4"),
        (lambda t: t.assign(few=t["few"] * 0.9), "probability-sum", "out-of-fold rows do not sum to 1 (within 0.01), first id "),
        (lambda t: t.drop(columns="few"), "columns", "It lacks 1 (few)"),
        (lambda t: t.rename(columns={"few": "Few"}), "columns", "has 1 that nobody asked for (Few)"),
    ):
        change(table).to_csv(file, index=False)
        refused(rule, says, classes, [file])
    table[["rare", "id", "few", "many"]].to_csv(file, index=False)  # joined by name, in any order
    np.testing.assert_array_equal(bring(classes, [file]).oof.at(classes.ids), shares)


def test_every_broken_rule_of_boxes_is_named(boxes: Run, tmp_path: Path, refused: Callable[..., None]) -> None:
    truth, fold = boxes.y, dict(zip(boxes.ids.tolist(), boxes.folds.fold_of.tolist(), strict=True))
    right = [
        {"image_id": int(image), "category_id": int(category), "bbox": (box * 0.9).tolist(), "score": 0.5, "fold": fold[image]}
        for image, category, box in zip(truth.image.tolist(), truth.category.tolist(), truth.box, strict=True)
    ]
    file = tmp_path / "theirs.oof.json"

    def written(*first: dict[str, Any], rest: int = len(right)) -> list[Path]:
        file.write_text(json.dumps([{**right[0], **one} for one in first] + right[1:rest]))
        return [file]

    other = (fold[str(right[0]["image_id"])] + 1) % 3
    for one, rule, says in (
        ({"image_id": 7}, "unknown-id", "1 out-of-fold ids are not in train, 7."),
        ({"image_id": 1.5}, "id-text", "image_id is neither a whole number nor a text in 1 results, 0: 1.5"),
        ({"category_id": 9}, "unknown-category", "1 categories are none of the competition's, 9. They are 87, 1034, 131."),
        ({"bbox": [1, 2, 3]}, "box", "bbox is not four finite numbers in 1 results, 0: [1, 2, 3]"),
        ({"bbox": [1, 2, 0, 3]}, "box", "1 boxes are without width or height"),
        ({"bbox": [1, 2, float("nan"), 3]}, "box", "bbox is not four finite numbers"),
        ({"bbox": [90, 2, 30, 3]}, "outside", "1 boxes reach beyond their pictures"),
        ({"score": 2}, "score", "1 scores are not from 0 to 1"),
        ({"score": "much"}, "score", "score is not a number in 1 results, 0: much"),
        ({"label": 1}, "keys", "1 results have not the keys bbox, category_id, fold, image_id, score, result 0 with"),
        ({"fold": other}, "folds-differ", "other folds than here"),
    ):
        refused(rule, says, boxes, written(one))
    refused("duplicate-box", "1 boxes stand twice in their image", boxes, written({}, {}))
    refused("few-images", "of the 50 out-of-fold images have no box", boxes, written({}, rest=20))
    file.write_text("{}")
    refused("file", "is no list of results", boxes, [file])
    refused("file", "boxes come as COCO's list of results", boxes, [tmp_path / "theirs.csv"])
    taken = bring(boxes, written({}))
    assert taken.oof.ids.tolist() == boxes.ids.tolist()


def test_every_rule_says_what_it_asks_for() -> None:
    assert all(RULES.values())
