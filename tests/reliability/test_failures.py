"""Every model made to fail in every fold: it is named and left out, the others are sent as if it had never been."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from pipeline import models
from pipeline.run import Run, open_run
from pipeline.train import recipes, units
from tests.reliability.conftest import Proof
from tests.reliability.small import Small, answer, sums

FOLDS = 3


class Failing:
    """An estimator that fails in one of its ways; what it says then."""

    def __init__(self, how: str) -> None:
        self.how = how

    def fit(self, X: Any, y: Any) -> Failing:
        if self.how == "fit":
            raise RuntimeError("made to fail")
        if self.how == "memory":
            raise MemoryError("made to fail")
        if self.how == "exit":
            sys.exit("made to fail")
        return self

    def predict(self, X: Any) -> Any:
        if self.how == "predict":
            raise RuntimeError("made to fail")
        return None


WAYS = {
    "fit": "RuntimeError: made to fail",
    "predict": "RuntimeError: made to fail",
    "memory": "MemoryError: made to fail",
    "exit": "SystemExit: made to fail",
    "nothing": "",
}


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Let all models that are built from now on fail in this way; None: no longer."""
    build = models.build

    def fail(how: str | None) -> None:
        monkeypatch.setattr(models, "build", build if how is None else lambda *about: Failing(how))

    return fail


def each_fails(small: Small, podium: Any, faults: Any, names: tuple[str, ...]) -> dict[str, object]:
    """One unit at a time is forgotten and fails when it is made again. The others are kept, so that only it is trained."""
    root = Path("runs") / small.name
    whole = podium(*small.words("run", *names))
    assert whole.code == 0, whole.err
    before, told = sums(root), answer(Path(whole.last))
    without = {}
    for name in names:
        others = [other for other in names if other != name]
        without[name] = answer(Path(podium(*small.words("run", *others)).last))
    run = open_run(small.name, small.data)
    named = units(run, recipes(run.entry, names), 1)
    ways, failed = cycle(WAYS), 0
    for name, fold in product(names, range(FOLDS)):
        [unit] = [unit for unit in named if (unit.model, unit.fold) == (name, fold)]
        run.store.remove("units", name, unit.key)
        how = next(ways)
        faults(how)
        said = podium(*small.words("run", *names))
        assert said.code == 3, said
        assert f"FAILED {name} in 1 of 3 folds, first in fold {fold + 1}: {WAYS[how]}" in said.out
        assert f"Left out: {name}. Tracebacks are in" in said.out
        assert answer(Path(said.last)) == without[name]
        assert f"failed in fold {fold + 1}: {WAYS[how]}" in podium(*small.words("board")).out
        faults(None)
        assert podium(*small.words("train", name)).code == 0
        failed += 1
    assert sums(root, "units/*/*/*.npz") == {path: digest for path, digest in before.items() if path.startswith("units")}
    assert answer(Path(podium(*small.words("run", *names)).last)) == told
    assert not [path for path in root.glob("failures/*/*") if not path.name.startswith(".")]
    all_fail(small, podium, faults, names, run)
    return {"failures": failed, "named with fold and reason": failed, "submissions of the others": failed, "exit code": 3}


def all_fail(small: Small, podium: Any, faults: Any, names: tuple[str, ...], run: Run) -> None:
    """Where each model lacks a fold, there is nothing to send."""
    for unit in units(run, recipes(run.entry, names), 1):
        if unit.fold == 1:
            run.store.remove("units", unit.model, unit.key)
    faults("fit")
    said = podium(*small.words("run", *names), "--submission", "none.csv")
    assert said.code == 1
    assert not Path("none.csv").exists()


@pytest.mark.parametrize("small", ["tables"], indirect=True)
def test_each_model_may_fail_in_each_fold(small: Small, podium: Any, faults: Any, proof: Proof) -> None:
    proof(10, "each model made to fail in each fold", each_fails(small, podium, faults, small.quick), small.kind)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("small", ["images", "boxes"], indirect=True)
def test_each_model_of_pictures_may_fail_in_each_fold(small: Small, podium: Any, faults: Any, proof: Proof) -> None:
    proof(10, "each model made to fail in each fold", each_fails(small, podium, faults, ("net", *small.quick)), small.kind)
