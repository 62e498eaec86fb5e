"""The honest score of tuning: what chose a trial does not judge it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.predictions import Table
from pipeline.run import open_run
from pipeline.tune.honest import verdict

ROWS, MANY = 60, 200


def test_the_best_of_many_equal_trials_flatters_and_the_honest_score_does_not(toy: Path, tmp_path: Path) -> None:
    run = open_run("toy", runs=tmp_path / "runs", rows=ROWS)
    rng = np.random.default_rng(0)
    tables = [Table(run.ids, run.y + rng.normal(size=ROWS), run.columns) for _ in range(MANY)]
    trials = [(number, partial(lambda table: table, table)) for number, table in enumerate(tables)]
    found = verdict(run, trials, tables[0])
    assert found.score == min(run.answers.score(table) for table in tables)
    assert found.score < 0.85
    assert found.honest > found.score + 0.03
    assert found.interval[0] < found.honest < found.interval[1]
    assert "flatters" in found.sentences[0]


def test_a_trial_that_is_better_by_far_is_shown_to_be(toy: Path, tmp_path: Path) -> None:
    run = open_run("toy", runs=tmp_path / "runs", rows=ROWS)
    rng = np.random.default_rng(1)
    bad, good = (Table(run.ids, run.y + size * rng.normal(size=ROWS), run.columns) for size in (1.0, 0.1))
    found = verdict(run, [(0, lambda: bad), (7, lambda: good)], bad)
    assert (found.number, set(found.chosen)) == (7, {7})
    assert found.honest == run.answers.score(good)
    assert found.gain.beyond_noise
    assert found.sentences[2].endswith("beyond noise.")


def test_where_nothing_is_better_tuning_is_neither(toy: Path, tmp_path: Path) -> None:
    run = open_run("toy", runs=tmp_path / "runs", rows=ROWS)
    one = Table(run.ids, run.y + 1.0, run.columns)
    found = verdict(run, [(0, lambda: one)], one)
    assert found.gain.difference == 0
    assert "neither better nor worse" in found.sentences[2]
