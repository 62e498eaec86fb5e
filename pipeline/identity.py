"""Keys: a hash of everything that decides a result, so that equal keys mean equal results and a change means a new key.

An estimator is described by its class, its parameters, and its source: the version of the installed library it comes from,
or, for this project's and a user's own code, the text of its module and of the modules of ours that it imports.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd

from pipeline.credentials import without
from pipeline.predictions import Array

ABSENT = "not installed"
INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
CODE_THAT_DECIDES = (
    "competitions",
    "features",
    "pipeline.boxes",
    "pipeline.ensemble",
    "pipeline.models",
    "pipeline.pictures",
    "pipeline.practice",
    "pipeline.resample",
)  # the rest of `pipeline` moves results, it does not make them


def key(parts: Mapping[str, Any]) -> str:
    """Sixteen hex digits of the SHA-256 of these parts' descriptions."""
    text = json.dumps({name: describe(part) for name, part in parts.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(thing: Any) -> Any:
    """A JSON value that is equal for equal things, over processes and machines, and for these alone: whatever is no text, number, bool
    or None is a list that begins with what it is. A tuple is as a list, a NumPy number as Python's."""
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float):
        return ["float", float(thing).hex()]
    if isinstance(thing, np.generic):
        return describe(thing.item())
    if isinstance(thing, np.ndarray) and thing.dtype == object:
        return ["array", "object", list(thing.shape), describe(thing.ravel().tolist())]
    if isinstance(thing, np.ndarray):
        return ["array", str(thing.dtype), list(thing.shape), hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()]
    if isinstance(thing, pd.DataFrame | pd.Series | pd.Index):
        return frame(thing)
    if isinstance(thing, Path):
        return ["path", str(thing)]
    if isinstance(thing, Mapping):
        return ["map", *sorted(([describe(name), describe(value)] for name, value in thing.items()), key=json.dumps)]
    if isinstance(thing, set | frozenset):
        return ["set", *sorted(json.dumps(describe(item), sort_keys=True) for item in thing)]
    if isinstance(thing, list | tuple | range):
        return ["list", *(describe(item) for item in thing)]
    if inspect.isclass(thing) or inspect.isbuiltin(thing):
        return ["code", f"{thing.__module__}.{thing.__qualname__}", source(thing)]
    if inspect.isfunction(thing):
        return ["function", f"{thing.__module__}.{thing.__qualname__}", source(thing), *_made_with(thing)]
    if inspect.ismethod(thing):
        return ["method", describe(thing.__func__), describe(thing.__self__)]
    if isinstance(thing, np.ufunc):
        return ["ufunc", thing.__name__]
    if isinstance(thing, functools.partial):
        return ["partial", describe(thing.func), describe(thing.args), describe(thing.keywords)]
    return ["object", describe(type(thing)), describe(parameters(thing))]


def _made_with(function: FunctionType) -> list[Any]:
    """What tells functions of one name and module apart: where a lambda stands, and the values that were bound to it."""
    if _installed(Path(function.__code__.co_filename)):
        return []
    place = str(list(function.__code__.co_positions())) if function.__name__ == "<lambda>" else ""
    bound = [cell.cell_contents for cell in function.__closure__ or () if cell.cell_contents is not function]
    return [hashlib.sha256(place.encode()).hexdigest()[:16], describe([bound, function.__defaults__, function.__kwdefaults__])]


def parameters(thing: Any) -> Mapping[str, Any]:
    """What an object was made with: get_params of an estimator, the fields of a record, else its attributes or its pickle."""
    if hasattr(thing, "get_params"):
        return dict(thing.get_params(deep=False))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    if hasattr(thing, "__dict__"):
        return dict(vars(thing))
    return {"pickle": hashlib.sha256(cloudpickle.dumps(thing)).hexdigest()}


def source(thing: Any) -> str:
    """The library and version of a class or function, or the hash of its module's text if it is not installed."""
    module = inspect.getmodule(thing)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not Path(file).is_file():
        return "code " + hashlib.sha256(_own_code(thing)).hexdigest()[:16]
    if _installed(Path(file)):
        return library(module.__name__.partition(".")[0])
    return "text " + module_hash(getattr(module.__spec__, "name", module.__name__), Path(file))  # `python -m` calls it __main__


def _installed(file: Path) -> bool:
    return any(file.resolve().is_relative_to(folder) for folder in INSTALLED)


def _own_code(thing: Any) -> bytes:
    try:
        return inspect.getsource(thing).encode()
    except (OSError, TypeError):
        return cloudpickle.dumps(thing)


@functools.cache
def library(name: str) -> str:
    """ "name version" of an installed package, by the name it is imported by."""
    distributions = _distributions().get(name, [name])
    try:
        return f"{distributions[0]} {importlib.metadata.version(distributions[0])}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} of the standard library"


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Installed versions by distribution name, ABSENT for one that is not; read without importing anything.

    Where one of them runs in another environment (see `interpreter`), all are that environment's.
    """
    names = tuple(sorted(distributions))
    elsewhere = [python for python in map(interpreter, names) if python != sys.executable]
    return dict(zip(names, _asked(elsewhere[0], names), strict=True)) if elsewhere else {name: _version(name) for name in names}


def interpreter(distribution: str) -> str:
    """The Python that runs an optional package: this one, or what PODIUM_NAME_PYTHON says. So packages whose requirements or
    licence should stay apart can have an environment of their own."""
    named = os.environ.get(variable(distribution))
    return os.path.abspath(named) if named else sys.executable  # not resolved: a link is how an environment names itself


def variable(distribution: str) -> str:
    return f"PODIUM_{re.sub(r'[^A-Z0-9]', '_', distribution.upper())}_PYTHON"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ABSENT


@functools.cache
def _asked(python: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Versions in another interpreter's environment; ABSENT, each of them, if it does not answer."""
    code = f"""
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print({ABSENT!r})
"""
    try:
        done = subprocess.run(  # noqa: S603
            [python, "-P", "-c", code, *names], capture_output=True, text=True, check=True, timeout=60, env=without(os.environ)
        )
    except (OSError, subprocess.SubprocessError):
        return (ABSENT,) * len(names)
    answered = done.stdout.splitlines()[-len(names) :]  # what starts it may say something first
    return tuple(answered) if len(answered) == len(names) else (ABSENT,) * len(names)


@functools.cache
def module_hash(name: str, file: Path | None = None) -> str:
    """Hash of a module's text and of the texts of the modules of CODE_THAT_DECIDES that it imports, directly or not.

    Nothing is imported for it: a model library would cost seconds.
    """
    texts: dict[str, str] = {}
    _gather(name, file or _file(name), texts)
    if not texts:
        raise ModuleNotFoundError(f"{name} is no module whose text can be read.", name=name)
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]


def _gather(name: str, file: Path | None, texts: dict[str, str]) -> None:
    if file is None or name in texts:
        return
    texts[name] = file.read_text(encoding="utf-8")
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for imported in _imports(texts[name], package):
        if imported.startswith(CODE_THAT_DECIDES):
            _gather(imported, _file(imported), texts)


def _imports(text: str, package: str) -> list[str]:
    """What may be the names of modules that a text imports; `from module import name` gives both module and module.name.

    What is imported for a type checker alone decides nothing.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return sorted(names)


def _file(name: str) -> Path | None:
    """Where a module's text stands, or None if there is no such module. `find_spec` alone would import the packages above it."""
    top, *below = name.split(".")
    spec = importlib.util.find_spec(top)
    for part in below:
        if spec is None or spec.submodule_search_locations is None:
            return None
        folders = getattr(sys.modules.get(spec.name), "__path__", spec.submodule_search_locations)
        spec = PathFinder.find_spec(f"{spec.name}.{part}", folders)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def frame(table: pd.DataFrame | pd.Series | pd.Index) -> list[Any]:
    """Names, types and content of a table, as a hash of every cell; of categories also their levels, of mixed cells their types."""
    table = table if isinstance(table, pd.DataFrame) else table.to_frame()
    digest = hashlib.sha256()
    for column, values in table.items():
        levels = values.dtype.categories if isinstance(values.dtype, pd.CategoricalDtype) else None
        ordered = levels is not None and values.cat.ordered
        digest.update(json.dumps(describe([column, str(values.dtype), levels, ordered])).encode())
        cells = values
        if values.dtype == object:
            cells = values.map(lambda cell: f"{type(cell).__name__} {cell}")
        elif isinstance(values.dtype, pd.StringDtype):
            cells = values.astype(object).astype(str)
        digest.update(np.ascontiguousarray(pd.util.hash_pandas_object(cells, index=False).to_numpy()).tobytes())
        digest.update(np.packbits(values.isna().to_numpy()).tobytes())
    return ["table", list(table.shape), digest.hexdigest()]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content(arrays: Mapping[str, Array]) -> str:
    """Hash of the content of named arrays."""
    return key({name: arrays[name] for name in sorted(arrays)})
