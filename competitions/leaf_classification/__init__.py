"""Leaves: which of 176 species is in the picture?

Folds: five, stratified by species, pictures of the same leaf in one fold. The collection has hundreds of files under several
names, some with different labels; a copy on either side of the split would be judged by memory. See README.md beside this file.
"""

from __future__ import annotations

import pandas as pd
from sklearn.preprocessing import FunctionTransformer

from competitions.leaf_classification.files import FOLDS, ID, TARGET, load
from competitions.leaf_classification.practice import practice
from pipeline.competition import Classification, Competition, Model
from pipeline.folds import KFold

__all__ = ["competition", "features", "load", "models", "practice"]

competition = Competition(
    name="leaf-classification",
    kaggle="classify-leaves",
    task=Classification(id=ID, target=TARGET, metric="accuracy"),
    folds=KFold(k=FOLDS, strata=1, groups=("twins",)),  # `twins`: the pipeline's column, equal for pictures of the same leaf
    practice_rows=300,
)


def features() -> FunctionTransformer:
    """The picture's name alone: the families of images look it up in the gallery."""
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": [ID]})


def models() -> dict[str, Model]:
    """Frozen features under several heads, and a fine-tuning on smaller pictures: what two cores can do.

    A leaf may lie in any direction, so its features are averaged over the four quarter turns and a closer look, and it is flipped both ways
    while the net learns. MixUp and CutMix need more epochs than these.
    """
    lite0 = {"net": "tf_efficientnet_lite0", "weights": "package"}
    probe = {**lite0, "size": 224, "views": ("plain", "left", "turn", "right", "zoom")}
    short = {"size": 128, "epochs": 5, "batch": 32, "rate": 1e-3, "layer_decay": 0.9, "mixup": 0.0, "cutmix": 0.0}
    larger = {"net": "tf_efficientnet_lite2", "weights": "package", "size": 260, "views": ("plain", "turn")}
    return {
        "probe-logistic": Model("probe", {**probe, "head": "logistic"}),
        "probe-lda": Model("probe", {**probe, "head": "lda"}),
        "probe-knn": Model("probe", {**probe, "head": "knn"}),
        "probe-lite2": Model("probe", {**larger, "head": "logistic"}),
        "fine-tuned": Model("image", {**lite0, **short, "augment": {"flips": "both", "crop": 0.6, "rotate": 10, "colour": 0.1}}),
    }
