"""Grading at home: the score that the competition's own grader would give, and whose fault it is where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from pipeline.competition import Classification, Competition, Data, Detection, Regression, Task
from pipeline.errors import BadAnswers, BadSubmission
from pipeline.folds import KFold
from pipeline.predictions import Boxes
from submit.boxes import answer
from submit.grade import Grade, grade

ROWS = 40
IDS = [f"r{number}" for number in range(ROWS)]
USAGE = ["Public", "Private", "Private", "Ignored"] * (ROWS // 4)
CLASSES = ("C", "CL", "D")
RNG = np.random.default_rng(3)
TRUE = RNG.lognormal(2, 1, ROWS)
GUESS = TRUE * RNG.lognormal(0, 0.2, ROWS)
LABEL = RNG.integers(0, 3, ROWS)
CHANCES = RNG.dirichlet(np.ones(3), ROWS)
YES = RNG.integers(0, 2, ROWS)
CHANCE = np.clip(YES * 0.3 + RNG.random(ROWS) * 0.7, 0, 1)


def of(task: Task) -> Competition:
    return Competition("some", "some", task, KFold())


PRICES = of(Regression(id="id", target="y", metric="rmsle", low=0.0))
KINDS = of(Classification(id="id", target="y", metric="accuracy"))
CLASS_CHANCES = of(Classification(id="id", target="y", metric="log_loss"))
BINARY = of(Classification(id="id", target="y", metric="auc"))


def price_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame({"id": IDS, "y": GUESS}), pd.DataFrame({"id": IDS, "y": TRUE, "Usage": USAGE})


def chance_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    one_hot = pd.DataFrame(np.eye(3, dtype=int)[LABEL], columns=CLASSES)
    return pd.DataFrame({"id": IDS} | dict(zip(CLASSES, CHANCES.T, strict=True))), pd.concat(
        [pd.DataFrame({"id": IDS}), one_hot], axis=1
    )


@pytest.fixture
def graded(tmp_path: Path) -> Callable[..., Grade]:
    """Grades two tables, or texts."""

    def graded(competition: Competition, file: Any, answers: Any, data: Data | None = None) -> Grade:
        for name, content in (("file.csv", file), ("answers.csv", answers)):
            text = content if isinstance(content, str) else content.to_csv(index=False)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return grade(competition, tmp_path / "file.csv", tmp_path / "answers.csv", data)

    return graded


def rmsle(rows: Any) -> float:
    return float(np.sqrt(np.mean((np.log1p(GUESS[rows]) - np.log1p(TRUE[rows])) ** 2)))


# ------------------------------------------------------------------------------------------------------------------------ scores


def test_public_and_private_parts_are_scored_apart_and_ignored_rows_not_at_all(graded: Callable[..., Grade]) -> None:
    public, private = graded(PRICES, *price_tables()).parts
    assert (public.name, private.name) == ("public", "private")
    assert (public.rows, private.rows) == (ROWS // 4, ROWS // 2)
    for part in (public, private):
        assert part.score == pytest.approx(rmsle(np.array(USAGE) == part.name.capitalize()))
        assert part.low < part.score < part.high


def test_without_usage_there_is_one_part(graded: Callable[..., Grade]) -> None:
    file, answers = price_tables()
    (part,) = graded(PRICES, file, answers.drop(columns="Usage")).parts
    assert (part.name, part.rows, part.score) == ("all", ROWS, pytest.approx(rmsle(slice(None))))


def test_an_ignored_row_needs_no_answer(graded: Callable[..., Grade]) -> None:
    file, answers = price_tables()
    answers["y"] = answers["y"].where(answers["Usage"] != "Ignored")
    assert len(graded(PRICES, file, answers).parts) == 2


def test_labels_are_compared_as_text_and_numbers_as_numbers(graded: Callable[..., Grade]) -> None:
    said = np.where(np.arange(ROWS) < 10, (LABEL + 1) % 3, LABEL)
    for name in (lambda label: CLASSES[label], lambda label: str(label), lambda label: f"{label}.0"):
        file = pd.DataFrame({"id": IDS, "y": [name(label) for label in said]})
        answers = pd.DataFrame({"id": IDS, "y": [str(label) if name(0) != "C" else CLASSES[label] for label in LABEL]})
        assert graded(KINDS, file, answers).parts[0].score == 0.75


def test_the_chance_of_the_second_of_two_classes_is_what_a_single_column_holds(graded: Callable[..., Grade]) -> None:
    file = pd.DataFrame({"id": IDS, "y": CHANCE})
    for words in ("0 1", "0.0 1.0", "no yes", "False True"):
        answers = pd.DataFrame({"id": IDS, "y": [words.split()[yes] for yes in YES]})
        assert graded(BINARY, file, answers).parts[0].score == pytest.approx(roc_auc_score(YES, CHANCE))


def test_classes_may_be_answered_by_name_or_by_columns(graded: Callable[..., Grade]) -> None:
    file, one_hot = chance_tables()
    by_name = pd.DataFrame({"id": IDS, "y": [CLASSES[label] for label in LABEL]})
    for answers in (one_hot, by_name):
        assert graded(CLASS_CHANCES, file, answers).parts[0].score == pytest.approx(log_loss(LABEL, CHANCES))


@given(st.permutations(range(ROWS)), st.permutations(range(ROWS)))
@settings(deadline=None, max_examples=8)
def test_rows_are_joined_by_id(tmp_path_factory: pytest.TempPathFactory, one: list[int], other: list[int]) -> None:
    folder = tmp_path_factory.mktemp("any")
    file, answers = price_tables()
    file.iloc[one].to_csv(folder / "f.csv", index=False)
    answers.iloc[other].to_csv(folder / "a.csv", index=False)
    public, private = grade(PRICES, folder / "f.csv", folder / "a.csv").parts
    assert public.score == pytest.approx(rmsle(np.array(USAGE) == "Public"))
    assert private.score == pytest.approx(rmsle(np.array(USAGE) == "Private"))


def test_what_a_board_would_score_is_scored_and_said(graded: Callable[..., Grade]) -> None:
    file, answers = price_tables()
    found = graded(PRICES, file.assign(y=7.5).iloc[::-1], answers.drop(columns="Usage"))
    assert found.parts[0].score == pytest.approx(float(np.sqrt(np.mean((np.log1p(7.5) - np.log1p(TRUE)) ** 2))))
    assert [caution.partition("]")[0] for caution in found.cautions] == ["[id-order", "[constant"]


# ---------------------------------------------------------------------------------------------------------- whose fault it is

Change = Callable[[pd.DataFrame], Any]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda file: file.to_csv(index=False)[:-3], "cut-short"),
        (lambda file: "", "file-empty"),
        (lambda file: file.rename(columns={"y": "Y"}), "columns"),
        (lambda file: file[:-1], "row-count"),
        (lambda file: pd.concat([file, file[:1]]), "row-count"),
        (lambda file: file.assign(id=["other", *IDS[1:]]), "unknown-id"),
        (lambda file: file.assign(y=file["y"].where(file.index != 3)), "blank"),
        (lambda file: file.assign(y=["nan", *file["y"][1:]]), "nan"),
        (lambda file: file.assign(y=-1.0), "range"),
    ],
)
def test_a_broken_submission_is_refused_by_the_rules_name(graded: Callable[..., Grade], change: Change, rule: str) -> None:
    file, answers = price_tables()
    with pytest.raises(BadSubmission) as refused:
        graded(PRICES, change(file), answers)
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda answers: answers.to_csv(index=False)[:-3], "cut short"),
        (lambda answers: "", "is empty"),
        (lambda answers: answers.rename(columns={"y": "z"}), "'y' is needed"),
        (lambda answers: answers.rename(columns={"id": "ID"}), "has no column 'id'"),
        (lambda answers: answers[:-1], "lacks 1 of the 40 ids .* first 'r39'"),
        (lambda answers: answers.assign(id=[f"x{number}" for number in range(ROWS)]), "has none of the 40 ids"),
        (lambda answers: answers.assign(id="r1"), "39 ids that are empty or stand twice"),
        (
            lambda answers: answers.assign(y=answers["y"].where(answers.index != 0)),
            "no finite number in 1 rows, first '' at id 'r0'",
        ),
        (lambda answers: answers.assign(y="many"), "no finite number in 30 rows"),
        (lambda answers: answers.assign(y=-2.0), "cannot be what .* rows are judged by: RMSLE needs true values"),
        (lambda answers: answers.assign(Usage="Both"), "Usage is not Public, Private or Ignored, first 'both'"),
        (lambda answers: answers.assign(Usage="Ignored"), "no row that counts"),
    ],
)
def test_faulty_answers_are_no_fault_of_the_submission(graded: Callable[..., Grade], change: Change, says: str) -> None:
    file, answers = price_tables()
    with pytest.raises(BadAnswers, match=says):
        graded(PRICES, file, change(answers))


@pytest.mark.parametrize(
    ("competition", "answers", "says"),
    [
        (BINARY, pd.DataFrame({"id": IDS, "y": "1"}), "AUC needs rows of two classes"),
        (BINARY, pd.DataFrame({"id": IDS, "y": ["a", "b", "c", "d"] * 10}), r"has the classes \['a', 'b', 'c', 'd'\]"),
        (BINARY, pd.DataFrame({"id": IDS, "y": ["", *"1" * 39]}), "has no answer in 1 rows"),
        (CLASS_CHANCES, chance_tables()[1].assign(D=1), "has not one class in"),
        (CLASS_CHANCES, chance_tables()[1].assign(D=2), "that is not 0 or 1"),
    ],
)
def test_answers_of_classes_are_looked_at_too(
    graded: Callable[..., Grade], competition: Competition, answers: Any, says: str
) -> None:
    file = pd.DataFrame({"id": IDS, "y": CHANCE}) if competition is BINARY else chance_tables()[0]
    with pytest.raises(BadAnswers, match=says):
        graded(competition, file, answers)


def test_a_class_without_a_column_is_the_submissions_fault(graded: Callable[..., Grade]) -> None:
    file, _ = chance_tables()
    with pytest.raises(BadSubmission, match="has no column for 1 classes of the answers, first 'D'") as refused:
        graded(CLASS_CHANCES, file.drop(columns="D"), pd.DataFrame({"id": IDS, "y": [CLASSES[label] for label in LABEL]}))
    assert refused.value.rule == "columns"


def test_the_sample_submission_says_which_of_two_files_lacks_an_id(graded: Callable[..., Grade]) -> None:
    file, answers = price_tables()
    sample = pd.DataFrame({"id": IDS, "y": "0"}, dtype=object)
    data = Data(pd.DataFrame({"id": ["a"], "y": [1.0]}), sample[["id"]], sample)
    with pytest.raises(
        BadAnswers, match="does not fit the sample submission: it lacks 1 of its 40 ids and has 0 others, first 'r39'"
    ):
        graded(PRICES, file[:-1], answers[:-1], data)
    with pytest.raises(BadSubmission, match="row-count"):
        graded(PRICES, file[:-1], answers, data)
    assert graded(PRICES, file, answers, data).parts == graded(PRICES, file, answers).parts


# ------------------------------------------------------------------------------------------------------------------------- boxes


@pytest.fixture
def scenes(tmp_path: Path) -> Callable[..., Grade]:
    """Grades boxes, given as rows of image, category, box and score, against two boxes in each of 30 images with ids beyond 2^63."""
    ids = [2**64 - 1 - number for number in range(30)]
    images = [{"id": one, "file_name": f"{one}.jpg", "width": 100, "height": 80} for one in ids]
    boxes = [{"image_id": one, "category_id": 87, "bbox": [10, 10, 20, 30]} for one in ids]
    boxes += [{"image_id": one, "category_id": 5, "bbox": [50, 40, 30, 20]} for one in ids]
    categories = [{"id": 87, "name": "belt"}, {"id": 5, "name": "hat"}]
    content = {"images": images, "annotations": [{"id": n, **box} for n, box in enumerate(boxes)], "categories": categories}

    def scenes(rows: list[tuple[int, int, list[float], float]] | None = None, **changes: Any) -> Grade:
        rows = (
            [(box["image_id"], box["category_id"], box["bbox"], 0.5 + n / 200) for n, box in enumerate(boxes)]
            if rows is None
            else rows
        )  # type: ignore[misc]
        image, category, box, score = zip(*rows, strict=True)
        found = Boxes(
            np.array([str(one) for one in dict.fromkeys(image)]),
            np.array(list(map(str, image))),
            np.array(list(map(str, category))),
            np.array(box),
            np.array(score),
        )
        (tmp_path / "answer.zip").write_bytes(answer(found))
        (tmp_path / "truth.json").write_text(json.dumps({**content, **changes}))
        return grade(of(Detection()), tmp_path / "answer.zip", tmp_path / "truth.json")

    return scenes


IMAGE = 2**64 - 1


def test_boxes_are_scored_by_the_pipelines_own_evaluator(scenes: Callable[..., Grade]) -> None:
    (part,) = scenes().parts
    assert (part.name, part.rows, part.score, part.low, part.high) == ("all", 30, 1.0, 1.0, 1.0)


def test_half_of_the_images_are_half_of_the_score_and_said(scenes: Callable[..., Grade]) -> None:
    rows = [(IMAGE - number, 87, [10, 10, 20, 30], 0.9 - number / 100) for number in range(14)]
    found = scenes(rows)
    assert found.parts[0].score == pytest.approx(0.23, abs=0.01)
    assert [caution.partition("]")[0] for caution in found.cautions] == ["[few-images"]


def test_boxes_of_unknown_images_and_other_answers_are_told_apart(scenes: Callable[..., Grade]) -> None:
    good = (IMAGE, 87, [10, 10, 20, 30], 0.9)
    with pytest.raises(BadSubmission, match="unknown-image"):
        scenes([good, (7, 87, [10, 10, 20, 30], 0.8)])
    with pytest.raises(BadAnswers, match="has none of the images"):
        scenes([(7, 87, [10, 10, 20, 30], 0.8)])
    with pytest.raises(BadSubmission, match="unknown-category"):
        scenes([good, (IMAGE, 6, [10, 10, 20, 30], 0.8)])
    with pytest.raises(BadAnswers, match="has no boxes"):
        scenes(annotations=[])
    with pytest.raises(BadAnswers, match="cannot be read"):
        scenes(annotations=None)
