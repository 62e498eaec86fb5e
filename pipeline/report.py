"""Tables for the screen."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from pipeline.assemble import Assembled
from pipeline.board import standings
from pipeline.run import Run


def data_table(run: Run) -> Group:
    """Every column of train and test: type, missing share, an example."""
    train, test = run.data.train, run.data.test
    grid = _grid("column", "type", "missing in train", "in test", "an example")
    for column in train.columns:
        missing = [f"{table[column].isna().mean():.1%}" if column in table else "-" for table in (train, test)]
        known = train[column].dropna()
        kind = "number" if train[column].dtype.kind in "fiu" else "text"
        grid.add_row(
            Text(str(column)), kind if len(known) else "-", *missing, Text(str(known.iloc[0])[:48] if len(known) else "")
        )
    summary = f"{len(train):,} train rows, {len(test):,} test rows, {len(run.folds)} folds ({run.entry.competition.folds})"
    return Group(grid, Text(f"{summary}\nfrom {run.root}, {'PRACTICE DATA' if run.practice else 'taken as real data'}"))


def blend_table(assembled: Assembled) -> Group:
    """Members with score, interval and weight, then every method's honest score and what a person should know."""
    blend = assembled.blend
    members = _grid("model", f"{blend.metric.name}", "95 % interval", "weight")
    order = sorted(blend.members, key=lambda name: -blend.metric.sign * blend.member_scores[name])
    for name in order:
        low, high = blend.member_intervals[name]
        members.add_row(name, f"{blend.member_scores[name]:.5f}", f"{low:.5f} - {high:.5f}", f"{blend.weights[name]:.3f}")
    low, high = blend.interval
    members.add_row(
        Text(f"ensemble ({blend.method})", "bold"), Text(f"{blend.honest:.5f}", "bold"), f"{low:.5f} - {high:.5f}", ""
    )
    tried = ", ".join(f"{name} {score:.5f}" for name, score in blend.scores.items())
    return Group(members, Text(f"Honest scores by method: {tried}"), *(Text(sentence) for sentence in blend.sentences))


def board_table(run: Run, seeds: int) -> Grid:
    """Every model: score, interval, trimmed score, time, state."""
    metric = run.entry.competition.metric
    grid = _grid("model", metric.name, "95 % interval", "trimmed", "seconds", "state")
    for row in standings(run, seeds):
        interval = f"{row.low:.5f} - {row.high:.5f}" if row.low is not None else ""
        numbers = [f"{value:{form}}" if value is not None else "" for value, form in ((row.trimmed, ".5f"), (row.seconds, ".1f"))]
        grid.add_row(Text(row.model), f"{row.score:.5f}" if row.score is not None else "", interval, *numbers, Text(row.state))
    grid.caption = f"{'practice data' if run.practice else 'data'} {run.fingerprint}, folds {run.folds.hash}; the trimmed score leaves out the worst 1 % of rows"
    return grid


def pairs_table(pairs: Iterable[tuple[str, str]]) -> Grid:
    grid = Grid(show_header=False, box=None)
    for name, value in pairs:
        grid.add_row(Text(name, "bold"), Text(value))
    return grid


def _grid(*columns: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for column in columns:
        grid.add_column(column, justify="left" if column in ("column", "type", "model", "state", "an example") else "right")
    return grid
