"""Numbers in free text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.text_numbers import TextNumbers
from features.words import ENOUGH, enough, tokens, value


def summaries(rows: int, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    made = pd.DataFrame(
        {"floors": r.choice([1, 1.5, 2], rows), "grade": r.integers(4, 12, rows), "lot": r.integers(1, 10**6, rows)}
    )
    made["basement"] = np.where(r.random(rows) < 0.4, r.integers(100, 999, rows), np.nan)
    cellar = made["basement"].map(lambda b: "" if np.isnan(b) else f"basement of {b:.0f} sqft, ")
    made["text"] = [
        f"{f:g} floors, grade {g}, {c}homes on lots of {lot:,} sqft."
        for f, g, c, lot in zip(made["floors"], made["grade"], cellar, made["lot"], strict=True)
    ]
    return made


def test_each_number_gets_the_column_of_its_own_context() -> None:
    train, new = summaries(300), summaries(50, seed=1)
    made = TextNumbers(("text",)).fit(train[["text"]]).transform(new[["text"]])
    contexts = {"floors": "# floor", "grade": "grade #", "lot": "lot of #", "basement": "basement of #"}
    assert sorted(made.columns) == sorted(f"says__text__{context}" for context in contexts.values())
    for name, context in contexts.items():
        np.testing.assert_allclose(made[f"says__text__{context}"], new[name])


def test_a_context_with_several_numbers_or_always_the_same_one_is_no_feature() -> None:
    X = pd.DataFrame({"s": [f"bed {i % 3} and bed {i}, open 24 hours" for i in range(40)]})
    assert "bed #" not in TextNumbers(("s",)).fit(X).contexts_["s"]
    assert not [context for context in TextNumbers(("s",)).fit(X).contexts_["s"] if "hour" in context]


def test_rare_contexts_and_those_over_the_limit_are_left_out() -> None:
    X = summaries(300)[["text"]]
    assert TextNumbers(("text",), min_share=0.5).fit(X).contexts_["text"] == ["# floor", "grade #", "lot of #"]
    assert TextNumbers(("text",), max_columns=2).fit(X).contexts_["text"] == ["# floor", "grade #"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A 2-story home", ["a", "2", "story", "home"]),
        ("$1.5M, 30k off; 9th St.", ["$1.5m", ",", "30k", "off", ";", "th", "st", "."]),
        ("3 beds/2 baths", ["3", "bed", "2", "bath"]),
        ("grass, class, his gas", ["grass", ",", "class", ",", "his", "gas"]),
    ],
)
def test_text_is_read_as_words_numbers_and_stops(text, expected) -> None:
    assert tokens(text) == expected


def test_numbers_have_their_value() -> None:
    assert [value(token) for token in ("7", "1.5", "1,480", "$30k", "$1.5m")] == [7, 1.5, 1480, 30_000, 1_500_000]


def test_very_many_texts_are_learned_from_an_even_part() -> None:
    few, many = pd.Series(["a"] * 5), pd.Series(np.arange(3 * ENOUGH))
    assert enough(few) is few
    part = enough(many)
    assert len(part) == ENOUGH
    assert part.iloc[0] == 0
    assert part.iloc[-1] == many.iloc[-1]


def test_the_facts_in_real_summaries_are_found(shared) -> None:
    X = pd.read_csv(shared / "house-prices-king-county" / "train.csv", usecols=["Summary"])
    made = TextNumbers(("Summary",)).fit_transform(X)
    found = {name.removeprefix("says__Summary__") for name in made.columns}
    assert {"# floor", "grade #", "average #", "lot of #", "basement of #"} <= found
    assert made[["says__Summary__# floor", "says__Summary__grade #"]].notna().all().all()
    assert made["says__Summary__grade #"].between(1, 13).all()
