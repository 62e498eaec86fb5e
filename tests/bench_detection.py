"""How well detectors find real blood cells on two cores, and how long the drawn scenes of the practice data take."""

from __future__ import annotations

import time
from collections.abc import Iterator

from competitions.cowboy_detection import competition
from pipeline.assemble import assemble
from pipeline.boxes.evaluation import evaluate
from pipeline.compare import compare
from pipeline.competition import Model
from pipeline.errors import UnknownName
from pipeline.run import class_names, open_run
from pipeline.train import train
from tests.bench_setting import COWBOY, PODIUM, Setting, limit, table, timed

FUSED, HOURS, QUICK_MINUTES = 0.64, 3.0, 20.0
PRACTICE_SECONDS = 300.0
HEADS = {"fcos": {"epochs": 40, "plain": 4}, "cascade-rcnn": {"epochs": 24, "plain": 3, "batch": 2}}  # of one stage, and of four
PLAIN, AWARE = "fcos-plain", "fcos-plain-class-aware"  # the same but for how often rare classes are seen

# Cells lie in any direction: a quarter turn is one more picture to learn from, as long as no picture is squashed, which makes circles
# lie along one side.
LITE0 = {"net": "tf_efficientnet_lite0", "weights": "package", "layer_decay": 0.9, "batch": 4, "how": "pad"}
# Many epochs of small pictures find more than few of large ones in the same time; the first layers know edges and colours already, and
# at their resolution learning costs most.
LONG = {
    **LITE0,
    "size": 384,
    "freeze": 3,
    "augment": {"flips": "turns", "crop": 0.6},
    "views": ("plain", "mirror", "upside", "transposed"),
    "scales": (1.0, 1.17),
}
FEW = {**LITE0, "size": 256, "plain": 1, "augment": {"flips": "turns"}}
SINGLE = {**FEW, "head": "fcos", "epochs": 8, "views": ("plain",)}
SHORT = {**FEW, "views": LONG["views"]}
SHORT_EPOCHS = {"fcos": 5, "cascade-rcnn": 4}


def cells(quick: bool) -> dict[str, Model]:
    """The recipes: two families; and a plain one, of one view, without and with resampling. Quick: the two families, short."""
    if quick:
        return {head: Model("detector", {**SHORT, "head": head, "epochs": epochs}) for head, epochs in SHORT_EPOCHS.items()}
    return {
        **{head: Model("detector", {**LONG, **more, "head": head}) for head, more in HEADS.items()},
        PLAIN: Model("detector", SINGLE),
        AWARE: Model("detector", SINGLE, resample="class-aware:at=0.5"),
    }


def blood_cells(setting: Setting) -> Iterator[str]:
    """Two families of detectors over five folds of real blood cells, fused; and what resampling changes for the rare classes."""
    recipes = setting.detectors or cells(setting.quick)
    for name in set(setting.models) - set(recipes):
        raise UnknownName("model for blood cells", name, recipes)
    recipes = {name: recipe for name, recipe in recipes.items() if name in (setting.models or recipes)}
    run = open_run(COWBOY, setting.cells, setting.runs or setting.scratch / "cells")
    kept = train(run, recipes)
    if set(kept) != set(recipes):
        raise RuntimeError(f"{', '.join(sorted(set(recipes) - set(kept)))} failed; see {run.store.path('failures')}.")
    begin = time.perf_counter()
    families = {name: kept[name] for name in recipes if name not in (PLAIN, AWARE)}
    blend = assemble(run, families).blend if families else None
    hours = (time.perf_counter() - begin + sum(member.seconds for member in kept.values())) / 3600
    names = class_names(run.data, run.entry.competition.task)
    found = {name: member.oof for name, member in kept.items()} | ({"fusion, honest": blend.oof} if blend else {})
    rows = []
    for name, boxes in found.items():
        told, (low, high) = evaluate(run.y, boxes), run.answers.interval(boxes)
        minutes = f"{kept[name].seconds / 60:.0f}" if name in kept else ""
        rows.append(
            (
                name,
                f"{told.ap:.4f}",
                f"{low:.4f} - {high:.4f}",
                f"{told.ap50:.4f}",
                *(f"{one:.4f}" for one in told.by_category),
                minutes,
            )
        )
    yield table(("boxes", "AP", "95 %", "AP50", *names, "minutes of training"), rows)
    yield f"{len(run.ids)} pictures, pooled over {len(run.folds)} folds. {' '.join(blend.sentences) if blend else ''}".rstrip()
    if {PLAIN, AWARE} <= set(kept):
        yield "What class-aware sampling changed, on the same folds and the same draws of pictures:"
        found = compare(run, kept[PLAIN], kept[AWARE])
        changes = [
            (
                one.name,
                str(one.rows),
                *(f"{score:.4f}" for score in one.scores),
                f"{one.difference:+.4f}",
                f"{one.low:+.4f} to {one.high:+.4f}",
            )
            for one in (*found.classes, found.overall)
        ]
        yield table(("class", "pictures with it", "AP without", "with", "difference", "95 %"), changes)
        yield found.verdict
    yield f"All together {hours:.2f} h: every fold's own time, whenever it was trained, and that of the fusion."
    if blend is None:
        return
    whole = (
        limit(f"{QUICK_MINUTES:g} minutes", hours * 60 <= QUICK_MINUTES)
        if setting.quick
        else limit(f"AP {FUSED:g} in {HOURS:g} h", blend.honest >= FUSED and hours <= HOURS)
    )
    yield whole
    yield limit("the fusion's honest score at least its best member's", blend.honest >= max(blend.member_scores.values()))


def cowboy_practice(setting: Setting) -> Iterator[str]:
    """`podium run cowboy-detection` on drawn scenes, after set-up: two families of detectors, fused, and a checked zip."""
    rows = min(setting.rows, competition.practice_rows)
    runs = setting.scratch / "cowboy"
    seconds = timed([PODIUM, "run", COWBOY, "--rows", str(rows), "--runs", str(runs)], setting.scratch)
    run = open_run(COWBOY, runs=runs, rows=rows)
    blend = assemble(run, train(run)).blend
    told = [
        (name, f"{score:.4f}", "{:.4f} - {:.4f}".format(*blend.member_intervals[name]))
        for name, score in blend.member_scores.items()
    ]
    yield table(
        ("boxes", "AP", "95 %"), [*told, ("fusion, honest", f"{blend.honest:.4f}", "{:.4f} - {:.4f}".format(*blend.interval))]
    )
    yield f"{rows} pictures to learn from, {len(run.folds)} folds: {seconds:.0f} s."
    yield limit(f"{PRACTICE_SECONDS:g} s", seconds <= PRACTICE_SECONDS)
