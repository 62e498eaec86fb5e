"""What becomes of findings: JSON for programs, and pages for people, in the run folder. The table for the screen is `pipeline.report`'s."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from pipeline.audit.finding import Chart, Finding, Severity
from pipeline.pictures.page import Shown, write_page
from pipeline.run import Run
from pipeline.store import to_json, write_whole

JSON, PAGE, PICTURES = "audit.json", "audit.html", "audit-pictures.html"
FORMAT = 1
WIDE, ROW, NAME = 620, 18, 210  # pixels: of a chart, of a bar, of the names
HIGH, FOOT = 130, 16  # of a chart of columns, and of what stands below it
LETTERS = 32  # of a name
STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
h1 { font-size: 1.5em; } article { border-left: 5px solid #bbb; padding: 0.1em 0 0.1em 1em; margin: 1.4em 0; max-width: 62em; }
article.severe { border-color: #c62828; } article.warning { border-color: #ef9a1a; } article.note { border-color: #90a4ae; }
h2 { font-size: 1.05em; margin: 0.2em 0; } h2 b { text-transform: uppercase; font-size: 0.75em; letter-spacing: 0.06em; }
.severe b { color: #c62828; } .warning b { color: #a86400; } .note b { color: #546e7a; }
p { margin: 0.3em 0; } .cure { color: #2e5d34; } small { color: #777; overflow-wrap: anywhere; }
svg { display: block; margin: 0.6em 0; } figcaption { font-size: 0.9em; color: #555; } figure { margin: 0.8em 0; }
svg text { font: 11px system-ui, sans-serif; fill: #333; } rect { fill: #5b8bb2; } .error { stroke: #1d3a52; } .reference { stroke: #c62828; stroke-dasharray: 4 3; }
"""


def write(run: Run, findings: Sequence[Finding], checked: Sequence[str]) -> tuple[Path, list[Path]]:
    """audit.json and the pages in the run folder; the JSON's path, and those of the pages. Raises StoreError."""
    pages = [write_whole(run.store.path(PAGE), page(run, findings))]
    pictures = [one for finding in findings for one in finding.pictures]
    if pictures and run.data.images is not None:
        pages.append(_pictures_page(run, findings, pictures, run.data.images))
    else:
        run.store.path(PICTURES).unlink(missing_ok=True)  # of an audit before this one
    return write_whole(run.store.path(JSON), to_json(as_json(run, findings, checked)).decode()), pages


def as_json(run: Run, findings: Sequence[Finding], checked: Sequence[str]) -> dict[str, Any]:
    """Of the run what decides the findings, and these, the worst first."""
    return {
        "format": FORMAT,
        "competition": run.name,
        "data": str(run.root),
        "fingerprint": run.fingerprint,
        "practice": run.practice,
        "plan": repr(run.plan),
        "folds": run.folds.hash,
        "train rows": len(run.data.train),
        "test rows": len(run.data.test),
        "checked": list(checked),
        "counts": counts(findings),
        "findings": [_plain({key: value for key, value in asdict(one).items() if key != "pictures"}) for one in findings],
    }


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """By severity, the worst first, zeros too."""
    found = Counter(finding.severity for finding in findings)
    return {severity.value: found[severity] for severity in Severity}


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# -------------------------------------------------------------------------------------------------------------------------- page


def page(run: Run, findings: Sequence[Finding]) -> str:
    """One file that any browser opens; nothing in it comes from elsewhere."""
    title = f"{run.name}: {'PRACTICE DATA: ' * run.practice}audit before training"
    told = ", ".join(f"{number} {name}" for name, number in counts(findings).items())
    about = f"{told}. {len(run.data.train):,} train rows, {len(run.data.test):,} test rows from {run.root}; plan {run.plan!r}."
    shown = "\n".join(map(_article, findings)) or "<p>Nothing was found.</p>"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n<p>{escape(about)}</p>\n{shown}\n</html>\n"
    )


def _article(one: Finding) -> str:
    ids = f"<p><small>such as {escape(', '.join(one.ids))}</small></p>" if one.ids else ""
    pictures = f'<p><small>{len(one.pictures)} pictures: <a href="{PICTURES}">{PICTURES}</a></small></p>' if one.pictures else ""
    return (
        f'<article class="{one.severity}"><h2><b>{one.severity}</b> {escape(one.check)}</h2>\n<p>{escape(one.what)}</p>\n'
        f'<p class="cure">{escape(one.cure)}</p>{ids}{pictures}{"".join(map(svg, one.charts))}</article>'
    )


def svg(chart: Chart) -> str:
    """Bars, or columns where the names follow each other."""
    drawn = _columns(chart) if chart.ordered else _bars(chart)
    return f"<figure><figcaption>{escape(chart.title)}</figcaption>{drawn}</figure>"


def _span(chart: Chart) -> tuple[float, float]:
    """The ends of the scale. From the reference, where there is one, so that bars show the distance from it."""
    known = [value for value in (*chart.values, *chart.low, *chart.high) if math.isfinite(value)]
    known += [] if chart.reference is None else [chart.reference]
    if not chart.ordered and chart.reference is None:
        known.append(0.0)
    low, high = min(known, default=0.0), max(known, default=1.0)
    return low, high


def _share(value: float, low: float, high: float) -> float:
    """Where a value stands between the ends of the scale, 0 to 1; in the middle where there is no telling."""
    if math.isnan(value) or not high > low:
        return 0.5
    return (min(max(value, low), high) / 2 - low / 2) / (high / 2 - low / 2)  # halves: the largest numbers have no difference


def _bars(chart: Chart) -> str:
    low, high = _span(chart)
    base = chart.reference if chart.reference is not None else 0.0
    room = WIDE - NAME - 60

    def across(value: float) -> float:
        return NAME + room * _share(value, low, high)

    parts = []
    for place, (name, value) in enumerate(zip(chart.names, chart.values, strict=True)):
        top, start, end = place * ROW, across(base), across(base if math.isnan(value) else value)
        parts.append(f'<text x="{NAME - 6}" y="{top + 13}" text-anchor="end">{escape(_cut(name))}</text>')
        parts.append(f'<rect x="{min(start, end):.1f}" y="{top + 3}" width="{abs(end - start):.1f}" height="{ROW - 6}"/>')
        if chart.low:
            middle, ends = top + ROW / 2, (across(chart.low[place]), across(chart.high[place]))
            parts.append(f'<line class="error" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{middle}" y2="{middle}"/>')
        parts.append(f'<text x="{WIDE - 56}" y="{top + 13}">{value:.4g}</text>')
    height = ROW * len(chart.names)
    if chart.reference is not None:
        parts.append(f'<line class="reference" x1="{across(base):.1f}" x2="{across(base):.1f}" y1="0" y2="{height}"/>')
    return f'<svg viewBox="0 0 {WIDE} {height}" width="{WIDE}" height="{height}">{"".join(parts)}</svg>'


def _columns(chart: Chart) -> str:
    low, high = _span(chart)
    step = (WIDE - 60) / max(len(chart.names), 1)

    def up(value: float) -> float:
        return 6 + (HIGH - 12) * (1 - _share(value, low, high))

    parts = [f'<text x="54" y="{up(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>' for value in (low, high)]
    for place, (name, value) in enumerate(zip(chart.names, chart.values, strict=True)):
        middle = 60 + (place + 0.5) * step
        parts.append(f'<rect x="{middle - 5:.1f}" y="{up(value) - 2:.1f}" width="10" height="4"/>')
        if chart.low:
            ends = up(chart.high[place]), up(chart.low[place])
            parts.append(f'<line class="error" x1="{middle:.1f}" x2="{middle:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>')
        parts.append(f'<text x="{middle:.1f}" y="{HIGH + 10}" text-anchor="middle">{escape(_cut(name))}</text>')
    return f'<svg viewBox="0 0 {WIDE} {HIGH + FOOT}" width="{WIDE}" height="{HIGH + FOOT}">{"".join(parts)}</svg>'


def _cut(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 3]}..."


def _pictures_page(run: Run, findings: Sequence[Finding], shown: Sequence[Shown], root: Path) -> Path:
    told = "; ".join(f"{one.check}: {one.what}" for one in findings if one.pictures)
    title = f"{run.name}: {'PRACTICE DATA: ' * run.practice}pictures that the audit would show"
    return write_page(run.store.path(PICTURES), title, told, root, shown)
