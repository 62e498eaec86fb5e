"""What commands say: coloured and wrapped on a terminal, plain lines elsewhere. Nothing heavy is imported before something is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

UNWRAPPED = 10_000  # columns of what is no terminal: a file or a pipe takes lines as they are


def console(file: Any = None) -> Console:
    """Coloured and wrapped on a terminal, plain lines elsewhere. It keeps to its file: training redirects sys.stdout."""
    from rich.console import Console

    file = file or sys.stdout
    return Console(file=file, width=None if file.isatty() else UNWRAPPED)


def say(message: str) -> None:
    console().print(message, highlight=False, markup=False)


def say_path(path: Path) -> None:
    """A path as the last line, never wrapped or coloured, so that a script can read it."""
    typer.echo(str(path))
