"""What `podium tune` searches, family by family: ranges of the parameters that matter, in which any point can be trained.

They stand beside the families, not in them: a unit's key covers the text of its family's module, and a wider range shall not
make a single unit anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pipeline.competition import Model
from pipeline.errors import BadRecipe

DIGITS = 4  # of a number in a recipe; more say nothing, and nobody reads them


@dataclass(frozen=True)
class Whole:
    """Whole numbers from low to high. default: where the family stands without the parameter. also: other names of it."""

    low: int
    high: int
    default: int
    log: bool = False
    also: tuple[str, ...] = ()

    def holding(self, value: Any) -> Whole:
        """Widened so that it holds the value; as it is where the value has no place in such a range."""
        fits = isinstance(value, int) and not isinstance(value, bool) and (value > 0 or not self.log)
        return replace(self, low=min(self.low, value), high=max(self.high, value), default=value) if fits else self


@dataclass(frozen=True)
class Real:
    """Numbers from low to high; the rest as in `Whole`."""

    low: float
    high: float
    default: float
    log: bool = False
    also: tuple[str, ...] = ()

    def holding(self, value: Any) -> Real:
        """Widened so that it holds the value; as it is where the value has no place in such a range."""
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not fits or (self.log and value <= 0):
            return self
        return replace(self, low=min(self.low, value), high=max(self.high, value), default=float(value))


@dataclass(frozen=True)
class Choice:
    """One of several values, a tuple among them as it is; the rest as in `Whole`."""

    options: tuple[Any, ...]
    default: Any
    also: tuple[str, ...] = ()

    def holding(self, value: Any) -> Choice:
        """With the value as one more option, if it is none yet."""
        value = tuple(value) if isinstance(value, list) else value
        return replace(self, options=self.options if value in self.options else (*self.options, value), default=value)


Range: TypeAlias = Whole | Real | Choice
Space: TypeAlias = Mapping[str, Range]


def space(recipe: Any, classes: int = 0) -> dict[str, Range]:
    """The ranges by parameter for this recipe, widened where it stands outside of them; `default` is where it stands.

    A value of the recipe's own that has no place in its range ("sqrt" among numbers, 0 on a logarithmic scale) is left to the
    untuned recipe, and the family's default stands for it. Raises BadRecipe for a family without a space.
    """
    if not isinstance(recipe, Model) or recipe.family not in SPACES:
        what = f"The family {recipe.family!r}" if isinstance(recipe, Model) else f"{recipe!r} is an estimator by itself, which"
        raise BadRecipe(f"{what} has no search space. Those that have one: {', '.join(SPACES)}.")
    found = SPACES[recipe.family](recipe.params, classes)
    return {name: one.holding(value_of(recipe.params, name, one)) for name, one in found.items()}


def spelled(params: Mapping[str, Any], name: str, one: Range) -> str:
    """The parameter as the recipe calls it: two names of one parameter in a recipe would be one too many."""
    return next((each for each in (name, *one.also) if each in params), name)


def value_of(params: Mapping[str, Any], name: str, one: Range) -> Any:
    """The recipe's own value, or the range's default where it has none."""
    return params.get(spelled(params, name, one), one.default)


def rounded(value: Any) -> Any:
    """A number as a recipe has it."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


# ------------------------------------------------------------------------------------------------------------------------ tables


def _lightgbm(params: Mapping[str, Any], classes: int) -> Space:
    found: dict[str, Range] = {
        "learning_rate": Real(0.005, 0.3, 0.1, log=True, also=("eta", "shrinkage_rate")),
        "n_estimators": Whole(100, 2000, 100, log=True, also=("num_iterations", "num_trees", "num_rounds", "num_boost_round")),
        "num_leaves": Whole(4, 256, 31, log=True, also=("num_leaf", "max_leaves")),
        "min_child_samples": Whole(2, 200, 20, log=True, also=("min_data_in_leaf", "min_data")),
        "subsample": Real(0.4, 1.0, 1.0, also=("bagging_fraction",)),
        "subsample_freq": Whole(0, 1, 0, also=("bagging_freq",)),  # at 0, its default, `subsample` does nothing
        "colsample_bytree": Real(0.1, 1.0, 1.0, also=("feature_fraction",)),
        "reg_lambda": Real(1e-3, 100.0, 1e-3, log=True, also=("lambda_l2",)),
        "reg_alpha": Real(1e-3, 10.0, 1e-3, log=True, also=("lambda_l1",)),
    }
    return found | {"linear_lambda": Real(1e-3, 100.0, 1e-3, log=True)} if params.get("linear_tree") else found


def _xgboost(params: Mapping[str, Any], classes: int) -> Space:
    return {
        "learning_rate": Real(0.005, 0.3, 0.3, log=True),
        "n_estimators": Whole(100, 2000, 100, log=True),
        "max_depth": Whole(2, 12, 6),
        "min_child_weight": Real(0.1, 100.0, 1.0, log=True),
        "subsample": Real(0.4, 1.0, 1.0),
        "colsample_bytree": Real(0.1, 1.0, 1.0),
        "reg_lambda": Real(1e-3, 100.0, 1.0, log=True),
        "reg_alpha": Real(1e-3, 10.0, 1e-3, log=True),
    }


def _catboost(params: Mapping[str, Any], classes: int) -> Space:
    return {
        "learning_rate": Real(0.01, 0.3, 0.05, log=True, also=("eta",)),
        "iterations": Whole(200, 2000, 1000, log=True, also=("n_estimators", "num_trees", "num_boost_round")),
        "depth": Whole(3, 10, 6, also=("max_depth",)),
        "l2_leaf_reg": Real(0.5, 30.0, 3.0, log=True, also=("reg_lambda",)),
        "random_strength": Real(0.1, 10.0, 1.0, log=True),
        "rsm": Real(0.2, 1.0, 1.0, also=("colsample_bylevel",)),
    }


def _forest(params: Mapping[str, Any], classes: int) -> Space:
    """More trees are always better, so their number is no matter of search."""
    return {
        "max_features": Real(0.05, 1.0, 0.1 if classes else 1.0),
        "min_samples_leaf": Whole(1, 50, 1, log=True),
        "max_depth": Whole(4, 40, 40),
    }


def _ridge(params: Mapping[str, Any], classes: int) -> Space:
    words = {"words": Whole(500, 20_000, 5_000, log=True)}
    return words | ({"C": Real(1e-3, 1e3, 1.0, log=True)} if classes else {"alpha": Real(1e-3, 1e4, 10.0, log=True)})


def _elastic_net(params: Mapping[str, Any], classes: int) -> Space:
    words = {"words": Whole(500, 20_000, 5_000, log=True)}
    if classes:
        return words | {"C": Real(1e-3, 1e3, 1.0, log=True), "l1_ratio": Real(0.0, 1.0, 0.5)}
    return words | {"alpha": Real(1e-5, 1.0, 1e-3, log=True), "l1_ratio": Real(0.0, 1.0, 0.2)}


def _mlp(params: Mapping[str, Any], classes: int) -> Space:
    return {
        "rate": Real(3e-4, 3e-2, 3e-3, log=True),
        "weight_decay": Real(1e-3, 1.0, 0.2, log=True),
        "dropout": Real(0.0, 0.5, 0.1),
        "hidden": Choice(((64, 64), (128, 128), (256, 128), (256, 256), (128, 128, 128)), (128, 128)),
        "batch": Whole(64, 1024, 256, log=True),
        "epochs": Whole(15, 80, 40, log=True),
    }


def _realmlp(params: Mapping[str, Any], classes: int) -> Space:
    return {
        "lr": Real(0.005, 0.4, 0.04 if classes else 0.2, log=True),
        "wd": Real(1e-3, 0.2, 0.02, log=True),
        "p_drop": Real(0.0, 0.4, 0.15),
        "n_epochs": Whole(24, 256, 256, log=True),
        "batch_size": Whole(64, 1024, 256, log=True),
    }


def _tabm(params: Mapping[str, Any], classes: int) -> Space:
    return {
        "lr": Real(2e-4, 2e-2, 2e-3, log=True),
        "weight_decay": Real(1e-4, 0.1, 1e-4, log=True),
        "dropout": Real(0.0, 0.5, 0.1),
        "n_blocks": Whole(1, 4, 3),
        "d_block": Whole(64, 768, 512, log=True),
    }


# ---------------------------------------------------------------------------------------------------------------------- pictures


def _probe(params: Mapping[str, Any], classes: int) -> Space:
    """The head and the net stay: another net means other features, which take the longest of all."""
    found: dict[str, Range] = {"shrinkage": Real(1e-3, 1.0, 0.1, log=True)}
    head = params.get("head", "logistic")
    if head == "logistic":
        found["penalty"] = Real(1e-3, 1.0, 0.05, log=True)
    if head == "knn":
        found |= {"neighbours": Whole(5, 300, 60, log=True), "width": Real(0.03, 3.0, 0.3, log=True)}
    return found


def _net(params: Mapping[str, Any], rate: float) -> dict[str, Range]:
    """What nets on pictures share. Their size and their epochs are what a person can wait for, and no matter of search."""
    learned = params.get("weights", "package") is not None
    rate *= 30 if params.get("optimizer") == "sgd" else 1
    found: dict[str, Range] = {
        "rate": Real(rate / 10, rate * 10, rate, log=True),
        "weight_decay": Real(1e-3, 0.3, 0.05, log=True),
        "warm_up": Real(0.0, 0.3, 0.1),
    }
    if learned:
        found |= {"layer_decay": Real(0.5, 1.0, 0.8), "head_rate": Real(1.0, 30.0, 10.0, log=True)}
    return found


def _image(params: Mapping[str, Any], classes: int) -> Space:
    mixed = {"mixup": Real(0.0, 1.0, 0.2), "cutmix": Real(0.0, 1.0, 1.0), "smoothing": Real(0.0, 0.2, 0.1)}
    return _net(params, 3e-4) | mixed


def _detector(params: Mapping[str, Any], classes: int) -> Space:
    return _net(params, 5e-4) | {"mosaic": Real(0.0, 1.0, 0.0)}


SPACES: Mapping[str, Callable[[Mapping[str, Any], int], Space]] = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "catboost": _catboost,
    "random-forest": _forest,
    "extra-trees": _forest,
    "ridge": _ridge,
    "elastic-net": _elastic_net,
    "mlp": _mlp,
    "realmlp": _realmlp,
    "tabm": _tabm,
    "probe": _probe,
    "image": _image,
    "detector": _detector,
}
