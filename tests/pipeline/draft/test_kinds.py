"""What a column holds, as a person would say who looks at some of its cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.draft.kinds import DATES, date_format, is_written, kind_of
from pipeline.practice import Category, Date, Number, Text

ROWS = 60
DAYS = pd.date_range("2019-12-20", periods=ROWS, freq="3D")
RNG = np.random.default_rng(0)


def cells(values: object) -> pd.Series:
    return pd.Series(values, dtype=object).astype(str)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("area", np.linspace(0.5, 100.5, ROWS), Number),
        ("rooms", RNG.integers(1, 9, ROWS), Number),
        ("year", 1950 + np.arange(ROWS), Number),
        ("humid", RNG.integers(0, 5, ROWS), Number),  # it ends with "id" and is none
        ("shop_id", RNG.integers(0, 5, ROWS), Category),
        ("shopId", RNG.integers(0, 5, ROWS), Category),
        ("Zip", RNG.choice([98001, 98002, 98003], ROWS), Category),
        ("zip", 98000 + np.arange(ROWS), Number),  # each stands once: nothing is known of any
        ("fee", [f"${fee:,}" for fee in range(1000, 1000 + ROWS)], Number),
        ("size", [*map(str, range(ROWS - 1)), "unknown"], Number),
        ("flag", ["True", "False"] * (ROWS // 2), Category),
        ("city", RNG.choice(["New York", "Los Angeles"], ROWS), Category),
        ("day", DAYS.strftime("%Y%m%d"), Date),
        ("summary", [" ".join(RNG.choice(["a", "fine", "old", "house"], 9)) for _ in range(ROWS)], Text),
        ("name", [f"Smith, Mr. John {number}" for number in range(ROWS)], Text),
    ],
)
def test_a_column_is_what_its_cells_and_its_name_say(name: str, values: object, kind: type) -> None:
    assert isinstance(kind_of(name, cells(values)), kind)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["", "NA", "nan"] * 20, "is empty"),
        (["7"] * ROWS, "has one value"),
        ([f"A{number}" for number in range(ROWS)], "has another value in every row"),
    ],
)
def test_a_column_that_says_nothing_says_why(values: list[str], says: str) -> None:
    assert kind_of("x", cells(values)) == says


def test_one_value_and_gaps_say_something() -> None:
    assert kind_of("alley", cells(["", "Pave"] * 30)) == Category(("Pave",), missing=0.5)


@pytest.mark.parametrize("form", DATES)
def test_every_way_of_writing_dates_is_known(form: str) -> None:
    values = pd.date_range("2003-12-20 01:02:00", periods=ROWS, freq="7D").strftime(form)
    found = kind_of("when", cells(values))
    assert isinstance(found, Date)
    assert (found.first, found.last) == ("2003-12-20", "2005-02-05")
    assert found.format == form


def test_of_days_and_months_that_could_be_either_the_month_comes_first() -> None:
    assert date_format(cells(["01/02/2014", "03/04/2014"])) == "%m/%d/%Y"
    assert date_format(cells(["01/02/2014", "13/04/2014"] * 20)) == "%d/%m/%Y"


def test_figures_are_rounded_so_that_no_cell_stands_in_the_file() -> None:
    found = kind_of("x", cells(np.random.default_rng(1).lognormal(3, 2, 500)))
    assert isinstance(found, Number)
    assert all(len(f"{bound:g}") <= 6 for bound in (found.low, found.middle, found.high))
    assert not found.whole
    assert kind_of("n", cells(range(101))) == Number(1, 50, 99)


def test_only_few_short_levels_are_written_down() -> None:
    assert kind_of("x", cells(list("abcdef") * 10)) == Category(tuple("abcdef"))
    assert kind_of("x", cells([f"{number % 20}x" for number in range(ROWS)])) == Category(20)
    assert kind_of("x", cells(["a" * 50, "b" * 50] * 30)) == Category(2)


def test_numbers_with_signs_are_read_as_text() -> None:
    assert is_written(cells(["$5", "7"]))
    assert not is_written(cells(["5", "", "NA", "1e3"]))


VALUES = st.sampled_from(["1", "2.5", "x", "y z", "2014-01-02", "01/13/2014", "", "NA", "$7"])


@given(st.lists(VALUES, min_size=1, max_size=30), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_order_of_the_rows_changes_nothing(values: list[str], random: object) -> None:
    other = list(values)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert kind_of("x", cells(values)) == kind_of("x", cells(other))
