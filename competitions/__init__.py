"""The registry is this folder: every module or package in it is a competition. Importing this imports none of them.

Its name is the module's, with hyphens for underscores. A file whose name no module can have (`my-toy.py`) is none.

The folders that PODIUM_COMPETITIONS names (separated as in PATH) belong to it too: a competition need not stand in the project.
"""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.competition import Entry

__path__ += [folder for folder in os.environ.get("PODIUM_COMPETITIONS", "").split(os.pathsep) if os.path.isdir(folder)]


def names() -> list[str]:
    """Names of all competitions, words joined by hyphens, without importing one."""
    return sorted(name.replace("_", "-") for name in _files())


def purpose(name: str) -> str:
    """The first line of the competition's docstring, read without importing it."""
    text = _files()[name.replace("-", "_")].read_text(encoding="utf-8")
    try:
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    except SyntaxError as error:  # one broken file shall not hide the others
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
                found[path.stem] = file
    return found
