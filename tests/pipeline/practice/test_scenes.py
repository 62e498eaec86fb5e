"""Drawn scenes and the annotations of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.boxes import coco
from pipeline.practice.scenes import HEIGHT, WIDTH, scenes

NAMES = {2**63 + number: f"{number}.png" for number in range(12)}
CATEGORIES = {87: "belt", 5: "hat", 1034: "boot"}


def test_the_annotations_are_read_without_a_word(tmp_path: Path) -> None:
    content = scenes(tmp_path / "images", NAMES, CATEGORIES, 0)
    assert content == scenes(tmp_path / "again", NAMES, CATEGORIES, 0)
    (tmp_path / "train.json").write_text(json.dumps(content))
    found = coco.read(tmp_path / "train.json")
    assert found.notes == ()
    assert found.images["id"].tolist() == [str(one) for one in NAMES]
    assert set(found.boxes["category_id"]) == {"87", "5", "1034"}


def test_boxes_are_around_what_stands_out_from_the_ground(tmp_path: Path) -> None:
    content = scenes(tmp_path, NAMES, CATEGORIES, 0)
    files = {image["id"]: image["file_name"] for image in content["images"]}
    for box in content["annotations"]:
        picture = np.asarray(Image.open(tmp_path / files[box["image_id"]]).convert("HSV")).astype(float)[..., 1]
        assert picture.shape == (HEIGHT, WIDTH)
        left, top, wide, high = box["bbox"]
        assert picture[top : top + high, left : left + wide].max() > 150
