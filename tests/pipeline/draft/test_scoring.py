"""Which task, and which metric: what is given counts, what is asked for is asked with a reason, a default says that it is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from pipeline.draft.question import Question
from pipeline.draft.scoring import score_by
from pipeline.errors import BadData, UnknownName

RNG = np.random.default_rng(0)
ROWS = 200
ONE = Question("id", False, True, False, ("y",), "y", "y")
SEVERAL = Question("id", False, True, False, ("a", "b"), "y", "y")


def tables(y: Sequence[object], asked: object = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame({"y": [str(one) for one in y]}), pd.DataFrame({"id": ["1", "2"], "y": [str(asked)] * 2})


PRICES = tables(RNG.lognormal(3, 1, ROWS).round(2))
SIGNED = tables(RNG.normal(size=ROWS).round(3))
COUNTS = tables(RNG.integers(0, 400, ROWS))
YES = tables(RNG.integers(0, 2, ROWS))
YES_CHANCE = tables(RNG.integers(0, 2, ROWS), 0.5)
KINDS = tables(RNG.integers(1, 8, ROWS), 2)
RATING = tables(RNG.integers(1, 6, ROWS), 3.2)
WORDS = tables(RNG.choice(["oak", "elm"], ROWS), "elm")


@pytest.mark.parametrize(
    ("given", "default"),
    [
        (PRICES, "rmse"),
        (SIGNED, "rmse"),
        (COUNTS, "rmse"),
        (YES, "accuracy"),
        (YES_CHANCE, "auc"),
        (KINDS, "accuracy"),
        (RATING, "rmse"),
        (WORDS, "accuracy"),
    ],
)
def test_a_default_says_that_nobody_chose_it(given: tuple[pd.DataFrame, pd.DataFrame], default: str) -> None:
    found = score_by(*given, ONE, None, None)
    assert found.metric == default
    assert f"Metric: {default}, " in " ".join(found.reasons)
    assert ("nobody chose" in " ".join(found.reasons)) == (given is not KINDS)


def test_columns_of_classes_are_judged_by_their_chances() -> None:
    assert score_by(*KINDS, SEVERAL, None, None).metric == "log_loss"


def test_what_is_given_decides_between_numbers_and_classes() -> None:
    assert score_by(*KINDS, ONE, "rmse", None).kind == "value"
    assert score_by(*RATING, ONE, "accuracy", None).kind == "label"
    assert score_by(*YES, ONE, "auc", None).kind == "probability"
    assert score_by(*YES, ONE, "mae", None).kind == "value"


def test_a_person_is_asked_among_what_can_be_with_the_reason() -> None:
    asked: list[tuple[str, list[str], str]] = []

    def ask(question: str, fitting: Sequence[str], default: str) -> str:
        asked.append((question, list(fitting), default))
        return "mae"

    assert score_by(*RATING, ONE, None, ask).metric == "mae"
    [(question, fitting, default)] = asked
    assert question.startswith("A number: 'y' has 5 different values from 1 to 5. Which metric?")
    assert (fitting, default) == (["rmse", "mae", "rmsle", "accuracy"], "rmse")


def test_only_numbers_of_0_or_more_have_a_floor_and_logs() -> None:
    assert score_by(*PRICES, ONE, "rmsle", None).low == 0
    assert score_by(*SIGNED, ONE, None, None).low is None
    with pytest.raises(BadData, match=r"'rmsle' does not go with the target\. .* Known for it: rmse, mae"):
        score_by(*SIGNED, ONE, "rmsle", None)


def test_which_of_two_classes_the_chance_is_of_is_said() -> None:
    said = " ".join(score_by(*tables(["no", "yes"] * 100, 0.5), ONE, None, None).reasons)
    assert "The answer is the chance of 'yes', the second of both in order." in said
    assert "'no' is in 50.0% of them. The sample's answers, such as '0.5', are chances." in said


@pytest.mark.parametrize(
    ("given", "metric", "error", "says"),
    [
        (tables(["a"] * ROWS), None, BadData, "has 1 different values in train; there is nothing to learn"),
        (tables([f"t{number}" for number in range(ROWS)]), None, BadData, "200 different texts in 200 rows, such as 't0'"),
        (WORDS, "rmse", BadData, "'rmse' does not go with the target"),
        (WORDS, "acuracy", UnknownName, "Did you mean accuracy"),
        (PRICES, "rmsel", UnknownName, "Did you mean"),
        (PRICES, "map", BadData, "does not go with"),
    ],
)
def test_what_does_not_go_together_is_refused(
    given: tuple[pd.DataFrame, pd.DataFrame], metric: str | None, error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        score_by(*given, ONE, metric, None)
