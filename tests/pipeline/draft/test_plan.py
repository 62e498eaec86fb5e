"""Folds that ask what the test asks: the future, strangers, or more of the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.draft.kinds import kind_of
from pipeline.draft.plan import Folding, fold, group_of
from pipeline.folds import KFold, TimeBlocks

ROWS = 500
RNG = np.random.default_rng(0)
PLANS = {"KFold": KFold, "TimeBlocks": TimeBlocks}


def folded(train: dict[str, object], test: dict[str, object], classes: bool = False) -> Folding:
    tables = [pd.DataFrame(table).astype(str) for table in (train, test)]
    kinds = {name: kind_of(name, pd.concat([table[name] for table in tables], ignore_index=True)) for name in train}
    columns = {name: kind for name, kind in kinds.items() if not isinstance(kind, str)}
    return fold(columns, *tables, classes, group_of(*tables, kinds))


def plan(found: Folding) -> object:
    return eval(found.plan, {**PLANS, "GROUP": found.group})


DAYS = pd.date_range("2020-01-01", periods=2 * ROWS, freq="D")
SAME = RNG.normal(size=ROWS)


def test_dates_of_test_that_lie_after_train_are_the_future() -> None:
    found = folded({"x": SAME, "day": DAYS[:ROWS]}, {"x": SAME, "day": DAYS[ROWS:]})
    assert plan(found) == TimeBlocks("day", k=4)
    assert "later than train by 'day'" in found.reason
    assert plan(folded({"x": SAME, "day": DAYS[::2]}, {"x": SAME, "day": DAYS[1::2]})) == KFold(k=5, strata=20)


def test_a_date_that_some_rows_of_train_lack_is_no_clock() -> None:
    lacking = [day if number else "" for number, day in enumerate(DAYS[:ROWS].strftime("%Y-%m-%d"))]
    found = folded({"x": SAME, "day": lacking}, {"x": SAME, "day": DAYS[ROWS:].strftime("%Y-%m-%d")})
    assert found.clock is None


def test_a_number_is_a_clock_only_if_its_name_says_so() -> None:
    for name, clock in (("week", "week"), ("date_block_num", "date_block_num"), ("height", None), ("weekly", None)):
        found = folded({"x": SAME, name: np.arange(ROWS) // 7}, {"x": SAME, name: ROWS + np.arange(ROWS) // 7})
        assert found.clock == clock


def test_a_clock_needs_moments_enough_for_blocks() -> None:
    assert folded({"x": SAME, "year": np.arange(ROWS) // 100}, {"x": SAME, "year": 7 + np.arange(ROWS) // 100}).clock is None


def test_values_that_repeat_in_train_and_are_all_new_in_test_are_groups() -> None:
    person = np.arange(ROWS) // 5
    found = folded({"x": SAME, "person": person}, {"x": SAME, "person": 900 + person}, classes=True)
    assert plan(found) == KFold(k=5, strata=1, groups=("person",))
    assert "'person' repeats in train, and test has none of its values" in found.reason
    assert folded({"x": SAME, "person": person}, {"x": SAME, "person": person}).group is None
    assert folded({"x": SAME, "person": np.arange(ROWS)}, {"x": SAME, "person": 900 + np.arange(ROWS)}).group is None


@pytest.mark.parametrize(
    ("rows", "classes", "wanted"),
    [(ROWS, True, KFold(k=5, strata=1)), (ROWS, False, KFold(k=5, strata=20)), (60, False, KFold(k=5))],
)
def test_else_the_rows_are_spread_evenly(rows: int, classes: bool, wanted: KFold) -> None:
    assert plan(folded({"x": SAME[:rows]}, {"x": SAME[:rows]}, classes)) == wanted
