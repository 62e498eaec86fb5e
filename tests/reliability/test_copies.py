"""Copies of a picture are learned from or judged on, never both; and what is not found to be a copy is said."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from pipeline.run import TWINS, open_run
from tests.conftest import Said
from tests.reliability.small import opened

Podium = Callable[..., Said]
SOURCES = 6  # pictures of which there are copies


def saved(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sized(image: Image.Image, share: float) -> Image.Image:
    return image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image) -> Image.Image:
    edge = image.width // 10
    return image.crop((edge, edge, image.width - edge, image.height - edge))


FOUND: dict[str, Callable[[Image.Image, bytes], bytes]] = {
    "the same bytes": lambda image, content: content,
    "saved again": lambda image, content: saved(image, quality=60),
    "another format": lambda image, content: saved(image, "PNG"),
    "smaller": lambda image, content: saved(sized(image, 0.6), quality=85),
    "larger": lambda image, content: saved(sized(image, 1.5), quality=85),
    "mirrored": lambda image, content: saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=85),
    "turned": lambda image, content: saved(image.transpose(Image.Transpose.ROTATE_90), quality=85),
    "upside down and smaller": lambda image, content: saved(sized(image.transpose(Image.Transpose.ROTATE_180), 0.7), quality=85),
}
NOT_SOUGHT: dict[str, Callable[[Image.Image, bytes], bytes]] = {
    "cropped": lambda image, content: saved(cropped(image)),
    "darker": lambda image, content: saved(ImageEnhance.Brightness(image).enhance(0.7)),
    "turned by 10 degrees": lambda image, content: saved(image.rotate(10, fillcolor=(255, 255, 255))),
    "without colour": lambda image, content: saved(image.convert("L")),
    "blurred": lambda image, content: saved(image.filter(ImageFilter.GaussianBlur(3))),
}


def copied(folder: Path, names: list[str]) -> dict[str, tuple[str, str]]:
    """Write copies of these pictures below folder/copies; each one's source and kind, by its name."""
    made = {}
    (folder / "copies").mkdir()
    for number, name in enumerate(names):
        content = (folder / name).read_bytes()
        image = Image.open(io.BytesIO(content)).convert("RGB")
        for kind, change in {**FOUND, **NOT_SOUGHT}.items():
            copy = f"copies/{number}-{kind.replace(' ', '-')}.jpg"
            (folder / copy).write_bytes(change(image, content))
            made[copy] = (name, kind)
    return made


def folds_of(runs: str) -> dict[str, str]:
    rows = list(csv.reader(io.StringIO(next(Path(runs).rglob("folds-*/folds.csv")).read_text())))
    return {row[0]: row[1] for row in rows[1:]}


@pytest.mark.timeout(600)
def test_copies_of_a_leaf_are_in_its_fold(podium: Podium, tmp_path: Path, proof: Any) -> None:
    folder = tmp_path / "leaves"
    assert podium("data", "leaf-classification", "--practice", folder, "--rows", 50).code == 0
    train = pd.read_csv(folder / "train.csv")
    sources = train.drop_duplicates("label")[:SOURCES]
    made = copied(folder, sources["image"].tolist())
    label = dict(zip(sources["image"], sources["label"], strict=True))
    more = pd.DataFrame([{"image": copy, "label": label[source]} for copy, (source, _) in made.items()])
    pd.concat([train, more]).to_csv(folder / "train.csv", index=False)
    said = podium("data", "leaf-classification", "--data", folder)
    assert (said.code, said.err) == (0, "")
    fold = folds_of("runs")
    apart = [(kind, source) for copy, (source, kind) in made.items() if kind in FOUND and fold[copy] != fold[source]]
    assert apart == []
    run = open_run("leaf-classification", folder, "runs")
    group = dict(zip(run.ids.tolist(), run.data.train[TWINS].tolist(), strict=True))
    taken = {
        kind: sum(group[copy] == group[source] for copy, (source, one) in made.items() if one == kind) for kind in NOT_SOUGHT
    }
    copies = SOURCES * len(FOUND)
    figures = {"copies": copies, "in another fold than their picture": 0} | {
        f"{kind}, found of {SOURCES}": number for kind, number in taken.items()
    }
    proof(13, "copies of a leaf: identical, saved again, resized, mirrored, turned", figures, kind="images")


def test_copies_of_a_scene_are_in_its_fold_and_other_plans_are_told(podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened("boxes", tmp_path) as one:
        rng, told = np.random.default_rng(0), json.loads((one.data / "train.json").read_text())
        images, source = told["images"], {}
        for number in range(SOURCES):
            name, picture = (
                images[number]["file_name"],
                Image.open(one.data / "images" / images[number]["file_name"]).convert("RGB"),
            )
            contents = {
                "same": (one.data / "images" / name).read_bytes(),
                "again": saved(picture, quality=95),
                "mirror": saved(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"),
            }
            for kind, content in contents.items():
                copy = {**images[number], "id": int(rng.integers(2**62, 2**63)), "file_name": f"{kind}-{number}.png"}
                (one.data / "images" / copy["file_name"]).write_bytes(content)
                images.append(copy)
                source[str(copy["id"])] = str(images[number]["id"])
        (one.data / "train.json").write_text(json.dumps(told))
        said = podium(*one.words("data"))
        assert (said.code, said.err) == (0, "")
        assert "Copies on both sides of a fold" not in said.out
        fold = folds_of("runs")
        assert [copy for copy in source if fold[copy] != fold[source[copy]]] == []
        split = tmp_path / "folds.csv"
        split.write_text("id,fold\n" + "".join(f"{name},{number % 3}\n" for number, name in enumerate(fold)))
        warned = podium(*one.words("train", "lax"), "--folds", split)
        groups = sum(len({number % 3 for number, name in enumerate(fold) if source.get(name, name) == picture}) > 1 for picture in set(source.values()))  # fmt: skip
        assert f"Copies on both sides of a fold: {groups} groups of the same picture" in warned.out
    figures = {"copies": len(source), "in another fold than their picture": 0, "groups that a fold file splits, told": groups}
    proof(13, "copies of a scene: identical, saved again, mirrored", figures, kind="boxes")
