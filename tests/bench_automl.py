"""podium's ensemble against AutoML alone, forward in time on King County, each with the same time on the same cores."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from competitions.house_prices.files import ID, TARGET
from pipeline import models
from pipeline.assemble import assemble
from pipeline.competition import Model
from pipeline.errors import PodiumError
from pipeline.models.desk import Desk
from pipeline.predictions import Array
from pipeline.run import Run
from pipeline.train import train
from tests.bench_scores import CUT, Judged, earlier, judged
from tests.bench_setting import Setting, cores, limit, table

OURS, AIM = "podium's ensemble", 0.97
ALONE: Mapping[str, Model] = {
    "AutoGluon best_quality": Model("autogluon", {"preset": "best_quality", "stack": "auto"}),
    "H2O AutoML": Model("h2o"),
    "FLAML": Model("flaml"),
}
DATES, REPEATED = 0.5, 2  # share of a text column's rows that are dates, and rows a level, that make it dates, or a category


def automl(setting: Setting) -> Iterator[str]:
    """The ensemble, AutoGluon, H2O AutoML and FLAML, each alone with the same time, trained on King County's May to August, scored on later."""
    run, truth = earlier(setting)
    found: dict[str, Judged] = {}
    spent: dict[str, float] = {}
    why: list[str] = []
    begin = time.perf_counter()
    ours = assemble(run, train(run, setting.models)).test
    found[OURS], spent[OURS] = judged(truth, ours.at(run.test_ids)[:, 0]), time.perf_counter() - begin
    for name, recipe in ALONE.items():
        if setting.against and recipe.family not in setting.against:
            continue
        begin = time.perf_counter()
        try:
            found[name] = judged(truth, alone(run, setting, name, recipe))
        except PodiumError as error:
            why.append(f"{name} failed: {error}")
        spent[name] = time.perf_counter() - begin
    rows = [
        (name, *(found[name].cells() if name in found else ("failed", "", "")), f"{spent[name]:.0f}")
        for name in sorted(spent, key=lambda name: found[name].score if name in found else np.inf)
    ]
    yield table(("alone", "RMSLE", "95 %", "log bias", "seconds"), rows)
    yield (
        f"{len(run.ids)} rows listed before {CUT} to learn from, {len(truth)} later ones to predict; {cores()} cores, {setting.budget:g} s for the "
        "training of each of the others, which get the table as it is (dates as days, texts that repeat as categories) and the log of "
        "the price; loading and predicting come on top. podium's seconds are of the whole run, features, folds and ensemble."
    )
    yield from why
    others = [judgement.score for name, judgement in found.items() if name != OURS]
    if others:
        ratio = found[OURS].score / min(others)
        yield f"RMSLE of {OURS} to that of the best of the others: {ratio:.3f}; of the time allowed it took {spent[OURS] / setting.budget:.2f}."
        yield limit("3 % below the best of them, in no more time", ratio <= AIM and spent[OURS] <= setting.budget and not why)


def alone(run: Run, setting: Setting, name: str, recipe: Model) -> Array:
    """(m,) prices of the test rows by one fit on all train rows, as one would call the library."""
    train_rows, test_rows = plain(run.data.train, run.data.test)
    desk = Desk(
        setting.scratch / "alone" / recipe.family,
        threads=cores(),
        say=lambda message: print(f"{name}: {message}", file=sys.stderr),
    )
    chosen = Model(recipe.family, {**recipe.params, "seconds": setting.budget})
    with contextlib.redirect_stdout(io.StringIO()):  # the library's log, which stands in its folder
        model = models.build(chosen, 0, 0, desk=desk).fit(train_rows, np.log1p(run.y))
    return np.expm1(model.predict(test_rows)[:, 0])


def plain(train_rows: pd.DataFrame, test_rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The raw columns: numbers as they are, dates as days, texts that repeat as categories, other texts as they are."""
    columns = [column for column in test_rows if column not in (ID, TARGET)]
    learned, asked = train_rows[columns].reset_index(drop=True), test_rows[columns].reset_index(drop=True)
    for column in columns:
        if pd.api.types.is_numeric_dtype(learned[column]):
            continue
        days = [pd.to_datetime(part[column], errors="coerce", format="%Y-%m-%d") for part in (learned, asked)]
        if days[0].notna().mean() > DATES:
            for part, when in zip((learned, asked), days, strict=True):
                part[column] = (when - pd.Timestamp(0)) / pd.Timedelta(days=1)
        elif learned[column].nunique() * REPEATED <= len(learned):
            levels = learned[column].dropna().unique()
            for part in (learned, asked):
                part[column] = pd.Categorical(part[column], categories=levels)
    return learned, asked
