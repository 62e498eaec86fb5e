"""A process of our own for another library: watched while it works, heard, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLD = "podium: "  # how a line of the log begins that is for a person
BEAT = 0.2  # seconds


def _unlimited(child: subprocess.Popen[bytes]) -> None:
    """It may take as long, and as much, as it likes."""


def watched(
    command: list[str],
    settings: Mapping[str, Any],
    listen: Callable[[], None],
    limit: Callable[[subprocess.Popen[bytes]], None] = _unlimited,
) -> int:
    """Its exit code. Ctrl-C, or any other error here, kills it with all that it has started.

    listen, limit: called again and again while it works; `limit` may stop it.
    """
    child = None
    try:
        # A session of its own: Ctrl-C at a terminal is ours to answer, and its group can be killed as one.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True, **settings)  # noqa: S603
        while child.poll() is None:
            listen()
            limit(child)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(BEAT)
        listen()
        return child.returncode
    finally:
        if child is not None:
            kill(child)  # what it started may outlive it
            child.wait()


def kill(child: subprocess.Popen[bytes]) -> None:
    """At once, and all of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


@dataclass
class Listener:
    """Says the lines of a log that are for a person, each once and when it is whole. seen: bytes of the log."""

    log: Path
    seen: int
    say: Callable[[str], None]

    def __call__(self) -> None:
        with self.log.open("rb") as file:
            file.seek(self.seen)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.seen += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith(TOLD):
                self.say(line.removeprefix(TOLD)[:300])


def tail(log: Path, lines: int) -> str:
    """The last lines of a log, each cut to what a screen can hold."""
    text = log.read_bytes().decode(errors="replace").replace("\r", "\n")
    return "\n".join(line[:300] for line in text.splitlines()[-lines:])
