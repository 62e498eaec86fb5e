"""Cowboy outfits: where are the belts, boots, hats, jackets and sunglasses?

Folds: five, copies of a picture in one fold, and every category spread evenly over them, the rarest first. There are so few belts
that a fold chosen blindly may have none to learn from or none to be judged on, and they are a fifth of the score.
"""

from __future__ import annotations

import pandas as pd
from sklearn.preprocessing import FunctionTransformer

from competitions.cowboy_detection.files import ID, IMAGE, load
from competitions.cowboy_detection.practice import practice
from pipeline.competition import Competition, Detection, Model
from pipeline.folds import KFold

__all__ = ["competition", "features", "load", "models", "practice"]

competition = Competition(
    name="cowboy-detection",
    kaggle="cowboyoutfits",
    task=Detection(id=ID, metric="map"),
    folds=KFold(k=5, strata=1, groups=("twins",)),  # `twins`: the pipeline's column, equal for copies of the same picture
    practice_rows=80,
    practice_models=("fcos-small", "faster-rcnn-small"),
    page="https://competitions.codalab.org/competitions/33573",
)


def features() -> FunctionTransformer:
    """The picture's id and name alone: detectors look it up in the gallery."""
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": [ID, IMAGE]})


def models() -> dict[str, Model]:
    """Two families of detectors over a body that knows ImageNet, once for pictures of 512 pixels and once small, for a first look.

    People stand upright, so pictures are mirrored at most. Belts are in one picture of a hundred: pictures with what is rare are seen more
    often, by the square root of how rare it is.
    """
    rare = "repeat-factor:at=0.3"
    lite0 = {"net": "tf_efficientnet_lite0", "weights": "package"}
    whole = {
        "size": 512,
        "epochs": 24,
        "plain": 6,
        "mosaic": 0.5,
        "sizes": (0.75, 1.0, 1.25),
        "scales": (1.0, 1.25),
        "ema": 0.998,
    }
    changes = {"augment": {"flips": "horizontal", "crop": 0.5, "colour": 0.2}}
    small = {"size": 192, "batch": 4, "rate": 1e-3, "plain": 2, "width": 64, "views": ("plain",)}
    return {
        "fcos": Model("detector", {**lite0, **whole, **changes, "head": "fcos"}, resample=rare),
        "faster-rcnn": Model("detector", {**lite0, **whole, **changes, "head": "faster-rcnn"}, resample=rare),
        "fcos-small": Model(
            "detector", {**lite0, **small, "head": "fcos", "convolutions": 2, "epochs": 8, "freeze": 4}, resample=rare
        ),
        "faster-rcnn-small": Model(
            "detector", {**lite0, **small, "head": "faster-rcnn", "epochs": 6, "freeze": "body"}, resample=rare
        ),
    }
