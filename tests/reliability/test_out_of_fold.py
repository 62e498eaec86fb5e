"""What is predicted out of fold: each row that a plan validates once per seed and repeat, by models that did not learn it; no other row."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from pipeline.folds import FIT, VALIDATE
from pipeline.run import Run, open_run
from pipeline.store import MANIFEST, Store, unpack
from pipeline.train import recipes, train
from tests.reliability.conftest import Proof
from tests.reliability.small import Small

SEEDS = 2
PLANS = {
    "k folds": "KFold(k=3)",
    "strata, groups": "KFold(k=4, strata=2)",
    "repeated": "KFold(k=3, repeats=2)",
    "in time": "TimeBlocks({clock!r}, k=3)",
    "the last held out": "HoldOut({clock!r}, share=0.25)",
}
MORE = """
import dataclasses as records
from pipeline.folds import HoldOut, KFold, TimeBlocks
competition = records.replace(competition, folds={plan})
"""


def expected(run: Run, plan: str, clock: str) -> np.ndarray:
    """(n,) how often a plan of this kind validates each row, told without asking the plan."""
    n = len(run.ids)
    if plan in ("in time", "the last held out"):
        place = run.data.train[clock].rank(method="first").to_numpy() - 1
        return (place >= (n - 1) * (1 / 4 if plan == "in time" else 3 / 4)).astype(int)
    return np.full(n, 2 if plan == "repeated" else 1)


def predicted(run: Run, model: str) -> tuple[Counter[tuple[int, str]], Counter[int]]:
    """By seed and id, the predictions that the units hold; by seed, the units. Every unit has all test rows."""
    store, rows, made = Store(run.store.root), Counter[tuple[int, str]](), Counter[int]()
    for manifest in run.store.path("units", model).glob(f"[!.]*/{MANIFEST}"):
        files = store.read_folder(manifest.parent)
        about, oof, test = json.loads(files["unit.json"]), *(unpack(files[name]) for name in ("oof.npz", "test.npz"))
        ids = "images" if "images" in oof else "ids"
        rows.update((about["seed"], one) for one in oof[ids].tolist())
        made[about["seed"]] += 1
        assert sorted(test[ids].tolist()) == sorted(run.test_ids.tolist())
        assert set(run.folds.ids[run.folds.roles[:, about["fold"]] == VALIDATE]) == set(oof[ids].tolist())
    return rows, made


@pytest.mark.parametrize("plan", PLANS)
def test_each_row_that_is_validated_is_predicted_once_a_seed_and_no_other(
    small: Small, podium: Any, plan: str, proof: Proof
) -> None:
    small.change(MORE.format(plan=PLANS[plan].format(clock=small.clock)))
    sys.modules.pop(f"competitions.{small.name}", None)
    importlib.invalidate_caches()
    model = small.quick[0]
    assert podium(*small.words("train", model), "--seeds", SEEDS).code == 0
    run = open_run(small.name, small.data)
    times = expected(run, plan, small.clock)
    rows, made = predicted(run, model)
    assert made == {seed: len(run.folds) for seed in range(SEEDS)}
    once = dict(zip(run.ids.tolist(), times.tolist(), strict=True))
    assert rows == {(seed, one): often for seed in range(SEEDS) for one, often in once.items() if often}
    roles = run.folds.roles
    assert not ((roles == FIT) & (roles == VALIDATE)).any()
    if "time" in plan or "last" in plan:
        clock = run.data.train[small.clock].to_numpy()
        for fold in range(len(run.folds)):
            assert clock[run.folds.fit(fold)].max() < clock[run.folds.validate(fold)].min()
    member = train(run, recipes(run.entry, [model]), SEEDS, workers=1)[model]
    told = member.oof.images if small.kind == "boxes" else member.oof.ids
    assert sorted(told.tolist()) == sorted(run.ids[times > 0].tolist())
    found = {"rows validated": int((times > 0).sum()), "rows of no fold": int((times == 0).sum()), "seeds": SEEDS}
    proof(14, f"out-of-fold predictions, {plan}", {**found, "rows that lack or are twice": 0}, small.kind)
