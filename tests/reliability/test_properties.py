"""What must hold of every input, tried on inputs that nobody chose: metrics, splitters, weights, fused boxes, keys, readers.

Against scikit-learn, pycocotools, torchvision and ensemble-boxes these are held by the tests of their own modules; here stands
what no library could be asked.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pipeline import identity
from pipeline.boxes import coco
from pipeline.boxes.evaluation import evaluate
from pipeline.boxes.fusion import METHODS as FUSIONS
from pipeline.boxes.fusion import Pool, fuse
from pipeline.ensemble.blend import blend
from pipeline.ensemble.methods import METHODS
from pipeline.errors import BadData, BadFolds
from pipeline.folds import FoldFile, Folds, HoldOut, KFold, TimeBlocks
from pipeline.metrics import METRICS, metric
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.tables import read_table, read_text

Proof = Callable[..., None]
seeds = some.integers(0, 2**32 - 1)


class Tried:
    """How many cases hypothesis has tried."""

    def __init__(self) -> None:
        self.cases = 0

    def of(self, cases: int, **what: Any) -> Callable[[Callable[..., None]], None]:
        """Runs a property on so many cases at once; the first counterexample is its error."""

        def run(holds: Callable[..., None]) -> None:
            def counted(**values: Any) -> None:
                self.cases += 1
                holds(**values)

            quiet = settings(
                max_examples=cases, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
            )
            quiet(given(**what)(counted))()

        return run


@pytest.fixture
def tried() -> Tried:
    return Tried()


# --------------------------------------------------------------------------------------------------------------------- metrics


def judged(name: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """y and p of any size, with ties, and every class at least once."""
    n, k = int(rng.integers(6, 60)), int(rng.integers(2, 5))
    if METRICS[name].kind == "value":
        grain = rng.choice([0.0, 0.5])
        y, p = rng.gamma(2, 3, n), rng.gamma(2, 3, (n, 1))
        return (np.round(y / grain) * grain, np.round(p / grain) * grain) if grain else (y, p)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n)])
    return y, rng.dirichlet(np.ones(k), len(y))


def test_metrics_know_no_order_and_no_names(tried: Tried, proof: Proof) -> None:
    """Rows in another order, classes under other numbers, another unit of a value: the score goes with it."""

    @tried.of(120, seed=seeds, name=some.sampled_from(sorted(METRICS)))
    def holds(seed: int, name: str) -> None:
        rng, judge = np.random.default_rng(seed), metric(name)
        y, p = judged(name, rng)
        score, rows = judge.natural(y, p), rng.permutation(len(y))
        assert judge.natural(y[rows], p[rows]) == pytest.approx(score, rel=1e-12, abs=1e-15)
        np.testing.assert_allclose(judge.rows(y, p)[rows], judge.rows(y[rows], p[rows]), rtol=1e-9, atol=1e-12)
        if judge.kind == "value":
            assert judge.natural(y, y) == 0
            twice = 2 if name in ("rmse", "mae") else 1
            again = judge.natural(2 * y, 2 * p) if twice == 2 else metric("rmse").natural(np.log1p(y), np.log1p(p))
            assert again == pytest.approx(twice * score, rel=1e-12)
        else:
            other = rng.permutation(p.shape[1])
            assert judge.natural(np.argsort(other)[y], p[:, other]) == pytest.approx(score, rel=1e-12)
            assert 0 <= score <= (np.inf if name == "log_loss" else 1)
        if name == "auc":
            assert judge.natural(y, np.exp(3 * p)) == pytest.approx(score, rel=1e-12)

    proof(20, "metrics", {"cases": tried.cases, "counterexamples": 0})


def scene(rng: np.random.Generator, images: int = 5) -> tuple[Truth, Boxes]:
    """True boxes and found ones near them, with ties in scores and more than one for a thing."""
    names, categories = np.array([str(2**63 + 3 * n) for n in range(images)]), np.array(["87", "4"])
    count = int(rng.integers(1, 12))
    at, kind = rng.integers(0, images, count), rng.integers(0, 2, count)
    box = np.column_stack([rng.integers(0, 60, (count, 2)), rng.integers(5, 40, (count, 2))]).astype(float)
    truth = Truth(names, categories, names[at], categories[kind], box, rng.random(count) < 0.1)
    again = rng.integers(0, count, int(rng.integers(0, 25)))
    found = box[again] + np.column_stack([rng.integers(-4, 5, (len(again), 2)), np.zeros((len(again), 2))])
    score = rng.permutation(len(again)) / 100 + 0.1
    return truth, Boxes(names, names[at[again]], categories[kind[again]], found, score)


def test_average_precision_knows_no_order_no_names_and_no_size(tried: Tried, proof: Proof) -> None:
    @tried.of(60, seed=seeds)
    def holds(seed: int) -> None:
        rng = np.random.default_rng(seed)
        truth, found = scene(rng)
        score = evaluate(truth, found).ap
        if np.isnan(score):
            return
        order, names = (
            rng.permutation(len(found)),
            dict(zip(truth.images.tolist(), [f"x{n}" for n in rng.permutation(5)], strict=True)),
        )
        mixed = found.at(order)
        assert evaluate(truth, mixed).ap == score
        renamed_truth = Truth(np.array([names[one] for one in truth.images]), truth.categories, np.array([names[one] for one in truth.image], dtype=np.str_), truth.category, 4 * truth.box, truth.crowd)  # fmt: skip
        renamed = Boxes(renamed_truth.images, np.array([names[one] for one in found.image], dtype=np.str_), found.category, 4 * found.box, found.score**2)  # fmt: skip
        assert evaluate(renamed_truth, renamed).ap == pytest.approx(score, abs=1e-12)
        assert 0 <= score <= 1

    proof(20, "average precision", {"cases": tried.cases, "counterexamples": 0}, kind="boxes")


# ------------------------------------------------------------------------------------------------------------------- splitters


def told_in(folder: Path, folds: Folds, order: Array) -> Path:
    """A fold file of these folds, its rows in this order."""
    path, out = folder / "folds.csv", io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "fold"])
    writer.writerows([folds.ids[row], folds.fold_of[row]] for row in order.tolist())
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def test_every_plan_is_a_partition_that_its_own_file_gives_back(tried: Tried, proof: Proof, tmp_path: Path) -> None:
    """And nothing that is learned from is judged, of no group, at no time."""

    @tried.of(100, seed=seeds, k=some.integers(2, 6), kind=some.sampled_from(["kfold", "groups", "boxes", "time", "hold-out"]))
    def holds(seed: int, k: int, kind: str) -> None:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(6 * k, 120))
        ids = np.array([f'{one}, "é"' for one in rng.permutation(10 * n)[:n]])
        train = pd.DataFrame({"group": rng.integers(0, max(2 * k, n // 2), n), "day": rng.integers(0, 40, n)})
        train.loc[: 2 * k - 1, "group"] = np.arange(2 * k)
        train.loc[: k + 1, "day"] = 40 + np.arange(k + 2)
        y: Any = rng.normal(size=n)
        if kind == "boxes":
            at = rng.integers(0, n, n)
            y = Truth(ids, np.array(["1", "2"]), ids[at], rng.choice(["1", "2"], n), np.ones((n, 4)), np.zeros(n, dtype=bool))
        plan = {"kfold": KFold(k, strata=4, seed=seed % 99), "groups": KFold(k, 3, ("group",)), "boxes": KFold(k, 1, ("group",)), "time": TimeBlocks("day", k, gap=2), "hold-out": HoldOut("day", 0.3, 1)}[kind]  # fmt: skip
        try:
            folds = plan.make(ids, train, y)
        except BadFolds:  # too few moments before the gap
            assert kind in ("time", "hold-out")
            return
        for fold in range(len(folds)):
            fit, validate = folds.fit(fold), folds.validate(fold)
            assert not set(fit) & set(validate)
            if kind in ("groups", "boxes"):
                assert not set(train["group"].iloc[fit]) & set(train["group"].iloc[validate])
            if kind in ("time", "hold-out"):
                assert train["day"].iloc[fit].max() < train["day"].iloc[validate].min() - plan.gap  # type: ignore[union-attr]
        if kind in ("time", "hold-out"):
            return
        assert (folds.fold_of >= 0).all()
        again = FoldFile(told_in(tmp_path, folds, rng.permutation(n))).make(ids, train, y)
        assert again.hash == folds.hash
        mixed = rng.permutation(n)
        there = FoldFile(tmp_path / "folds.csv").make(ids[mixed], train.iloc[mixed], y)
        assert (there.fold_of == folds.fold_of[mixed]).all()

    proof(20, "splitters", {"cases": tried.cases, "counterexamples": 0})


# --------------------------------------------------------------------------------------------------------------------- weights


def test_blends_know_no_order_and_weights_are_shares(tried: Tried, proof: Proof) -> None:
    @tried.of(
        30,
        seed=seeds,
        method=some.sampled_from(sorted(METHODS)),
        name=some.sampled_from(["rmse", "mae", "rmsle", "accuracy", "log_loss"]),
    )
    def holds(seed: int, method: str, name: str) -> None:
        rng = np.random.default_rng(seed)
        judge, n, m = metric(name), int(rng.integers(20, 60)), int(rng.integers(1, 5))
        ids, fold = rng.permutation(10 * n)[:n].astype(str), rng.integers(0, 4, n)
        if judge.kind == "value":
            y, columns = rng.gamma(2, 3, n), ("y",)
            values = [np.abs(y + rng.normal(0, 1 + rng.random(), n))[:, None] for _ in range(m)]
        else:
            y, columns = np.concatenate([np.arange(3), rng.integers(0, 3, n - 3)]), ("a", "b", "c")
            values = [(np.eye(3)[y] + rng.gamma(1, 1, (n, 3))) for _ in range(m)]
            values = [one / one.sum(axis=1, keepdims=True) for one in values]
        made = {f"m{number}": Table(ids, one, columns) for number, one in enumerate(values)}
        first, rows = blend(made, (ids, y), fold, judge, method), rng.permutation(n)
        mixed = {one: Table(ids[rows], table.at(ids[rows]), columns) for one, table in reversed(made.items())}
        again = blend(mixed, (ids[rows], y[rows]), fold[rows], judge, method)
        assert first.weights == again.weights
        assert first.honest == again.honest
        np.testing.assert_array_equal(first.oof.at(ids), again.oof.at(ids))
        if method not in ("ridge", "rank-mean"):
            assert min(first.weights.values()) >= 0
            assert sum(first.weights.values()) == pytest.approx(1)
        answer = first.apply(made)
        np.testing.assert_array_equal(answer.at(ids), again.apply(mixed).at(ids))

    proof(20, "weights of blends", {"cases": tried.cases, "counterexamples": 0})


# ----------------------------------------------------------------------------------------------------------------- fused boxes

IMAGES = np.array(["18446744073709551615", "7", "empty"])
near = some.integers(0, 6).map(lambda step: 10.0 + 2.5 * step)  # edges from a few places: boxes overlap, touch and coincide
long = some.integers(1, 4).map(lambda step: 10.0 * step)
tied = some.sampled_from([0.25, 0.5, 0.75, 1.0])
box = some.tuples(some.sampled_from([0, 1]), some.sampled_from(["a", "b"]), near, near, long, long, tied)
models = some.lists(some.lists(box, max_size=8), min_size=1, max_size=4)


def of(rows: list[tuple[Any, ...]], grown: float = 1.0) -> Boxes:
    image, category, corner, score = (
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2:6] for row in rows],
        [row[6] for row in rows],
    )
    return Boxes(IMAGES, IMAGES[np.array(image, dtype=int)], np.array(category, dtype=np.str_), grown * np.array(corner, dtype=float).reshape(-1, 4), np.array(score, dtype=float))  # fmt: skip


def bits(found: Boxes) -> list[tuple[Any, ...]]:
    return sorted(zip(found.image.tolist(), found.category.tolist(), *found.box.T.tolist(), found.score.tolist(), strict=True))


def test_fused_boxes_know_no_order_no_unit_and_lie_among_those_they_are_made_of(tried: Tried, proof: Proof) -> None:
    @tried.of(80, given_rows=models, method=some.sampled_from(sorted(FUSIONS)), seed=seeds)
    def holds(given_rows: list[list[tuple[Any, ...]]], method: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        weights = rng.choice([1.0, 2.0], len(given_rows))
        fused = fuse(Pool.of([of(rows) for rows in given_rows]), method, weights)
        order = rng.permutation(len(given_rows)).tolist()
        mixed = [of([given_rows[at][row] for row in rng.permutation(len(given_rows[at]))]) for at in order]
        assert bits(fuse(Pool.of(mixed), method, weights[order])) == bits(fused)
        grown = fuse(Pool.of([of(rows, 4.0) for rows in given_rows]), method, 8 * weights)
        assert bits(grown) == [(*row[:2], *(4 * side for side in row[2:6]), row[6]) for row in bits(fused)]
        flat = [row for rows in given_rows for row in rows]
        assert len(fused) <= len(flat)
        assert set(fused.images) == set(IMAGES)
        for image, category, (left, top, width, height), score in zip(
            fused.image, fused.category, fused.box, fused.score, strict=True
        ):
            mine = np.array([row[2:7] for row in flat if IMAGES[row[0]] == image and row[1] == category])
            assert len(mine)
            assert mine[:, 0].min() - 1e-9 <= left
            assert mine[:, 1].min() - 1e-9 <= top
            assert left + width <= (mine[:, 0] + mine[:, 2]).max() + 1e-9
            assert top + height <= (mine[:, 1] + mine[:, 3]).max() + 1e-9
            assert 0 <= score <= mine[:, 4].max() + 1e-12 if method != "wbf" else 0 <= score <= 1

    proof(20, "fused boxes", {"cases": tried.cases, "counterexamples": 0}, kind="boxes")


# ------------------------------------------------------------------------------------------------------------------------ keys

plain = (
    some.none()
    | some.booleans()
    | some.integers(-2, 2)
    | some.sampled_from([0.0, -0.0, 0.5, math.inf, math.nan, 1e300])
    | some.sampled_from(["", "1", "nan", "inf", "None", "True", "set", "list", "map", "float", "path", (0.5).hex(), "[1]", '"1"'])
    | some.builds(Path, some.sampled_from(["a", "b"]))
)
names = some.integers(0, 2) | some.sampled_from(["0", "1", "a"]) | some.booleans()
things = some.recursive(
    plain,
    lambda inside: (
        some.lists(inside, max_size=3)
        | some.tuples(inside, inside)
        | some.dictionaries(names, inside, max_size=3)
        | some.frozensets(some.sampled_from([1, "1", "a", None]), max_size=3)
    ),
    max_leaves=6,
)


def typed(thing: Any) -> Any:
    """Equal exactly where two things are the same of the same types; a tuple is as a list, as keys take it."""
    if isinstance(thing, list | tuple):
        return ("list", tuple(map(typed, thing)))
    if isinstance(thing, dict):
        return ("map", frozenset((typed(name), typed(value)) for name, value in thing.items()))
    if isinstance(thing, frozenset):
        return ("set", frozenset(map(typed, thing)))
    return (type(thing).__name__, repr(thing))


def test_keys_are_equal_exactly_where_things_are(tried: Tried, proof: Proof) -> None:
    seen: dict[str, Any] = {}

    @tried.of(600, thing=things)
    def holds(thing: Any) -> None:
        key, same = identity.key({"thing": thing}), typed(thing)
        assert seen.setdefault(key, same) == same, thing

    assert len(seen) == len(set(seen.values()))  # and no two keys are of one thing
    assert len(seen) > 150
    proof(20, "keys", {"cases": tried.cases, "different things": len(seen), "keys shared by two": 0})


cells = some.none() | some.sampled_from([1, 1.0, "1", "", "nan", "None", math.nan, "a|b", True])


def test_keys_of_tables_are_equal_exactly_where_every_cell_is(tried: Tried, proof: Proof) -> None:
    seen: dict[str, Any] = {}

    @tried.of(
        150,
        rows=some.lists(some.tuples(cells, cells), min_size=1, max_size=3),
        columns=some.permutations([0, "0", "a", "a|object|"]).map(lambda all_: all_[:2]),
    )
    def holds(rows: list[tuple[Any, Any]], columns: list[Any]) -> None:
        table = pd.DataFrame(
            {column: pd.Series([row[place] for row in rows], dtype=object) for place, column in enumerate(columns)}
        )
        same = (typed(list(columns)), tuple(tuple((type(one).__name__, repr(one)) for one in row) for row in rows))
        assert seen.setdefault(identity.key({"table": table}), same) == same, table
        assert identity.key({"table": table}) == identity.key({"table": table.copy().set_axis(range(5, 5 + len(rows)))})

    assert len(seen) == len(set(seen.values()))
    proof(20, "keys of tables", {"cases": tried.cases, "different tables": len(seen), "keys shared by two": 0})


# --------------------------------------------------------------------------------------------------------------------- readers

text = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=6)


def test_tables_are_read_as_they_were_written_or_refused(tried: Tried, proof: Proof, tmp_path: Path) -> None:
    """By any writer: quotes where needed or everywhere, either line end. With a byte gone it is another table, or none; never a crash."""
    path, refused = tmp_path / "any.csv", [0]

    @tried.of(
        100,
        rows=some.lists(some.tuples(text, some.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=5),
        everywhere=some.booleans(),
        end=some.sampled_from(["\n", "\r\n"]),
        lost=some.integers(0, 400),
    )
    def holds(rows: list[tuple[str, float]], everywhere: bool, end: str, lost: int) -> None:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if everywhere else csv.QUOTE_MINIMAL)
        writer.writerows([("id", "y"), *((name, repr(number)) for name, number in rows)])
        content = out.getvalue().encode()
        path.write_bytes(content)
        assert list(zip(*(read_text(path)[column].tolist() for column in ("id", "y")), strict=True)) == [
            (name, repr(number)) for name, number in rows
        ]
        assert read_table(path, ["id", "y"], {"y"}, {"id"})[0]["y"].tolist() == [number for _, number in rows]
        path.write_bytes(content[: lost % len(content)] + content[lost % len(content) + 1 :])
        try:
            read_table(path, ["id", "y"], {"y"}, {"id", "y"})
        except BadData:
            refused[0] += 1

    proof(
        20,
        "reading tables",
        {"cases": tried.cases, "cells read otherwise": 0, "refused with a byte gone": refused[0]},
        kind="tables",
    )


ids = some.integers(0, 2**70) | text.filter(lambda one: one.strip() and one.isprintable())
sides = some.tuples(some.floats(0, 50), some.floats(0, 50), some.floats(0.001, 50), some.floats(0.001, 50))


def test_annotations_are_read_to_the_last_digit(tried: Tried, proof: Proof, tmp_path: Path) -> None:
    path = tmp_path / "train.json"

    @tried.of(
        100,
        images=some.lists(ids, min_size=1, max_size=4, unique_by=str),
        categories=some.lists(ids, min_size=1, max_size=3, unique_by=str),
        found=some.lists(some.tuples(some.integers(0, 99), some.integers(0, 99), sides), max_size=8),
    )
    def holds(images: list[Any], categories: list[Any], found: list[tuple[int, int, tuple[float, ...]]]) -> None:
        told = [(images[i % len(images)], categories[c % len(categories)], *box) for i, c, box in found]
        content = {
            "images": [{"id": one, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n, one in enumerate(images)],
            "categories": [{"id": one, "name": f"name {n}"} for n, one in enumerate(categories)],
            "annotations": [{"id": n, "image_id": row[0], "category_id": row[1], "bbox": row[2:]} for n, row in enumerate(told)],
        }
        path.write_text(json.dumps(content), encoding="utf-8")
        read = coco.read(path)
        assert read.images["id"].tolist() == [str(one) for one in images]
        assert read.categories["id"].tolist() == [str(one) for one in categories]
        expected = list(dict.fromkeys((str(row[0]), str(row[1]), *row[2:]) for row in told))
        assert list(read.boxes[["image_id", "category_id", *coco.BOX]].itertuples(index=False, name=None)) == expected

    proof(20, "reading annotations", {"cases": tried.cases, "boxes read otherwise": 0}, kind="boxes")
