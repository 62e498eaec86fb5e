"""`podium new`: a competition's file, written from a folder of Kaggle's files."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import say, say_path
from pipeline.errors import BadData, PodiumError

if TYPE_CHECKING:
    from pipeline.draft import Draft

commands = typer.Typer()


def _file(role: str, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(f"--{role}", metavar="FILE", help=what, show_default=False)
    return option


@commands.command(
    epilog="""\b
    Examples:
      podium new bike-demand --data bike/ --metric rmsle
      podium new leaves --kaggle classify-leaves --metric accuracy
    """
)
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, such as bike-demand.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="The folder of Kaggle's files; else data/NAME, downloaded if it is not there.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="What it is judged by; without, it is asked for.", show_default=False),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COLUMN", help="Train's column to predict, where it is not clear.", show_default=False),
    ] = None,
    kaggle: Annotated[
        str | None, typer.Option("--kaggle", metavar="SLUG", help="Its name on Kaggle; else NAME.", show_default=False)
    ] = None,
    train: Annotated[str | None, _file("train", "The table of train, or COCO annotations, where it is not clear.")] = None,
    test: Annotated[str | None, _file("test", "The table of test, where it is not clear.")] = None,
    sample: Annotated[str | None, _file("sample", "The sample submission, where it is not clear.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that an earlier call wrote.")] = False,
) -> None:
    """Write a new competition from Kaggle's files.

    Says what it took for granted; the last line is the path of the file, which runs as it is.
    """
    from pipeline.draft import Wishes, draft, place
    from pipeline.run import DOWNLOADED
    from submit.download import download

    place.refuse_name(name)
    target_file = place.folder() / f"{place.module_of(name)}.py"
    place.refuse_existing(name, target_file, force)
    root = data or DOWNLOADED / name
    if data is None:
        download(kaggle or name, root, say)
    if not root.is_dir():
        raise BadData(f"{root} is no folder. Give the folder of the competition's files with --data DIR.")
    ask = _ask if sys.stdin.isatty() else None
    wishes = Wishes(kaggle or name, metric, target, ask, {"train": train, "test": test, "sample": sample})
    made = draft(name, root, wishes)
    _write(name, target_file, made, root)
    for reason in made.reasons:
        say(f"- {reason}")
    given = "" if data is None else f" --data {data}"
    say(f"Read the file, then: podium audit {name}{given}, podium run {name}{given}")
    for line in place.remarks(target_file.parent, name, given):
        say(line)
    say_path(target_file)


def _ask(question: str, fitting: Sequence[str], default: str) -> str:
    answer: str = typer.prompt(f"{question} ({', '.join(fitting)})", default=default)
    return answer.strip()


def _write(name: str, file: Path, made: Draft, root: Path) -> None:
    """Keep the file if the competition opens with it; else what was there before. Raises PodiumError."""
    import competitions
    from pipeline.competition import Detection
    from pipeline.draft import place
    from pipeline.run import open_run
    from submit.check import shape

    before = file.read_text(encoding="utf-8") if file.exists() else None
    place.write(file, made.text)
    if str(file.parent) not in competitions.__path__:
        competitions.__path__.append(str(file.parent))
    importlib.invalidate_caches()
    sys.modules.pop(f"competitions.{place.module_of(name)}", None)
    try:
        with tempfile.TemporaryDirectory() as runs:
            run = open_run(name, root, runs)
            task = run.entry.competition.task
            if not isinstance(task, Detection):
                shape(run.data.sample, task, run.columns)
    except PodiumError:
        if before is None:
            file.unlink()
        else:
            place.write(file, before)
        raise
