"""The `podium` command line. Nothing heavy is imported before a command needs it: `podium --help` answers at once."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import NOTHING_USABLE, SOME_FAILED, BadData, NothingUsable, PodiumError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.display import Display
    from pipeline.run import Run
    from pipeline.train import Member

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""From a Kaggle competition's data to a submission worth a medal.

    Examples:

      podium list
      podium run house-prices
      podium run house-prices --data DIR --submission my.csv
      podium train house-prices lightgbm ridge --seeds 3
      podium board house-prices
    """,
)

Name = Annotated[str, typer.Argument(help="The competition, as `podium list` names it.", show_default=False)]
Models = Annotated[
    list[str] | None, typer.Argument(help="Only these models; all of the competition's without.", show_default=False)
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Take the competition's files from DIR; else from data/NAME, else practice data.",
        show_default=False,
    ),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Keep results below DIR.")]
FoldsOption = Annotated[
    str | None,
    typer.Option("--folds", metavar="K|FILE", help="Make K folds, or take them from a CSV of id and fold.", show_default=False),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Train every fold with N seeds and average.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="W", min=1, help="Train W folds side by side; one per core without.", show_default=False),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget these models' results first.")]
Rows = Annotated[int, typer.Option("--rows", metavar="N", min=50, help="Make practice data of N rows, where there is no other.")]
Method = Annotated[
    str | None,
    typer.Option("--method", metavar="NAME", help="Blend this way; the best by honest score without.", show_default=False),
]
Copy = Annotated[
    Path | None,
    typer.Option("--submission", metavar="FILE", help="Leave a copy of the submission at FILE.", show_default=False),
]

DEFAULT_RUNS, DEFAULT_ROWS = Path("runs"), 4_000


@app.command("list", epilog="Example: podium list")
def list_competitions() -> None:
    """List the competitions that podium knows."""
    import competitions

    width = max(map(len, competitions.names()), default=0)
    for name in competitions.names():
        _console().print(f"[bold]{name:<{width}}[/bold]  {competitions.purpose(name)}", soft_wrap=True)


@app.command(
    epilog="Example: podium data house-prices --data DIR   or: podium data house-prices --practice practice/ --rows 10000"
)
def data(
    name: Name,
    data: DataDir = None,
    practice: Annotated[
        Path | None, typer.Option("--practice", metavar="DIR", help="Write made-up data to DIR.", show_default=False)
    ] = None,
    rows: Rows = DEFAULT_ROWS,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Make up other rows with another seed.")] = 0,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Check a competition's files and show what is in them, or write practice data."""
    import competitions
    from pipeline.run import open_run, write_practice

    if practice is not None:
        if practice.exists() and any(practice.iterdir() if practice.is_dir() else [practice]):
            raise BadData(f"{practice} is there already and not empty. Name a new folder for the practice data.")
        write_practice(competitions.find(name), practice, rows, seed)
        _say(f"Practice data of {rows} rows (seed {seed}); try it with: podium run {name} --data {practice}")
        _path(practice)
        return
    run = open_run(name, data, runs, rows=rows, seed=seed, say=_say)
    from pipeline.report import data_table

    _console().print(data_table(run))


@app.command(epilog="Example: podium train house-prices lightgbm catboost --folds 10 --seeds 2 --workers 4")
def train(
    name: Name,
    models: Models = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = 1,
    workers: Workers = None,
    fresh: Fresh = False,
    rows: Rows = DEFAULT_ROWS,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Train models on folds. What is in the store already is kept; a stopped run goes on from where it was."""
    run = _open(name, data, runs, folds, rows, seeds)
    _, display = _train(run, models or [], seeds, workers, fresh)
    raise typer.Exit(_failed(run, display))


@app.command(epilog="Example: podium ensemble house-prices --method hill-climbing")
def ensemble(
    name: Name,
    models: Models = None,
    method: Method = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=1, help="As given to train.", show_default=False)
    ] = None,
    rows: Rows = DEFAULT_ROWS,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Blend the models that are trained, and say honestly whether that is better than the best of them."""
    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    _blend(run, _trained(run, models or [], seeds), method)


@app.command(epilog="Example: podium submit house-prices --submission my.csv   or: podium submit house-prices --check my.csv")
def submit(
    name: Name,
    models: Models = None,
    method: Method = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Only check FILE against the rules.", show_default=False)
    ] = None,
    submission: Copy = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=1, help="As given to train.", show_default=False)
    ] = None,
    rows: Rows = DEFAULT_ROWS,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Write the submission of the blended models and check it, or check a file that is there."""
    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    if check is not None:
        from submit.check import require

        require(check, run.data.sample, run.entry.competition.task, classes=run.columns if run.classes else None)
        _say("The file keeps every rule.")
        _path(check)
        return
    _submit(run, _blend(run, _trained(run, models or [], seeds), method), submission)


@app.command("run", epilog="Example: podium run house-prices --data DIR --submission my.csv")
def run_all(
    name: Name,
    models: Models = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = 1,
    workers: Workers = None,
    fresh: Fresh = False,
    method: Method = None,
    submission: Copy = None,
    rows: Rows = DEFAULT_ROWS,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Do it all: data, folds, training, ensemble, checked submission. The last line is the file's path."""
    run = _open(name, data, runs, folds, rows, seeds)
    members, display = _train(run, models or [], seeds, workers, fresh)
    code = _failed(run, display)
    if code == NOTHING_USABLE:
        raise typer.Exit(code)
    _submit(run, _blend(run, members, method), submission)
    raise typer.Exit(code)


@app.command(epilog="Example: podium board house-prices")
def board(
    name: Name,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=1, help="As given to train.", show_default=False)
    ] = None,
    rows: Rows = DEFAULT_ROWS,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Show every model of a competition: score with interval, time, state."""
    from pipeline.report import board_table

    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    _console().print(board_table(run, seeds))


@app.command(epilog="Example: podium doctor")
def doctor() -> None:
    """Show versions, cores, memory, GPU, and whether Kaggle credentials are there (never what they are)."""
    from pipeline.doctor import findings
    from pipeline.report import pairs_table

    _console().print(pairs_table(findings()))


def _open(name: str, data: Path | None, runs: Path, folds: str | None, rows: int, seeds: int) -> Run:
    from pipeline.run import open_run
    from pipeline.store import refusing

    run = open_run(name, data, runs, folds, rows, say=_say)
    used = {"data": str(data.resolve()) if data else None, "folds": folds, "rows": rows, "seeds": seeds}
    with refusing(run.store.root):
        (run.store.root / "last.json").write_text(json.dumps(used), encoding="utf-8")
    return run


def _reopen(name: str, data: Path | None, runs: Path, folds: str | None, rows: int, seeds: int | None) -> tuple[Run, int]:
    """The run that was trained last, where no option says otherwise; so `podium ensemble NAME` goes on from `podium train NAME`."""
    import competitions
    from pipeline.run import open_run

    competitions.find(name)
    try:
        last: dict[str, Any] = json.loads((runs / name / "last.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = {}
    if data is None and last.get("data"):
        data = Path(last["data"])
        _say(f"Taking the data of the last run, {data}.")
    run = open_run(
        name, data, runs, folds or last.get("folds"), last.get("rows", rows) if rows == DEFAULT_ROWS else rows, say=_say
    )
    return run, seeds or last.get("seeds", 1)


def _train(run: Run, models: list[str], seeds: int, workers: int | None, fresh: bool) -> tuple[dict[str, Member], Display]:
    from pipeline.display import Display
    from pipeline.train import recipes, train

    named = recipes(run, models)
    display = Display(_console(), len(run.folds) * seeds, named, run.entry.competition.metric.name)
    try:
        with display:
            members = train(run, named, seeds, workers, fresh, notify=display, say=_say)
    except KeyboardInterrupt:
        total = len(run.folds) * seeds * len(named)
        _say(
            f"Stopped. {display.done + display.kept} of {total} folds are kept in {run.store.root}; the same command goes on from there."
        )
        raise typer.Exit(INTERRUPTED) from None
    if display.kept:
        _say(f"{display.kept} folds were in the store, {display.done} were trained now.")
    return members, display


def _failed(run: Run, display: Display) -> int:
    """The exit code after training; what failed is listed."""
    if not display.failures:
        return 0
    models = sorted({outcome.unit.model for outcome in display.failures})
    for outcome in display.failures:
        _say(f"FAILED {outcome.unit.model} fold {outcome.unit.fold + 1}: {outcome.error}")
    _say(
        f"{len(models)} of {len(display.models)} models failed and are left out: {', '.join(models)}. Tracebacks: {run.store.path('failures')}"
    )
    return SOME_FAILED if len(models) < len(display.models) else NOTHING_USABLE


def _trained(run: Run, models: list[str], seeds: int) -> dict[str, Member]:
    from pipeline.train import members, recipes, units

    found = members(run, units(run, recipes(run, models), seeds), _say)
    if not found:
        raise NothingUsable(f"No model of {run.name} is trained on this data and these folds. First: podium train {run.name}")
    return found


def _blend(run: Run, members: dict[str, Member], method: str | None) -> Any:
    from pipeline.assemble import assemble
    from pipeline.report import blend_table

    assembled = assemble(run, members, method)
    _console().print(blend_table(assembled))
    return assembled


def _submit(run: Run, assembled: Any, copy: Path | None) -> None:
    from pipeline.store import refusing
    from submit import submit as write

    path = write(run, assembled)
    if copy is not None:
        with refusing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            beside = copy.with_name(f".{copy.name}.part")
            shutil.copyfile(path, beside)
            beside.replace(copy)
    if run.practice:
        _say("PRACTICE DATA: this file is for trying podium out, not for Kaggle.")
    _path(copy or path)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _say(message: str) -> None:
    _console().print(message, highlight=False, soft_wrap=True, markup=False)


def _path(path: Path) -> None:
    """A path as the last line, never wrapped or coloured, so that a script can read it."""
    sys.stdout.flush()
    typer.echo(str(path))


def main(run: Callable[..., Any] = app) -> None:
    """The console script. Errors that podium raises on purpose are one message on stderr; others keep their traceback."""
    try:
        run()
    except PodiumError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        sys.exit(INTERRUPTED)
