"""`podium ledger`: what was sent, how it scored, and what that teaches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.console import console, say, say_path

if TYPE_CHECKING:
    from pipeline.competition import Entry

RUNS = Path("runs")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The competition, as `podium list` names it.", show_default=False)]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", file_okay=False, help="Results are kept below DIR.")]


class Shown(TyperGroup):
    """`podium ledger NAME` is `podium ledger show NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        implied = bool(args) and args[0] not in {*self.commands, "--help"}
        return super().parse_args(ctx, ["show"] * implied + args)


ledger = typer.Typer(
    cls=Shown,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show what was sent, with CV and board scores.",
    epilog="""\b
    Examples:
      podium ledger house-prices
      podium ledger house-prices --pull --csv sent.csv
      podium ledger add cowboy-detection answer.zip --phase valid -m "two families" --public 0.58
    """,
)


@ledger.command(epilog="Example: podium ledger house-prices --pull --csv sent.csv")
def show(
    name: Name,
    pull: Annotated[bool, typer.Option("--pull", help="Bring the scores up to date with Kaggle's list first.")] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", dir_okay=False, help="Write every column of it to FILE.", show_default=False),
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Show what was sent, and what it teaches.

    Whether CV predicts the board, and which two submissions to select.
    """
    import competitions
    from pipeline.store import refusing, replace_file
    from submit.ledger import Ledger, exported

    entry = competitions.find(name)
    if pull:
        from submit.kaggle import Site
        from submit.sending import pull as pulled

        with Site(entry.competition.kaggle, say) as site:
            changed = pulled(site, Ledger(runs), name, say)
        say(f"{len(changed)} lines of the ledger have news from Kaggle.")
    if not shown(entry, runs):
        say(f"Nothing was sent yet. First: podium run {name}, then podium submit {name} -m TEXT")
    if csv is not None:
        with refusing(csv):
            csv.parent.mkdir(parents=True, exist_ok=True)
        replace_file(csv, exported(Ledger(runs).rows(name)))
        say_path(csv)


@ledger.command(epilog='Example: podium ledger add cowboy-detection answer.zip --phase valid -m "two families" --public 0.58')
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that was sent.", show_default=False)],
    message: Annotated[str, typer.Option("-m", "--message", metavar="TEXT", help="What is special about it.")] = "",
    phase: Annotated[str, typer.Option("--phase", metavar="NAME", help="The phase that it was sent to.")] = "",
    public: Annotated[
        float | None, typer.Option("--public", metavar="SCORE", help="The public board's score of it.", show_default=False)
    ] = None,
    private: Annotated[
        float | None, typer.Option("--private", metavar="SCORE", help="The private board's.", show_default=False)
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Record what was sent by hand, or its scores.

    Once when it is sent, and again when it has scores.
    """
    import competitions
    from submit.sending import add as recorded

    entry = competitions.find(name)
    recorded(runs / name, name, file, message, phase, (public, private))
    shown(entry, runs)


def shown(entry: Entry, runs: Path) -> bool:
    """Print the ledger's lines of a competition and what they teach; whether there are any."""
    from pipeline.report import ledger_table
    from submit.choice import agreement, comparable, selection
    from submit.ledger import Ledger

    name, metric = entry.competition.name, entry.competition.metric
    rows = Ledger(runs).rows(name)
    if not rows:
        return False
    console().print(ledger_table(rows, metric.name))
    known = comparable(rows, metric.name)
    found = agreement(known)
    for sentence in [*(found.sentences() if found else []), *selection(known, metric.sign, runs / name / "submissions")]:
        say(sentence)
    return True
