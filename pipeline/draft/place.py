"""Where a new competition's file belongs, and what it may be called."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path

import competitions
from pipeline.errors import BadDraft, StoreError
from pipeline.store import stray_beside

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
TARGETS = ("bench", "check", "clean", "help", "lock", "reliability", "setup", "test", "test-slow")  # of the Makefile
HERE = "competitions"


def refuse_name(name: str) -> None:
    """Raise BadDraft for a name that no competition can have."""
    if not NAME.fullmatch(name) or len(name) > 60:
        raise BadDraft(
            f"{name!r} cannot be a competition's name. Use lower-case letters, digits and hyphens, such as bike-demand."
        )
    there = vars(competitions).get(module_of(name))
    own = there is not None and getattr(there, "__name__", "") != f"competitions.{module_of(name)}"
    if keyword.iskeyword(name) or name in TARGETS or own:
        raise BadDraft(
            f"{name!r} is taken: it is a word of Python, a target of the Makefile or a part of podium. Add a word to it."
        )


def module_of(name: str) -> str:
    return name.replace("-", "_")


def folder() -> Path:
    """Where it is written: the folder that PODIUM_COMPETITIONS names first, the project's own, or ./competitions. Raises StoreError."""
    named = [part for part in os.environ.get("PODIUM_COMPETITIONS", "").split(os.pathsep) if part]
    if named:
        return Path(named[0])
    own = Path(competitions.__file__).parent
    if (own.parent / "Makefile").is_file() and os.access(own, os.W_OK):
        return own
    here = Path(HERE).absolute()
    if (here / "__init__.py").exists():
        raise StoreError(
            f"{here} belongs to another copy of podium than the one that runs, {own.parent}. Run that copy, or work in another folder."
        )
    return here


def refuse_existing(name: str, target: Path, force: bool) -> None:
    """Raise BadDraft where a competition of this name is there; what is no file of its own is never replaced."""
    if target.with_suffix("").is_dir() or (name in competitions.names() and not target.exists()):
        raise BadDraft(f"There is a competition {name!r} already, which is not one file at {target}. Choose another name.")
    if target.exists() and not force:
        raise BadDraft(f"{target} is there already. Choose another name, or replace the file with --force.")


def write(target: Path, text: str) -> None:
    """Whole or not at all. Raises StoreError."""
    beside = stray_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written: {error.strerror or error}. Name a folder that can be with PODIUM_COMPETITIONS=DIR."
        ) from error


def remarks(where: Path, name: str, given: str) -> list[str]:
    """What a person should know of the folder that it was written to."""
    own = Path(competitions.__file__).parent
    if where == own:
        return [f"Or: make {name}{given.replace(' --data ', ' DATA=')}"]
    if where == Path(HERE).absolute() and not os.environ.get("PODIUM_COMPETITIONS"):
        return [
            f"podium is installed in {own.parent}, without a project to write into. The file is found from {where.parent}, and from "
            f"anywhere with PODIUM_COMPETITIONS={where}."
        ]
    return []
