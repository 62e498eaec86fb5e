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
    practice_rows=120,
)


def features() -> FunctionTransformer:
    """The picture's id and name alone: detectors look it up in the gallery."""
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": [ID, IMAGE]})


def models() -> dict[str, Model]:
    """Two detectors with their families' own parameters."""
    return {"fcos": Model("detector", {}), "ssd": Model("detector", {})}
