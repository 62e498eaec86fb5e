"""How well podium tells leaves apart, and how long that takes: frozen features, one fold of fine-tuning, practice pictures."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.assemble import assemble
from pipeline.competition import Entry, Model
from pipeline.data_care import scores_without_copies
from pipeline.ensemble.blend import blend
from pipeline.ensemble.interval import interval
from pipeline.predictions import Table
from pipeline.preparing import clear, prepare
from pipeline.run import PRACTICE_MARK, Run, open_run
from pipeline.train import Member, Outcome, compute, members, recipes, train, units
from tests.bench_setting import LEAF, PODIUM, Setting, cores, limit, table
from tests.bench_sizes import MIB, cost

PROBE_ACCURACY, PROBE_MINUTES = 0.90, 20
PROBES_ACCURACY, PROBES_MINUTES = 0.93, 60
TUNED_ACCURACY, TUNED_MINUTES = 0.95, 60
TUNED = {"size": 160, "epochs": 12}  # beyond the recipe, whose five folds shall not take a day
PRACTICE_MINUTES = 4
ENSEMBLE = "ensemble of probes"
PARTS = 5  # of one fold's rows, to fit an ensemble's weights on other rows than those that it is scored on


def leaf_probes(setting: Setting) -> Iterator[str]:
    """The probes of the leaf recipe on the real pictures, from an empty run folder: accuracy out of fold, with and without copies, and time."""
    runs = leaf_runs(setting)
    if (runs / LEAF).exists():
        raise RuntimeError(
            f"{runs / LEAF} is there already; probes are timed from an empty folder. Name another one with --runs."
        )
    took: dict[str, float] = {}
    run = clocked(took, "index", open_run, LEAF, setting.leaves, runs)
    wanted = of_family(run.entry, "probe", setting.models)
    kept: dict[str, Member] = {}
    for name, recipe in wanted.items():
        clocked(took, f"features of {name}", prepare, run, {name: recipe}, cores(), silent)
        kept |= clocked(took, name, trained, run, {name: recipe})
    blended = clocked(took, ENSEMBLE, assemble, run, kept).blend
    oof = {name: member.oof for name, member in kept.items()} | {ENSEMBLE: blended.oof}
    copies = {name: scores_without_copies(run, predicted) for name, predicted in oof.items()}
    yield table(
        ("model", "accuracy", "95 %", *list(copies[ENSEMBLE])[1:], "features, s", "fit, s"),
        [
            (
                name,
                *accuracy(run, predicted),
                *(f"{score:.4f}" for score in list(copies[name].values())[1:]),
                f"{took[f'features of {name}']:.0f}" if name in wanted else "",
                f"{took[name]:.0f}",
            )
            for name, predicted in oof.items()
        ],
    )
    first = next(iter(wanted))
    alone, whole = (sum(took[name] for name in names) / 60 for names in (("index", f"features of {first}", first), took))
    yield (
        f"{len(run.ids)} train and {len(run.test_ids)} test pictures of {told(setting.leaves)}; reading them and finding copies took {took['index']:.0f} s; "
        f"features include decoding. The first probe, {first}, alone: {alone:.1f} minutes; all: {whole:.1f}."
    )
    yield f"{blended.method}: honest {blended.honest:.4f}, optimistic {blended.optimistic:.4f}."
    yield limit(
        f"{first} alone above {PROBE_ACCURACY:g} within {PROBE_MINUTES} minutes",
        kept[first].score > PROBE_ACCURACY and alone <= PROBE_MINUTES,
    )
    yield limit(
        f"{ENSEMBLE} above {PROBES_ACCURACY:g} within {PROBES_MINUTES} minutes",
        blended.honest > PROBES_ACCURACY and whole <= PROBES_MINUTES,
    )


def leaf_tune(setting: Setting) -> Iterator[str]:
    """One fold of the leaf recipe's fine-tuned net, trained longer: accuracy on the rows that it did not learn, and minutes."""
    took: dict[str, float] = {}
    run = clocked(took, "index", open_run, LEAF, setting.leaves, leaf_runs(setting))
    name, recipe = next(iter(of_family(run.entry, "image", setting.models).items()))
    recipe = Model(recipe.family, {**recipe.params, **TUNED})
    unit = units(run, {name: recipe})[0]
    run.store.remove("units", unit.model, unit.key)  # it is timed from the start, whatever was trained before
    clear(run, unit.model, unit.key)
    clocked(took, "pixels", prepare, run, {name: recipe}, cores(), silent)
    refuse_failed(clocked(took, "training", compute, run, unit, cores()))
    probes = of_family(run.entry, "probe")
    kept = members(run, [one for one in units(run, {name: recipe, **probes}) if one.fold == unit.fold])
    oof = {model: member.oof for model, member in kept.items()}
    found = oof | ensembles(run, oof, name)
    yield table(("model", "accuracy", "95 %"), [(model, *accuracy(run, predicted)) for model, predicted in found.items()])
    minutes = sum(took.values()) / 60
    yield (
        f"{name}: {recipe.params}, fold {unit.fold + 1} of {len(run.folds)}, {len(oof[name])} rows of {told(setting.leaves)}, {minutes:.1f} minutes ("
        + ", ".join(f"{what} {seconds:.0f} s" for what, seconds in took.items())
        + "; index and pixels that were there before cost nothing)."
    )
    if len(found) == len(oof):
        yield "The probes' units of this fold are not there: measure leaf-probes before, in the same --runs."
    yield limit(
        f"at least {TUNED_ACCURACY:g} within {TUNED_MINUTES} minutes",
        kept[name].score >= TUNED_ACCURACY and minutes <= TUNED_MINUTES,
    )


def leaf_practice(setting: Setting) -> Iterator[str]:
    """`podium run leaf-classification` on practice pictures from an empty run folder: wall time, and memory for information."""
    runs = setting.scratch / "leaf-practice-runs"
    shutil.rmtree(runs, ignore_errors=True)
    command = [PODIUM, "run", LEAF, *setting.models, "--rows", str(setting.drawn), "--runs", str(runs)]
    whole = cost(command, setting.scratch)
    yield table(
        (f"{setting.drawn} practice pictures and a quarter as many of test", "measured", "limit"),
        [
            ("wall time", f"{whole.seconds:.0f} s", f"{PRACTICE_MINUTES * 60} s"),
            ("peak memory of all processes (PSS, mapped files too)", f"{whole.tree / MIB:,.0f} MiB", ""),
        ],
    )
    yield limit(f"{PRACTICE_MINUTES} minutes", whole.seconds <= PRACTICE_MINUTES * 60)


def leaf_runs(setting: Setting) -> Path:
    return setting.runs or setting.scratch / "leaf-runs"


def told(root: Path) -> str:
    """The folder's name, and whether its pictures are made up."""
    return root.name + " (practice)" * (root / PRACTICE_MARK).is_file()


def of_family(entry: Entry, family: str, wanted: Sequence[str] = ()) -> dict[str, Model]:
    """The recipes of a family, among those wanted. Raises RuntimeError where there is none."""
    among = recipes(entry, wanted)
    found = {name: recipe for name, recipe in among.items() if isinstance(recipe, Model) and recipe.family == family}
    if not found:
        raise RuntimeError(f"none of {', '.join(among)} is of the family {family}.")
    return found


def trained(run: Run, wanted: Mapping[str, Model]) -> dict[str, Member]:
    """Every one of these models, complete. Raises RuntimeError where a unit fails."""
    return train(run, wanted, notify=refuse_failed)


def refuse_failed(outcome: Outcome) -> None:
    if outcome.state == "failed":
        raise RuntimeError(f"{outcome.unit.model} failed in fold {outcome.unit.fold + 1}: {outcome.error}")


def accuracy(run: Run, oof: Table) -> tuple[str, str]:
    """The accuracy on the rows that these predictions have, and its 95 % interval."""
    at = oof.at(run.ids)
    there = np.isfinite(at).all(axis=1)
    metric, y, p = run.entry.competition.metric, run.y[there], at[there]
    low, high = interval(metric, y, p)
    return f"{metric.natural(y, p):.4f}", f"{low:.4f} - {high:.4f}"


def ensembles(run: Run, oof: Mapping[str, Table], tuned: str) -> dict[str, Table]:
    """Of predictions of one fold's rows: of the probes, and of these with the tuned net. Nothing where there are no probes.

    The rows are dealt into parts, so that each is predicted with weights that were fitted without it.
    """
    probes = {name: predicted for name, predicted in oof.items() if name != tuned}
    if not probes:
        return {}
    rows = np.flatnonzero(np.isfinite(oof[tuned].at(run.ids)).all(axis=1))
    truth, parts, metric = (run.ids[rows], run.y[rows]), np.arange(len(rows)) % PARTS, run.entry.competition.metric
    return {
        name: blend(among, truth, parts, metric).oof
        for name, among in ((ENSEMBLE, probes), (f"ensemble of {tuned} and probes", oof))
    }


def clocked(took: dict[str, float], what: str, work: Callable[..., Any], *about: Any) -> Any:
    """What the work gives; its seconds are noted."""
    begin = time.perf_counter()
    result = work(*about)
    took[what] = time.perf_counter() - begin
    return result


def silent(message: str) -> None:
    """Nobody listens."""
