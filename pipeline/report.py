"""Tables for the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from pipeline.assemble import Assembled
from pipeline.audit.finding import Finding, Severity
from pipeline.board import Counts, Standing
from pipeline.compare import Comparison
from pipeline.display import duration, figure, short
from pipeline.ensemble.blend import Blend
from pipeline.ensemble.boxes import BoxBlend
from pipeline.run import Run, class_names
from pipeline.train import Member

if TYPE_CHECKING:
    from submit.ledger import Row

LEFT = {
    "column",
    "type",
    "an example",
    "model",
    "state",
    "category",
    "class",
    "id",
    "sent",
    "file",
    "members",
    "message",
    "severity",
    "check",
    "what was found",
    "what to do",
    "part",
    "medal",
}  # of words
MOST_CLASSES, MOST_COMPARED = 6, 20  # rows of a table that a person reads
MOST_COMPARED_ERRORS = 12  # members whose errors are compared with each other's on a screen
LONG = {"members", "message", "column", "an example", "state", "category", "check", "what was found", "what to do"}
STYLES = {Severity.SEVERE: "bold red", Severity.WARNING: "yellow", Severity.NOTE: ""}


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


def diversity_table(blend: Blend | BoxBlend) -> Group | None:
    """Correlations of the members' errors, the best member first; of many members the first. None of boxes, or of one member."""
    if not isinstance(blend, Blend) or len(blend.members) == 1:
        return None
    order = sorted(range(len(blend.members)), key=lambda at: -blend.metric.sign * blend.member_scores[blend.members[at]])
    shown = order[:MOST_COMPARED_ERRORS]
    grid = _grid("model", *(str(number) for number in range(1, len(shown) + 1)))
    for number, row in enumerate(shown, 1):
        cells = [f"{blend.correlations[row, other]:.2f}" if other != row else "" for other in shown]
        grid.add_row(Text(f"{number} {blend.members[row]}"), *cells)
    left = f"; {len(order) - len(shown)} more are left out" if len(order) > len(shown) else ""
    return Group(Text(f"How alike the members err (correlation; 1 adds nothing), the best first{left}:"), grid)


def member_notes(run: Run, members: Mapping[str, Member]) -> list[str]:
    """What averaging over seeds brings."""
    notes: list[str] = []
    metric = run.entry.competition.metric
    for name, member in sorted(members.items()):
        if member.by_seed:
            alone = float(np.mean(member.by_seed))
            notes.append(
                f"{name}: {len(member.by_seed)} seeds have {metric.name} {figure(alone)} on average alone and {figure(member.score)} "
                f"averaged, a gain of {metric.sign * (member.score - alone) + 0.0:.2g}."
            )
    return notes


def boxes_table(run: Run, blend: BoxBlend) -> Group:
    """Average precision of each category by name, with the number of its true boxes; that at an overlap of 0.5 below."""
    truth = run.y.of(blend.oof.images)
    grid = _grid("category", "true boxes", blend.metric.name, "95 % interval")
    for number, name in enumerate(class_names(run.data, run.entry.competition.task)):
        boxes = int((~truth.crowd & (truth.category == truth.categories[number])).sum())
        score, interval = blend.evaluation.by_category[number], blend.category_intervals[number].tolist()
        known = [figure(score), _interval((interval[0], interval[1]))] if boxes else ["", ""]
        grid.add_row(Text(name), f"{boxes:,}", *known)
    return Group(grid, Text(f"At an overlap of 0.5 alone: {figure(blend.evaluation.ap50)}."))


def categories_table(run: Run) -> Group:
    """Every category of the true boxes: how many there are, in how many images, and how small; images without a box below."""
    truth = run.y
    side = np.minimum(truth.box[:, 2], truth.box[:, 3])
    grid = _grid("category", "id", "boxes", "images", "smallest side", "median side")
    for name, category in zip(class_names(run.data, run.entry.competition.task), truth.categories.tolist(), strict=True):
        rows = truth.category == category
        pixels = [f"{side[rows].min():.0f} px", f"{np.median(side[rows]):.0f} px"] if rows.any() else ["", ""]
        grid.add_row(Text(name), Text(category), f"{rows.sum():,}", f"{len(np.unique(truth.image[rows])):,}", *pixels)
    empty = len(truth) - len(np.unique(truth.image))
    return Group(
        grid,
        Text(f"{empty:,} of {len(truth):,} train images have no box. A box's side is the shorter one, in pixels of the picture."),
    )


def board_table(run: Run, standings: Sequence[Standing]) -> Group:
    """Every model: score, interval, trimmed score, time, state."""
    grid = _grid("model", run.entry.competition.metric.name, "95 % interval", "trimmed", "time", "state")
    for row in standings:
        numbers = [""] * 4
        if row.score is not None and row.low is not None and row.high is not None:
            numbers = [
                figure(row.score),
                _interval((row.low, row.high)),
                "" if row.trimmed is None or np.isnan(row.trimmed) else figure(row.trimmed),
                duration(row.seconds or 0.0),
            ]
        grid.add_row(Text(row.model), *numbers, Text(short(row.state)))
    origin = f"{'practice data' if run.practice else 'data'} {run.fingerprint}, folds {run.folds.hash}"
    trimmed = " The trimmed score leaves out the worst 1 % of rows." * any(row.trimmed == row.trimmed for row in standings)
    return Group(grid, Text(f"On {origin}.{trimmed}"))


def ledger_table(rows: Sequence[Row], metric: str) -> Group:
    """Every submission of a competition: CV with interval, the board's scores, of what it was made."""
    grid = _grid("sent", "file", f"CV {metric}", "95 % interval", "public", "private", "members", "message", "state")
    for row in rows:
        made = row.origin
        interval = "" if made.low is None or made.high is None else _interval((made.low, made.high))
        scores = ["" if score is None else figure(score) for score in (row.public, row.private)]
        members = ", ".join(f"{name} {weight:.2f}" for name, weight in made.weights.items())
        cv = "" if made.honest is None else figure(made.honest)
        state = row.state if row.place == "kaggle" else row.place
        words = [Text(short(text)) for text in (members, row.message, f"{state}: {row.note}" if row.note else state)]
        grid.add_row(row.time[:16].replace("T", " "), row.sha256[:8], cv, interval, *scores, *words)
    return Group(grid)


def counts_table(run: Run, counts: Sequence[Counts]) -> Group:
    """What resampling made of each class, fold by fold; of many classes those with the fewest rows, and the largest."""
    names = class_names(run.data, run.entry.competition.task) if counts[0].before.shape[1] > 1 else ["all rows"]
    folds = max(len(one.before) for one in counts)
    grid = _grid("model", "class", *(f"fold {fold + 1}" for fold in range(folds)))
    for one in counts:
        order = np.argsort(np.nansum(one.before, axis=0), kind="stable")
        order = order if len(order) <= MOST_CLASSES else np.append(order[: MOST_CLASSES - 1], order[-1])
        for number in order.tolist():
            pairs = zip(one.before[:, number], one.after[:, number], strict=True)
            cells = ["" if np.isnan(a) else f"{a:,.0f} > {b:,.0f}" for a, b in pairs]
            grid.add_row(Text(one.model), Text(str(names[number])), *cells, *[""] * (folds - len(cells)))
    several = f" Of {len(names)} classes the smallest and the largest are shown." if len(names) > MOST_CLASSES else ""
    return Group(
        grid,
        Text(
            f"Resampled: rows of a class that a fold learns, before and after; of weights their sum, or what they are worth.{several}"
        ),
    )


def comparison_table(comparison: Comparison, metric: str) -> Group:
    """Both scores, the difference with its interval, for all rows and class by class."""
    grid = _grid("class", "rows", comparison.first, comparison.second, "difference", "95 % interval", "")
    for change in (comparison.overall, *comparison.classes[:MOST_COMPARED]):
        name = f"{change.name}, {metric}" if change is comparison.overall else change.name
        scores = [figure(score) for score in change.scores]
        interval = f"{change.low:+.4f} to {change.high:+.4f}"
        beyond = "beyond noise" if change.beyond_noise else ""
        grid.add_row(Text(name), f"{change.rows:,}", *scores, f"{change.difference:+.4f}", interval, beyond)
    below = [comparison.verdict]
    if comparison.classes:
        left = len(comparison.classes) - MOST_COMPARED
        below.append(
            f"Classes by {comparison.measure}"
            + (f", the {MOST_COMPARED} with the fewest rows; {left} more are left out." if left > 0 else ".")
        )
    return Group(grid, *map(Text, below))


def findings_table(findings: Sequence[Finding]) -> Group:
    """What an audit found, the worst first."""
    if not findings:
        return Group(Text("Nothing was found."))
    grid = _grid("severity", "check", "what was found", "what to do")
    for one in findings:
        grid.add_row(Text(one.severity, STYLES[one.severity]), Text(one.check), Text(one.what), Text(one.cure))
    return Group(grid)


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Grid:
    """Cells as they are."""
    grid = _grid(*columns)
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid


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
