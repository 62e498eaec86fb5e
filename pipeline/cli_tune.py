"""`podium tune`: the best values of a recipe's parameters, and what they are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import say, say_path

if TYPE_CHECKING:
    from pipeline.tune.search import Search
    from pipeline.tune.trial import Result

commands = typer.Typer()
TRIALS = 50
INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended
RUNS = Path("runs")


@commands.command(
    epilog="""\b
    Examples:
      podium tune house-prices lightgbm --trials 100 --timeout 1800
      podium tune house-prices ridge --trials 30 --storage sqlite:///tuning.db
      podium train house-prices lightgbm-tuned --seeds 3
    """
)
def tune(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The competition, as `podium list` names it.", show_default=False)],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model whose recipe is tuned.", show_default=False)],
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, help="Go on until the study has N trials, those of before among them.")
    ] = TRIALS,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="T",
            min=0,
            help="Begin no trial after T seconds; those that run stop at their fold's end.",
            show_default=False,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="URL", help="Keep the study there; else in the run folder, in SQLite.", show_default=False
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="J", min=1, help="Run J trials side by side; without, one per core.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Search elsewhere with another seed.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Take the competition's files from DIR; else from data/NAME, else practice data.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option(
            "--folds", metavar="K|FILE", help="Make K folds, or take them from a CSV of id and fold.", show_default=False
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows", metavar="N", min=50, help="Make practice data of N rows, where there is no other.", show_default=False
        ),
    ] = None,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", file_okay=False, help="Keep results below DIR.")] = RUNS,
) -> None:
    """Search better values for a model's recipe.

    Writes the best as the recipe MODEL-tuned, which all commands know. The last line is the path of a page with the history. What was
    stopped goes on with the same command.
    """
    from pipeline.cli import _open as opened
    from pipeline.reopening import LAST, last_options

    run = opened(name, [model], data, runs, folds, rows, last_options(runs / name / LAST).get("seeds", 1))
    from pipeline.tune.search import answering, begin, conclude, go_on, others

    search = begin(run, model, trials, storage, seed)
    before = search.finished
    if before:
        say(f"The study goes on: {before} of {trials} trials are finished.")
    elif others(search):
        say(
            f"A new study: of the {len(others(search))} before it, data, folds, features, recipe, code or search space were others. They are "
            f"left as they are, in {search.where.folder.parent}."
        )
    try:
        with answering(search.where.url):
            for result in go_on(search, timeout, jobs, say):
                say(line(search, result))
            found, page = conclude(search)
    except KeyboardInterrupt:
        say(
            f"Stopped. {search.finished} of {trials} trials are finished and kept in {search.where.folder}; the same command goes on from "
            "there, and takes up what was in the middle."
        )
        raise typer.Exit(INTERRUPTED) from None
    if search.finished < trials:
        say(f"{search.finished} of {trials} trials are finished; the same command goes on from there.")
    for sentence in found.sentences:
        say(sentence)
    say(f"Written as {search.name}: {told(search)}")
    say(f"Next: podium train {name} {search.name}. Of other trials only the out-of-fold predictions are kept.")
    say_path(page)


def line(search: Search, result: Result) -> str:
    """What a person reads of a trial."""
    from pipeline.display import duration, figure, short
    from pipeline.tune import study as studies

    what = f"trial {result.number:<3}"
    if result.state == "failed":
        return f"{what}  FAILED: {short(result.error)}"
    best = studies.best(search.study)
    folds, metric = len(search.run.folds), search.run.entry.competition.metric.name
    ending = {
        "complete": "the untuned recipe" if result.untuned else "",
        "pruned": f"pruned after fold {result.folds} of {folds}",
        "stopped": f"stopped after fold {result.folds} of {folds}, to go on another time",
    }[result.state]
    so_far = f"best {figure(best.value or 0.0)} (trial {best.number})" if best else ""
    score = "" if result.folds == 0 else f"{metric} {figure(result.score)}"
    return "  ".join(part for part in (what, score, duration(result.seconds), so_far, ending) if part)


def told(search: Search) -> str:
    """The best trial's values, as the recipe has them."""
    from pipeline.tune import study as studies

    best = studies.best(search.study)
    values = search.subject.values_of(best) if best else {}
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "the untuned recipe as it is; nothing was better"
