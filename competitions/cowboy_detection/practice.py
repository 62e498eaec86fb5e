"""Made-up pictures in the competition's own files, for working without the real ones.

Every picture is a drawn scene (`drawing`). The collection has the real one's troubles: belts as rare as there, things that can be seen and
have no box, the same picture under two ids, ids beyond 2^63, and categories that are not listed in the order of their ids.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from competitions.cowboy_detection.files import ANNOTATIONS, COLUMNS, PICTURES
from pipeline.errors import BadData

if TYPE_CHECKING:
    from competitions.cowboy_detection.drawing import Thing

MARKER = "PRACTICE.md"
FEWEST = 20
LEAST = 5  # boxes of each category in train, each in another picture: as many as folds
FEWEST_ASKED, ASKED = 10, 0.1  # valid pictures, and as many test ones: at least; for each of train
CATEGORIES = {"belt": 87, "sunglasses": 1034, "boot": 131, "cowboy_hat": 318, "jacket": 588}  # ids, in the real file's order
SHARES = {
    "belt": 25,
    "sunglasses": 2330,
    "boot": 449,
    "cowboy_hat": 595,
    "jacket": 2195,
}  # boxes in the real file's OF_IMAGES images
OF_IMAGES = 3062
PEOPLE = (0.6, 0.24, 0.1, 0.04, 0.02)  # shares of pictures with one person, with two and so on
COPIES = 0.02  # of train: pictures that stand there under another id too
LEFT_OUT = 0.04  # of the things of each category that are seen in train, one at least: they get no box
SIZES = ((320, 240), (320, 213), (240, 320), (213, 320), (256, 256))  # pixels
SIZE_SHARES = (0.35, 0.3, 0.16, 0.14, 0.05)

People = list[frozenset[str]]  # what each person of a picture wears


class Plan(NamedTuple):
    """What is to be drawn. scenes: the people of each. source: (n,) int, the scene that each picture shows. ids: of the pictures; the
    first `rows` are train."""

    scenes: list[People]
    source: list[int]
    ids: list[int]


class Drawn(NamedTuple):
    """A scene. width, height: in pixels. content: the JPEG file's bytes. things: that can be seen."""

    width: int
    height: int
    content: bytes
    things: list[Thing]


def practice(root: Path, rows: int = 120, seed: int = 0) -> None:
    """Write train.json, train.csv, valid.csv, test.csv, PRACTICE.md and the folder images/ into `root`, made if need be.

    rows: of train; valid and test have a tenth as many each, at least ten. The same rows and seed give the same bytes. Raises BadData for
    rows below 20, and rather than replace tables that no marker says are practice.
    """
    root = Path(root)
    if (root / "train.csv").exists() and not (root / MARKER).exists():
        raise BadData(f"{root} holds a train.csv but no {MARKER}: it may be the real one. Name another folder for practice data.")
    planned = plan(rows, seed)
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    # The marker comes first: a folder left half written must not pass for the real competition.
    write(root / MARKER, marker(rows, seed))
    drawn = [draw(people, np.random.default_rng([seed, number])) for number, people in enumerate(planned.scenes, 1)]
    for one, scene in zip(planned.ids, planned.source, strict=True):
        (root / PICTURES / name(one)).write_bytes(drawn[scene].content)
    ids = {
        "train": planned.ids[:rows],
        "valid": planned.ids[rows : rows + asked(rows)],
        "test": planned.ids[rows + asked(rows) :],
    }
    for part, numbers in ids.items():
        table = pd.DataFrame(dict(zip(COLUMNS, (list(map(str, numbers)), list(map(name, numbers))), strict=True)))
        table.to_csv(root / f"{part}.csv", index=False, lineterminator="\n")
    in_train = sorted(set(planned.source[:rows]))
    boxed = dict(zip(in_train, annotated([drawn[scene].things for scene in in_train], seed), strict=True))
    shown = [drawn[scene]._replace(things=boxed[scene]) for scene in planned.source[:rows]]
    write(root / ANNOTATIONS, json.dumps(coco(dict(zip(ids["train"], shown, strict=True)))) + "\n")


# ----------------------------------------------------------------------------------------------------------------------------- plan


def plan(rows: int, seed: int) -> Plan:
    """Who is in each scene, and which pictures are copies. Raises BadData for rows below 20."""
    if rows < FEWEST:
        raise BadData(f"rows={rows} is too few for practice pictures: five categories in five folds need {FEWEST} or more.")
    rng = np.random.default_rng(seed)
    copies = max(2, math.ceil(COPIES * rows))
    scenes = dealt(rng, rows - copies, LEAST)
    with_belt = [any("belt" in wears for wears in people) for people in scenes]
    source = [*range(len(scenes)), *rng.choice(np.flatnonzero(~np.array(with_belt)), copies, replace=False).tolist()]
    source = rng.permutation(source).tolist()
    for _ in ("valid", "test"):
        scenes += dealt(rng, asked(rows), 1)
    source += range(rows - copies, len(scenes))
    ids = rng.integers(0, 2**64, len(source), dtype=np.uint64)
    return Plan(scenes, source, ids.tolist())


def asked(rows: int) -> int:
    """The number of valid pictures, and of test ones."""
    return max(FEWEST_ASKED, round(ASKED * rows))


def dealt(rng: np.random.Generator, pictures: int, least: int) -> list[People]:
    """The people of so many pictures, with things in the real file's proportions, at least so many of each; hardly a picture has none."""
    boxes = {one: max(least, round(share / OF_IMAGES * pictures)) for one, share in SHARES.items()}
    worn = {one: count + left_out(count) for one, count in boxes.items()}
    people: list[list[set[str]]] = [[set() for _ in range(count + 1)] for count in rng.choice(len(PEOPLE), pictures, p=PEOPLE)]
    for picture in rng.choice(pictures, worn.pop("belt"), replace=False).tolist():
        people[picture][0].add("belt")
    for number, one in enumerate(rng.permutation([one for one, count in worn.items() for _ in range(count)]).tolist()):
        without = people[number] if number < pictures else []
        while not without:
            without = [wears for wears in people[int(rng.integers(pictures))] if one not in wears]
        without[int(rng.integers(len(without)))].add(one)
    return [[frozenset(wears) for wears in picture] for picture in people]


def left_out(count: int) -> int:
    """How many things of so many get no box."""
    return max(1, round(LEFT_OUT * count))


# ------------------------------------------------------------------------------------------------------------------------- pictures


def draw(people: People, rng: np.random.Generator) -> Drawn:
    from competitions.cowboy_detection.drawing import jpeg, scene  # OpenCV loads only when something is drawn

    width, height = SIZES[rng.choice(len(SIZES), p=SIZE_SHARES)]
    picture, things = scene(rng, width, height, people)
    return Drawn(width, height, jpeg(picture, int(rng.integers(80, 96))), things)


def annotated(scenes: list[list[Thing]], seed: int) -> list[list[Thing]]:
    """The things of each scene that get a box."""
    rng = np.random.default_rng([seed, 0, 1])
    places = [(number, thing) for number, things in enumerate(scenes) for thing in things]
    without: set[tuple[int, Thing]] = set()
    for one in CATEGORIES:
        seen = [place for place in places if place[1].name == one]
        without |= {seen[i] for i in rng.choice(len(seen), min(left_out(len(seen)), len(seen)), replace=False)}
    return [[thing for thing in things if (number, thing) not in without] for number, things in enumerate(scenes)]


# ---------------------------------------------------------------------------------------------------------------------------- files


def coco(train: dict[int, Drawn]) -> dict[str, Any]:
    """The content of train.json, of the pictures by id."""
    boxes = [(one, thing) for one, drawn in train.items() for thing in drawn.things]
    return {
        "info": {"description": "Practice data: all of it is drawn by a program."},
        "images": [
            {"id": one, "file_name": name(one), "width": drawn.width, "height": drawn.height} for one, drawn in train.items()
        ],
        "annotations": [
            {
                "id": number,
                "image_id": one,
                "category_id": CATEGORIES[thing.name],
                "iscrowd": False,
                "bbox": list(thing.box),
                "area": thing.box[2] * thing.box[3],
            }
            for number, (one, thing) in enumerate(boxes, 1)
        ],
        "categories": [{"id": number, "name": one} for one, number in CATEGORIES.items()],
    }


def name(one: int) -> str:
    """The file name of a picture's id: its sixteen hexadecimal digits."""
    return f"{one:016x}.jpg"


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def marker(rows: int, seed: int) -> str:
    """The one paragraph of PRACTICE.md."""
    return (
        "This folder holds practice data in the format of the cowboy outfits competition. All its pictures are drawn by a program, "
        f"generated with rows={rows}, seed={seed}: no person and no thing in it is real, and a score on it says nothing about the "
        "competition's board.\n"
    )
