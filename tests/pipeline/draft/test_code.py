"""Code as a formatter leaves it, whatever stands in it."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.draft.code import Node, called, columns, documented, imports, literal, many, mapped, quoted, shown

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None)
@given(TEXT)
def test_a_quoted_text_is_read_back(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert "\n" not in quoted(text)


@settings(deadline=None)
@given(
    st.recursive(
        st.one_of(TEXT, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
        lambda inner: st.tuples(inner, inner),
        max_leaves=4,
    )
)
def test_a_literal_is_read_back(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value


@settings(deadline=None)
@given(TEXT, TEXT)
def test_nothing_in_a_docstring_ends_it(first: str, other: str) -> None:
    tree = ast.parse(documented(f"x {first}", [f"y {other}"], [f"z {first}{other}"]))
    assert len(tree.body) == 1
    assert "\n" not in shown(first)


def test_quotes_are_double_unless_single_ones_need_fewer_backslashes() -> None:
    assert [quoted(text) for text in ("a", 'say "x"', "it's", "\\n", "\n")] == [
        '"a"',
        "'say \"x\"'",
        '"it\'s"',
        '"\\\\n"',
        '"\\n"',
    ]


def test_numbers_are_written_for_people() -> None:
    assert [literal(number) for number in (2014, 98001, 1e20, 0.5, -12345)] == ["2014", "98_001", "1e20", "0.5", "-12_345"]


def test_what_fits_is_one_line_and_what_does_not_has_a_line_for_each_part() -> None:
    short = called("Category", many(("a", "b")), missing=0.5)
    assert short.laid(4) == '    Category(("a", "b"), missing=0.5)'
    long = mapped({"x" * 40: "1", "y" * 40: short, "z" * 60: "2"}, "made = ")
    assert (
        long.laid()
        == f'made = {{\n    "{"x" * 40}": 1,\n    "{"y" * 40}": Category(("a", "b"), missing=0.5),\n    "{"z" * 60}": 2,\n}}'
    )
    assert Node("f(", (Node("[", ("1", "2"), "]"),), ")").laid(0, split=True) == "f(\n    [1, 2]\n)"
    assert many(("a",)).flat() == '("a",)'


def test_wide_characters_take_two_places() -> None:
    assert columns("列a") == 3


def test_imports_stand_in_the_order_of_isort() -> None:
    text = imports(
        {"pipeline.folds": ["KFold"], "pathlib": ["Path"], "x.y": [], "features.text": ["of", "TextSvd", "MANY"]},
        ["pandas", "json"],
    )
    assert text.split("\n\n") == [
        "from __future__ import annotations",
        "import json\nfrom pathlib import Path",
        "import pandas as pd",
        "from features.text import MANY, TextSvd, of\nfrom pipeline.folds import KFold",
    ]
