"""Annotations in COCO's format, exactly: ids as text from end to end, faults counted, mended or refused by stated rules.

Refused, with the first case: a file that is cut or is no COCO file; an image, a file name or a category that stands twice; an annotation
of an image or a category that is not listed; a box that is not four finite numbers.

Mended and counted: a box with a negative width or height is turned round; what reaches beyond the picture is cut off. Left out and counted:
a box without an area, also after that; the same box of the same category in the same image again. A crowd stays, marked as one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import BadData

BOX = ["left", "top", "width", "height"]
LARGEST = sys.float_info.max
WIDEST = 1_000_000  # pixels of a picture
Entry = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Annotations:
    """images: id, file_name, width, height. categories: id and name, in the file's order. boxes: image_id, category_id, left, top, width,
    height in pixels, crowd. All ids are text. notes: what was mended or left out."""

    images: pd.DataFrame
    categories: pd.DataFrame
    boxes: pd.DataFrame
    notes: tuple[str, ...]


def read(path: Path) -> Annotations:
    """Raises BadData for what is refused, see above."""
    content = _json(path)
    images = [_image(path, number, entry) for number, entry in enumerate(content["images"])]
    categories = [
        (_id(path, "category", number, entry, "id"), _text(path, "category", number, entry, "name"))
        for number, entry in enumerate(content["categories"])
    ]
    for what, values in (
        ("image id", [image[0] for image in images]),
        ("file name", [image[1] for image in images]),
        ("category id", [one[0] for one in categories]),
        ("category name", [one[1] for one in categories]),
    ):
        _refuse_twice(path, what, values)
    boxes, notes = _boxes(path, content["annotations"], {image[0]: image[2:] for image in images}, {one[0] for one in categories})
    return Annotations(
        pd.DataFrame(images, columns=["id", "file_name", "width", "height"]),
        pd.DataFrame(categories, columns=["id", "name"], dtype=object),
        boxes,
        notes,
    )


def is_number(value: Any) -> bool:
    """Of JSON: finite, and not true or false. A whole number beyond float64 is none that a box can have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def is_box(value: Any) -> bool:
    """A list of four numbers."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def _json(path: Path) -> dict[str, list[Entry]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # whole numbers of up to thousands of digits stay exact
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path} is no JSON, or was cut short ({error}). Download or unpack it again.") from error
    for part in ("images", "annotations", "categories"):
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BadData(f"{path} is no file of COCO annotations: it has no list {part!r} of objects.")
    parts: dict[str, list[Entry]] = content
    return parts


def _image(path: Path, number: int, entry: Entry) -> tuple[str, str, int, int]:
    sizes: list[Any] = [entry.get(side) for side in ("width", "height")]
    if not all(isinstance(size, int) and not isinstance(size, bool) and 0 < size <= WIDEST for size in sizes):
        raise BadData(
            f"{path}: image {number} ({entry.get('id')}) has width and height {str(sizes)[:80]}; both must be whole numbers from 1 to {WIDEST:,}."
        )
    return _id(path, "image", number, entry, "id"), _text(path, "image", number, entry, "file_name"), sizes[0], sizes[1]


def _id(path: Path, what: str, number: int, entry: Entry, key: str) -> str:
    """An id as text. A floating-point number has lost digits."""
    found = entry.get(key)
    if isinstance(found, bool) or not isinstance(found, int | str) or not _is_written(str(found)):
        raise BadData(f"{path}: {what} {number} has {key} {found!r}; an id is a whole number or a text.")
    return str(found)


def _text(path: Path, what: str, number: int, entry: Entry, key: str) -> str:
    found = entry.get(key)
    if not isinstance(found, str) or not _is_written(found):
        raise BadData(f"{path}: {what} {number} ({entry.get('id')}) has {key} {found!r}; a text is needed.")
    return found


def _is_written(text: str) -> bool:
    """Whether a text says something, in characters that there are: JSON can name halves of some."""
    return bool(text.strip()) and text.isprintable() and all(not 0xD800 <= ord(one) <= 0xDFFF for one in text)


def _refuse_twice(path: Path, what: str, values: Sequence[str]) -> None:
    twice = pd.Series(values, dtype=object)
    twice = twice[twice.duplicated()]
    if len(twice):
        raise BadData(f"{path} lists {len(twice)} {what}s more than once, first {twice.iloc[0]!r}.")


def _boxes(
    path: Path, annotations: Sequence[Entry], sizes: Mapping[str, tuple[int, int]], categories: set[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    counts = dict.fromkeys(
        ("turned round", "cut off at the picture's edge", "left out: no area", "left out: stands twice", "marked as crowds"), 0
    )
    rows: dict[tuple[Any, ...], None] = {}
    for number, entry in enumerate(annotations):
        image, category = (_id(path, "annotation", number, entry, key) for key in ("image_id", "category_id"))
        for what, found, known in (("image", image, sizes), ("category", category, categories)):
            if found not in known:
                raise BadData(
                    f"{path}: annotation {number} ({entry.get('id')}) is of {what} {found}, which the file does not list."
                )
        box = _numbers(path, number, entry)
        if box[2] < 0 or box[3] < 0:
            counts["turned round"] += 1
            box = [min(box[0], box[0] + box[2]), min(box[1], box[1] + box[3]), abs(box[2]), abs(box[3])]
        width, height = sizes[image]
        left, top = max(box[0], 0.0), max(box[1], 0.0)
        inside = [left, top, min(box[0] + box[2], width) - left, min(box[1] + box[3], height) - top]
        if inside[2] <= 0 or inside[3] <= 0:
            counts["left out: no area"] += 1
            continue
        if any(abs(a - b) > 1e-6 for a, b in zip(box, inside, strict=True)):
            counts["cut off at the picture's edge"] += 1
            box = inside
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1) or not isinstance(crowd, int):
            raise BadData(f"{path}: annotation {number} ({entry.get('id')}) has iscrowd {crowd!r}; it is 0 or 1.")
        crowd = bool(crowd)
        row = (image, category, *box, crowd)
        if row in rows:
            counts["left out: stands twice"] += 1
            continue
        counts["marked as crowds"] += crowd
        rows[row] = None
    boxes = pd.DataFrame(list(rows), columns=["image_id", "category_id", *BOX, "crowd"])
    boxes = boxes.astype({**dict.fromkeys(BOX, "float64"), "crowd": bool})
    return boxes, tuple(f"{path.name}: {count} boxes {what}." for what, count in counts.items() if count)


def _numbers(path: Path, number: int, entry: Entry) -> list[float]:
    box: Any = entry.get("bbox")
    if not is_box(box):
        raise BadData(
            f"{path}: annotation {number} ({entry.get('id')}) has bbox {box!r}; four finite numbers are needed: left, top, width, height."
        )
    return [float(one) for one in box]
