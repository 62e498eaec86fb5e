"""Free text: gist and phrases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.text import TextPhrases, TextSvd

HOMES = pd.DataFrame({"s": ["Ocean views, granite kitchen."] * 6 + ["Fixer with a big lot!"] * 5 + [None]})


def test_the_gist_separates_two_kinds_of_text() -> None:
    made = TextSvd(("s",), components=2).fit_transform(HOMES)
    assert list(made.columns) == ["svd__s__000", "svd__s__001", "length__s"]
    places = made[["svd__s__000", "svd__s__001"]].to_numpy()
    np.testing.assert_allclose(places[:6], places[:1].repeat(6, axis=0), atol=1e-6)
    assert np.linalg.norm(places[0] - places[6]) > 1
    assert np.isnan(made.iloc[-1]).all()
    assert made["length__s"].iloc[0] == pytest.approx(np.log1p(29))


@pytest.mark.parametrize("cells", [["!!", "??"], ["a", "b"], ["one", "two"], ["the only row"]])
def test_text_without_a_vocabulary_leaves_its_length(cells) -> None:
    made = TextSvd(("s",), min_rows=2).fit_transform(pd.DataFrame({"s": cells}))
    assert made.columns[-1] == "length__s"
    assert len(made.columns) == (1 if len(cells) > 1 else 2)  # one text's words all stand in each of its one rows


def test_fewer_directions_where_there_are_fewer_words_and_the_same_for_the_same_seed() -> None:
    one, two = (TextSvd(("s",), components=50, seed=3).fit_transform(HOMES) for _ in range(2))
    assert 1 < len(one.columns) <= 10
    pd.testing.assert_frame_equal(one, two)


def test_phrases_split_the_rows_and_none_says_the_same_twice() -> None:
    made = TextPhrases(("s",), min_share=0.1).fit_transform(HOMES)
    assert len(made.columns) == 2  # all phrases of one kind of text are one split
    assert made.iloc[0].tolist() != made.iloc[6].tolist()
    assert made.iloc[-1].isna().all()


def test_phrases_asked_for_are_always_looked_for_in_any_form() -> None:
    fitted = TextPhrases(("s",), always=("Ocean view", "helipad"), min_share=0.1).fit(HOMES)
    made = fitted.transform(pd.DataFrame({"s": ["OCEAN VIEWS", "an ocean, views", "Helipads!"]}))
    assert made["says__s__ocean view"].tolist() == [1, 0, 0]
    assert made["says__s__helipad"].tolist() == [0, 0, 1]


def test_stop_words_and_rare_phrases_are_no_features() -> None:
    texts = ["it is in the park" if i % 2 else "it was" for i in range(50)] + ["unicorn"]
    phrases = TextPhrases(("s",), min_share=0.05).fit(pd.DataFrame({"s": texts})).phrases_["s"]
    assert phrases == ["park"]


def test_the_number_of_phrases_is_limited() -> None:
    r = np.random.default_rng(0)
    words = np.array([f"word{chr(97 + i)}" for i in range(20)])
    X = pd.DataFrame({"s": [" ".join(words[r.random(20) < 0.5]) for _ in range(200)]})
    assert len(TextPhrases(("s",), max_columns=7).fit(X).phrases_["s"]) == 7


def test_condition_and_waterfront_are_found_in_real_summaries(shared) -> None:
    X = pd.read_csv(shared / "house-prices-king-county" / "train.csv", usecols=["Summary"])
    found = TextPhrases(("Summary",)).fit(X).phrases_["Summary"]
    assert {"condition average", "condition good", "condition very", "waterfront", "basement", "renovated"} <= set(found)
