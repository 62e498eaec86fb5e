"""A submission of boxes: `answer.json`, COCO's list of results, at the root of a zip; and the rules by which one is refused.

The widely used readers take NaN boxes, boxes given twice and ids that were rounded without a word; so the file is read here, strictly:
whole numbers stay exact, and every rule has a name.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.boxes.coco import is_box, is_number
from pipeline.errors import BadSubmission
from pipeline.predictions import Boxes, as_ids
from submit.check import TELLING, Broken, refuse
from submit.write import keep

FILE, ZIP = "answer.json", "answer.zip"
Sizes: TypeAlias = "Mapping[str, tuple[int, int] | None]"
MOST = 100  # boxes of an image: more do not count
LONGEST, LEAST_ROOM = 500, 2**20  # bytes of a box in the file, and of any file, up to which it is not taken for a bomb
DIGITS = 100  # of a whole number as text; Python refuses to read one of thousands
TOLD = 300  # characters of a result that a message quotes
PACKED = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # bzip2 and LZMA unpack at once whatever they hold, also more than the zip tells
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same boxes are the same bytes
KEYS = ("image_id", "category_id", "bbox", "score")
BEYOND = 1.0  # pixels that a box may reach beyond its picture: what rounding can do
CORNERS = 0.2  # share of boxes beyond their pictures from which they look like corners

RULES = {
    # Of the file. What cannot be read is not looked at further.
    "file-missing": "there is a file",
    "not-zip": "it is a whole zip, deflated or stored",
    "zip-content": f"of which {FILE} stands at the root, alone, as a file",
    "too-large": f"and has at most {LONGEST} bytes for each box that may count",
    "not-json": "it is JSON in UTF-8, without NaN or Infinity, and no key stands twice",
    "not-a-list": "it is a list of objects",
    "no-boxes": "there are boxes",
    "keys": f"each has {', '.join(KEYS)}, and no more",
    # Of the ids.
    "id-type": "ids are whole numbers, or texts where they look like none: a floating-point number has lost digits, a text finds no number",
    "unknown-image": "every image is one of the phase",
    "unknown-category": "every category is one of the competition's",
    # Of the boxes.
    "box": "every box is four finite numbers",
    "no-area": "of which the last two, width and height, are above 0",
    "outside": f"boxes lie in their pictures (within {BEYOND:g} pixel)",
    "corners": "and are left, top, width and height, not two corners",
    "score": "every score is a number from 0 to 1",
    "duplicate": "no box of a category stands twice in an image",
    "too-many": f"no image has more than {MOST} boxes",
    "few-images": "there are boxes in half of the phase's images or more",
    "constant": f"scores differ, from {TELLING} boxes on",
}


def answer(boxes: Boxes) -> bytes:
    """The zip. Ids are whole numbers where they look like one, as COCO has them."""
    columns = (boxes.image.tolist(), boxes.category.tolist(), boxes.box.tolist(), boxes.score.tolist())
    results = [
        dict(zip(KEYS, (_number(i), _number(c), box, score), strict=True)) for i, c, box, score in zip(*columns, strict=True)
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(FILE, EPOCH), json.dumps(results, allow_nan=False), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def submission(folder: Path, boxes: Boxes, sizes: Sizes, categories: Collection[str], about: Mapping[str, Any]) -> Path:
    """Check and keep the zip of these boxes in `folder`; returns its path. sizes, categories: see `check`; about: see `write.submission`.

    Raises BadSubmission, StoreError.
    """
    facts = {"boxes": len(boxes), "images": len(sizes)}
    return keep(folder, ZIP, answer(boxes), lambda file: refuse(check(file, sizes, categories)), RULES, facts, about)


def check(path: Path, sizes: Sizes, categories: Collection[str]) -> list[Broken]:
    """All rules that the file breaks, in the order of RULES; empty if it may be sent.

    sizes: width and height in pixels of each image of the phase, by id; None where nobody knows. categories: their ids.
    """
    content = _read(path, _room(len(sizes)))
    if isinstance(content, Broken):
        return [content]
    found = list(_entries(content, sizes, categories))
    order = list(RULES)
    return sorted(found, key=lambda broken: order.index(broken.rule))


def read(path: Path, images: Sequence[str]) -> Boxes:
    """The boxes of a file that keeps the rules, in these images. Raises BadSubmission."""
    results = _results(path, len(images))
    image, category = ([str(one[key]) for one in results] for key in ("image_id", "category_id"))
    box, score = (np.array([one[key] for one in results], dtype=np.float64) for key in ("bbox", "score"))
    return Boxes(as_ids(list(images)), as_ids(image), as_ids(category), box, score)


def images_of(path: Path, images: int) -> set[str]:
    """The ids in a file that answers for so many images. Raises BadSubmission where it cannot be read."""
    return {str(one["image_id"]) for one in _results(path, images)}


def _results(path: Path, images: int) -> list[dict[str, Any]]:
    content = _read(path, _room(images))
    if isinstance(content, Broken):
        raise BadSubmission(content.rule, content.message)
    return content


def _room(images: int) -> int:
    """Bytes that the results of so many images may take."""
    return max(LEAST_ROOM, LONGEST * MOST * images)


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) <= DIGITS and str(int(text)) == text else text


def _read(path: Path, most: int) -> list[dict[str, Any]] | Broken:
    if not path.is_file():
        return Broken("file-missing", 1, f"{path} is no file.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.orig_filename for entry in archive.infolist()]  # `filename` ends at a NUL
            if names != [FILE]:
                some = ", ".join(repr(name[:TOLD]) for name in names[:5]) or "nothing"
                return Broken("zip-content", 1, f"{path} holds {some}; it must hold {FILE!r} alone, in no folder.")
            (entry,) = archive.infolist()
            if stat.S_ISLNK(entry.external_attr >> 16):
                return Broken("zip-content", 1, f"{FILE} in {path} is a link. Put the file itself into the zip.")
            if entry.compress_type not in PACKED:
                return Broken(
                    "not-zip", 1, f"{path} is packed by method {entry.compress_type}. Write it again, deflated or stored."
                )
            if entry.file_size > most:
                return Broken("too-large", 1, f"{FILE} would take {entry.file_size:,} bytes. Is it this competition's?")
            with archive.open(entry) as file:
                raw = file.read(entry.file_size + 1)  # without a number, it would unpack 2 GiB before it looks at the size
            if len(raw) != entry.file_size:
                raise zipfile.BadZipFile(f"{FILE} has {len(raw):,} bytes, not {entry.file_size:,}")
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        return Broken("not-zip", 1, f"{path} is no whole zip ({str(error)[:TOLD]}). Write it again.")
    try:
        content = json.loads(raw.decode(), parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return Broken("not-json", 1, f"{FILE} is not what JSON allows: {error}.")
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        return Broken("not-a-list", 1, f"{FILE} holds no list of objects. It is a list of results, not a file of annotations.")
    if not content:
        return Broken("no-boxes", 1, f"{FILE} is an empty list. Find the model that found nothing, or lower its least score.")
    wrong = [one for one in content if set(one) != set(KEYS)]
    if wrong:
        return Broken(
            "keys", len(wrong), f"{len(wrong):,} results do not have the keys {', '.join(KEYS)}, first {sorted(wrong[0])}."
        )
    return content


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice in {dict(pairs)}")
    return found


def _entries(results: list[dict[str, Any]], sizes: Sizes, categories: Collection[str]) -> Iterator[Broken]:
    told = [
        (
            "id-type",
            [one for one in results if not (_is_id(one["image_id"]) and _is_id(one["category_id"]))],
            "Keep ids as text or whole numbers.",
        ),
        (
            "unknown-image",
            [one for one in results if _is_id(one["image_id"]) and str(one["image_id"]) not in sizes],
            "Predict the images of this phase, no others.",
        ),
        (
            "unknown-category",
            [one for one in results if _is_id(one["category_id"]) and str(one["category_id"]) not in categories],
            f"The categories are {', '.join(sorted(categories)[:8])}.",
        ),
        ("box", [one for one in results if not is_box(one["bbox"])], "Find the model that predicts this."),
        ("no-area", [one for one in results if is_box(one["bbox"]) and min(one["bbox"][2:]) <= 0], "Leave such boxes out."),
        (
            "score",
            [one for one in results if not (is_number(one["score"]) and 0 <= one["score"] <= 1)],
            "Find the model that predicts this.",
        ),
    ]
    for rule, wrong, cure in told:
        if wrong:
            first = str(wrong[0])[:TOLD]
            yield Broken(rule, len(wrong), f"{len(wrong):,} results break the rule that {RULES[rule]}; first {first}. {cure}")
    outside = [one for one in results if _is_outside(one, sizes)]
    if len(outside) > CORNERS * len(results):
        message = f"{len(outside):,} of {len(results):,} boxes reach beyond their pictures, first {str(outside[0])[:TOLD]}. Write left, top, width, height."
        yield Broken("corners", len(outside), message)
    elif outside:
        yield Broken(
            "outside",
            len(outside),
            f"{len(outside):,} boxes reach beyond their pictures, first {str(outside[0])[:TOLD]}. Cut them off at the edge.",
        )
    boxes = [(str(one["image_id"]), str(one["category_id"]), *map(float, one["bbox"])) for one in results if is_box(one["bbox"])]
    again = [key for key, count in Counter(boxes).items() if count > 1]
    if again:
        yield Broken(
            "duplicate",
            len(again),
            f"{len(again):,} boxes stand more than once, first {again[0]}. Keep the one with the higher score.",
        )
    full = [(image, count) for image, count in Counter(str(one["image_id"]) for one in results).items() if count > MOST]
    if full:
        yield Broken(
            "too-many",
            len(full),
            "{:,} images have more than {} boxes, first {} with {:,}. Keep the best.".format(len(full), MOST, *full[0]),
        )
    seen = {str(one["image_id"]) for one in results} & set(sizes)
    if len(sizes) >= TELLING and 2 * len(seen) < len(sizes):
        message = (
            f"Boxes are in {len(seen):,} of the {len(sizes):,} images. Predict all images of the phase; low scores cost nothing."
        )
        yield Broken("few-images", len(sizes) - len(seen), message)
    if len(results) >= TELLING and len({json.dumps(one["score"]) for one in results}) == 1:
        yield Broken(
            "constant",
            len(results),
            f"All {len(results):,} scores are {results[0]['score']}. Average precision needs them in order.",
        )


def _is_id(value: Any) -> bool:
    return type(value) in (int, str) and type(value) is type(_number(str(value)))


def _is_outside(one: dict[str, Any], sizes: Sizes) -> bool:
    size = sizes.get(str(one["image_id"]))
    if size is None or not is_box(one["bbox"]):
        return False
    left, top, width, height = one["bbox"]
    return bool(min(left, top) < -BEYOND or left + width > size[0] + BEYOND or top + height > size[1] + BEYOND)
