"""Tuning of a small model, with Optuna and SQLite as they are: what is tried, kept, written and known afterwards."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from optuna.trial import TrialState

from pipeline.competition import Model
from pipeline.errors import BadRecipe, BadStorage, NothingUsable, UnknownName
from pipeline.run import Run, open_run
from pipeline.train import Outcome, train
from pipeline.tune import study as studies
from pipeline.tune.honest import Verdict
from pipeline.tune.search import Search, answering, begin, conclude, go_on, others
from pipeline.tune.study import OWNER, UNITS
from pipeline.tune.trial import Result
from tests.conftest import TOY, competition

ROWS, TRIALS = 60, 8
MODELS = """

def models():
    return {"ridge": Model("ridge"), "own": Ridge(alpha=0.1), "wrong": Model("ridge", {"alpha": -1.0})}
"""


@dataclass
class Done:
    runs: Path
    run: Run
    search: Search
    results: list[Result]
    verdict: Verdict
    page: Path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with competition(tmp_path_factory.mktemp("more_competitions"), "toy", TOY + MODELS) as file:
        yield file


@pytest.fixture(scope="module")
def done(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    runs = tmp_path_factory.mktemp("runs")
    run = open_run("toy", runs=runs, rows=ROWS)
    search = begin(run, "ridge", TRIALS)
    results = list(go_on(search, jobs=1))
    return Done(runs, run, search, results, *conclude(search))


def test_the_first_trial_is_the_recipe_as_it_was(done: Done) -> None:
    first = done.results[0]
    assert (first.number, first.state, first.untuned, first.values) == (0, "complete", True, {})
    watch: list[Outcome] = []
    members = train(done.run, ["ridge"], workers=1, notify=watch.append)
    assert {outcome.state for outcome in watch} == {"kept"}
    assert members["ridge"].score == first.score


def test_every_trial_has_its_turn_and_those_that_are_worse_end_early(done: Done) -> None:
    assert [result.number for result in done.results] == list(range(TRIALS))
    assert {result.state for result in done.results} <= {"complete", "pruned"}
    assert all(result.folds == 3 for result in done.results if result.state == "complete")
    assert all(result.folds < 3 for result in done.results if result.state == "pruned")
    assert sum(result.state == "complete" for result in done.results) >= studies.ENOUGH


def test_the_best_recipe_is_known_by_name_and_trained_already(done: Done) -> None:
    run = open_run("toy", runs=done.runs, rows=ROWS)
    recipe = run.entry.models()["ridge-tuned"]
    assert isinstance(recipe, Model)
    assert dict(recipe.params) == next(one.values for one in done.results if one.number == done.verdict.number)
    watch: list[Outcome] = []
    members = train(run, ["ridge", "ridge-tuned"], workers=1, notify=watch.append)
    assert {outcome.state for outcome in watch} == {"kept"}
    assert members["ridge-tuned"].score == pytest.approx(done.verdict.score)
    assert members["ridge-tuned"].score <= members["ridge"].score


def test_of_losers_only_what_was_predicted_out_of_fold_is_kept(done: Done) -> None:
    best = studies.best(done.search.study)
    assert best is not None
    assert sorted(done.run.store.list("units", "ridge-tuned")) == sorted(best.user_attrs[UNITS])
    kept = list(done.run.store.list("tuning", done.search.subject.folder, "trials"))
    assert len(kept) == len({json.dumps(one.values) for one in done.results if one.state == "complete"})


def test_the_honest_score_stands_beside_the_one_that_chose(done: Done) -> None:
    found = done.verdict
    assert found.score <= found.gain.scores[0]
    assert found.score <= found.honest + 1e-12
    assert found.gain.scores == (pytest.approx(done.results[0].score), pytest.approx(found.honest))
    assert len(found.chosen) == 3
    assert len(found.sentences) == 3


def test_the_page_shows_history_and_importances(done: Done) -> None:
    page = done.page.read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert page.count("<circle") == sum(result.state == "complete" for result in done.results)
    assert "PRACTICE DATA" in page
    assert "alpha" in page
    assert "http" not in page


def test_the_same_command_goes_on_up_to_its_number(done: Done) -> None:
    again = begin(done.run, "ridge", TRIALS)
    assert again.where.name == done.search.where.name
    assert list(go_on(again, jobs=1)) == []
    assert list(go_on(begin(done.run, "ridge", TRIALS + 1), timeout=0, jobs=1)) == []
    assert again.finished == TRIALS


def test_a_trial_that_was_left_is_taken_up_with_its_parameters_and_its_folds(done: Done, tmp_path: Path) -> None:
    run = open_run("toy", runs=tmp_path, rows=ROWS)
    search = begin(run, "ridge", 2)
    assert [one.number for one in go_on(search, jobs=1)] == [0, 1]
    search = begin(run, "ridge", 3)
    left = studies.next_trial(search.where, search.study, search.subject, 3, 0)
    assert left is not None
    left.set_user_attr(OWNER, {**left.user_attrs[OWNER], "started": 0.0})  # of a process that had this number, and is no more
    todo = search.subject.units(run, search.subject.values_of(left))
    from pipeline.train import compute

    assert compute(run, todo[0]).state == "done"
    before = (run.store.path("units", todo[0].model, todo[0].key) / "unit.json").stat().st_mtime_ns
    watched: list[int] = []
    for result in go_on(search, jobs=1):
        assert (result.number, result.values) == (2, search.subject.values(left.params))
        watched.append(result.number)
    assert watched == [2]
    assert len(search.study.get_trials()) == 3
    place = run.store.path("units", todo[0].model, todo[0].key) / "unit.json"
    assert not place.exists() or place.stat().st_mtime_ns == before


def test_other_folds_are_another_study_and_said_to_be(done: Done) -> None:
    other = begin(open_run("toy", runs=done.runs, rows=ROWS, folds="4"), "ridge", TRIALS)
    assert other.where.name != done.search.where.name
    assert others(other) == [done.search.where.folder]
    assert other.finished == 0


def test_what_cannot_be_tuned_is_refused_with_the_cure(done: Done) -> None:
    with pytest.raises(UnknownName, match="Did you mean ridge"):
        begin(done.run, "rigde", 1)
    with pytest.raises(BadRecipe, match=r"estimator by itself, which has no search space.*lightgbm"):
        begin(done.run, "own", 1)
    with pytest.raises(BadRecipe, match="Tune 'ridge', with more --trials"):
        begin(done.run, "ridge-tuned", 1)


@pytest.mark.parametrize(
    "url", ["nosuch://host/x", "no url", "sqlite://", "sqlite:////nowhere/at/all.db", "postgresql+nodriver://me:secret@h/x"]
)
def test_a_storage_that_is_none_is_one_message_without_its_password(done: Done, url: str) -> None:
    with pytest.raises(BadStorage, match="No study can be kept in the storage") as error:
        begin(done.run, "ridge", 1, storage=url)
    assert "secret" not in str(error.value)


def test_a_trial_of_another_machine_is_left_a_day_after_it_was_taken_up(done: Done) -> None:
    """Not after it began, which was longer ago where it was taken up from another process."""
    study = done.search.study
    trial = study.ask()
    had = {**studies.owner(done.search.where), "host": "elsewhere"}
    for since, left in ((60.0, False), (25 * 3600.0, True)):
        trial.set_user_attr(OWNER, {**had, "begun": time.time() - since})
        assert studies.is_left(next(one for one in study.trials if one.number == trial.number)) is left
    study.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_storage_that_no_longer_answers_is_said(file: Path, tmp_path: Path, jobs: int) -> None:
    run = open_run("toy", runs=tmp_path, rows=ROWS)
    search = begin(run, "ridge", 3, storage=f"sqlite:///{tmp_path}/study.db")
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("DROP TABLE trials")
    with pytest.raises(BadStorage, match=r"no longer answers: .*trials.* goes on when it does"), answering(search.where.url):
        list(go_on(search, jobs=jobs))


def test_a_recipe_that_fails_untuned_ends_the_search(file: Path, tmp_path: Path) -> None:
    search = begin(open_run("toy", runs=tmp_path, rows=ROWS), "wrong", 4)
    with pytest.raises(NothingUsable, match="untuned recipe of wrong fails, in fold 1"):
        list(go_on(search, jobs=1))
    with pytest.raises(NothingUsable, match="not through its folds"):
        conclude(search)
