"""The `podium` command line. Nothing heavy is imported before a command needs it: `podium --help` answers at once."""

from __future__ import annotations

import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.cli_exchange import commands as of_exchange
from pipeline.cli_grade import commands as of_grading
from pipeline.cli_ledger import ledger
from pipeline.cli_new import commands as of_new
from pipeline.cli_tune import commands as of_tuning
from pipeline.console import console as _console
from pipeline.console import say as _say
from pipeline.console import say_path as _path
from pipeline.credentials import hidden
from pipeline.errors import (
    NOTHING_USABLE,
    SEVERE_STANDS,
    SOME_FAILED,
    BadData,
    BadRecipe,
    NoCredentials,
    NothingUsable,
    PodiumError,
    StoreError,
    UnknownName,
)
from pipeline.reopening import note
from pipeline.reopening import reopen as _reopen

if TYPE_CHECKING:
    from pipeline.assemble import Assembled
    from pipeline.display import Display
    from pipeline.run import Run
    from pipeline.train import Member

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended
TWO_WAYS = 2


class Commands(TyperGroup):
    """Errors that podium raises on purpose are one message on stderr and an exit code; others keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PodiumError as error:
            _console(sys.stderr).print(f"Error: {hidden(str(error))}", style="red", highlight=False, markup=False)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _console(sys.stderr).print("Stopped.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # boxes around help and errors would cost as much time again as all the rest of `podium --help`
    pretty_exceptions_enable=False,
    help="""From a Kaggle competition's data to a submission worth a medal.

    \b
    Examples:
      podium list
      podium run house-prices
      podium run house-prices --data DIR --submission my.csv
      podium train house-prices lightgbm ridge --seeds 3
      podium submit house-prices -m "first"
      podium board house-prices
    """,
)
app.add_typer(ledger, name="ledger")


for more in (of_exchange, of_grading, of_new, of_tuning):
    app.add_typer(more)


def _known_method(method: str | None) -> str | None:
    """Checked as the command is read, not after an hour of training."""
    if method is not None:
        from pipeline.ensemble.boxes import WAYS
        from pipeline.ensemble.methods import METHODS

        known = {*METHODS, *WAYS}
        if method not in known:
            raise UnknownName("ensemble method", method, known)
    return method


def _known_steps(steps: list[str] | None) -> list[str] | None:
    """Checked as the command is read, not after an hour of training."""
    from pipeline.resample import parse

    for step in steps or []:
        parse(step)
    return steps


Name = Annotated[str, typer.Argument(metavar="NAME", help="The competition, as `podium list` names it.", show_default=False)]
Models = Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="Only these models; without, all.", show_default=False)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Take the competition's files from DIR; else from data/NAME, else practice data.",
        show_default=False,
    ),
]
Steps = Annotated[
    list[str] | None,
    typer.Option(
        "--resample",
        metavar="WAY",
        callback=_known_steps,
        help="Resample the training part of each fold: copy, under, smote, class-aware, inverse, ... or like smote:at=0.5; again for "
        "another way.",
        show_default=False,
    ),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", file_okay=False, help="Keep results below DIR.")]
FoldsOption = Annotated[
    str | None,
    typer.Option("--folds", metavar="K|FILE", help="Make K folds, or take them from a CSV of id and fold.", show_default=False),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Train every fold with N seeds and average.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="W", min=1, help="Train W folds side by side; without, one per core.", show_default=False),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget these models' results first.")]
Rows = Annotated[
    int | None,
    typer.Option(
        "--rows", metavar="N", min=50, help="Make practice data of N rows, where there is no other.", show_default=False
    ),
]
SeedsBefore = Annotated[
    int | None,
    typer.Option("--seeds", metavar="N", min=1, help="The seeds that were trained; without, the last run's.", show_default=False),
]
RowsBefore = Annotated[
    int | None,
    typer.Option("--rows", metavar="N", min=50, help="The practice data of N rows; without, the last run's.", show_default=False),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        callback=_known_method,
        help="Blend this way; without, the best by honest score, or hedged-wbf for boxes.",
        show_default=False,
    ),
]
Copy = Annotated[
    Path | None,
    typer.Option(
        "--submission", metavar="FILE", dir_okay=False, help="Leave a copy of the submission at FILE.", show_default=False
    ),
]

Phase = Annotated[
    str | None,
    typer.Option("--phase", metavar="NAME", help="Answer this phase's test rows; without, the last one's.", show_default=False),
]

RUNS = Path("runs")


@app.command("list", epilog="Example: podium list")
def list_competitions() -> None:
    """List the competitions that podium knows."""
    import competitions

    width = max(map(len, competitions.names()), default=0)
    for name in competitions.names():
        _say(f"{name:<{width}}  {competitions.purpose(name)}")


@app.command(
    epilog="""\b
    Examples:
      podium data house-prices
      podium data house-prices --data DIR
      podium data house-prices --practice practice/ --rows 10000
    """
)
def data(
    name: Name,
    data: DataDir = None,
    practice: Annotated[
        Path | None, typer.Option("--practice", metavar="DIR", help="Write made-up data to DIR.", show_default=False)
    ] = None,
    rows: Rows = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Make up other rows with another seed.")] = 0,
    runs: Runs = RUNS,
) -> None:
    """Download a competition's files and check them, or write practice data.

    Shows every column: its type, how much of it is missing, an example. A download that was stopped goes on from where it was.
    """
    import competitions
    from pipeline.run import DOWNLOADED, open_run, there, write_practice

    if practice is not None:
        entry = competitions.find(name)
        if practice.exists() and any(practice.iterdir() if practice.is_dir() else [practice]):
            raise BadData(f"{practice} is there already and not empty. Name a new folder for the practice data.")
        rows = rows or entry.competition.practice_rows
        write_practice(entry, practice, rows, seed)
        _say(f"Practice data of {rows} rows (seed {seed}); try it with: podium run {name} --data {practice}")
        _path(practice)
        return
    entry = competitions.find(name)
    if data is None and rows is None and there(entry) in (None, DOWNLOADED / name):
        from submit.download import download

        try:
            download(entry.competition.kaggle, DOWNLOADED / name, _say, entry.competition.git_hashes)
        except NoCredentials as error:
            raise NoCredentials(f"{error}\nTo try podium out with made-up rows: podium run {name}") from None
    run = open_run(name, data, runs, rows=rows, seed=seed, say=_say)
    from pipeline.predictions import Truth
    from pipeline.report import categories_table, data_table

    _console().print(data_table(run))
    if isinstance(run.y, Truth):
        _console().print(categories_table(run))
    if run.gallery is not None:
        from pipeline.data_care import copies, copies_page

        found = copies(run)
        _say(str(found))
        if run.classes:
            _say(f"The conflicting labels, with pictures: {copies_page(run, found)}")


@app.command(epilog="Example: podium audit house-prices --data DIR")
def audit(
    name: Name,
    data: DataDir = None,
    folds: FoldsOption = None,
    rows: Rows = None,
    runs: Runs = RUNS,
) -> None:
    """Look for leaks, copies and shift before any training.

    Writes a page for a browser and a JSON file; the last line is the path of the JSON. Exit code 3 when something severe stands.
    """
    from pipeline.run import open_run

    run = open_run(name, data, runs, folds, rows, say=_say)
    from pipeline.audit import applying
    from pipeline.audit import audit as find
    from pipeline.audit.finding import Severity
    from pipeline.audit.report import counts, write
    from pipeline.report import findings_table

    found = find(run, _say)
    path, pages = write(run, found, applying(run))
    _console().print(findings_table(found))
    _say(
        f"{', '.join(f'{number} {severity}' for severity, number in counts(found).items())}. On {run.root}, folds {run.folds.hash}."
    )
    _say(f"To look at: {', '.join(map(str, pages))}")
    _path(path)
    raise typer.Exit(SEVERE_STANDS if any(one.severity == Severity.SEVERE for one in found) else 0)


@app.command(epilog="Example: podium train house-prices lightgbm catboost --folds 10 --seeds 2 --workers 4")
def train(
    name: Name,
    models: Models = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = 1,
    resample: Steps = None,
    workers: Workers = None,
    fresh: Fresh = False,
    rows: Rows = None,
    runs: Runs = RUNS,
) -> None:
    """Train models on folds.

    What is trained already is kept: a run that was stopped goes on from where it was.
    """
    run = _open(name, models, data, runs, folds, rows, seeds)
    _, code = _train(run, _resampled(run, models, resample), seeds, workers, fresh)
    if code != NOTHING_USABLE:
        _say(f"Next: podium board {name}, or podium submit {name}")
    raise typer.Exit(code)


@app.command(
    epilog="""\b
    Examples:
      podium ensemble house-prices --method hill-climbing
      podium ensemble house-prices --prune
    """
)
def ensemble(
    name: Name,
    models: Models = None,
    method: Method = None,
    leave_out: Annotated[bool, typer.Option("--prune", help="Blend without the models that do not help.")] = False,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: SeedsBefore = None,
    rows: RowsBefore = None,
    runs: Runs = RUNS,
) -> None:
    """Blend the models that are trained or imported.

    Says honestly whether the blend is better than the best of them, how alike they are, and which do not help.
    """
    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    members = _answering(run, _trained(run, models or [], seeds), bool(models))
    from pipeline.gathering import pruned
    from pipeline.report import diversity_table, member_notes

    found = pruned(run, members)
    if leave_out and found:
        members = {name: members[name] for name in found.kept}
    assembled = _blend(run, members, method)

    diversity = diversity_table(assembled.blend)
    if diversity is not None:
        _console().print(diversity)
    for told in [*(found.sentences if found else ()), *member_notes(run, members)]:
        _say(told)
    if leave_out and found:
        _say(f"Next: podium submit {name} {' '.join(members)}")


@app.command(
    epilog="""\b
    Examples:
      podium show leaf-classification
      podium show leaf-classification fine-tuned
    """
)
def show(
    name: Name,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="This model's predictions; without, the ensemble's.", show_default=False)
    ] = None,
    method: Method = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: SeedsBefore = None,
    rows: RowsBefore = None,
    runs: Runs = RUNS,
) -> None:
    """Show pictures where labels or boxes and predictions disagree.

    Writes pages for a browser; the last line is the path of the last.
    """
    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    from pipeline.assemble import assemble
    from pipeline.data_care import pages, refuse_unshown

    refuse_unshown(run)
    members = _trained(run, [model] if model else [], seeds)
    oof = members[model].oof if model else assemble(run, _answering(run, members, False), method).blend.oof
    for what, page in pages(run, oof, model or "the ensemble").items():
        _say(f"{what}: {page}")
    _path(page)


@app.command(
    epilog="""\b
    Examples:
      podium submit house-prices --submission my.csv
      podium submit house-prices --check my.csv
      podium submit house-prices -m "first" --wait
      podium submit house-prices my.csv -m "by hand" --dry-run
    """
)
def submit(
    name: Name,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|FILE",
            help="Blend only these models; or, with -m, send FILE, without the newest kept.",
            show_default=False,
        ),
    ] = None,
    message: Annotated[
        str | None, typer.Option("-m", "--message", metavar="TEXT", help="Send to Kaggle, described so.", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until what is sent has a score.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but send.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send a file although an equal one was sent.")] = False,
    method: Method = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Only check FILE against the rules.", show_default=False)
    ] = None,
    submission: Copy = None,
    phase: Phase = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: SeedsBefore = None,
    rows: RowsBefore = None,
    runs: Runs = RUNS,
) -> None:
    """Blend, write the submission and check it; or check a file; or send one (-m).

    The last line is the file's path.
    """
    if message is None and (wait or dry_run or again):
        raise typer.BadParameter(
            "--wait, --dry-run and --again are for sending: say with -m TEXT what is special about the file."
        )
    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    if message is not None:
        from submit.sending import checked, newest, send

        if len(models or []) > 1:
            raise typer.BadParameter(f"With -m one file is sent, not {len(models or [])}.")
        one = checked(run, Path(models[0]) if models else newest(run, phase), phase)
        _say("The file keeps every rule.")
        row = send(run, one, message, again, dry_run, wait, _say)
        if row is not None and row.public is not None:
            _say(f"Public score {row.public:g}; CV {'unknown' if row.origin.honest is None else f'{row.origin.honest:.5g}'}.")
        _path(one.file)
        return
    if check is not None:
        from submit import require

        require(run, check, phase)
        _say("The file keeps every rule.")
        _path(check)
        return
    run.test_of(phase)  # a misspelt one is said before the blending
    _submit(run, _blend(run, _answering(run, _trained(run, models or [], seeds), bool(models)), method), submission, phase)


@app.command("run", epilog="Example: podium run house-prices --data DIR --submission my.csv")
def run_all(
    name: Name,
    models: Models = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = 1,
    resample: Steps = None,
    workers: Workers = None,
    fresh: Fresh = False,
    method: Method = None,
    submission: Copy = None,
    phase: Phase = None,
    rows: Rows = None,
    runs: Runs = RUNS,
) -> None:
    """Do it all: data, training, ensemble, checked submission.

    The last line is the file's path.
    """
    from pipeline.foreign import imports
    from pipeline.store import Store

    mine, theirs = imports.split(Store(runs / name), models or [])
    if theirs and not mine:
        raise BadRecipe(f"{', '.join(theirs)} was imported and cannot be trained. Blend what is there with: podium submit {name}")
    run = _open(name, mine, data, runs, folds, rows, seeds)
    run.test_of(phase)  # a misspelt one is said before the training
    if method is not None and method not in run.answers.methods:  # tables and boxes are blended in different ways
        raise UnknownName("ensemble method for this competition", method, run.answers.methods)
    members, code = _train(run, _resampled(run, mine, resample), seeds, workers, fresh)
    if code != NOTHING_USABLE:
        members |= imports.members(run, theirs if models else None, _say)
        _submit(run, _blend(run, _answering(run, members, bool(theirs)), method), submission, phase)
    raise typer.Exit(code)


@app.command(epilog="Example: podium board house-prices")
def board(
    name: Name,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: SeedsBefore = None,
    rows: RowsBefore = None,
    runs: Runs = RUNS,
) -> None:
    """Show every model: score with interval, time, state; and what was sent."""
    from pipeline.board import counts, standings
    from pipeline.cli_ledger import shown
    from pipeline.report import board_table, counts_table

    run, seeds = _reopen(name, data, runs, folds, rows, seeds)
    _console().print(board_table(run, standings(run, seeds, _say)))
    resampled = counts(run, seeds)
    if resampled:
        _console().print(counts_table(run, resampled))
    shown(run.entry, runs)


@app.command(
    epilog="""\b
    Examples:
      podium compare house-prices lightgbm --resample likeness
      podium compare leaf-classification probe-logistic --resample copy --resample smote
      podium compare house-prices lightgbm theirs
    """
)
def compare(
    name: Name,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model that is trained in each of the ways.", show_default=False)
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="OTHER", help="Compare with this model, as both are there: trained, or imported.", show_default=False
        ),
    ] = None,
    resample: Steps = None,
    data: DataDir = None,
    folds: FoldsOption = None,
    seeds: Seeds = 1,
    workers: Workers = None,
    fresh: Fresh = False,
    rows: Rows = None,
    runs: Runs = RUNS,
) -> None:
    """Say whether resampling, or another model, helps beyond noise.

    Two ways are compared, on the same folds; one alone with none.
    """
    from pipeline.compare import compare as compared
    from pipeline.report import comparison_table
    from pipeline.resample import NONE

    if other is not None:
        if resample:
            raise BadRecipe("Two models are compared as they are: leave --resample out, or name one model.")
        run, before = _reopen(name, data, runs, folds, rows, None if seeds == 1 else seeds)
        two = _trained(run, [model, other], before)
        lacking = [one for one in (model, other) if one not in two]
        if lacking:
            raise NothingUsable(
                f"{lacking[0]} is not trained on this data and these folds. First: podium train {name} {lacking[0]}"
            )
        _console().print(comparison_table(compared(run, two[model], two[other]), run.entry.competition.metric.name))
        return
    ways = [NONE] * (len(resample or []) == 1) + (resample or [])
    if len(ways) != TWO_WAYS:
        raise BadRecipe(
            f"{len(ways)} ways of resampling cannot be compared; give --resample once or twice, such as --resample smote."
        )
    run = _open(name, [model], data, runs, folds, rows, seeds)
    pair = _resampled(run, [model], ways)
    if len(set(pair)) < TWO_WAYS:
        raise BadRecipe(f"Both ways of resampling are {ways[0]!r}; give two that differ.")
    members, code = _train(run, pair, seeds, workers, fresh)
    if code:
        raise typer.Exit(code)
    found = compared(run, members[pair[0]], members[pair[1]])
    _console().print(comparison_table(found, run.entry.competition.metric.name))


@app.command(epilog="Example: podium doctor")
def doctor() -> None:
    """Show versions, cores, memory, GPU, credentials.

    Of Kaggle credentials it says whether they are there, never what they are.
    """
    from pipeline.doctor import findings
    from pipeline.report import pairs_table

    _console().print(pairs_table(findings()))


def _open(
    name: str, models: list[str] | None, data: Path | None, runs: Path, folds: str | None, rows: int | None, seeds: int
) -> Run:
    """The run, and a note of its options for the commands that come after `train`."""
    import competitions
    from pipeline.run import open_run
    from pipeline.store import Store
    from pipeline.train import recipes
    from pipeline.tune.recipes import with_tuned

    recipes(
        with_tuned(competitions.find(name), Store(runs / name)), models or []
    )  # a misspelt model is said before the data is read
    run = open_run(name, data, runs, folds, rows, say=_say)
    note(run, data, folds, rows, seeds)
    return run


def _train(run: Run, models: list[str], seeds: int, workers: int | None, fresh: bool) -> tuple[dict[str, Member], int]:
    """The models that are complete, and the exit code; what failed is listed."""
    from pipeline.display import Display
    from pipeline.train import recipes, train

    named = recipes(run.entry, models, run.practice)
    display = Display(_console(), len(run.folds) * seeds, named, run.entry.competition.metric.name)
    try:
        with display:
            members = train(run, named, seeds, workers, fresh, notify=display, say=display.say)
    except KeyboardInterrupt:
        kept = f"{display.all.done + display.all.kept} of {display.all.total} folds are kept in {run.store.root}"
        _say(f"Stopped. {kept}; the same command{' without --fresh' if fresh else ''} goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
    if display.all.kept:
        _say(f"{display.all.kept} of {display.all.total} folds were trained before and are taken as they are.")
    return members, _failed(run, display)


def _resampled(run: Run, models: list[str] | None, steps: list[str] | None) -> list[str]:
    """The models asked for, each resampled in these ways."""
    from pipeline.train import recipes, with_steps

    return with_steps(models or [], steps or [], recipes(run.entry, practice=run.practice))


def _failed(run: Run, display: Display) -> int:
    from pipeline.display import short

    failed = [name for name, tally in display.models.items() if tally.failed]
    if not failed:
        return 0
    for name in failed:
        first = next(outcome for outcome in display.failures if outcome.unit.model == name)
        times = f"{display.models[name].failed} of {display.models[name].total} folds"
        _say(f"FAILED {name} in {times}, first in fold {first.unit.fold + 1}: {short(first.error)}")
    _say(f"Left out: {', '.join(failed)}. Tracebacks are in {run.store.path('failures')}.")
    return SOME_FAILED if len(failed) < len(display.models) else NOTHING_USABLE


def _trained(run: Run, models: list[str], seeds: int) -> dict[str, Member]:
    from pipeline.gathering import gathered

    return gathered(run, models, seeds, _say)


def _answering(run: Run, members: dict[str, Member], named: bool) -> dict[str, Member]:
    """Those that can answer the test rows; what is odd about one is said."""
    from pipeline.foreign.imports import fit_to_submit
    from pipeline.gathering import suspected

    fit = fit_to_submit(members, _say, named)
    for told in suspected(run, fit):
        _say(told)
    return fit


def _blend(run: Run, members: dict[str, Member], method: str | None) -> Assembled:
    from pipeline.assemble import assemble
    from pipeline.ensemble.boxes import BoxBlend
    from pipeline.report import blend_table, boxes_table

    assembled = assemble(run, members, method)
    _console().print(blend_table(assembled))
    if isinstance(assembled.blend, BoxBlend):
        _console().print(boxes_table(run, assembled.blend))
    if run.gallery is not None:
        from pipeline.data_care import disagreements_page, scores_without_copies
        from pipeline.display import figure
        from pipeline.predictions import Table

        oof = assembled.blend.oof
        scores = scores_without_copies(run, oof)
        _say(f"Ensemble by rows: {', '.join(f'{name} {figure(score)}' for name, score in scores.items())}.")
        if run.classes and isinstance(oof, Table):
            _say(f"Labels that it does not believe, with pictures: {disagreements_page(run, oof, 'the ensemble')}")
    return assembled


def _submit(run: Run, assembled: Assembled, copy: Path | None, phase: str | None) -> None:
    from pipeline.run import PHASE
    from submit import submit as write

    path = write(run, assembled, phase)
    rows = run.test_of(phase)
    if PHASE in rows:
        _say(f"For the phase {rows[PHASE].iloc[0]!r}: {len(rows):,} images.")
    if run.practice:
        _say("PRACTICE DATA: this file is for trying podium out, not for Kaggle.")
    if copy is not None:
        _copy(path, copy)
    _path(copy or path)


def _copy(path: Path, copy: Path) -> None:
    """Written beside, then renamed: the copy is whole or not there."""
    beside = copy.with_name(f".{copy.name}.part")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, beside)
            beside.replace(copy)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot write {copy}: {error.strerror or error}. The submission itself is {path}.") from error


def main() -> None:
    """The console script."""
    try:
        app()
    except Exception:  # as Python would show it, but for credentials that a message may quote
        sys.stderr.write(hidden(traceback.format_exc()))
        sys.exit(1)
