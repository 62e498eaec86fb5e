"""Every planted fault of a table is found, by its check and as severe as it is; tables without a fault give nothing at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from pipeline.audit import CHECKS, audit, carried_out
from pipeline.audit.finding import Finding, Severity
from pipeline.audit.subject import Subject
from pipeline.folds import KFold, TimeBlocks
from tests.pipeline.audit.made import as_classes, run_of, tables

SEVERE, WARNING, NOTE = Severity
Tables = tuple[pd.DataFrame, pd.DataFrame]
ROOMS = {check.name: check for check in CHECKS}
ROWS, TARGET, KEYS, SHIFT = (
    "rows that stand more than once",
    "the target in the columns and the ids",
    "categories, groups and gaps",
    "shift between train and test, and over time",
)
FEATURES, FOLDS = "features() and the target", "classes in folds"


def room(name: str, subject: Subject) -> list[Finding]:
    with threadpool_limits(1):
        return carried_out(ROOMS[name], subject)


# -------------------------------------------------------------------------------------------------------------------------- clean


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("classes", [0, 3])
def test_tables_without_a_fault_give_no_finding(tmp_path: Path, seed: int, classes: int) -> None:
    train, test = tables(10 + seed)
    run = run_of(tmp_path, as_classes(train, classes) if classes else train, test, KFold(k=3, strata=2))
    assert audit(run) == []


@pytest.mark.parametrize("levels", [(2, 3), (40, 40), (5, 5, 5, 5, 5), (3,) * 9])
def test_rows_that_are_equal_because_columns_are_coarse_are_no_copies(tmp_path: Path, levels: tuple[int, ...]) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        common = rng.normal(size=1000)
        made = {f"c{at}": np.clip(common + 0.7 * rng.normal(size=1000), -2, 1.99) * many // 4 for at, many in enumerate(levels)}
        table = pd.DataFrame({"id": [f"r{at}" for at in range(1000)], **made, "y": rng.random(1000)})
        found = room(ROWS, Subject(run_of(tmp_path, table[:600], table[600:].drop(columns="y"))))
        assert [one for one in found if one.severity != NOTE and "test" not in one.check] == []


def odd(t: Tables) -> Tables:
    """Columns of every type that pandas has, mixed, empty and beyond what floats can square."""
    other = {
        "things": [1 if at % 2 else "x" for at in range(60)],
        "tuples": [(1, 2) if at % 3 else None for at in range(60)],
        "levels": pd.Categorical(["a", "b"] * 30),
        "moment": pd.Timestamp("2021-01-01", tz="UTC") + pd.to_timedelta(np.arange(60), "D"),
        "whole": pd.array([1, None] * 30, dtype="Int64"),
        "bool": pd.array([True, None] * 30, dtype="boolean"),
        "text": pd.array(["one two", None] * 30, dtype="string"),
        "inf": np.inf,
        "huge": [1e308, -1e308] * 30,
        "empty": None,
    }
    return t[0].assign(**other), t[1].assign(**{**other, "things": "x"})


ODD: dict[str, Callable[[Tables], Tables]] = {
    "two rows": lambda t: (t[0][:2], t[1][:1]),
    "no test": lambda t: (t[0], t[1][:0]),
    "hardly a column": lambda t: (t[0][["id", "y", "quality", "count"]], t[1][["id", "quality", "count"]]),
    "no column with a value": lambda t: (t[0].assign(**dict.fromkeys(t[1].columns.drop("id"))), t[1]),
    "one value": lambda t: (t[0].assign(y=1.0), t[1]),
    "one class": lambda t: (t[0].assign(y="a"), t[1]),
    "odd types": odd,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_are_no_reason_to_fail(tmp_path: Path, name: str) -> None:
    train, test = ODD[name](tables(0, 60, 60))
    found = audit(run_of(tmp_path, train, test, KFold(k=2)))
    assert [one.what for one in found if one.severity == SEVERE] == []


def test_an_audit_says_the_same_twice(tmp_path: Path) -> None:
    run = run_of(tmp_path, *later(tables(0), np.random.default_rng(0)))
    first = audit(run)
    assert len(first) >= 3
    assert [repr(one) for one in audit(dataclasses.replace(run))] == [repr(one) for one in first]
    assert [one.severity.rank for one in first] == sorted(one.severity.rank for one in first)


# ------------------------------------------------------------------------------------------------------------------------ planted


class Plant(NamedTuple):
    """room: that must find it. check, severity: of the finding. do: the fault, put into clean tables. options: of `run_of`."""

    room: str
    check: str
    severity: Severity
    do: Callable[[Tables, np.random.Generator], Tables]
    options: Mapping[str, Any] = MappingProxyType({})


def ids_again(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0], t[1].assign(id=[*t[0]["id"][:50], *t[1]["id"][50:]])


def rows_and_ids_again(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0], pd.concat([t[0].drop(columns="y")[:50], t[1]], ignore_index=True)


def copied(t: Tables, rng: np.random.Generator) -> Tables:
    again = t[0].sample(40, random_state=1).assign(id=[f"again{at}" for at in range(40)])
    return pd.concat([t[0], again], ignore_index=True), t[1]


def nearly_copied(t: Tables, rng: np.random.Generator) -> Tables:
    train, test = copied(t, rng)
    train.loc[train.index[-40:], "when"] = "2020-05-05"
    train.loc[train.index[-40:], "said"] = train["said"].str.upper() + "!"
    train.loc[train.index[-40:], "size"] *= 1 + 1e-6
    return train, test


def nearly_copied_to_test(t: Tables, rng: np.random.Generator) -> Tables:
    train, test = copied_to_test(t, rng)
    test.loc[test.index[-40:], "when"] = "2020-05-05"
    return train, test


def copied_to_test(t: Tables, rng: np.random.Generator) -> Tables:
    again = t[0].drop(columns="y").sample(40, random_state=1).assign(id=[f"again{at}" for at in range(40)])
    return t[0], pd.concat([t[1], again], ignore_index=True)


def labelled_twice(t: Tables, rng: np.random.Generator) -> Tables:
    train, test = copied((as_classes(t[0]), t[1]), rng)
    train.loc[train.index[-20:], "y"] = "class 1"
    return train, test


def target_in_some_rows(t: Tables, rng: np.random.Generator) -> Tables:
    def with_tax(table: pd.DataFrame, value: Any) -> pd.DataFrame:
        guess = np.exp(rng.normal(9, 1, len(table)))
        return table.assign(tax=np.where(rng.random(len(table)) < 0.1, value, guess))

    return with_tax(t[0], t[0]["y"]), with_tax(t[1], 9000.0)


def target_as_text(t: Tables, rng: np.random.Generator) -> Tables:
    train = as_classes(t[0])
    guess = rng.choice(train["y"].unique(), len(train))
    return train.assign(seen=np.where(rng.random(len(train)) < 0.8, train["y"], guess)), t[1].assign(seen="class 1")


def label_of_two(t: Tables, rng: np.random.Generator) -> Tables:
    """Of two classes half of the rows are equal by chance."""
    train = as_classes(t[0], 2)
    return train.assign(seen=train["y"].where(rng.random(len(train)) < 0.6)), t[1].assign(seen="class 1")


def label_as_number(t: Tables, rng: np.random.Generator) -> Tables:
    train = as_classes(t[0], 2)
    y = train["y"].str[-1]
    return train.assign(y=y, flag=y.astype(float).where(rng.random(len(train)) < 0.6)), t[1].assign(flag=1.0)


def count_in_some_rows(t: Tables, rng: np.random.Generator) -> Tables:
    y = (300 * t[0]["y"].rank(pct=True)).astype(int)
    other = rng.integers(0, 300, len(y))
    return t[0].assign(y=y, seen=np.where(rng.random(len(y)) < 0.6, y, other)), t[1].assign(seen=5)


def target_itself(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0].assign(rank=-np.log(t[0]["y"]) * 3 + 1), t[1].assign(rank=rng.normal(-20, 1, len(t[1])))


def target_in_the_gaps(t: Tables, rng: np.random.Generator) -> Tables:
    train = as_classes(t[0], 2)
    gap = np.where(train["y"] == "class 1", np.nan, 1.0) * rng.normal(size=len(train))
    return train.assign(gap=gap), t[1].assign(gap=np.where(rng.random(len(t[1])) < 0.5, np.nan, 1.0))


def sorted_by_target(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0].sort_values("y"), t[1]


def numbered_by_target(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0].assign(id=[f"r{int(rank):05}" for rank in t[0]["y"].rank()]), t[1].assign(
        id=[f"t{at}" for at in range(len(t[1]))]
    )


def groups(t: Tables, rng: np.random.Generator) -> Tables:
    """Patients, each with a level of its own that a fingerprint of other columns gives away; test has other ones."""
    made = []
    for table, first in zip(t, (0, 1000), strict=True):
        patient = first + rng.integers(0, 80, len(table))
        level, print_ = (np.random.default_rng(seed).normal(size=2000)[patient] for seed in (5, 6))
        made.append(table.assign(patient=[f"p{one}" for one in patient], print=print_ + rng.normal(0, 0.001, len(table))))
        if "y" in table:
            made[-1]["y"] = np.exp(level * 2 + rng.normal(0, 0.1, len(table)))
    return made[0], made[1]


def new_towns(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0], t[1].assign(
        town=np.where(rng.random(len(t[1])) < 0.4, rng.choice([f"new {at}" for at in range(60)], len(t[1])), t[1]["town"])
    )


def gaps(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0], t[1].assign(quality=t[1]["quality"].where(rng.random(len(t[1])) < 0.6))


def column_gone(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0], t[1].drop(columns="quality")


def scaled(t: Tables, rng: np.random.Generator) -> Tables:
    return t[0], t[1].assign(size=t[1]["size"] * 10)


def later(t: Tables, rng: np.random.Generator) -> Tables:
    """Test lies after train; the target rises by what nothing but the time says."""
    days = pd.to_datetime(t[0]["when"]).rank() / len(t[0])
    train = t[0].assign(
        y=np.exp(0.5 * t[0]["quality"].fillna(0) + 8 * days + rng.normal(0, 0.1, len(t[0]))), wave=np.sin(20 * days)
    )
    return train, t[1].assign(when=(pd.to_datetime(t[1]["when"]) + pd.Timedelta(days=720)).dt.strftime("%Y-%m-%d"), wave=0.1)


def later_alone(t: Tables, rng: np.random.Generator) -> Tables:
    """Test lies after train, and nothing drifts."""
    return t[0], later(t, rng)[1].drop(columns="wave")


def drifting(t: Tables, rng: np.random.Generator) -> Tables:
    days = pd.to_datetime(t[0]["when"]).rank() / len(t[0])
    return t[0].assign(quality=t[0]["quality"] + 3 * days), t[1].assign(quality=t[1]["quality"] + 1.5)


def rare_class(t: Tables, rng: np.random.Generator) -> Tables:
    train = as_classes(t[0]).assign(house="h0")
    train.loc[train.index[:30], ["y", "house"]] = ["class rare", "h1"]
    train.loc[train.index[30:60], "house"] = "h2"
    return train, t[1].assign(house="h0")


class Own(FunctionTransformer):
    """Features that see what they must not, in one of two ways."""

    def __init__(self, way: str = "") -> None:
        super().__init__()
        self.way = way

    def fit(self, X: pd.DataFrame, y: Any = None) -> Own:
        self.means_ = pd.Series(np.asarray(y, dtype=float), index=X["street"].to_numpy()).groupby(level=0).mean()
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        if self.way in ("in sample", "opposite"):
            sign = -1 if self.way == "opposite" else 1
            return pd.DataFrame({"encoded": sign * X["street"].map(self.means_).fillna(self.means_.mean())})
        target = X["y"] if "y" in X else pd.Series(0.0, index=X.index)
        return pd.DataFrame({"encoded": target.groupby(X["town"].fillna("")).transform("mean") + 0.2 * target})


PLANTS = {
    "ids again": Plant(ROWS, "ids in both", WARNING, ids_again),
    "rows and ids again": Plant(ROWS, "ids in both", SEVERE, rows_and_ids_again),
    "copies across folds": Plant(ROWS, "duplicate rows", SEVERE, copied),
    "near copies across folds": Plant(ROWS, "near-duplicate rows", SEVERE, nearly_copied),
    "copies in test": Plant(ROWS, "rows of train in test", WARNING, copied_to_test),
    "near copies in test": Plant(ROWS, "near-duplicate rows in test", WARNING, nearly_copied_to_test),
    "copies under other labels": Plant(ROWS, "conflicting labels", WARNING, labelled_twice),
    "the target in some rows": Plant(TARGET, "equal to the target", WARNING, target_in_some_rows),
    "the label as a text": Plant(TARGET, "equal to the target", SEVERE, target_as_text),
    "the label of two classes as a text": Plant(TARGET, "equal to the target", SEVERE, label_of_two),
    "the label as a number": Plant(TARGET, "equal to the target", SEVERE, label_as_number),
    "a count in most rows": Plant(TARGET, "equal to the target", SEVERE, count_in_some_rows),
    "a column that is the target": Plant(TARGET, "one column alone", SEVERE, target_itself),
    "gaps that are the label": Plant(TARGET, "one column alone", SEVERE, target_in_the_gaps),
    "a file sorted by the target": Plant(TARGET, "id order", WARNING, sorted_by_target),
    "ids numbered by the target": Plant(TARGET, "id order", WARNING, numbered_by_target),
    "groups that are new in test": Plant(KEYS, "groups that straddle folds", SEVERE, groups),
    "categories that are new in test": Plant(KEYS, "new categories in test", WARNING, new_towns),
    "more gaps in test": Plant(KEYS, "missing rates", WARNING, gaps),
    "a column that test lacks": Plant(KEYS, "columns that test lacks", SEVERE, column_gone),
    "another unit in test": Plant(SHIFT, "adversarial validation", WARNING, scaled),
    "test in the future, with drift": Plant(SHIFT, "test lies in the future", SEVERE, later),
    "test in the future, without drift": Plant(SHIFT, "test lies in the future", NOTE, later_alone),
    "test in the future, and a plan for it": Plant(
        SHIFT, "test lies in the future", NOTE, later, {"plan": TimeBlocks("when", k=3)}
    ),
    "a target that drifts into the future": Plant(SHIFT, "drift of the target", WARNING, later),
    "a column that drifts": Plant(SHIFT, "columns that drift", NOTE, drifting),
    "features that read the target": Plant(
        FEATURES, "features see validation targets", SEVERE, lambda t, rng: t, {"features": lambda: Own("target")}
    ),
    "features that read it, on a random target": Plant(
        FEATURES, "features leak on a random target", SEVERE, lambda t, rng: t, {"features": lambda: Own("target")}
    ),
    "an encoder in sample": Plant(
        FEATURES, "features show rows their own target", SEVERE, lambda t, rng: t, {"features": lambda: Own("in sample")}
    ),
    "an encoder in sample that falls where the target rises": Plant(
        FEATURES, "features show rows their own target", SEVERE, lambda t, rng: t, {"features": lambda: Own("opposite")}
    ),
    "a class in one fold alone": Plant(FOLDS, "classes in folds", SEVERE, rare_class, {"plan": KFold(k=3, groups=("house",))}),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(tmp_path: Path, name: str) -> None:
    plant = PLANTS[name]
    train, test = plant.do(tables(3), np.random.default_rng(0))
    found = room(plant.room, Subject(run_of(tmp_path, train, test, **plant.options)))
    assert (plant.check, plant.severity) in [(one.check, one.severity) for one in found], found
    for one in found:
        assert one.what.endswith(".")
        assert one.cure.endswith(".")
        assert set(one.ids) <= {*train["id"], *test["id"]}
