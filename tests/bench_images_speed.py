"""How fast podium learns from pictures, and in how much memory: on two cores, and on a GPU where there is one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.run import IMAGE, open_run
from pipeline.tables import read_text
from tests.bench_images import accuracy, clocked, of_family, told, trained
from tests.bench_setting import LEAF, ROOT, Setting, Times, limit, table
from tests.bench_sizes import MIB
from tests.bench_times import alternated, compared

CPU = {"net": "tf_efficientnet_lite0", "size": 128, "batch": 32, "pictures": 768}
READ = {"size": 224, "pictures": 4_096}
GPU = {"net": "resnet50", "size": 224, "batch": 256, "pictures": 20_480, "device": "cuda", "precision": "bf16", "cores": 0}
FASTER, READ_A_SECOND, OF_SYNTHETIC = 1.2, 20_000, 0.85
PICTURES, GROWTH, MORE = 1_000, 4, 1.1
TEST_ROWS = 50


def image_speed(setting: Setting) -> Iterator[str]:
    """Training on pictures on two cores: podium's loop beside a plain one that decodes with PIL; and reading pixels beside decoding."""
    root = setting.pictures()
    made = measured("decoding", setting, **CPU)["seconds"]
    times = turns(setting, {"podium": "podium", "by hand": "plain", "by hand, workers": "plain_workers"}, **CPU)
    peers = {name: time for name, time in times.items() if name != "podium"}
    peer = min(peers, key=lambda name: peers[name].median)
    yield table(
        ("training", "images/s", "seconds of an epoch", "podium is faster by", "pair by pair"),
        [
            (
                name,
                f"{CPU['pictures'] / time.median:.1f}",
                time,
                *(compared(time, times["podium"]) if name in peers else ("", "")),
            )
            for name, time in times.items()
        ],
    )
    yield (
        f"{CPU['net']}, {CPU['size']} px, batches of {CPU['batch']}, {CPU['pictures']} pictures of {told(root)}: "
        f"random crops and flips, AdamW, in float32. Before, podium indexed and decoded them once for all epochs, in {made:.1f} s."
    )
    read = measured("reading", setting, **READ)
    yield table(
        (f"reading at {READ['size']} px, one thread", "images/s"),
        [
            ("the map, random batches", f"{read['later']:,.0f}"),
            ("the map, read for the first time", f"{read['first']:,.0f}"),
            ("PIL", f"{read['decoded']:,.0f}"),
        ],
    )
    yield limit(f"{FASTER:g} times as fast as the faster loop by hand", times[peer].median / times["podium"].median >= FASTER)
    yield limit(f"{READ_A_SECOND:,} images/s of a core from the map", read["later"] >= READ_A_SECOND)


def image_memory(setting: Setting) -> Iterator[str]:
    """Anonymous memory of training and of making features, with four times the pictures and with four folds."""
    if not Path("/proc/self/smaps_rollup").exists():
        yield "Skipped: image-memory reads /proc/self/smaps_rollup, which only Linux has."
        return
    root = setting.pictures()
    rows = min(PICTURES, len(read_text(root / "train.csv")) // GROWTH)
    small, large = (part_of(root, setting.scratch / f"leaves-{count}", count) for count in (rows, GROWTH * rows))
    watched = {
        "training, one fold": (small, "image", 1),
        f"training, {GROWTH} times the pictures": (large, "image", 1),
        f"training, {GROWTH} folds": (small, "image", GROWTH),
        "features": (small, "probe", 1),
        f"features, {GROWTH} times the pictures": (large, "probe", 1),
    }
    found = {
        what: measured("memory", setting, root=folder, kept=setting.scratch / f"memory-{at}", family=family, folds=folds)
        for at, (what, (folder, family, folds)) in enumerate(watched.items())
    }
    beyond = {what: one["anonymous"] - one["needed"] for what, one in found.items()}
    first = {family: next(what for what in watched if watched[what][1] == family) for family in ("image", "probe")}
    growth = {what: beyond[what] / beyond[first[family]] for what, (_, family, _) in watched.items()}
    yield table(
        (f"{rows} pictures", "anonymous, MiB", "of it ids and labels, MiB", "beyond these, ratio"),
        [
            (what, f"{one['anonymous'] / MIB:.1f}", f"{one['needed'] / MIB:.2f}", f"{growth[what]:.3f}")
            for what, one in found.items()
        ],
    )
    yield f"The most at any moment of a process, libraries included; pixels are pages of a mapped file and not in it. From {told(root)}."
    yield limit(
        f"{MORE:g} times as much for {GROWTH} times {rows} pictures, and for {GROWTH} folds", max(growth.values()) <= MORE
    )


def gpu(setting: Setting) -> Iterator[str]:
    """Where there is a GPU: a large net through podium's loop beside the same step on synthetic data, and five folds of the recipe's net."""
    import torch

    if not torch.cuda.is_available():
        yield "No GPU is at hand: nothing is measured."
        return
    yield from on_gpu(setting)


def on_gpu(setting: Setting) -> Iterator[str]:
    root = setting.pictures()
    measured("decoding", setting, **GPU)
    times = turns(setting, {"podium": "podium", "synthetic data on the device": "synthetic"}, **GPU)
    ours, most = times.values()
    yield table(
        ("training", "images/s", "seconds of an epoch", "ratio", "pair by pair"),
        [
            ("podium", f"{GPU['pictures'] / ours.median:,.0f}", ours, *compared(most, ours)),
            ("synthetic data on the device", f"{GPU['pictures'] / most.median:,.0f}", most, "", ""),
        ],
    )
    yield f"{GPU['net']}, {GPU['size']} px, batches of {GPU['batch']}, {GPU['precision']}, channels last, pictures of {told(root)}."
    took: dict[str, float] = {}
    run = clocked(took, "index", open_run, LEAF, root, setting.scratch / "gpu-runs")
    name, recipe = next(iter(of_family(run.entry, "image", setting.models).items()))
    member = clocked(took, "folds", trained, run, {name: recipe})[name]
    yield table(("model", "accuracy", "95 %", "minutes"), [(name, *accuracy(run, member.oof), f"{took['folds'] / 60:.1f}")])
    yield f"{len(run.folds)} folds, {len(run.ids)} pictures, {recipe.params}; decoding is in the minutes, reading the files' index ({took['index']:.0f} s) is not."
    yield limit(f"{OF_SYNTHETIC:g} of the speed on synthetic data", most.median / ours.median >= OF_SYNTHETIC)


def turns(setting: Setting, loops: dict[str, str], **job: object) -> dict[str, Times]:
    """Seconds of an epoch of each loop, taken in turns."""

    def seconds(loop: str) -> float:
        return measured(loop, setting, **job)["seconds"]

    return alternated({name: partial(seconds, loop) for name, loop in loops.items()}, setting.repeats)


def measured(loop: str, setting: Setting, **job: object) -> dict[str, float]:
    """What a loop finds in a process of its own. Raises RuntimeError with its last words if it fails."""
    given = {"root": setting.pictures(), "kept": setting.scratch / "pictures", **job}
    command = [sys.executable, "-m", "tests.bench_images_loops", loop, json.dumps(given, default=str)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def part_of(root: Path, folder: Path, rows: int) -> Path:
    """A competition of so many of the train pictures, and of a few test pictures; the files stay where they are."""
    folder.mkdir()
    for entry in root.iterdir():
        if entry.suffix != ".csv":
            (folder / entry.name).symlink_to(entry)
    for part in ("train", "test", "sample_submission"):
        cells = read_text(root / f"{part}.csv")
        some = cells.sample(rows, random_state=0) if part == "train" else cells.sort_values(IMAGE)[:TEST_ROWS]
        some.to_csv(folder / f"{part}.csv", index=False)
    return folder
