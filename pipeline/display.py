"""What a person sees while units run: on a terminal one live display with a bar per model, elsewhere a line per unit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pipeline.train import Outcome


class Display:
    """Give it to `train` as `notify`; use it as a context. It counts what was done, kept and failed."""

    def __init__(self, console: Console, total: int, models: Iterable[str], metric: str) -> None:
        self.console, self.total, self.metric = console, total, metric
        self.models = {name: ModelState(total) for name in models}
        self.failures: list[Outcome] = []
        self.done = self.kept = 0
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("[bold]{task.description:<14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[score]}"),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
            console=console,
        )

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._bars = {
                name: self._progress.add_task(name, total=self.total, score="", left="waiting", start=False)
                for name in self.models
            }
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars:
            self._progress.stop()

    def __call__(self, outcome: Outcome) -> None:
        state = self.models[outcome.unit.model]
        state.add(outcome)
        self.done += outcome.state == "done"
        self.kept += outcome.state == "kept"
        if outcome.state == "failed":
            self.failures.append(outcome)
        if self._bars:
            self._progress.start_task(self._bars[outcome.unit.model])
            self._progress.update(
                self._bars[outcome.unit.model], completed=state.finished, score=f"{self.metric} {state.score}", left=state.left()
            )
            if state.finished == state.total:
                self._progress.stop_task(self._bars[outcome.unit.model])
        elif outcome.state != "kept":
            self.console.print(self.line(outcome, state), highlight=False, soft_wrap=True, markup=False)

    def line(self, outcome: Outcome, state: ModelState) -> str:
        unit = outcome.unit
        what = f"{unit.model:<14} fold {unit.fold + 1}" + (f" seed {unit.seed}" if unit.seed else "")
        if outcome.state == "failed":
            return f"{what}  FAILED  {outcome.error}"
        return f"{what}  {self.metric} {outcome.score:.5f}  {outcome.seconds:.1f} s  ({state.finished}/{state.total})"


class ModelState:
    """Scores and times of one model so far."""

    def __init__(self, total: int) -> None:
        self.total, self.finished, self.failed = total, 0, 0
        self.scores: list[float] = []
        self.begin = time.monotonic()
        self.fresh = 0

    def add(self, outcome: Outcome) -> None:
        self.finished += 1
        self.failed += outcome.state == "failed"
        if not self.fresh:
            self.begin = time.monotonic() - outcome.seconds
        self.fresh += outcome.state != "kept"
        if math.isfinite(outcome.score):
            self.scores.append(outcome.score)

    @property
    def score(self) -> str:
        return f"{sum(self.scores) / len(self.scores):.5f}" if self.scores else "-"

    def left(self) -> str:
        """Time left at the pace so far; what failed is said here as well."""
        if self.failed:
            return f"[red]{self.failed} failed[/red]"
        if self.finished == self.total:
            return "done" if self.fresh else "kept"
        if not self.fresh:
            return "..."
        seconds = (time.monotonic() - self.begin) / self.fresh * (self.total - self.finished)
        return f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"


@contextmanager
def showing(console: Console, units: int, models: Iterable[str], metric: str) -> Iterator[Display]:
    with Display(console, units, models, metric) as display:
        yield display
