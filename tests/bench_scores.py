"""How well podium predicts King County: out of fold, on the months to come, and by fold plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competitions.house_prices import target
from competitions.house_prices.features import LISTED
from competitions.house_prices.files import ID, TARGET
from features.target import LogRatio
from pipeline.assemble import assemble
from pipeline.ensemble.interval import interval
from pipeline.errors import SOME_FAILED
from pipeline.folds import KFold, Plan, TimeBlocks
from pipeline.metrics import metric
from pipeline.predictions import Array, Table
from pipeline.run import Run, open_run
from pipeline.tables import read_text
from pipeline.train import members, recipes, train, units
from tests.bench_peers import PLAIN, plain_lightgbm
from tests.bench_setting import NAME, PODIUM, Setting, limit, table, timed

CLOCK, CUT = "Listed On", "2014-09-01"
RMSLE = metric("rmsle")
ENSEMBLE, PEER = "ensemble", "plain LightGBM"
PEER_NOTE = f"{PEER}: numbers and ordinal codes of the raw columns, the log of the price, the same folds, {PLAIN}."
CHEAP = ("lightgbm-linear", "ridge")
FOLDS = 5


@dataclass(frozen=True)
class Judged:
    """RMSLE with its 95 % interval, and the mean of log prediction less log price."""

    score: float
    low: float
    high: float
    bias: float

    def cells(self) -> tuple[str, str, str]:
        return f"{self.score:.5f}", f"{self.low:.5f} - {self.high:.5f}", f"{self.bias:+.4f}"


def judged(y: Array, p: Array) -> Judged:
    """y, p: (n,) prices."""
    return Judged(RMSLE.natural(y, p), *interval(RMSLE, y, p), float(np.mean(np.log1p(p) - np.log1p(y))))


def king_county(setting: Setting) -> Iterator[str]:
    """The default recipe end to end on King County: time, every model out of fold, and what a plain LightGBM gets on the same folds."""
    runs = setting.scratch / "king-county"
    command = [PODIUM, "run", NAME, *setting.models, "--data", str(setting.king_county), "--runs", str(runs)]
    seconds = timed(command, setting.scratch, codes=(0, SOME_FAILED))
    run = open_run(NAME, setting.king_county, runs)
    kept = members(run, units(run, recipes(run.entry, setting.models)))
    blend = assemble(run, kept).blend
    oof = {name: member.oof for name, member in kept.items()} | {ENSEMBLE: blend.oof, PEER: plain_lightgbm(run)[0]}
    found = {name: judged(run.y, predicted.at(run.ids)[:, 0]) for name, predicted in oof.items()}
    rows = [
        (
            name,
            *score.cells()[:2],
            f"{RMSLE.trimmed(run.y, oof[name].at(run.ids)):.5f}",
            f"{score.score / found[PEER].score:.3f}",
            f"{kept[name].seconds:.0f}" if name in kept else "",
        )
        for name, score in sorted(found.items(), key=lambda item: item[1].score)
    ]
    yield table(("model", "RMSLE", "95 %", "trimmed", f"to {PEER}", "seconds (information)"), rows)
    yield f"Trimmed: without the worst 1 % of rows. {PEER_NOTE}"
    yield (
        f"{blend.method}: honest {blend.honest:.5f} ({blend.interval[0]:.5f} - {blend.interval[1]:.5f}), optimistic {blend.optimistic:.5f}."
    )
    if "mlp" in found:
        yield f"The course's MLP alone: {found['mlp'].score:.5f}, {_percent(found, 'mlp', PEER)} than {PEER}, {_percent(found, 'mlp', ENSEMBLE)} than the ensemble."
    yield f"podium run took {seconds:.0f} s (information), {len(run.ids)} train and {len(run.test_ids)} test rows, {len(kept)} models."
    yield limit(f"ensemble better than {PEER}", found[ENSEMBLE].score < found[PEER].score)


def forward(setting: Setting) -> Iterator[str]:
    """The default recipe trained on May to August, scored on September and October: with and without the drift in the target."""
    run, truth = earlier(setting)
    scored = {scale: later(variant, setting.models, truth) for scale, variant in variants(run).items()}
    plain = judged(truth, plain_lightgbm(run)[1].values[:, 0])
    rows = [
        (name, *(cell for found in scored.values() for cell in (found[name].cells() if name in found else ("failed", "", ""))))
        for name in sorted(scored["drift"], key=lambda name: scored["drift"][name].score)
    ]
    header = [f"{scale}: {what}" for scale in scored for what in ("RMSLE", "95 %", "log bias")]
    yield table(("model", *header), [*rows, (PEER, *plain.cells(), *plain.cells())])
    best, without = (found[ENSEMBLE].score for found in scored.values())
    yield f"{len(run.ids)} rows listed before {CUT} to learn from, {len(truth)} later ones to predict. {PEER_NOTE}"
    yield f"Ratios of the ensemble's RMSLE: to the one without drift {best / without:.3f}, to {PEER} {best / plain.score:.3f}."
    yield limit(f"ensemble better than {PEER}", best < plain.score)


def drift(setting: Setting) -> Iterator[str]:
    """The level of prices that the target carries into King County's months to predict, beside the mean of the train rows."""
    run = open_run(NAME, setting.king_county, setting.scratch / "drift")
    scale = target().fit(run.data.train, run.y)
    level = scale.level(run.data.test) - scale.level(run.data.train).mean()
    months = run.data.test[CLOCK].str[:7].to_numpy()
    yield table(("month", "log level"), [(month, f"{level[months == month].mean():+.4f}") for month in np.unique(months)])
    yield f"Growth {scale.coefficients_[1]:+.3f} a year, season {scale.coefficients_[2]:+.3f}, both in logs."


def variants(run: Run) -> dict[str, Run]:
    """The run as it is, and with a target that knows nothing of time. The features are the same and made once."""
    return {"drift": run, "plain target": dataclasses.replace(run, entry=dataclasses.replace(run.entry, target=log_ratio))}


def log_ratio() -> LogRatio:
    return LogRatio(LISTED)


def later(run: Run, wanted: tuple[str, ...], truth: Array) -> dict[str, Judged]:
    """Scores on the test rows by model, the ensemble's among them. truth: (m,) in the order of the test rows."""
    kept = train(run, wanted)
    tests: Mapping[str, Table] = {name: member.test for name, member in kept.items()} | {ENSEMBLE: assemble(run, kept).test}
    return {name: judged(truth, predicted.at(run.test_ids)[:, 0]) for name, predicted in tests.items()}


def plans(setting: Setting) -> Iterator[str]:
    """Fold plans compared by what counts: the RMSLE on later rows of the mean over a plan's fold models."""
    run, truth = earlier(setting)
    own = "the competition's own"
    compared: dict[str, Plan] = {
        own: run.entry.competition.folds,
        "KFold": KFold(FOLDS),
        "KFold, 20 strata": KFold(FOLDS, strata=20),
        "TimeBlocks": TimeBlocks(CLOCK, FOLDS),
    }
    wanted = setting.models or CHEAP
    rows, score = [], {}
    for name, plan in compared.items():
        variant = dataclasses.replace(run, plan=plan, folds=plan.make(run.ids, run.data.train, run.y))
        for model, member in train(variant, wanted).items():
            found = judged(truth, member.test.at(run.test_ids)[:, 0])
            rows.append((f"{name}, {model}", f"{member.score:.5f}", *found.cells()))
            score[name, model] = found.score
    yield table(("plan", "RMSLE out of fold", "on later rows", "95 %", "log bias"), rows)
    worst = {model: score[own, model] / min(score[name, model] for name in compared) for model in wanted}
    ratios = ", ".join(f"{model} {ratio:.3f}" for model, ratio in worst.items())
    yield f"The competition's own: {compared[own]}. Its score on later rows to that of the best plan: {ratios}."
    yield limit("own plan within 1 % of the best", max(worst.values()) <= 1.01)


def earlier(setting: Setting) -> tuple[Run, Array]:
    """A run in which the rows before CUT are the train rows and the later ones are the test rows; and what these sold for."""
    folder = split(setting.king_county, setting.scratch / "earlier")
    run = open_run(NAME, folder, setting.scratch / "forward")
    sold = read_text(setting.king_county / "train.csv").set_index(ID)[TARGET]
    return run, sold[run.test_ids].to_numpy(dtype=np.float64)


def split(source: Path, folder: Path) -> Path:
    """The train rows of `source` as a competition of their own, in the competition's format."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        cells = read_text(source / "train.csv")
        past = cells[CLOCK] < CUT
        cells[past].to_csv(folder / "train.csv", index=False)
        cells[~past].drop(columns=TARGET).to_csv(folder / "test.csv", index=False)
        cells[~past].assign(**{TARGET: "0"})[[ID, TARGET]].to_csv(folder / "sample_submission.csv", index=False)
    return folder


def _percent(found: Mapping[str, Judged], name: str, other: str) -> str:
    change = 100 * (found[name].score / found[other].score - 1)
    return f"{abs(change):.1f} % {'worse' if change > 0 else 'better'}"
