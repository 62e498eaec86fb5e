"""What a person sees while units run: on a terminal one live display with a bar per model, elsewhere a line per unit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from pipeline.train import Outcome

ROOMY = 90  # columns of a terminal; below, bars are short
LONGEST = 300  # characters of a model's error; the whole of it is in the store


class Display:
    """Give it to `train` as `notify`, and its `say` as `say`; use it as a context. It counts what was done, kept and failed.

    total: units of each model. metric: the name of the score.
    """

    def __init__(self, console: Console, total: int, models: Iterable[str], metric: str) -> None:
        self.console, self.metric = console, metric
        names = list(models)
        self.models = {name: Tally(total, clock=len(names) == 1) for name in names}
        self.all = Tally(total * len(names), clock=True)
        self.failures: list[Outcome] = []
        self.live = console.is_terminal and not console.is_dumb_terminal
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24 if console.width >= ROOMY else 8),
            TextColumn("{task.completed}/{task.total}", justify="right"),
            TextColumn("{task.fields[score]}"),
            StateColumn(table_column=Column(no_wrap=True)),
            console=console,
        )

    def __enter__(self) -> Display:
        if self.live:
            for name, tally in self.models.items():
                self._bars[name] = self._progress.add_task(name, total=tally.total, score="", tally=tally)
            if len(self.models) > 1:
                self._bars["all"] = self._progress.add_task("all", total=self.all.total, score="", tally=self.all)
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self._progress.stop()

    def __call__(self, outcome: Outcome) -> None:
        tally = self.models[outcome.unit.model]
        tally.add(outcome)
        self.all.add(outcome)
        if outcome.state == "failed":
            self.failures.append(outcome)
        if self.live:
            score = f"{self.metric} {tally.score}"
            self._progress.update(self._bars[outcome.unit.model], completed=tally.finished, score=score)
            if "all" in self._bars:
                self._progress.update(self._bars["all"], completed=self.all.finished)
        elif outcome.state != "kept":
            self.say(self.line(outcome, tally))

    def say(self, message: str) -> None:
        """A message to the person, above the bars where there are any."""
        self.console.print(message, highlight=False, markup=False)

    def line(self, outcome: Outcome, tally: Tally) -> str:
        unit = outcome.unit
        what = f"{unit.model:<{max(map(len, self.models))}}  fold {unit.fold + 1}" + (f" seed {unit.seed}" if unit.seed else "")
        if outcome.state == "failed":
            return f"{what}  FAILED: {short(outcome.error)}"
        return f"{what}  {self.metric} {figure(outcome.score)}  {duration(outcome.seconds)}  ({tally.finished}/{tally.total})"


class StateColumn(ProgressColumn):
    """How each model is getting on; drawn anew several times a second, so that the time left runs down."""

    def render(self, task: Task) -> Text:
        tally: Tally = task.fields["tally"]
        return Text(tally.state(time.monotonic()), "red" if tally.failed else "")


class Tally:
    """How far a model is, or all of them together. Scores are those of its folds, times those of a monotonic clock.

    clock: also say how long it has been going on, with all that comes before the first unit's end.
    """

    def __init__(self, total: int, clock: bool = False) -> None:
        self.total, self.clock = total, clock
        self.start = time.monotonic()
        self.done = self.kept = self.failed = 0
        self.scores: list[float] = []
        self.begin = self.end = 0.0

    def add(self, outcome: Outcome) -> None:
        self.end = time.monotonic()
        if not self.done + self.failed:
            self.begin = self.end - outcome.seconds
        self.done += outcome.state == "done"
        self.kept += outcome.state == "kept"
        self.failed += outcome.state == "failed"
        if math.isfinite(outcome.score):
            self.scores.append(outcome.score)

    @property
    def finished(self) -> int:
        return self.done + self.kept + self.failed

    @property
    def score(self) -> str:
        """The mean over the folds so far; the score of all rows, which the board shows, may differ a little."""
        return figure(sum(self.scores) / len(self.scores)) if self.scores else "-"

    def state(self, now: float) -> str:
        """A few words: what failed, and the time left at the pace so far."""
        fresh = self.done + self.failed
        if self.finished == self.total:
            words = [f"done in {duration(self.end - (self.start if self.clock else self.begin))}" if fresh else "kept"]
        else:
            words = [f"{duration(now - self.start)} so far"] if self.clock else []
            if fresh:
                pace = (self.end - self.begin) / fresh
                words += [f"{duration(max(1.0, self.end + pace * (self.total - self.finished) - now))} left"]
        return ", ".join([f"{self.failed} failed"] * bool(self.failed) + words) or "waiting"


def figure(score: float) -> str:
    """A score as people compare it: five decimals; where these show too little or too much, five digits or one decimal."""
    if abs(score) >= 1000:
        return f"{score:,.1f}"
    return f"{score:.5f}" if abs(score) >= 0.001 or not score else f"{score:.5g}"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def short(error: str) -> str:
    """An error on one line."""
    line = " ".join(error.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
