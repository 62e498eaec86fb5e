"""`podium grade`: a submission's score at home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import console, say
from pipeline.errors import BadData

if TYPE_CHECKING:
    from submit.grade import Part
    from submit.leaderboard import Leaderboard

commands = typer.Typer()


@commands.command(
    epilog="""\b
    Examples:
      podium grade house-prices my.csv --answers solution.csv
      podium grade house-prices my.csv --answers solution.csv --board publicleaderboard.csv
      podium grade cowboy-detection answer.zip --answers truth.json
    """
)
def grade(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The competition, as `podium list` names it.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The submission.", show_default=False)],
    answers: Annotated[
        Path,
        typer.Option(
            "--answers",
            metavar="FILE",
            help="The true answers: ids and the target, perhaps with Usage (Public, Private); of boxes COCO annotations.",
            show_default=False,
        ),
    ],
    board: Annotated[
        Path | None,
        typer.Option(
            "--board", metavar="FILE", help="A leaderboard of teams and scores: says rank and medal.", show_default=False
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="The competition's files, to check both by; else data/NAME, if it is there.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Score a submission against answers at home.

    The last line is the score; of the private part, where there are two.
    """
    import competitions
    from pipeline.report import plain_table
    from pipeline.run import DOWNLOADED
    from submit import leaderboard
    from submit.grade import grade as graded

    entry = competitions.find(name)
    root = data or DOWNLOADED / name
    if data is not None and not root.is_dir():
        raise BadData(f"{data} is no folder. Give the folder that holds the competition's files, or leave --data out.")
    metric = entry.competition.metric
    boards = leaderboard.read(board, metric) if board else {}
    found = graded(entry.competition, file, answers, entry.load(root) if root.is_dir() else None)
    for caution in found.cautions:
        say(f"Odd, but it has a score: {caution}")
    by_part = {part.name: leaderboard.of_part(boards, part.name) for part in found.parts}
    rows = "images" if metric.kind == "boxes" else "rows"
    header = ["part", rows, metric.name, "95 % interval", *["rank", "95 %", "medal"] * bool(board)]
    console().print(plain_table(header, [_told(part, by_part) for part in found.parts]))
    for part, one in by_part.items():
        if one is not None:
            told = ", ".join(f"{medal} to place {place} ({score:g})" for medal, (place, score) in one.thresholds().items())
            say(f"On the board of the {part} part, with this as one more team and the last of equal ones: {told}.")
    typer.echo(f"{found.parts[-1].score:.8g}")


def _told(part: Part, boards: Mapping[str, Leaderboard | None]) -> list[str]:
    from pipeline.display import figure

    cells = [part.name, f"{part.rows:,}", figure(part.score), f"{figure(part.low)} to {figure(part.high)}"]
    board = boards[part.name]
    if board is None:
        return cells
    best, worst = sorted((board.rank(part.low), board.rank(part.high)))
    return [*cells, f"{board.rank(part.score):,} of {board.teams:,}", f"{best:,} to {worst:,}", board.medal(part.score)]
