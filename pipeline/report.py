"""Tables for the screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from pipeline.assemble import Assembled
from pipeline.board import Standing
from pipeline.display import duration, figure, short
from pipeline.run import Run

LEFT = {"column", "type", "an example", "model", "state"}  # columns of words; numbers stand to the right
LONG = {"column", "an example", "state"}


def data_table(run: Run) -> Group:
    """Every column of train and test: type, missing share, an example."""
    train, test = run.data.train, run.data.test
    grid = _grid("column", "type", "missing in train", "in test", "an example")
    for column in train.columns:
        missing = [f"{table[column].isna().mean():.1%}" if column in table else "-" for table in (train, test)]
        known = train[column].dropna()
        kind = "number" if train[column].dtype.kind in "iuf" else "text"
        example = " ".join(str(known.iloc[0]).split())[:48] if len(known) else ""
        grid.add_row(Text(str(column)), kind if len(known) else "-", *missing, Text(example))
    summary = f"{len(train):,} train rows, {len(test):,} test rows, {len(run.folds)} folds"
    return Group(grid, Text(f"{summary}\nfrom {run.root}, {'PRACTICE DATA' if run.practice else 'taken as real data'}"))


def blend_table(assembled: Assembled) -> Group:
    """Members with score, interval and weight, then every method's honest score and what a person should know."""
    blend = assembled.blend
    members = _grid("model", blend.metric.name, "95 % interval", "weight")
    for name in sorted(blend.members, key=lambda name: -blend.metric.sign * blend.member_scores[name]):
        scores = figure(blend.member_scores[name]), _interval(blend.member_intervals[name])
        members.add_row(Text(name), *scores, f"{round(blend.weights[name], 3) + 0.0:.3f}")
    members.add_row(f"ensemble ({blend.method})", figure(blend.honest), _interval(blend.interval), "", style="bold")
    tried = ", ".join(f"{name} {figure(score)}" for name, score in blend.scores.items())
    return Group(members, Text(f"Honest scores by method: {tried}"), *map(Text, blend.sentences))


def board_table(run: Run, standings: Sequence[Standing]) -> Group:
    """Every model: score, interval, trimmed score, time, state."""
    grid = _grid("model", run.entry.competition.metric.name, "95 % interval", "trimmed", "time", "state")
    for row in standings:
        numbers = [""] * 4
        if row.score is not None and row.low is not None and row.high is not None:
            numbers = [
                figure(row.score),
                _interval((row.low, row.high)),
                figure(row.trimmed or 0.0),
                duration(row.seconds or 0.0),
            ]
        grid.add_row(Text(row.model), *numbers, Text(short(row.state)))
    origin = f"{'practice data' if run.practice else 'data'} {run.fingerprint}, folds {run.folds.hash}"
    return Group(grid, Text(f"On {origin}. The trimmed score leaves out the worst 1 % of rows."))


def pairs_table(pairs: Iterable[tuple[str, str]]) -> Grid:
    grid = Grid(show_header=False, box=None, pad_edge=False)
    for name, value in pairs:
        grid.add_row(Text(name, "bold"), Text(value))
    return grid


def _interval(bounds: tuple[float, float]) -> str:
    return f"{figure(bounds[0])} to {figure(bounds[1])}"


def _grid(*columns: str) -> Grid:
    """A table without lines. Where a terminal is narrow long words wrap, names and numbers do not."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, justify="left" if column in LEFT else "right", overflow="fold", no_wrap=column not in LONG)
    return grid
