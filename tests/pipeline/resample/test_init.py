"""What a step of resampling is called, on the command line and in a recipe, and what cannot be."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.competition import Model
from pipeline.errors import BadRecipe, UnknownName
from pipeline.resample import WAYS, Resample, parse


@pytest.mark.parametrize("text", ["smote", "smote:at=0.5,neighbours=3", "copy:at=0.25,correct=no", "effective:beta=0.99"])
def test_a_step_reads_as_it_is_written(text: str) -> None:
    step = parse(text)
    assert isinstance(step, Resample)
    assert str(step) == text
    assert parse(step) is step
    assert pickle.loads(pickle.dumps(step)) == step
    assert Model("ridge", resample=text) == Model("ridge", resample=step)
    assert repr(Model("ridge", resample=text)) == f"Model('ridge', resample='{text}')"


@given(st.sampled_from(sorted(WAYS)), st.data())
def test_every_way_with_numbers_that_can_be_is_read_back(way: str, data: st.DataObject) -> None:
    params = {
        name: float(data.draw(st.integers(int(number.low) or 1, int(min(number.high, 50)) or 1)))
        if number.whole
        else data.draw(st.sampled_from([number.default, number.high if number.high < 1000 else 2.0]))
        for name, number in WAYS[way].params.items()
    }
    step = Resample(way, params, data.draw(st.booleans()))
    again = parse(str(step))
    assert again == step


def test_none_is_no_step() -> None:
    assert parse(None) is parse("none") is None
    assert Model("ridge", resample="none") == Model("ridge")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("smot", UnknownName, "No way of resampling is called 'smot'. Did you mean smote"),
        ("copy:att=1", UnknownName, "No parameter of copy is called 'att'. Did you mean at"),
        ("copy:at", BadRecipe, "'at' of 'copy:at' is no parameter. Write them like smote:at=0.5"),
        ("copy:at=much", BadRecipe, "'at=much' of 'copy:at=much' is no parameter"),
        ("copy:correct=perhaps", BadRecipe, "correct and counts are yes or no"),
        ("copy:at=0", BadRecipe, "at of copy is 0.0; give a number from 1e-06 to 1"),
        ("copy:at=nan", BadRecipe, "at of copy is nan"),
        ("smote:neighbours=1.5", BadRecipe, "neighbours of smote is 1.5; give a whole number from 1 to 1000"),
        ("effective:beta=1", BadRecipe, "beta of effective is 1.0; give a number from 0 to 0.999999999"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        parse(text)
