"""The registry is this folder: every module or package in it is a competition. Importing this imports none of them.

Its name is the module's, with hyphens for underscores. A file whose name no module can have (`my-toy.py`) is none.

The folders that PODIUM_COMPETITIONS names (separated as in PATH) belong to it too: a competition need not stand in the project. And so does
the folder `competitions` of the working folder, for who has podium installed and no project; not where it is a package, such as
another copy's. A name that stands in several is the first one's.
"""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.competition import Entry


def _others() -> list[str]:
    named = [folder for folder in os.environ.get("PODIUM_COMPETITIONS", "").split(os.pathsep) if os.path.isdir(folder)]
    here = os.path.isdir("competitions") and not os.path.exists(os.path.join("competitions", "__init__.py"))
    return [*named, *([os.path.abspath("competitions")] if here else [])]


__path__ += _others()


def names() -> list[str]:
    """Names of all competitions, words joined by hyphens, without importing one."""
    return sorted(name.replace("_", "-") for name in _files())


def purpose(name: str) -> str:
    """The first line of the competition's docstring, read without importing it."""
    file = _files()[name.replace("-", "_")]
    try:
        return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    except (SyntaxError, ValueError) as error:  # one broken file shall not hide the others
        return f"cannot be read: {error}"


def find(name: str) -> Entry:
    """The competition of that name, its contract checked. Raises UnknownName with the nearest names, or BadContract."""
    from pipeline.competition import check
    from pipeline.errors import UnknownName

    if name not in names():
        raise UnknownName("competition", name, names())
    return check(importlib.import_module(f"competitions.{name.replace('-', '_')}"))


def _files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in map(Path, __path__):
        for path in sorted(folder.iterdir()):
            file = path / "__init__.py" if path.is_dir() else path
            if file.suffix == ".py" and file.is_file() and path.stem.isidentifier() and not path.stem.startswith("_"):
                found.setdefault(path.stem, file)
    return found
