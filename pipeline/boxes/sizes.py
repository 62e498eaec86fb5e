"""Boxes were annotated in pictures of some size; those at hand may have another one, as after a download of smaller copies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.boxes.coco import BOX
from pipeline.errors import BadData
from pipeline.predictions import Array

ASPECT = 0.01  # by which a picture's width over its height may differ from the annotated one: what rounding does


def to_pictures(boxes: pd.DataFrame, ids: pd.Series, annotated: Array, true: Array) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The boxes in pixels of the pictures at hand, and a note of what was scaled.

    boxes: the images' ids in a column of the name of `ids`, and left, top, width, height. ids: of the images, (m,). annotated, true:
    (m, 2) width and height in pixels, as in the annotations and of the picture. Where they differ and the shape is the same, the image's
    boxes are scaled with it. Raises BadData where the shape is another one, also width and height changed over.
    """
    other = (annotated != true).any(axis=1)
    aspect = (true[:, 0] * annotated[:, 1]) / (true[:, 1] * annotated[:, 0])
    wrong = other & ((np.abs(aspect - 1) > ASPECT) | (annotated == true[:, ::-1]).all(axis=1))
    if wrong.any():
        raise BadData(
            f"{int(wrong.sum()):,} pictures have another shape than their annotations say, {_first(ids, annotated, true, wrong)}. Their "
            "boxes would be in the wrong place. Bring the pictures that were annotated, neither cut nor turned, or mend width and height "
            "in the annotations."
        )
    if not other.any():
        return boxes, ()
    scales = pd.DataFrame(true / annotated, index=ids.astype(str).to_numpy())
    of_each = scales.reindex(boxes[ids.name].astype(str)).to_numpy()  # NaN for an image that is not listed: the truth refuses it
    scaled = boxes.assign(**dict(zip(BOX, (boxes[BOX].to_numpy() * np.tile(of_each, 2)).T, strict=True)))
    return scaled, (
        f"{int(other.sum()):,} pictures have another size than their annotations say, {_first(ids, annotated, true, other)}; the shape is "
        "the same, and their boxes were scaled to the picture.",
    )


def _first(ids: pd.Series, annotated: Array, true: Array, rows: Array) -> str:
    at = int(rows.argmax())
    said, found = ("{:g} x {:g}".format(*sizes[at]) for sizes in (annotated, true))
    return f"first {ids.name} {ids.iloc[at]}: annotated {said}, the picture {found}"
