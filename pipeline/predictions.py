"""The one currency between steps: predictions keyed by row id. Rows are joined by id, never by position.

Two shapes serve all tasks: a `Table` of one row per id (regression: one column; classification: one column per class)
and `Boxes`, any number of scored boxes per image. Both turn into plain arrays for the store and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from pipeline.errors import BadPredictions

Array: TypeAlias = np.ndarray[Any, Any]


def as_ids(ids: Any) -> Array:
    """Ids as a (n,) array of text. Detection's ids exceed 64 bits, so they are never numbers here."""
    ids = ids if isinstance(ids, np.ndarray) else np.asarray(ids, dtype=object)  # numpy makes floats of a list of large integers
    if ids.ndim != 1:
        raise BadPredictions(f"Ids have shape {ids.shape}; one id a row, shape (n,), is needed.")
    if ids.dtype.kind == "U":
        return ids
    floats = [i for i in ids.tolist() if isinstance(i, float | np.floating)]
    if floats:
        raise BadPredictions(f"Ids came as floating-point numbers ({floats[0]}), which lose digits; read the id column as text.")
    return np.array([str(i) for i in ids.tolist()], dtype=np.str_)


def places(ids: Array, of: Array) -> Array:
    """(n,) int64: where each of `of` (n,) stands in `ids`, which are unique and have them all."""
    order = np.argsort(ids, kind="stable")
    found: Array = order[np.searchsorted(ids, of, sorter=order)]
    return found


def refuse_duplicates(ids: Array, what: str) -> None:
    """Raise BadPredictions with the first few ids that stand twice."""
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        twice = unique[counts > 1]
        raise BadPredictions(f"{what}: {len(twice)} ids stand more than once, first {', '.join(twice[:3])}.")


@dataclass(frozen=True, eq=False)
class Table:
    """One row of numbers per id.

    ids: (n,) text, unique. values: (n, k) float64, finite; a row without a prediction is absent, never zero or NaN.
    columns: k names (the target, or the classes). Raises BadPredictions otherwise.
    """

    ids: Array
    values: Array
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        ids, values = as_ids(self.ids), np.asarray(self.values, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "columns", tuple(map(str, self.columns)))
        if values.shape != (len(ids), len(self.columns)):
            raise BadPredictions(
                f"Predictions have shape {values.shape}; {len(ids)} ids and columns {self.columns} need {(len(ids), len(self.columns))}."
            )
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise BadPredictions(
                f"{int(bad.sum())} of {len(ids)} predictions are NaN or infinite, first at id {ids[bad][0]}: {values[bad][0].tolist()}."
            )
        refuse_duplicates(ids, "Predictions")

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, ids: Array) -> Array:
        """Values (m, k) for these ids in this order; NaN where an id has no prediction."""
        ids = as_ids(ids)
        order = np.argsort(self.ids, kind="stable")
        out = np.full((len(ids), len(self.columns)), np.nan)
        if len(order):
            place = np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(order) - 1)
            found = self.ids[order[place]] == ids
            out[found] = self.values[order[place[found]]]
        return out

    def of(self, ids: Array) -> Table:
        """Those of these ids (m,) that have a prediction, in this order."""
        values = self.at(ids)
        there = np.isfinite(values).all(axis=1)
        return Table(as_ids(ids)[there], values[there], self.columns)

    def arrays(self) -> dict[str, Array]:
        """Plain arrays for a file; `from_arrays` reads them back."""
        return {"ids": self.ids, "values": self.values, "columns": np.array(self.columns, dtype=np.str_)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Table:
        return cls(arrays["ids"], arrays["values"], tuple(arrays["columns"].tolist()))


def join(tables: Sequence[Table]) -> Table:
    """Tables of different rows (the validation parts of several folds) as one. Raises if an id is in two of them."""
    if len({table.columns for table in tables}) != 1:
        raise BadPredictions(f"Predictions to join have different columns: {sorted({t.columns for t in tables})}.")
    return Table(np.concatenate([t.ids for t in tables]), np.concatenate([t.values for t in tables]), tables[0].columns)


def _refuse_bad_boxes(what: str, box: Array, image: Array) -> None:
    """Raise BadPredictions for boxes (n, 4) that have no place or no extent."""
    wrong = ~(np.isfinite(box).all(axis=1) & (box[:, 2:] > 0).all(axis=1))
    if wrong.any():
        raise BadPredictions(
            f"{wrong.sum()} {what} are NaN, infinite, or without width or height, first in image {image[wrong][0]}: {box[wrong][0].tolist()}."
        )


@dataclass(frozen=True, eq=False)
class Boxes:
    """Scored boxes, any number per image.

    images: (m,) text, every image that was looked at, also those without a box. image, category: (n,) text, box: (n, 4)
    x, y, width, height in pixels, score: (n,) in [0, 1]. Raises BadPredictions on anything else.
    """

    images: Array
    image: Array
    category: Array
    box: Array
    score: Array

    def __post_init__(self) -> None:
        for name in ("images", "image", "category"):
            object.__setattr__(self, name, as_ids(getattr(self, name)))
        self._check_rows()
        unknown = np.setdiff1d(self.image, self.images)
        if len(unknown):
            raise BadPredictions(f"{len(unknown)} images have boxes but are not in the list of images, first {unknown[0]}.")

    def _check_rows(self) -> None:
        """All but that the images of boxes are among the images."""
        box, score = np.asarray(self.box, dtype=np.float64), np.asarray(self.score, dtype=np.float64)
        object.__setattr__(self, "box", box if box.size else box.reshape(0, 4))
        object.__setattr__(self, "score", score)
        shapes = {name: getattr(self, name).shape for name in ("image", "category", "box", "score")}
        n = len(self.image)
        if shapes != {"image": (n,), "category": (n,), "box": (n, 4), "score": (n,)}:
            raise BadPredictions(f"Boxes have shapes {shapes}; n boxes need (n,), (n,), (n, 4) and (n,).")
        refuse_duplicates(self.images, "Images")
        _refuse_bad_boxes("boxes", self.box, self.image)
        wrong = ~((self.score >= 0) & (self.score <= 1))
        if wrong.any():
            raise BadPredictions(
                f"{wrong.sum()} scores are NaN or outside 0 to 1, first in image {self.image[wrong][0]}: {self.score[wrong][0]}."
            )

    def __len__(self) -> int:
        return len(self.score)

    @property
    def ids(self) -> Array:
        """The images: boxes are joined by image, as tables are by row."""
        return self.images

    @classmethod
    def of_numbers(cls, images: Array, categories: Array, image: Array, category: Array, box: Array, score: Array) -> Boxes:
        """Of names (m,) and (c,) text, and numbers into them, image and category (n,) int64. Checked as otherwise, without comparing the
        names of all boxes with the list of images, which takes most of the time."""
        for what, number, names in (("images", image, images), ("categories", category, categories)):
            if len(number) and not 0 <= number.min() <= number.max() < len(names):
                raise BadPredictions(
                    f"Numbers of {what} go from {number.min()} to {number.max()}; there are {len(names)}, from 0."
                )
        made = cls._of(as_ids(images), as_ids(images)[image], as_ids(categories)[category], box, score)
        made._check_rows()
        return made

    def at(self, rows: Array) -> Boxes:
        """Those in these rows, (k,) numbers or (n,) bool, in their order; all images stay looked at."""
        return self._of(self.images, *(getattr(self, name)[rows] for name in ("image", "category", "box", "score")))

    @classmethod
    def _of(cls, *values: Array) -> Boxes:
        """Without any check."""
        made = object.__new__(cls)
        for field, value in zip(fields(cls), values, strict=True):
            object.__setattr__(made, field.name, value)
        return made

    def of(self, images: Array) -> Boxes:
        """Those in these images (m,), which are all known here. Raises BadPredictions otherwise."""
        images = as_ids(images)
        unknown = np.setdiff1d(images, self.images)
        if len(unknown):
            raise BadPredictions(f"{len(unknown)} images were not looked at, first {unknown[0]}.")
        kept = np.isin(self.image, images)
        return Boxes(images, self.image[kept], self.category[kept], self.box[kept], self.score[kept])

    def arrays(self) -> dict[str, Array]:
        """Plain arrays for a file; `from_arrays` reads them back."""
        return {name: getattr(self, name) for name in ("images", "image", "category", "box", "score")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Boxes:
        return cls(**{name: arrays[name] for name in ("images", "image", "category", "box", "score")})


def join_boxes(parts: Sequence[Boxes]) -> Boxes:
    """Boxes of different images as one. Raises BadPredictions if an image is in two of them."""
    columns = ("images", "image", "category", "box", "score")
    return Boxes(*(np.concatenate([getattr(one, name) for one in parts]) for name in columns))


@dataclass(frozen=True, eq=False)
class Truth:
    """The boxes that are in images. images: (m,) text, all that were looked at. categories: (c,) text, in the order that results are told.

    image, category: (n,) text. box: (n, 4) left, top, width, height in pixels. crowd: (n,) bool, a box around many: it is no miss if it
    is not found. Its length is that of images, by which it is indexed, as the target of tables is by row. Raises BadPredictions
    where an image stands twice, or a box is of an image or a category that is not there.
    """

    images: Array
    categories: Array
    image: Array
    category: Array
    box: Array
    crowd: Array

    def __post_init__(self) -> None:
        for name in ("images", "categories", "image", "category"):
            object.__setattr__(self, name, as_ids(getattr(self, name)))
        refuse_duplicates(self.images, "Images")
        for what, found, known in (("images", self.image, self.images), ("categories", self.category, self.categories)):
            unknown = np.setdiff1d(found, known)
            if len(unknown):
                raise BadPredictions(f"There are boxes of {len(unknown)} {what} that are not listed, first {unknown[0]}.")
        box = np.asarray(self.box, dtype=np.float64)
        object.__setattr__(self, "box", box if box.size else box.reshape(0, 4))
        _refuse_bad_boxes("true boxes", self.box, self.image)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Array) -> Truth:
        """Of the images in these rows, (k,) numbers or (m,) bool."""
        return self.of(self.images[rows])

    def of(self, images: Array) -> Truth:
        """Of these images alone, which are all known here. Raises BadPredictions otherwise."""
        images = as_ids(images)
        unknown = np.setdiff1d(images, self.images)
        if len(unknown):
            raise BadPredictions(f"{len(unknown)} images are not in the truth, first {unknown[0]}.")
        kept = np.isin(self.image, images)
        return Truth(images, self.categories, self.image[kept], self.category[kept], self.box[kept], self.crowd[kept])

    @property
    def presence(self) -> Array:
        """(m, c) bool: which categories are in which images; crowds, which are neither learned nor missed, are left out."""
        found = np.zeros((len(self.images), len(self.categories)), dtype=bool)
        found[places(self.images, self.image[~self.crowd]), places(self.categories, self.category[~self.crowd])] = True
        return found
