"""Units: done once, kept bit for bit, each failing alone."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge

import competitions
from pipeline import identity
from pipeline.competition import Model, PseudoLabels
from pipeline.errors import BadRecipe, UnknownName
from pipeline.feature_cache import fold_features
from pipeline.gathering import gathered
from pipeline.predictions import Table
from pipeline.run import Run, open_run
from pipeline.store import unpack
from pipeline.train import Outcome, by_model, compute, recipes, resampled_before, train, units, with_pseudo_labels
from tests.pipeline.models import tabled

ROWS = 60
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test
LINES = {"ridge": Model("ridge"), "own": Ridge(alpha=0.1, solver="cholesky")}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Run:
    return open_run("toy", runs=tmp_path / "runs", rows=ROWS)


class Watch(list[Outcome]):
    """What became of every unit, as "model fold seed": state."""

    __call__ = list.append

    @property
    def states(self) -> dict[str, str]:
        return {f"{o.unit.model} {o.unit.fold} {o.unit.seed}": o.state for o in self}

    def of(self, state: str) -> list[str]:
        return sorted(name for name, found in self.states.items() if found == state)


def files(run: Run, *below: str) -> dict[str, str]:
    """SHA-256 and time of change of every file, by its path."""
    return {
        str(path.relative_to(run.store.root)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(run.store.path(*below).rglob("*"))
        if path.is_file()
    }


def test_every_row_is_validated_once_and_every_test_row_predicted(run: Run) -> None:
    watch = Watch()
    members = train(run, workers=1, notify=watch)
    assert list(members) == ["lightgbm", "ridge", "own"]
    assert watch.of("done") == sorted(f"{name} {fold} 0" for name in members for fold in range(3))
    for name, member in members.items():
        assert sorted(member.oof.ids) == sorted(run.ids)
        assert member.test.ids.tolist() == run.test_ids.tolist()
        assert member.score == pytest.approx(np.sqrt(np.mean((member.oof.at(run.ids)[:, 0] - run.y) ** 2)))
        assert len(member.keys) == 3
        assert member.seconds > 0
        assert all(json.loads(run.store.read("units", name, key)["unit.json"])["practice"] for key in member.keys)
    assert members["own"].score < 0.1 < members["lightgbm"].score


def test_out_of_fold_means_that_no_row_was_seen_by_the_model_that_predicts_it(run: Run) -> None:
    class Memory(BaseEstimator):  # type: ignore[misc]
        def fit(self, X: np.ndarray, y: np.ndarray) -> Memory:
            self.seen_ = dict(zip((row.tobytes() for row in X), y, strict=True))
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.array([self.seen_.get(row.tobytes(), 99.0) for row in X])

    assert (train(run, {"memory": Memory()}, workers=1)["memory"].oof.at(run.ids) == 99).all()


def test_automl_is_a_recipe_by_its_familys_name(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tabled.stand_in(tmp_path, monkeypatch)
    said: list[str] = []
    member = train(run, ["autogluon"], workers=1, say=said.append)["autogluon"]
    assert np.isfinite(member.oof.at(run.ids)).all()
    assert any(line.endswith("fold 1: train") for line in said)
    first = units(run, recipes(run.entry, ["autogluon"]))[0]
    assert "a line of its own log" in run.store.read("units", "autogluon", first.key)["log.txt"].decode()
    assert resampled_before(run) == ["autogluon"]
    assert list(gathered(run, ["autogluon"], 1, said.append)) == list(gathered(run, [], 1, said.append)) == ["autogluon"]
    assert not list(run.store.list("scratch", "autogluon"))
    with pytest.raises(UnknownName, match="Did you mean seconds"):
        train(run, {"own": Model("autogluon", {"second": 9})}, workers=1)


def test_a_second_start_keeps_every_file_bit_for_bit(run: Run) -> None:
    first = train(run, LINES, workers=1)
    before, watch = files(run), Watch()
    again = train(run, LINES, workers=1, notify=watch)
    assert files(run) == before
    assert {outcome.state for outcome in watch} == {"kept"}
    assert [outcome.seconds > 0 for outcome in watch] == [True] * 6
    for name in LINES:
        assert again[name].oof.at(run.ids).tobytes() == first[name].oof.at(run.ids).tobytes()


def test_only_missing_units_are_done_and_damaged_ones_made_again(run: Run) -> None:
    train(run, LINES, workers=1)
    before = files(run, "units")
    gone, cut = units(run, LINES)[0], units(run, LINES)[4]
    run.store.remove("units", gone.model, gone.key)
    file = run.store.path("units", cut.model, cut.key, "oof.npz")
    file.write_bytes(file.read_bytes()[:-1])
    watch, said = Watch(), list[str]()
    assert set(train(run, LINES, workers=1, notify=watch, say=said.append)) == set(LINES)
    assert watch.of("done") == ["own 1 0", "ridge 0 0"]
    assert len(said) == 1
    assert "made again" in said[0]
    after = files(run, "units")
    assert {path for path in before if before[path] == after.get(path)} == {
        path for path in before if gone.key not in path and cut.key not in path
    }
    for path in before:
        assert not path.endswith(".npz") or before[path].split()[0] == after[path].split()[0]


def test_fresh_does_these_models_anew_and_only_these(run: Run) -> None:
    train(run, LINES, workers=1)
    watch = Watch()
    train(run, {"ridge": LINES["ridge"]}, workers=1, fresh=True, notify=watch)
    assert watch.of("done") == ["ridge 0 0", "ridge 1 0", "ridge 2 0"]
    watch = Watch()
    train(run, LINES, workers=1, notify=watch)
    assert not watch.of("done")


def test_seeds_are_averaged_and_earlier_ones_kept(run: Run) -> None:
    drawn = {"forest": Model("extra-trees", {"n_estimators": 2})}
    one, watch = train(run, drawn, workers=1)["forest"], Watch()
    three = train(run, drawn, seeds=3, workers=1, notify=watch)["forest"]
    assert watch.of("kept") == ["forest 0 0", "forest 1 0", "forest 2 0"]
    assert len(watch.of("done")) == 6
    assert len(three.keys) == 9
    assert three.score < one.score
    alone = [run.store.read("units", "forest", unit.key) for unit in units(run, drawn, 3)]
    assert len({file["test.npz"] for file in alone}) == 9


def test_the_number_of_workers_changes_no_byte_and_no_key(toy: Path, tmp_path: Path) -> None:
    one, two = (open_run("toy", runs=tmp_path / str(workers), rows=ROWS) for workers in (1, 2))
    first, second = train(one, workers=1), train(two, workers=2)
    assert list(first) == list(second) == ["lightgbm", "ridge", "own"]
    for name in first:
        assert first[name].keys == second[name].keys
        for key in first[name].keys:
            for file in ("oof.npz", "test.npz"):
                assert one.store.read("units", name, key)[file] == two.store.read("units", name, key)[file]


def test_the_order_of_test_rows_changes_no_prediction(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "shuffled"
    folder.mkdir()
    for file in run.root.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    test = pd.read_csv(folder / "test.csv")
    test.sample(frac=1, random_state=1).to_csv(folder / "test.csv", index=False)
    other = open_run("toy", data=folder, runs=tmp_path / "runs")
    assert other.test_ids.tolist() != run.test_ids.tolist()
    first, second = train(run, workers=1), train(other, workers=1)
    for name in first:
        assert second[name].test.at(run.test_ids).tobytes() == first[name].test.at(run.test_ids).tobytes()


class Odd(BaseEstimator):  # type: ignore[misc]
    """Fits a mean; does something odd in the fold in which one row is missing."""

    def __init__(self, how: str, missing: float) -> None:
        self.how, self.missing = how, missing

    def fit(self, X: np.ndarray, y: np.ndarray) -> Odd:
        self.odd_ = self.missing not in y
        self.mean_ = y.mean()
        print("fitting aloud")
        print("and to stderr", file=sys.stderr)
        if self.odd_ and self.how == "raise":
            raise RuntimeError("no convergence after 7 steps")
        if self.odd_ and self.how == "exit":
            sys.exit("left")
        if self.odd_ and self.how == "die":
            os.kill(os.getpid(), 9)
        return self

    def predict(self, X: np.ndarray) -> Any:
        wrong = {"nan": np.nan, "inf": np.inf, "wide": np.zeros((len(X), 2)), "short": np.zeros(len(X) - 1)}
        return (
            wrong[self.how] + np.zeros(len(X))
            if self.odd_ and self.how in ("nan", "inf")
            else (wrong[self.how] if self.odd_ and self.how in wrong else np.full(len(X), self.mean_))
        )


def odd(run: Run, how: str, fold: int = 1) -> Odd:
    return Odd(how, float(run.y[run.folds.validate(fold)[0]]))


FAILURES = {
    "raise": "RuntimeError: no convergence after 7 steps",
    "exit": "SystemExit: left",
    "nan": "20 of 20 predictions are NaN or infinite, first at id ",
    "inf": "20 of 20 predictions are NaN or infinite, first at id ",
    "wide": "Predictions have shape (40, 1); 20 ids and columns ('y',) need (20, 1).",
    "short": "Predictions have shape (19, 1); 20 ids and columns ('y',) need (20, 1).",
}


@pytest.mark.parametrize(("how", "fold"), [(how, number % 3) for number, how in enumerate(FAILURES)])
def test_a_model_that_fails_in_one_fold_is_listed_with_its_traceback_and_the_others_go_on(run: Run, how: str, fold: int) -> None:
    named, watch = {"odd": odd(run, how, fold), **LINES}, Watch()
    assert list(train(run, named, workers=1, notify=watch)) == list(LINES)
    assert watch.of("failed") == [f"odd {fold} 0"]
    assert len(watch.of("done")) == 8
    failed = next(outcome for outcome in watch if outcome.state == "failed")
    assert failed.error.startswith(FAILURES[how])
    kept = json.loads(run.store.read("failures", "odd", failed.unit.key)["failure.json"])
    assert kept["error"] == failed.error
    assert "Traceback" in kept["traceback"]
    assert (kept["model"], kept["fold"], kept["seed"]) == ("odd", fold, 0)
    watch = Watch()
    train(run, named, workers=1, notify=watch)
    assert watch.of("failed") == [f"odd {fold} 0"]
    assert len(watch.of("kept")) == 8


def test_a_failure_is_forgotten_once_the_unit_is_done(run: Run, tmp_path: Path) -> None:
    class Once(BaseEstimator):  # type: ignore[misc]
        def fit(self, X: np.ndarray, y: np.ndarray) -> Once:
            if not (tmp_path / "mended").exists():
                raise MemoryError("for now")
            self.fitted_ = True
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.zeros(len(X))

    once = {"once": Once()}
    train(run, once, workers=1)
    assert len(list(run.store.list("failures", "once"))) == 3
    (tmp_path / "mended").touch()
    train(run, once, workers=1)
    assert not list(run.store.list("failures", "once"))


def test_what_a_model_prints_goes_to_its_log(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    member = train(run, {"odd": odd(run, "never")}, workers=1)["odd"]
    assert run.store.read("units", "odd", member.keys[0])["log.txt"] == b"fitting aloud\nand to stderr"
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_is_killed_fails_its_unit_alone_with_the_reason(run: Run) -> None:
    named, watch = {"ridge": LINES["ridge"], "odd": odd(run, "die", 2)}, Watch()
    assert list(train(run, named, workers=2, notify=watch)) == ["ridge"]
    assert watch.of("failed") == ["odd 2 0"]
    assert len(watch.of("done")) == 5
    failed = next(outcome for outcome in watch if outcome.state == "failed")
    assert "worker process died" in failed.error
    assert "--workers 1" in failed.error
    kept = json.loads(run.store.read("failures", "odd", failed.unit.key)["failure.json"])
    assert kept["error"] == failed.error


def test_unknown_names_are_refused_before_any_training(run: Run) -> None:
    watch = Watch()
    for wanted, message in (
        (["ridge", "lightgmb"], "No model is called 'lightgmb'. Did you mean lightgbm"),
        ({"ridge": Model("ridge"), "x": Model("rigde")}, "No model family is called 'rigde'. Did you mean ridge"),
        (
            {"ridge": Model("ridge"), "x": Model("ridge", {"alhpa": 1})},
            "parameter of ridge is called 'alhpa'. Did you mean alpha",
        ),
    ):
        with pytest.raises(UnknownName, match=message):
            train(run, wanted, workers=1, notify=watch)  # type: ignore[arg-type]
    assert not watch
    assert not run.store.path("units").exists()
    assert list(recipes(run.entry, ["own"])) == ["own"]


@pytest.mark.parametrize("name", ["../ridge", "a/b", "", ".hidden", "a b", "a\0"])
def test_a_name_that_is_no_folders_is_refused(run: Run, name: str) -> None:
    with pytest.raises(BadRecipe, match="A model cannot be called"):
        train(run, {name: Model("ridge")}, workers=1)


def test_a_changed_parameter_or_seed_redoes_only_what_it_changes(run: Run) -> None:
    forest = Model("extra-trees", {"n_estimators": 2})
    train(run, {**LINES, "forest": forest}, workers=1)
    watch = Watch()
    train(run, {**LINES, "forest": Model("extra-trees", {"n_estimators": 3})}, workers=1, notify=watch)
    assert watch.of("done") == ["forest 0 0", "forest 1 0", "forest 2 0"]
    watch = Watch()
    train(run, {**LINES, "forest": forest}, workers=1, notify=watch)
    assert not watch.of("done")


OWN_FEATURES = """

class Own:
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[["a", "b"]] * 1.0

def features():
    return Own()
"""


def reopen(toy: Path, runs: Path, change: Callable[[str], str]) -> Run:
    """The run after a change of the competition's text, as another process would see it."""
    toy.write_text(change(toy.read_text()))
    sys.modules.pop("competitions.toy", None)
    importlib.invalidate_caches()
    identity.module_hash.cache_clear()
    return open_run("toy", runs=runs, rows=ROWS)


def test_changed_code_of_features_or_target_redoes_all(toy: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = reopen(toy, runs, lambda text: text + OWN_FEATURES)
    keys = [unit.key for unit in units(run, LINES)]
    assert [unit.key for unit in units(reopen(toy, runs, str), LINES)] == keys
    more = [unit.key for unit in units(reopen(toy, runs, lambda text: text.replace("* 1.0", "* 2.0")), LINES)]
    scale = [unit.key for unit in units(reopen(toy, runs, lambda text: text + LOGS), LINES)]
    assert len({*keys, *more, *scale}) == 18


def classes(toy: Path, runs: Path) -> Run:
    """The toy with two classes instead of numbers."""
    changes = {
        'Regression(id="id", target="y", metric="rmse")': 'Classification(id="id", target="y", metric="accuracy")',
        "Model, Regression": "Model, Classification",
        '["id", "a", "b", "y"], {"a", "b", "y"}': '["id", "a", "b", "y"], {"a", "b"}',
        "y=table.a - table.b": 'y=np.where(table.a > table.b, "up", "down")',
        "y=0": 'y="up"',
    }

    def change(text: str) -> str:
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after)
        return text

    return reopen(toy, runs, change)


SECOND = Model("ridge", pseudo=PseudoLabels("first", at_least=0.7))


def test_pseudo_labels_of_a_fold_come_from_the_unit_of_the_same_fold_and_are_test_rows_it_is_sure_of(
    toy: Path, tmp_path: Path
) -> None:
    run = classes(toy, tmp_path / "runs")
    first, second = (list(found) for found in by_model(units(run, {"first": Model("ridge"), "second": SECOND})).values())
    assert [unit.source for unit in second] == first
    for unit in (*first, *second):
        assert compute(run, unit).state == "done"
    for unit, source in zip(second, first, strict=True):
        X, y = fold_features(run, unit.fold, "fit"), run.y[run.folds.fit(unit.fold)]
        more, labels, learned = with_pseudo_labels(run, unit, X, y)
        chances = Table.from_arrays(unpack(run.store.read("units", "first", source.key)["test.npz"])).at(run.test_ids)
        sure = chances.max(axis=1) >= 0.7
        assert 0 < sure.sum() < len(sure)
        assert (learned == sure).all()
        assert len(more) == len(labels) == len(X) + sure.sum()
        pd.testing.assert_frame_equal(more[: len(X)], X)
        assert labels[len(X) :].tolist() == chances[sure].argmax(axis=1).tolist()


def test_a_second_round_waits_for_the_first_and_is_done_anew_with_it(toy: Path, tmp_path: Path) -> None:
    run = classes(toy, tmp_path / "runs")
    watch = Watch()
    assert len(train(run, {"second": SECOND, "first": Model("ridge")}, workers=2, notify=watch)) == 2
    assert [outcome.unit.model for outcome in watch] == ["first"] * 3 + ["second"] * 3
    changed = {"second": SECOND, "first": Model("ridge", {"C": 0.5})}
    watch = Watch()
    train(run, changed, workers=1, notify=watch)
    assert len(watch.of("done")) == 6


def test_a_second_round_whose_first_failed_fails_with_it(toy: Path, tmp_path: Path) -> None:
    run = classes(toy, tmp_path / "runs")
    watch = Watch()
    named = {"first": Model("ridge", {"max_iter": -1}), "second": SECOND, "other": Model("ridge", {"C": 2.0})}
    assert list(train(run, named, workers=1, notify=watch)) == ["other"]
    assert all("of which fold" in outcome.error for outcome in watch if outcome.unit.model == "second")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"second": SECOND}, "'second' wants the pseudo-labels of 'first', but the models trained are second"),
        ({"first": SECOND}, "'first' wants the pseudo-labels of 'first', but it learns from itself in the end"),
        ({"first": Model("ridge", pseudo=PseudoLabels("second")), "second": SECOND}, "learns from itself in the end"),
    ],
    ids=["not there", "itself", "a circle"],
)
def test_a_source_of_pseudo_labels_must_be_another_model_that_is_trained(
    toy: Path, tmp_path: Path, named: dict[str, Model], message: str
) -> None:
    with pytest.raises(BadRecipe, match=message):
        units(classes(toy, tmp_path / "runs"), named)


def test_numbers_have_no_pseudo_labels(run: Run) -> None:
    with pytest.raises(BadRecipe, match="only classes can be pseudo-labels"):
        units(run, {"first": Model("ridge"), "second": SECOND})


def test_a_family_of_pictures_says_what_it_lacks(run: Run) -> None:
    with pytest.raises(
        BadRecipe, match=r"'probe' needs classes, and this competition's target is a number\. Choose another one: lightgbm"
    ):
        train(run, {"probe": Model("probe")})


def test_a_family_of_pictures_needs_pictures(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="'image' needs pictures, and this competition's rows have none"):
        train(classes(toy, tmp_path / "runs"), {"net": Model("image")})


LOGS = """

class Scale:
    shift = 0.0

    def fit(self, X, y):
        return self

    def transform(self, X, y):
        return np.exp(y) + self.shift

    def inverse(self, X, z):
        return np.log(np.maximum(z, 1e-9))

def target():
    return Scale()
"""


def test_models_learn_on_the_targets_scale_and_answer_on_its_own(toy: Path, tmp_path: Path) -> None:
    run = reopen(toy, tmp_path / "runs", lambda text: text + LOGS)
    member = train(run, {"forest": Model("extra-trees", {"n_estimators": 20})}, workers=1)["forest"]
    assert np.corrcoef(member.oof.at(run.ids)[:, 0], run.y)[0, 1] > 0.8


def test_a_scale_that_gives_nan_fails_by_name(toy: Path, tmp_path: Path) -> None:
    run = reopen(toy, tmp_path / "runs", lambda text: text + LOGS.replace("shift = 0.0", "shift = np.nan"))
    watch = Watch()
    assert not train(run, {"ridge": Model("ridge")}, workers=1, notify=watch)
    assert {outcome.error for outcome in watch} == {"The target's scale gives 40 NaN or infinite values to learn."}


@pytest.mark.parametrize("how", ["nan", "inf"])
def test_no_scale_and_no_limit_hides_what_is_infinite(toy: Path, tmp_path: Path, how: str) -> None:
    limited = 'Regression(id="id", target="y", metric="rmse", low=-1e6, high=1e6)'
    run = reopen(toy, tmp_path / "runs", lambda text: text.replace('Regression(id="id", target="y", metric="rmse")', limited))
    watch = Watch()
    assert not train(run, {"odd": odd(run, how)}, workers=1, notify=watch)
    assert watch.of("failed") == ["odd 1 0"]


def test_predictions_are_kept_to_what_the_target_can_be(toy: Path, tmp_path: Path) -> None:
    low = 'Regression(id="id", target="y", metric="rmse", low=-9)'
    run = reopen(toy, tmp_path / "runs", lambda text: text.replace('Regression(id="id", target="y", metric="rmse")', low))

    class Low(BaseEstimator):  # type: ignore[misc]
        def fit(self, X: np.ndarray, y: np.ndarray) -> Low:
            self.fitted_ = True
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.full(len(X), -50.0)

    assert (train(run, {"low": Low()}, workers=1)["low"].test.at(run.test_ids) == -9).all()


class OnTest(BaseEstimator):  # type: ignore[misc]
    """Right wherever it is judged; of one test row it says something that cannot be."""

    def __init__(self, row: float, said: float) -> None:
        self.row, self.said = row, said

    def fit(self, X: np.ndarray, y: np.ndarray) -> OnTest:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.where(X[:, 0] == np.float32(self.row), self.said, np.abs(X[:, 0] - X[:, 1]))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        up = np.where(X[:, 0] == np.float32(self.row), self.said, 1.0 * (X[:, 0] > X[:, 1]))
        return np.stack([1 - up, up], axis=1)


@pytest.mark.parametrize(("metric", "said"), [("rmse", 1e200), ("rmsle", -2.0), ("rmsle", -1.0)])
def test_a_test_row_that_no_metric_could_judge_is_the_failure_of_its_model_alone(
    toy: Path, tmp_path: Path, metric: str, said: float
) -> None:
    change = "y=(table.a - table.b).abs()"
    run = reopen(
        toy, tmp_path / "runs", lambda text: text.replace("y=table.a - table.b", change).replace('"rmse"', f'"{metric}"')
    )
    watch, odd_one = Watch(), OnTest(run.data.test["a"].iloc[7], said)
    trees = Model("lightgbm", {"n_estimators": 5})
    assert set(train(run, {"odd": odd_one, "trees": trees}, workers=1, notify=watch)) == {"trees"}
    assert watch.of("failed") == ["odd 0 0", "odd 1 0", "odd 2 0"]
    error = (
        f"1 of 60 predictions are nothing that {metric} can judge or a mean be made of, first at id {run.test_ids[7]}: [{said}]."
    )
    assert {outcome.error for outcome in watch if outcome.state == "failed"} == {error}


def test_chances_below_0_are_the_failure_of_their_model_alone(toy: Path, tmp_path: Path) -> None:
    run, watch = classes(toy, tmp_path / "runs"), Watch()
    odd_one = OnTest(run.data.test["a"].iloc[7], -0.5)
    assert set(train(run, {"odd": odd_one, "ridge": Model("ridge")}, workers=1, notify=watch)) == {"ridge"}
    assert {outcome.error for outcome in watch if outcome.state == "failed"} == {
        "Class probabilities must be 0 or more, and not all 0 in a row; the lowest is -0.5."
    }


SCRIPT = """
import sys
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import FunctionTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from pipeline.run import open_run
from pipeline.train import train

class Mean(BaseEstimator):
    def fit(self, X, y):
        self.mean_ = y.mean()
        return self
    def predict(self, X):
        return np.full(len(X), self.mean_)

class Stuck(Mean):
    def __reduce__(self):
        raise TypeError("cannot be sent")

run = open_run("toy", runs=sys.argv[1], rows=60)
double = make_pipeline(FunctionTransformer(lambda X: 2 * X), Ridge(solver="cholesky"))
named = {"mean": Mean(), "stuck": Stuck(), "double": double}
for workers in (2, 1):
    states = []
    print(*train(run, named, workers=workers, notify=lambda o: states.append(o.error or o.state)))
    print(*sorted(states), sep="|")
"""


def test_estimators_of_a_script_without_main_guard_run_in_workers(toy: Path, tmp_path: Path) -> None:
    """And one that cannot be sent to a worker fails alone."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = python(str(script), str(tmp_path / "runs"))
    assert done.stdout.splitlines() == [
        "mean double",
        "|".join([f"PicklingError: {UNSENDABLE}"] * 3 + ["done"] * 6),
        "mean stuck double",
        "|".join(["done"] * 3 + ["kept"] * 6),
    ]


UNSENDABLE = "Could not pickle the task to send it to the workers."


def python(*given: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *given], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def test_nothing_heavy_is_imported_where_all_is_in_the_store(run: Run) -> None:
    train(run, workers=1)
    code = """
import sys
from pipeline.run import open_run
from pipeline.train import train
states = []
assert len(train(open_run("toy", runs=sys.argv[1], rows=60), notify=lambda outcome: states.append(outcome.state))) == 3
assert states == ["kept"] * 9
print(*sorted({"torch", "lightgbm", "xgboost", "catboost", "pytabkit", "loky"} & set(sys.modules)))
"""
    assert python("-c", code, str(run.store.root.parent)).stdout.strip() == ""


def test_what_is_in_the_store_is_read_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    train(run, LINES, workers=1)
    read: list[tuple[str, ...]] = []
    whole = run.store.whole
    monkeypatch.setattr(run.store, "whole", lambda *parts, **more: (read.append(parts), whole(*parts, **more))[1])
    train(run, LINES, workers=1)
    assert len(read) == len(set(read)) == 6


def test_a_competition_is_found_by_workers_too(toy: Path) -> None:
    assert "toy" in competitions.names()
    assert "toy" in python("-c", "import competitions; print(*competitions.names())").stdout.split()


def test_what_another_process_has_done_meanwhile_is_taken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ((unit, *_),) = [units(run, {"ridge": LINES["ridge"]})]
    assert compute(run, unit).state == "done"
    monkeypatch.setattr("pipeline.train.fit_and_predict", lambda *about: 1 / 0)
    assert compute(run, unit).state == "kept"
    run.store.remove("units", unit.model, unit.key)
    assert compute(run, unit).state == "failed"


def test_a_file_of_weights_counts_by_what_it_and_its_list_of_labels_hold(run: Run, tmp_path: Path) -> None:
    file, beside = tmp_path / "leaf.pth", tmp_path / "leaf.pth.labels.txt"
    recipes = {"net": Model("image", {"weights": str(file)})}

    def key() -> str:
        return units(run, recipes)[0].key

    keys = []
    for path, content in ((file, "a"), (file, "b"), (beside, "oak"), (beside, "ash")):
        path.write_text(content, encoding="utf-8")
        keys.append(key())
    (tmp_path / "other.pth").write_text("c", encoding="utf-8")
    assert len(set(keys)) == 4
    assert key() == keys[-1]
