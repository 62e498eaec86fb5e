"""Work in a process of its own, which may end in the middle: at the write, sync, rename or removal number n of those that it does."""

from __future__ import annotations

import builtins
import importlib
import io
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KILLED = 9
NEVER = 10**9
LASTING = (
    "fsync",
    "rename",
    "replace",
    "mkdir",
    "unlink",
    "rmdir",
    "pwrite",
    "sendfile",
    "ftruncate",
)  # of the module os: what a disk keeps


LOADED = [
    f"pipeline.{name}" for name in ("cli", "assemble", "executor", "report", "run", "train", "boxes.evaluation", "ensemble.boxes")
] + ["pipeline.models.detector", "pipeline.models.image", "submit.write", "sklearn.linear_model", "tests.reliability.dying"]


class Deadly:
    """Counts calls; the call number `at` is the process's last. It does nothing, or half of what it should write."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def counted(self, function: Callable[..., Any], half: Callable[..., Any] = lambda *given: None) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                half(*given)
                os._exit(KILLED)
            return function(*given, **named)

        return call


class File:
    """An open file of which every write and every flush counts."""

    def __init__(self, opened: Any, deadly: Deadly) -> None:
        def half(content: Any) -> None:
            opened.write(content[: len(content) // 2])
            opened.flush()

        self._opened = opened
        self.write, self.flush = deadly.counted(opened.write, half), deadly.counted(opened.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def __enter__(self) -> File:
        return self

    def __exit__(self, *about: object) -> None:
        self._opened.close()


def arm(at: int, below: Path) -> None:
    """From now on this process is one that dies. below: the files of which writes count."""
    deadly, really_open = Deadly(at), io.open

    def opened(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        made = really_open(file, mode, *given, **named)
        named_so = isinstance(file, str | os.PathLike) and Path(os.path.abspath(os.fspath(file))).is_relative_to(below)
        return File(made, deadly) if named_so and set(mode) & set("wxa+") else made

    io.open = builtins.open = opened  # type: ignore[assignment]
    for name in LASTING:
        setattr(os, name, deadly.counted(getattr(os, name)))


def forked(act: Callable[[], object]) -> int:
    """The exit code of a process that does this; 1, with a traceback on stderr, where it raises. Its sys.exit is its end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def served(act: Callable[[], object]) -> int:
    """The same for a command that computes: forked from a process that has loaded what commands need and run nothing, since pools of
    threads, such as those that evaluate boxes, do not live on in a fork. What is done has to be pickled."""
    if str(ROOT) not in sys.path:  # a worker of pytest's has the folder that it began in as "", which is another one by now
        sys.path.append(str(ROOT))
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(LOADED)
    process = server.Process(target=_act, args=(act, dict(os.environ)))
    process.start()
    process.join()
    return int(process.exitcode or 0)


def _act(act: Callable[[], object], environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    importlib.reload(importlib.import_module("competitions"))  # it reads from the environment in which folders they are
    act()


def killed_at(
    at: int, act: Callable[[], object], below: Path = Path("/"), process: Callable[[Callable[[], object]], int] = forked
) -> bool:
    """Do it in a process that is no more from the write, sync, rename or removal number `at` on; whether it came to that."""
    code = process(partial(_armed, at, below, act))
    assert code in (0, KILLED), code
    return code == KILLED


def _armed(at: int, below: Path, act: Callable[[], object]) -> None:
    arm(at, below)
    act()


def command(*words: object) -> None:
    """`podium WORDS`, here. Raises SystemExit at its end."""
    from pipeline import cli

    sys.argv = ["podium", *map(str, words)]
    cli.main()
