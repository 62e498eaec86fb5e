"""`podium import` and `podium export`: predictions made elsewhere, and ours for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import say, say_path
from pipeline.errors import BadImport, UnknownName
from pipeline.reopening import reopen

if TYPE_CHECKING:
    from pipeline.run import Run
    from pipeline.train import Member

commands = typer.Typer()
RUNS = Path("runs")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The competition, as `podium list` names it.", show_default=False)]
DataDir = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The competition's files; without, the last run's.", show_default=False),
]
FoldsOption = Annotated[
    str | None,
    typer.Option(
        "--folds", metavar="K|FILE", help="The folds, as for `podium train`; without, the last run's.", show_default=False
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", metavar="N", min=1, help="The seeds that were trained; without, the last run's.", show_default=False),
]
Rows = Annotated[
    int | None,
    typer.Option("--rows", metavar="N", min=50, help="The practice data of N rows; without, the last run's.", show_default=False),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", file_okay=False, help="Keep results below DIR.")]


@commands.command(
    "import",
    epilog="""\b
    Examples:
      podium import house-prices theirs.oof.csv --test theirs.test.csv
      podium import house-prices fold0.parquet fold1.parquet --name theirs --fold-column part
      podium import cowboy-detection yolo.oof.json --test yolo.test.json
      podium import house-prices --remove theirs
    """,
)
def take(
    name: Name,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Out-of-fold predictions by id: CSV, parquet or npz; COCO's list of results for boxes. Several hold different rows.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--name", metavar="MODEL", help="What to call it; without, the first file's name.", show_default=False),
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", metavar="FILE", help="Its predictions of the test rows.", show_default=False)
    ] = None,
    fold_column: Annotated[
        str | None,
        typer.Option(
            "--fold-column",
            metavar="COLUMN",
            help="Says which fold validated a row; without, `fold`, if it is there.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option("--remove", metavar="MODEL", help="Forget what was imported under this name.", show_default=False),
    ] = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = None,
    rows: Rows = None,
    runs: Runs = RUNS,
) -> None:
    """Take predictions made elsewhere, checked, as a member like ours.

    It stands on the board and joins the ensemble. The last line is the folder that it is kept in.
    """
    from pipeline.foreign import imports
    from pipeline.train import BY_FAMILY

    if remove is not None:
        import competitions
        from pipeline.store import Store

        competitions.find(name)
        count = imports.remove(Store(runs / name), remove)
        say(f"Forgotten: {remove}, {count} version{'s' * (count != 1)}.")
        return
    if not files:
        raise BadImport("file", "There is no file to take. Name one, or several that hold different rows; or --remove MODEL.")
    run, seeds = reopen(name, data, runs, folds, rows, seeds)
    mine = [*run.entry.models(), *BY_FAMILY, *run.store.list("units")]
    taken = imports.bring(run, files, model, test, fold_column, _ours(run, seeds), mine, say)
    _told(run, taken)
    say_path(run.store.path(imports.PLACE, taken.name, taken.keys[0]))


def _told(run: Run, taken: Member) -> None:
    from pipeline.display import figure
    from pipeline.foreign.imports import Foreign

    low, high = run.answers.interval(taken.oof)
    metric = run.entry.competition.metric.name
    say(f"{taken.name}: {metric} {figure(taken.score)} (95 % {figure(low)} to {figure(high)}) on {len(taken.oof.ids):,} rows.")
    if isinstance(taken, Foreign):
        for note in taken.notes:
            say(note)
        if not taken.told:
            say("The file does not say which fold validated a row, so that could not be checked: give it a column `fold`.")
        for flag in taken.flags:
            say(f"SUSPICIOUSLY GOOD: {flag}")
    if taken.test is None:
        say("Without --test FILE it can be compared, but not join an ensemble that is to answer the test rows.")
    say(f"To forget it: podium import {run.name} --remove {taken.name}")


@commands.command(
    epilog="""\b
    Examples:
      podium export house-prices lightgbm --to out
      podium export house-prices --to out --format parquet
      podium export house-prices --plan --to out
    """
)
def export(
    name: Name,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Only these models; without, all that are there.", show_default=False),
    ] = None,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", file_okay=False, help="Write the files there.")] = Path("export"),
    kind: Annotated[
        str | None,
        typer.Option("--format", metavar="KIND", help="csv, parquet or npz of tables; json of boxes.", show_default=False),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Write the folds alone: folds.csv, and fit.csv, which rows may be learned.")
    ] = False,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = None,
    rows: Rows = None,
    runs: Runs = RUNS,
) -> None:
    """Write our predictions, or our folds, for a notebook of your own.

    `podium import` takes the same files. The last line is the path of the last.
    """
    from pipeline.foreign import exporting

    known = (*exporting.OF_TABLES, *exporting.OF_BOXES)
    if kind is not None and kind not in known:
        raise UnknownName("format", kind, known)
    run, seeds = reopen(name, data, runs, folds, rows, seeds)
    written = exporting.export_folds(run, to) if plan else []
    if models or not plan:
        from pipeline.gathering import gathered

        for member in gathered(run, models or [], seeds, say).values():
            written += exporting.export(run, member, to, kind)
    for file in written[:-1]:
        say(str(file))
    say_path(written[-1])


def _ours(run: Run, seeds: int) -> dict[str, Member]:
    from pipeline.gathering import ours

    return ours(run, [], seeds, say)
