"""Every figure of the README, measured: `make bench ARGS="..."`, or `python -m tests.bench [SECTION ...]`.

Speed is told as a ratio to a peer that runs in the same minutes; seconds stand beside it for information. Nothing here fails
for being slow: every section ends with its limit, and whether it was met.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import PodiumError, UnknownName
from tests.bench_automl import automl
from tests.bench_boxes import box_tuning, evaluation, fusion
from tests.bench_detection import blood_cells, cowboy_practice
from tests.bench_ensemble import ensembles
from tests.bench_images import leaf_practice, leaf_probes, leaf_tune
from tests.bench_images_speed import gpu, image_memory, image_speed
from tests.bench_resampling import resampling_leaves, resampling_table
from tests.bench_scores import drift, forward, king_county, plans
from tests.bench_setting import CELLS, KING_COUNTY, LEAVES, Setting, machine, machine_in_short
from tests.bench_sizes import practice, rows
from tests.bench_times import climbing, help_text, loop, resume

SECTIONS: Mapping[str, Callable[[Setting], Iterator[str]]] = {
    "king-county": king_county,
    "forward": forward,
    "plans": plans,
    "drift": drift,
    "automl": automl,
    "loop": loop,
    "practice": practice,
    "resume": resume,
    "climbing": climbing,
    "ensembles": ensembles,
    "rows": rows,
    "help": help_text,
    "leaf-probes": leaf_probes,
    "leaf-tune": leaf_tune,
    "leaf-practice": leaf_practice,
    "image-speed": image_speed,
    "image-memory": image_memory,
    "gpu": gpu,
    "fusion": fusion,
    "evaluation": evaluation,
    "box-tuning": box_tuning,
    "blood-cells": blood_cells,
    "cowboy-practice": cowboy_practice,
    "resampling-table": resampling_table,
    "resampling-leaves": resampling_leaves,
}
HEAD = """\
# Benchmarks

Each section is what `make bench ARGS="SECTION --page docs/benchmarks.md"` printed the last time that it was run.
"""
OF_KING_COUNTY = {"king-county", "forward", "plans", "drift", "automl"}
OF_LEAVES = {"leaf-probes", "leaf-tune", "resampling-leaves"}  # the others take practice pictures where there are no real ones


def main(words: Sequence[str] | None = None) -> None:
    """Print the sections asked for, as they are measured."""
    parser = arguments()
    asked = parser.parse_args(words)
    for name in asked.sections:
        if name not in SECTIONS:
            parser.error(str(UnknownName("section", name, SECTIONS)))
    if asked.list:
        print("\n".join(f"{name:<14} {purpose(name)}" for name in SECTIONS))
        return
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as scratch:
        wanted = tuple(filter(None, asked.models.split(",")))
        setting = Setting(
            Path(scratch),
            asked.data,
            asked.full,
            models=wanted,
            leaves=asked.leaves.resolve(),
            cells=asked.cells.resolve(),
            runs=asked.runs,
            quick=asked.quick,
            budget=asked.budget,
            against=tuple(filter(None, asked.against.split(","))),
        )
        for name in asked.sections or SECTIONS:
            said = []
            for text in section(name, setting):
                print(f"\n{text}", flush=True)
                said.append(text)
            if asked.page:
                keep(asked.page, name, "\n\n".join([*said, machine_in_short()]))


def section(name: str, setting: Setting) -> Iterator[str]:
    """The title, then what the section finds; a sentence instead where its data is absent, or a command fails."""
    yield f"## {name}\n\n{purpose(name)} (Load {os.getloadavg()[0]:.1f} before.)"
    if name in OF_KING_COUNTY and not setting.king_county.is_dir():
        yield f"Skipped: {name} needs King County's sales, and {setting.king_county} is no folder. Give it with --data DIR."
        return
    if name in OF_LEAVES and not setting.leaves.is_dir():
        yield f"Skipped: {name} needs the pictures of leaves, and {setting.leaves} is no folder. Give it with --leaves DIR."
        return
    if name == "blood-cells" and not setting.cells.is_dir():
        yield f"Skipped: {name} needs the pictures of blood cells, and {setting.cells} is no folder. Give it with --cells DIR."
        return
    try:
        yield from SECTIONS[name](setting)
    except (PodiumError, RuntimeError) as error:  # the other sections are measured all the same
        yield f"Failed: {error}"


def keep(page: Path, name: str, text: str) -> None:
    """Put what a section printed into a page, in the place of what it printed before; the page's other sections stay."""
    before = page.read_text(encoding="utf-8") if page.is_file() else HEAD
    head, *parts = re.split(r"^(?=## )", before, flags=re.MULTILINE)
    sections = {part.splitlines()[0].removeprefix("## "): part.strip() for part in parts} | {name: text.strip()}
    ordered = sorted(sections, key=lambda one: list(SECTIONS).index(one) if one in SECTIONS else len(SECTIONS))
    page.write_text("\n\n".join([head.strip(), *(sections[one] for one in ordered)]) + "\n", encoding="utf-8")


def purpose(name: str) -> str:
    return (SECTIONS[name].__doc__ or "").partition("\n")[0]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the figures of the README.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all without")
    parser.add_argument("--list", action="store_true", help="list the sections")
    parser.add_argument("--data", type=Path, default=KING_COUNTY, metavar="DIR", help="the folder of King County's sales")
    parser.add_argument("--leaves", type=Path, default=LEAVES, metavar="DIR", help="the folder of the pictures of leaves")
    parser.add_argument("--cells", type=Path, default=CELLS, metavar="DIR", help="the folder of the pictures of blood cells")
    parser.add_argument("--quick", action="store_true", help="less training in `blood-cells`")
    parser.add_argument(
        "--runs",
        type=Path,
        metavar="DIR",
        help="where leaf-probes, leaf-tune and blood-cells keep what they train; nowhere without",
    )
    parser.add_argument("--models", default="", metavar="NAME,NAME", help="only these models of the recipe")
    parser.add_argument("--budget", type=float, default=Setting.budget, metavar="SECONDS", help="of each training in `automl`")
    parser.add_argument("--against", default="", metavar="NAME,NAME", help="in `automl`, only these of autogluon, h2o, flaml")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also keep what each section prints in this page of Markdown")
    parser.add_argument("--full", action="store_true", help="also the nets in `rows`, which takes an hour or more")
    return parser


if __name__ == "__main__":
    main()
