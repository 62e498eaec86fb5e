"""Inside a fold its library judges by the plan's other folds, or by the latest rows, and never sees the fold's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.folds import HoldOut, KFold, Plan, TimeBlocks
from pipeline.inner import inner_folds

ROWS = 60
TRAIN = pd.DataFrame({"day": np.arange(ROWS, dtype=float)[::-1], "home": np.arange(ROWS) // 2})


class Planned:
    """What `inner_folds` looks at of a run."""

    def __init__(self, plan: Plan) -> None:
        self.ids = np.array([str(row) for row in range(ROWS)])
        self.plan, self.data = plan, type("", (), {"train": TRAIN})()
        self.folds = plan.make(self.ids, TRAIN, np.arange(ROWS, dtype=float))


def planned(plan: Plan) -> Any:
    return Planned(plan)


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("fold", [0, 3])
def test_the_other_folds_judge_and_keep_together_what_the_plan_does(fold: int, repeats: int) -> None:
    run = planned(KFold(5, groups=("home",), repeats=repeats))
    inner, later = inner_folds(run, fold)
    assert inner is not None
    assert not later
    assert len(inner) == len(run.folds.fit(fold))
    assert np.unique(inner).tolist() == [0, 1, 2, 3]
    homes = TRAIN["home"].to_numpy()[run.folds.fit(fold)]
    assert all(len(np.unique(inner[homes == home])) == 1 for home in np.unique(homes))


@pytest.mark.parametrize("plan", [TimeBlocks("day", 3), HoldOut("day")])
def test_with_a_clock_the_latest_rows_judge(plan: Plan) -> None:
    run = planned(plan)
    inner, later = inner_folds(run, 0)
    assert inner is not None
    assert later
    days = TRAIN["day"].to_numpy()[run.folds.fit(0)]
    assert days[inner == 1].min() > days[inner == 0].max()
    assert 0.1 < (inner == 1).mean() < 0.3


def test_with_two_folds_there_are_no_others() -> None:
    assert inner_folds(planned(KFold(2)), 0) == (None, False)
