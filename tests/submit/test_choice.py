"""Whether CV predicts the board is told with its doubt, in whatever direction the metric goes; two are chosen for their reasons."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.predictions import Boxes
from submit.boxes import answer
from submit.choice import RECENT, agreement, alike, answers, comparable, selection
from submit.ledger import SENT, Origin, Row


def row(
    number: int, honest: float | None = None, public: float | None = None, file: Path = Path("gone.csv"), **change: object
) -> Row:
    made = Origin(
        "d",
        "rmse",
        "mean",
        {"ridge": 1.0},
        honest,
        honest,
        None if honest is None else honest - 1,
        None if honest is None else honest + 1,
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else f"{number:064}"
    told = Row(
        number,
        "toy",
        sha256,
        1,
        SENT,
        "",
        "2026-11-21T10:00:00+00:00",
        str(file),
        "",
        f"m{number}",
        "kaggle",
        number,
        made,
        public,
        None,
        "",
    )
    return replace(told, **change)  # type: ignore[arg-type]


def rows(cv: list[float] | np.ndarray, board: list[float] | np.ndarray) -> list[Row]:
    return [row(number, float(one), float(other)) for number, (one, other) in enumerate(zip(cv, board, strict=True))]


# ---------------------------------------------------------------------------------------------------------------------- agreement


@pytest.mark.parametrize("sign", [1, -1])
def test_a_board_that_follows_cv_is_told_so_in_either_direction(sign: int) -> None:
    rng = np.random.default_rng(1)
    cv = rng.normal(0, 1, 20)
    found = agreement(rows(sign * cv, sign * (3 + 0.5 * cv + rng.normal(0, 0.05, 20))))
    assert found is not None
    assert found.spearman == pytest.approx(spearmanr(cv, 3 + 0.5 * cv)[0], abs=0.05)
    assert found.low > 0.8
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert len(found.sentences()) == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_cv_that_leads_no_further_is_warned_of(sign: int) -> None:
    cv = np.arange(16.0)
    board = np.array([*np.arange(10.0), *(9 - 0.1 * np.arange(6))])
    found = agreement(rows(sign * cv, sign * board))
    assert found is not None
    assert (found.recent, found.spearman > 0.5) == (-1.0, True)
    assert f"WARNING: CV stopped predicting the board: over the last {RECENT} Spearman's is -1.00" in found.sentences()[1]


def test_a_cv_that_has_nothing_to_do_with_the_board_is_warned_of() -> None:
    rng = np.random.default_rng(2)
    found = agreement(rows(rng.normal(size=12), rng.normal(size=12)))
    assert found is not None
    assert found.low < 0 < found.high
    assert "WARNING" in found.sentences()[1]


def test_warnings_are_rare_where_cv_predicts_and_the_rule_where_it_does_not() -> None:
    warned = {0.0: 0, 2.0: 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for strength in warned:
            cv = rng.normal(size=15)
            found = agreement(rows(cv, strength * cv + rng.normal(0, 0.5, 15)))
            warned[strength] += found is not None and len(found.sentences()) > 1
    assert warned[2.0] <= 1
    assert warned[0.0] >= 34


def test_the_slope_does_not_follow_one_botched_submission() -> None:
    cv = np.arange(10.0)
    found = agreement(rows(cv, np.where(cv == 4, 900, 2 * cv)))
    assert found is not None
    assert found.slope == pytest.approx(2)


@pytest.mark.parametrize(
    ("cv", "board"), [([1, 2, 3, 4], [1, 2, 3, 4]), ([1] * 6, [1, 2, 3, 4, 5, 6]), ([1, 2, 3, 4, 5, 6], [2] * 6), ([], [])]
)
def test_what_says_nothing_is_no_agreement(cv: list[float], board: list[float]) -> None:
    assert agreement(rows(cv, board)) is None


def test_ties_and_few_rows_give_numbers_and_no_warnings_of_numpy_s() -> None:
    found = agreement(rows([1, 1, 1, 1, 2], [3, 3, 3, 3, 5]))
    assert found is not None
    assert found.spearman == pytest.approx(1)
    assert found.sentences()


def test_only_what_arrived_with_a_cv_by_this_metric_counts_and_equal_files_once() -> None:
    whole = row(1, 0.5)
    others = [
        row(2),
        row(3, 0.5, state="failed"),
        row(4, 0.5, origin=replace(whole.origin, metric="auc")),
        row(5, 0.4, sha256=whole.sha256),
    ]
    assert comparable([whole, *others], "rmse") == [whole]


# ---------------------------------------------------------------------------------------------------------------------- selection


def written(folder: Path, name: str, values: np.ndarray) -> Path:
    file = folder / f"{name}.csv"
    file.write_text("id,y\n" + "".join(f"{number},{value!r}\n" for number, value in enumerate(values.tolist())))
    return file


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    best = rng.normal(size=200)
    made = {
        "best": best,
        "twin": best + rng.normal(0, 0.01, 200),
        "other": best + rng.normal(0, 1, 200),
        "far": rng.normal(size=200),
    }
    return {name: written(tmp_path, name, values) for name, values in made.items()}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_and_the_least_like_it_among_the_nearly_best_are_selected(
    sign: int, files: dict[str, Path], tmp_path: Path
) -> None:
    known = [
        row(1, sign * 7.5, file=files["other"]),
        row(2, sign * 8.0, file=files["best"]),
        row(3, sign * 7.9, file=files["twin"]),
        row(4, sign * 5.0, file=files["far"]),  # beyond the interval of the best
    ]
    one, two = selection(known, sign, tmp_path)
    assert one.startswith("Select 1: 'm2' of 2026-11-21 10:00 (")
    assert f"the best honest CV, {sign * 8.0:g}." in one
    assert "Select 2: 'm1' of" in two
    low, high = (7, 9) if sign > 0 else (-9, -7)
    assert f"within the best's interval ({low} to {high}), and of the 2 there the least like the best: likeness 0." in two


def test_a_kept_copy_stands_for_a_file_that_is_gone(files: dict[str, Path], tmp_path: Path) -> None:
    known = [row(1, 8.0, file=files["best"]), row(2, 7.9, file=files["other"]), row(3, 7.8, file=files["twin"])]
    kept = tmp_path / "submissions" / f"20261121T100000.0Z-{known[1].sha256[:8]}"
    kept.mkdir(parents=True)
    files["other"].rename(kept / "submission.csv")
    assert "'m2'" in selection(known, 1, tmp_path / "submissions")[1]
    (kept / "submission.csv").write_text("id,y\n0,changed\n")
    assert "'m3'" in selection(known, 1, tmp_path / "submissions")[1]


def test_where_there_is_nothing_to_compare_the_reason_is_said(files: dict[str, Path], tmp_path: Path) -> None:
    assert selection([], 1, tmp_path) == []
    assert "no other with a CV" in selection([row(1, 8.0)], 1, tmp_path)[1]
    assert "no longer there to compare" in selection([row(1, 8.0), row(2, 7.9)], 1, tmp_path)[1]
    assert "no other lies within the best's interval" in selection([row(1, 8.0), row(2, 3.0)], 1, tmp_path)[1]


def test_labels_are_alike_by_their_share_and_chances_by_rank() -> None:
    labels = [
        {"image": ["label"], "a": ["oak"], "b": ["elm"], "c": ["ash"]},
        {"image": ["label"], "a": ["oak"], "b": ["oak"], "c": ["ash"]},
    ]
    assert alike(*labels) == 0.75  # the header too
    one = {"id": ["p", "q"], **{str(n): [str(n / 9), str(1 - n / 9)] for n in range(9)}}
    assert alike(one, one) == pytest.approx(1)
    assert alike(one, {**one, **{str(n): one[str(n)][::-1] for n in range(9)}}) == pytest.approx(-1, abs=0.01)
    assert alike({"1": ["2"], "2": ["2"]}, {"1": ["1"], "2": ["3"]}) is None


def test_boxes_are_alike_by_the_best_score_of_each_picture_and_category(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def zipped(name: str, scores: np.ndarray) -> Row:
        image = np.array([str(2**63 + number // 2) for number in range(40)])
        category = np.array(["87", "131"] * 20)
        boxes = Boxes(np.unique(image), image, category, np.tile([1.0, 1.0, 5.0, 5.0], (40, 1)), scores)
        file = tmp_path / f"{name}.zip"
        file.write_bytes(answer(boxes))
        return row(1, 0.5, file=file)

    scores = rng.random(40)
    of = [answers(zipped(name, each), tmp_path) for name, each in (("a", scores), ("b", scores**2), ("c", rng.random(40)))]
    assert alike(of[0], of[1]) == pytest.approx(1)  # type: ignore[arg-type]
    assert abs(alike(of[0], of[2]) or 0) < 0.5  # type: ignore[arg-type]
