"""The competition's files: train.json with the boxes, three tables of image ids and file names, and the folder of pictures.

Ids are unsigned 64-bit numbers, many beyond 2^63; they are text from end to end. The categories are those of train.json, in its order,
which is not the order of their ids. `pipeline.boxes.coco` says what of train.json is refused, mended or left out. Besides these are

refused: a table of other columns; a row without an id or a file name; an id that is no whole number; an id or a file name that stands
twice in a table or in two of them; an image of train.json that train.csv lacks, or the other way round; an id that has one file name here and
another there; a file name that leads out of images/, or of which images/ has no file.

kept and counted: images without a box, which show what is none of the things; categories without a box, which no model can learn.
"""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pandas as pd

from pipeline.boxes import coco
from pipeline.competition import Data
from pipeline.errors import BadData
from pipeline.pictures.names import apart, inside, once, some, there
from pipeline.tables import read_table

ID, IMAGE, PHASE = "image_id", "image", "phase"
ANNOTATIONS, PICTURES = "train.json", "images"
PHASES = ("valid", "test")  # the public board's and the final one's
COLUMNS = ("id", "file_name")  # of the three tables
KINDS = {"id": ("an id", "ids"), "file_name": ("a file name", "file names")}


def load(root: Path) -> Data:
    """train.json, train.csv, valid.csv and test.csv from `root`, and the pictures' names checked against its folder images/.

    No picture is opened. Without that folder the pictures are None, and a note says so. Raises BadData with the file and the value at fault.
    """
    found = coco.read(root / ANNOTATIONS)
    for what, table in (("boxes", found.boxes), ("categories", found.categories)):
        if table.empty:
            raise BadData(f"{root / ANNOTATIONS} has no {what}, so there is nothing to learn. Download or unpack it again.")
    tables = {
        root / f"{name}.csv": read_table(root / f"{name}.csv", COLUMNS, (), required=COLUMNS)[0] for name in ("train", *PHASES)
    }
    for path, table in tables.items():
        for column, words in KINDS.items():
            once(path, table[column], *words)
        whole(path, table["id"])
    for (first, one), (second, other) in combinations(tables.items(), 2):
        for column, (_, many) in KINDS.items():
            apart(first, one[column], second, other[column], many)
    train, *tests = tables.values()
    same_images(root, found.images, train)
    images, notes = pictures(root, [name for table in tables.values() for name in table["file_name"]])
    test = pd.concat([table.assign(**{PHASE: phase}) for phase, table in zip(PHASES, tests, strict=True)], ignore_index=True)
    test = test.rename(columns={"id": ID, "file_name": IMAGE})
    return Data(
        train=sized(train, found.images).rename(columns={"id": ID, "file_name": IMAGE}),
        test=test,
        sample=test[[ID]],
        boxes=found.boxes,
        categories=found.categories,
        images=images,
        notes=(*found.notes, *without_boxes(found), *notes),
    )


def whole(path: Path, ids: pd.Series) -> None:
    """A spreadsheet writes such long numbers as 9.86084E+18."""
    wrong = ids[~ids.str.fullmatch("[0-9]+")]
    if len(wrong):
        raise BadData(
            f"{path} has {len(wrong)} ids that are no whole numbers, first {wrong.iloc[0]!r} in row {wrong.index[0] + 1}. "
            "A program that took them for numbers may have written them; download the file again."
        )


def same_images(root: Path, images: pd.DataFrame, train: pd.DataFrame) -> None:
    """train.json and train.csv list the same ids with the same file names."""
    named, listed = (dict(zip(table["id"], table["file_name"], strict=True)) for table in (images, train))
    for lacking, has, lacks in (
        ([one for one in named if one not in listed], ANNOTATIONS, "train.csv"),
        ([one for one in listed if one not in named], "train.csv", ANNOTATIONS),
    ):
        if lacking:
            raise BadData(
                f"{root}: {len(lacking)} image ids are in {has} and not in {lacks}, first {lacking[0]}. One of them is cut short or "
                "another competition's, or a program rounded its ids; download both again."
            )
    other = [one for one in listed if listed[one] != named[one]]
    if other:
        raise BadData(
            f"{root}: {len(other)} images have one file name in {ANNOTATIONS} and another in train.csv, first {other[0]}: "
            f"{named[other[0]]!r} and {listed[other[0]]!r}. Boxes would go to the wrong picture; download both again."
        )


def sized(train: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """train.csv with the columns width and height, int64 pixels, of train.json."""
    sizes = images.set_index("id")
    return train.assign(**{side: train["id"].map(sizes[side]) for side in ("width", "height")})


def pictures(root: Path, names: list[str]) -> tuple[Path | None, list[str]]:
    """The folder of pictures, all of which are there; or, where there is no such folder, None and a note."""
    folder = root / PICTURES
    if os.path.lexists(folder):
        there(folder, names, "train.csv, valid.csv and test.csv")
        return folder, []
    inside(folder, names)
    return None, [
        f"{root} has no folder {PICTURES}: folds and evaluation work, but nothing can be trained. Unpack the {len(names):,} pictures there."
    ]


def without_boxes(found: coco.Annotations) -> list[str]:
    """Notes of the images and the categories that have no box."""
    empty = found.images[~found.images["id"].isin(found.boxes["image_id"])]
    unseen = found.categories[~found.categories["id"].isin(found.boxes["category_id"])]
    return [f"{ANNOTATIONS}: {len(empty):,} images have no box; they stay, as pictures without any of the things."] * bool(
        len(empty)
    ) + [f"{ANNOTATIONS}: {len(unseen)} categories have no box and cannot be learned: {some(unseen['name'].tolist())}."] * bool(
        len(unseen)
    )
