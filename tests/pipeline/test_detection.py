"""Boxes go the way of every answer: from pictures to a zip of each phase that keeps every rule, unit by unit."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.assemble import Assembled, assemble
from pipeline.board import standings
from pipeline.boxes.evaluation import evaluate
from pipeline.competition import Model
from pipeline.data_care import boxes_page, copies, pages
from pipeline.ensemble.boxes import BoxBlend
from pipeline.errors import BadData, BadRecipe, BadSubmission, UnknownName
from pipeline.predictions import Boxes, Truth
from pipeline.run import Run, open_run, write_practice
from pipeline.train import Member, Outcome, train
from submit import require, submit

ROWS = 24


@pytest.fixture(scope="module")
def run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return open_run("scenes", runs=tmp_path_factory.mktemp("runs"), rows=ROWS)


@pytest.fixture(scope="module")
def members(run: Run) -> dict[str, Member]:
    return train(run, workers=1)


@pytest.fixture(scope="module")
def assembled(run: Run, members: dict[str, Member]) -> Assembled:
    return assemble(run, members, "wbf")


def again(run: Run, **named: Any) -> list[Outcome]:
    outcomes: list[Outcome] = []
    train(run, workers=1, notify=outcomes.append, **named)
    return outcomes


# ------------------------------------------------------------------------------------------------------------------------ units


def test_every_train_image_is_predicted_once_and_every_test_image(run: Run, members: dict[str, Member]) -> None:
    assert set(members) == {"strict", "lax"}
    for member in members.values():
        assert isinstance(member.oof, Boxes)
        assert sorted(member.oof.images) == sorted(run.ids)
        assert sorted(member.test.ids) == sorted(run.test_ids)
        assert member.score == pytest.approx(evaluate(run.y, member.oof).ap)
        assert 0.3 < member.score < 1
        assert np.isnan(member.trimmed)


def test_units_are_kept_and_only_what_lacks_is_trained_again(run: Run, members: dict[str, Member]) -> None:
    assert [outcome.state for outcome in again(run)] == ["kept"] * 6
    gone = members["lax"].keys[1]
    run.store.remove("units", "lax", gone)
    states = {(outcome.unit.model, outcome.unit.fold): outcome.state for outcome in again(run)}
    assert [place for place, state in states.items() if state == "done"] == [("lax", 1)]
    same = train(run, workers=1)["lax"]
    assert all((same.oof.arrays()[name] == values).all() for name, values in members["lax"].oof.arrays().items())


def test_a_fold_whose_images_have_no_box_has_no_score_and_is_no_failure(scenes: Path, tmp_path: Path) -> None:
    run = open_run("scenes", runs=tmp_path / "runs", rows=ROWS)
    first = run.data.boxes["image_id"].iloc[0]  # type: ignore[index]
    empty = [image for image in run.ids if image not in set(run.data.boxes["image_id"])] or [run.ids[-1]]  # type: ignore[index]
    root = tmp_path / "data"
    shutil.copytree(run.root, root)
    told = json.loads((root / "train.json").read_text())
    told["annotations"] = [one for one in told["annotations"] if str(one["image_id"]) not in empty]
    (root / "train.json").write_text(json.dumps(told))
    folds = tmp_path / "folds.csv"
    folds.write_text("id,fold\n" + "".join(f"{i},{0 if i in empty else 1 if i == first else -1}\n" for i in run.ids))
    without = open_run("scenes", root, runs=tmp_path / "runs", folds=str(folds))
    outcomes: list[Outcome] = []
    train(without, ["lax"], workers=1, notify=outcomes.append)
    train(without, ["lax"], workers=1, notify=outcomes.append)
    assert [(outcome.state, np.isnan(outcome.score)) for outcome in outcomes] == [
        ("done", True),
        ("done", False),
        ("kept", True),
        ("kept", False),
    ]


def test_a_family_that_learns_no_boxes_is_refused_before_the_training(run: Run) -> None:
    with pytest.raises(BadRecipe, match="'lightgbm' learns no boxes, which this competition asks for"):
        train(run, {"own": Model("lightgbm")}, workers=1)


# -------------------------------------------------------------------------------------------------------------- blend and board


def test_the_blend_says_what_categories_score_and_what_thresholds_cost(run: Run, assembled: Assembled) -> None:
    blended = assembled.blend
    assert isinstance(blended, BoxBlend)
    assert blended.evaluation.ap == pytest.approx(blended.honest)
    assert blended.category_intervals.shape == (3, 2)
    low, high = blended.category_intervals.T
    assert (low <= blended.evaluation.by_category).all()
    assert (blended.evaluation.by_category <= high).all()
    [sentence] = [text for text in blended.sentences if text.startswith("Leaving out")]
    costs = re.findall(r"below ([\d.]+) ([\d.]+)", sentence.rstrip("."))
    assert [least for least, _ in costs] == ["0.05", "0.25", "0.5"]
    assert [float(cost) for _, cost in costs] == sorted(float(cost) for _, cost in costs)
    written = json.loads(run.store.read("ensembles", assembled.key)["ensemble.json"])
    assert written["models"]["lax"]["trimmed"] is None


def test_the_board_has_an_interval_for_every_model(run: Run, members: dict[str, Member]) -> None:
    rows = standings(run)
    assert {row.model for row in rows} == {"strict", "lax"}
    for row in rows:
        assert row.state == "complete"
        assert row.low is not None
        assert row.high is not None
        assert row.score is not None
        assert row.low < row.score < row.high


# ----------------------------------------------------------------------------------------------------------------------- submit


@pytest.mark.parametrize(("asked", "phase"), [("valid", "valid"), ("test", "test"), (None, "test")])
def test_the_zip_of_a_phase_holds_its_images_and_passes_for_no_other(
    run: Run, assembled: Assembled, asked: str | None, phase: str
) -> None:
    path = submit(run, assembled, asked)
    with zipfile.ZipFile(path) as archive:
        results = json.loads(archive.read("answer.json"))
    test = run.data.test
    assert {str(one["image_id"]) for one in results} <= set(test["image_id"][test["phase"] == phase])
    assert len(results) == len(assembled.test.of(test["image_id"][test["phase"] == phase].to_numpy()))
    require(run, path, phase)
    assert json.loads(path.with_name("manifest.json").read_text())["about"]["phase"] == phase
    with pytest.raises(BadSubmission, match="unknown-image"):
        require(run, path, {"valid": "test", "test": "valid"}[phase])


def test_a_misspelt_phase_is_refused_with_the_nearest_name(run: Run, assembled: Assembled) -> None:
    with pytest.raises(UnknownName, match=r"No phase is called 'vaild'. Did you mean valid"):
        submit(run, assembled, "vaild")


# --------------------------------------------------------------------------------------------------------------- picture sizes


@pytest.fixture
def spoilt(scenes: Path, tmp_path: Path) -> Callable[..., tuple[Run, list[str]]]:
    """Opens the data with the first pictures of train in another size."""

    def open_spoilt(size: tuple[int, int], count: int = 2) -> tuple[Run, list[str]]:
        from competitions import find

        write_practice(find("scenes"), tmp_path / "data", ROWS, 0)
        for number in range(count):
            path = tmp_path / "data" / "images" / f"{number:03}.png"
            Image.open(path).resize(size).save(path)
        said: list[str] = []
        return open_run("scenes", tmp_path / "data", runs=tmp_path / "runs", say=said.append), said

    return open_spoilt


def test_boxes_follow_pictures_that_came_in_another_size(run: Run, spoilt: Callable[..., tuple[Run, list[str]]]) -> None:
    smaller, said = spoilt((48, 36))
    assert [message.partition(" pictures have another size")[0] for message in said if "another size" in message] == ["2"]
    assert isinstance(smaller.y, Truth)
    of_smaller = np.isin(smaller.y.image, smaller.ids[:2])
    np.testing.assert_allclose(smaller.y.box[of_smaller] * 2, run.y.box[of_smaller])
    np.testing.assert_array_equal(smaller.y.box[~of_smaller], run.y.box[~of_smaller])
    assert smaller.data.train["width"].tolist()[:3] == [48, 48, 96]
    assert smaller.fingerprint != run.fingerprint


@pytest.mark.parametrize("size", [(72, 96), (96, 60)])
def test_pictures_of_another_shape_are_refused(spoilt: Callable[..., tuple[Run, list[str]]], size: tuple[int, int]) -> None:
    with pytest.raises(
        BadData, match=f"2 pictures have another shape .*first image_id {2**64 - 1}: annotated 96 x 72, the picture {size[0]} x"
    ):
        spoilt(size)


# ------------------------------------------------------------------------------------------------------------- what one looks at


def test_the_page_shows_pictures_with_both_sets_of_boxes_and_words(run: Run, assembled: Assembled) -> None:
    path = pages(run, assembled.blend.oof, "the ensemble")["Boxes on which annotations and predictions disagree"]
    assert path == run.store.path("boxes.html")
    page = path.read_text(encoding="utf-8")
    assert "PRACTICE DATA" in page
    assert 'class="true' in page
    assert 'class="found' in page
    assert re.search(r"not annotated: (red|green|blue) \(0\.\d\d\)", page)
    assert "by the ensemble out of fold" in page
    assert "<script" not in page
    assert "http" not in page
    assert copies(run).conflicting == 0


def test_what_was_found_as_something_else_is_drawn_thick_with_a_low_score_too(run: Run, tmp_path: Path) -> None:
    row = 0
    image, box = run.y.image[row], run.y.box[row]
    other = next(one for one in run.y.categories if one != run.y.category[row])
    found = Boxes(
        run.ids, np.array([image, image]), np.array([other, other]), np.array([box, [0, 0, 5, 5]]), np.array([0.1, 0.2])
    )
    page = boxes_page(run, found, "a test").read_text(encoding="utf-8")
    names = pd.Series(run.data.categories["name"].to_numpy(), index=run.columns)  # type: ignore[index]
    assert f"confused: {names[run.y.category[row]]} found as {names[other]} (0.10)" in page
    assert page.count('class="found odd"') == 1
    assert 'class="found agreed"' not in page  # 0.2 is not sure


# --------------------------------------------------------------------------------------------------------------- as it is typed


def test_every_command_knows_boxes(scenes: Path, podium: Callable[..., Any]) -> None:
    rows = ("--rows", "50")  # no less can be asked for
    data = podium("data", "scenes", *rows)
    lines = [line.split() for line in data.out.splitlines()]
    assert [line[:2] for line in lines if line[:1] in (["red"], ["green"], ["blue"])] == [
        ["red", "87"],
        ["green", "1034"],
        ["blue", "131"],
    ]
    assert re.search(r"\d+ of 50 train images have no box", data.out)

    wrong = podium("run", "scenes", *rows, "--phase", "vaild")
    assert (wrong.code, "Did you mean valid" in wrong.err) == (2, True)
    wrong = podium("run", "scenes", *rows, "--method", "mean")
    assert (wrong.code, "No ensemble method for this competition is called 'mean'" in wrong.err) == (2, True)
    assert not list(Path("runs").rglob("unit.json"))

    ran = podium("run", "scenes", *rows, "--phase", "valid", "--submission", "mine.zip", "--method", "nms")
    assert (ran.code, ran.last, ran.err) == (0, "mine.zip", "")
    assert "Leaving out boxes with low scores would cost: below 0.05" in ran.out
    assert re.search(r"^green +\d+ +0\.\d+ +0\.\d+ to \d", ran.out, re.MULTILINE)
    assert "At an overlap of 0.5 alone: 0." in ran.out
    checked = podium("submit", "scenes", "--check", "mine.zip", "--phase", "valid")
    assert (checked.code, checked.last) == (0, "mine.zip")
    other = podium("submit", "scenes", "--check", "mine.zip")
    assert (other.code, "[unknown-image]" in other.err) == (2, True)

    board = podium("board", "scenes").out
    assert "complete" in board
    assert "nan" not in board
    shown = podium("show", "scenes", "lax")
    assert (shown.code, shown.last) == (0, "runs/scenes/boxes.html")
    assert "by lax out of fold" in Path(shown.last).read_text()
    assert "Did you mean lax" in podium("show", "scenes", "lex").err
