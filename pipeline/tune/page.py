"""The page of a study: how the score came down trial by trial, which parameters mattered, and the best recipes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from pipeline.audit.finding import Chart
from pipeline.audit.report import STYLE, svg
from pipeline.display import figure
from pipeline.models.spaces import rounded
from pipeline.run import Run
from pipeline.store import write_whole
from pipeline.tune.honest import Verdict
from pipeline.tune.study import complete, finished
from pipeline.tune.subject import UNTUNED, Subject

WIDE, HIGH, LEFT, FOOT = 720, 260, 70, 24  # pixels: of the history, of what stands left of it and below
FEW = 5  # complete trials, before it can be said what mattered
TOP = 10
TAIL = 0.85  # share of the scores that the history shows at their height; far worse ones stand at its edge
MORE = """
td, th { padding: 0.1em 0.8em 0.1em 0; text-align: right; font-size: 0.9em; } .best { stroke: #2e7d32; fill: none; stroke-width: 2; }
circle { fill: #5b8bb2; } circle.untuned { fill: #c62828; } .pruned { stroke: #aaa; stroke-width: 1.5; }
"""


def write_page(path: Path, run: Run, subject: Subject, study: optuna.Study, found: Verdict) -> Path:
    """Write it, whole or not at all; its path. Nothing in it comes from elsewhere. Raises StoreError."""
    title = f"{run.name}: {'PRACTICE DATA: ' * run.practice}tuning of {subject.model}"
    ended = finished(study)
    counts = {
        state: sum(one.state == state for one in ended) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    }
    told = ", ".join(f"{number} {state.name.lower()}" for state, number in counts.items())
    said = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in found.sentences)
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}{MORE}</style>\n'
        f"<h1>{escape(title)}</h1>\n<p>{len(ended)} trials: {told}.</p>\n{said}"
        f"<h2>History</h2>\n{_history(ended, found)}\n{_mattered(study)}<h2>The best trials</h2>\n{_table(subject, study, found)}\n</html>\n"
    )
    return write_whole(path, page)


def importances(study: optuna.Study) -> dict[str, float]:
    """Each parameter's share in what tells the best tenth of the trials from the others (Watanabe et al. 2023), the largest first; nothing
    where too few trials are complete to say."""
    if len(complete(study)) < FEW:
        return {}
    found = optuna.importance.get_param_importances(study)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _mattered(study: optuna.Study) -> str:
    found = importances(study)
    if not found:
        return f"<p>With fewer than {FEW} complete trials it cannot be said which parameters matter.</p>\n"
    chart = Chart("Importance: what tells the best tenth of the trials from the others", tuple(found), tuple(found.values()))
    return f"<h2>Importances</h2>\n{svg(chart)}\n"


def _history(ended: Sequence[FrozenTrial], found: Verdict) -> str:
    """A dot for each complete trial, a cross for each pruned one at the score of its folds, a line for the best so far."""
    shown = [one for one in ended if one.value is not None]
    values = sorted((found.sign * (one.value or 0.0) for one in shown), reverse=True)
    high, low = values[0], values[min(len(values) - 1, int(TAIL * len(values)))]
    span, last = (high - low) or 1.0, max(one.number for one in ended) or 1

    def across(number: int) -> float:
        return LEFT + (WIDE - LEFT - 10) * number / last

    def up(value: float) -> float:
        share = (min(max(found.sign * value, low - span / 10), high) - low) / span
        return 10 + (HIGH - FOOT - 20) * (1 - share) * 10 / 11

    marks: list[str] = []
    line: list[tuple[float, float]] = []
    best = -float("inf")
    for one in shown:
        x, y, value = across(one.number), up(one.value or 0.0), found.sign * (one.value or 0.0)
        name = f"<title>trial {one.number}: {figure(one.value or 0.0)}</title>"
        if one.state == TrialState.PRUNED:
            marks.append(f'<path class="pruned" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6">{name}</path>')
            continue
        kind = ' class="untuned"' if one.user_attrs.get(UNTUNED) else ""
        marks.append(f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="3.5">{name}</circle>')
        line += [(x, up(found.sign * best))] if line else []
        best = max(best, value)
        line.append((x, up(found.sign * best)))
    line.append((WIDE - 10, line[-1][1]))
    ends = "".join(
        f'<text x="{LEFT - 8}" y="{up(found.sign * end) + 4:.1f}" text-anchor="end">{figure(found.sign * end)}</text>'
        for end in dict.fromkeys((high, low))
    )
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
    below = f'<text x="{LEFT}" y="{HIGH - 4}">trial 0</text><text x="{WIDE - 10}" y="{HIGH - 4}" text-anchor="end">{last}</text>'
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}"><path class="best" d="{path}"/>{"".join(marks)}{ends}{below}'
        f"</svg>\n<p><small>{escape(found.metric)}, best on top. Red: the untuned recipe. Crosses: pruned, at the score of the folds they came "
        "to. What is far worse stands at the lower edge.</small></p>"
    )


def _table(subject: Subject, study: optuna.Study, found: Verdict) -> str:
    ranked = sorted(complete(study), key=lambda one: (-found.sign * (one.value or 0.0), one.number))[:TOP]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("trial", found.metric, *subject.ranges))
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(subject, one))}</tr>\n" for one in ranked)
    return f"<table><tr>{head}</tr>\n{rows}</table>"


def _cells(subject: Subject, one: FrozenTrial) -> list[str]:
    """The untuned recipe's values are what it says, not the point that stands for it."""
    untuned = bool(one.user_attrs.get(UNTUNED))
    values = (
        ["untuned"] + [""] * (len(subject.ranges) - 1) if untuned else [str(rounded(one.params[name])) for name in subject.ranges]
    )
    return [str(one.number), figure(one.value or 0.0), *values]
