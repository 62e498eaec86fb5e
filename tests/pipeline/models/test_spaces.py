"""Search spaces: every point of them can be built, and holds the recipe that is tuned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from pipeline import models
from pipeline.competition import Model
from pipeline.errors import BadRecipe
from pipeline.models.spaces import SPACES, Choice, Range, Real, Whole, rounded, space, spelled, value_of

TABLES = [name for name in SPACES if not models.FAMILIES[name].pictures]
HEADS = [{"head": head} for head in ("logistic", "lda", "knn")]


def ends(one: Range) -> list[Any]:
    return list(one.options) if isinstance(one, Choice) else [one.low, one.high, one.default]


def points(ranges: dict[str, Range]) -> list[dict[str, Any]]:
    """All low, all high, all at their defaults."""
    return [{name: ends(one)[place] for name, one in ranges.items()} for place in range(3)]


def test_every_space_is_of_a_family_that_is_there() -> None:
    assert set(SPACES) <= set(models.FAMILIES)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("family", TABLES)
def test_the_ends_of_every_range_can_be_built(family: str, classes: int) -> None:
    for params in ({}, {"linear_tree": True}) if family == "lightgbm" else ({},):
        recipe = Model(family, params)
        for point in points(space(recipe, classes)):
            models.build(Model(family, {**params, **point}), classes, 0)


@pytest.mark.parametrize("family", [*SPACES])
def test_defaults_lie_inside_and_logarithms_have_something_to_begin_at(family: str) -> None:
    for params in [{}, {"weights": None}, {"optimizer": "sgd"}, *HEADS]:
        for one in space(Model(family, params), 3).values():
            if isinstance(one, Choice):
                assert one.default in one.options
            else:
                assert one.low <= one.default <= one.high
                assert one.low > 0 or not one.log


@pytest.mark.parametrize("family", ["image", "detector"])
def test_the_ends_of_what_nets_search_are_recipes(family: str) -> None:
    from pipeline.models.box_recipe import BoxRecipe
    from pipeline.models.image_recipe import ImageRecipe
    from pipeline.models.recipe import LADDER

    kind: Any = ImageRecipe if family == "image" else BoxRecipe
    for params in ({}, {"weights": None}, {"optimizer": "sgd"}):
        for point in points(space(Model(family, params), 3)):
            kind(**{**LADDER["adamw", True], **point})


def test_a_range_is_widened_to_hold_the_recipe() -> None:
    ranges = space(Model("lightgbm", {"n_estimators": 20, "num_leaves": 1000, "learning_rate": 0.5}))
    assert ranges["n_estimators"] == Whole(20, 2000, 20, log=True, also=ranges["n_estimators"].also)
    assert (ranges["num_leaves"].high, ranges["learning_rate"].high) == (1000, 0.5)  # type: ignore[union-attr]
    assert space(Model("mlp", {"hidden": [7]}))["hidden"].default == (7,)


@pytest.mark.parametrize("value", ["sqrt", None, True, float("nan"), float("inf")])
def test_a_value_without_a_place_in_the_range_leaves_it_as_it_is(value: Any) -> None:
    assert space(Model("random-forest", {"max_features": value}))["max_features"] == Real(0.05, 1.0, 1.0)


def test_nothing_is_no_place_on_a_logarithmic_scale() -> None:
    assert space(Model("lightgbm", {"reg_lambda": 0.0}))["reg_lambda"].default == 1e-3


def test_a_parameter_keeps_the_name_that_the_recipe_gives_it() -> None:
    params = {"bagging_fraction": 0.7}
    one = space(Model("lightgbm", params))["subsample"]
    assert spelled(params, "subsample", one) == "bagging_fraction"
    assert value_of(params, "subsample", one) == one.default == 0.7
    assert spelled({}, "subsample", one) == "subsample"


def test_other_names_are_names_that_the_library_knows() -> None:
    import lightgbm

    aliases = lightgbm.basic._ConfigAliases
    for name, one in space(Model("lightgbm")).items():
        assert set(one.also) <= aliases.get(name) | aliases.get(*one.also), name


@pytest.mark.parametrize("recipe", [Ridge(), Model("libreyolo"), Model("ultralytics")])
def test_what_has_no_space_is_told_which_have_one(recipe: Any) -> None:
    with pytest.raises(BadRecipe, match=r"no search space.*lightgbm, xgboost"):
        space(recipe)


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_a_rounded_number_is_near_and_short(value: float) -> None:
    assert rounded(value) == pytest.approx(value, rel=1e-3)
    assert rounded(rounded(value)) == rounded(value)
    assert rounded(7) == 7
