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
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd

from pipeline.predictions import Array

INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
CODE_THAT_DECIDES = ("competitions", "features", "pipeline.models")  # the rest of `pipeline` moves results, it does not make them


def key(parts: Mapping[str, Any]) -> str:
    """Sixteen hex digits of the SHA-256 of these parts' descriptions."""
    text = json.dumps({name: describe(part) for name, part in parts.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(thing: Any) -> Any:
    """A JSON value that is equal for equal things, over processes and machines."""
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float):
        return float(thing).hex()
    if isinstance(thing, np.generic):
        return describe(thing.item())
    if isinstance(thing, np.ndarray):
        return ["array", str(thing.dtype), list(thing.shape), hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()]
    if isinstance(thing, pd.DataFrame | pd.Series):
        return frame(thing)
    if isinstance(thing, Path):
        return ["path", str(thing)]
    if isinstance(thing, Mapping):
        return {str(name): describe(value) for name, value in thing.items()}
    if isinstance(thing, set | frozenset):
        return ["set", *sorted(json.dumps(describe(item), sort_keys=True) for item in thing)]
    if isinstance(thing, Iterable) and isinstance(thing, list | tuple | range):
        return [describe(item) for item in thing]
    if inspect.isclass(thing) or inspect.isfunction(thing) or inspect.isbuiltin(thing):
        return [f"{thing.__module__}.{thing.__qualname__}", source(thing)]
    if isinstance(thing, np.ufunc):
        return ["ufunc", thing.__name__]
    if isinstance(thing, functools.partial):
        return ["partial", describe(thing.func), describe(thing.args), describe(thing.keywords)]
    return [describe(type(thing)), describe(parameters(thing))]


def parameters(thing: Any) -> Mapping[str, Any]:
    """What an object was made with: get_params of an estimator, the fields of a record, else its attributes."""
    if hasattr(thing, "get_params"):
        return dict(thing.get_params(deep=False))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    return dict(vars(thing)) if hasattr(thing, "__dict__") else {"repr": repr(thing)}


def source(thing: Any) -> str:
    """The library and version of a class or function, or the hash of its module's text if it is not installed."""
    module = inspect.getmodule(thing)
    file = getattr(module, "__file__", None)
    if module is None or file is None or module.__name__ == "__main__":
        return "code " + hashlib.sha256(_own_code(thing)).hexdigest()[:16]
    if Path(file).resolve().is_relative_to(INSTALLED[0]) or any(Path(file).resolve().is_relative_to(p) for p in INSTALLED[1:]):
        return library(module.__name__.partition(".")[0])
    return "text " + module_hash(module.__name__, Path(file))


def _own_code(thing: Any) -> bytes:
    try:
        return inspect.getsource(thing).encode()
    except (OSError, TypeError):
        return cloudpickle.dumps(thing)


@functools.cache
def library(name: str) -> str:
    """ "name version" of an installed package, by the name it is imported by."""
    distributions = importlib.metadata.packages_distributions().get(name, [name])
    try:
        return f"{distributions[0]} {importlib.metadata.version(distributions[0])}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} of the standard library"


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Installed versions by distribution name, read without importing anything."""
    return {name: importlib.metadata.version(name) for name in sorted(distributions)}


@functools.cache
def module_hash(name: str, file: Path | None = None) -> str:
    """Hash of a module's text and of the texts of the modules of CODE_THAT_DECIDES that it imports, directly or not.

    Nothing is imported for it: a model library would cost seconds.
    """
    spec = None if file else importlib.util.find_spec(name)
    texts: dict[str, str] = {}
    _gather(name, file or Path(str(spec and spec.origin)), texts)
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]


def _gather(name: str, file: Path, texts: dict[str, str]) -> None:
    if name in texts:
        return
    texts[name] = file.read_text(encoding="utf-8")
    for imported in _imports(texts[name]):
        if imported.startswith(CODE_THAT_DECIDES):
            spec = importlib.util.find_spec(imported)
            if spec is not None and spec.origin is not None and spec.has_location:
                _gather(imported, Path(spec.origin), texts)


def _imports(text: str) -> list[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
            names.add(node.module)
    return sorted(name for name in names if _is_module(name))


def _is_module(name: str) -> bool:
    if not name.startswith(CODE_THAT_DECIDES):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # `from module import function` gives module.function, whose parent is no package
        return False


def frame(table: pd.DataFrame | pd.Series) -> list[Any]:
    """Names, types and content of a table, as a hash of every cell."""
    table = table.to_frame() if isinstance(table, pd.Series) else table
    digest = hashlib.sha256()
    for column in table.columns:
        values: pd.Series = table[column]
        digest.update(f"{column}|{values.dtype}|".encode())
        cells = values.astype(str) if values.dtype == object else values
        digest.update(np.ascontiguousarray(pd.util.hash_pandas_object(cells, index=False).to_numpy()).tobytes())
        digest.update(np.packbits(values.isna().to_numpy()).tobytes())
    return ["table", list(table.shape), digest.hexdigest()]


def content(arrays: Mapping[str, Array]) -> str:
    """Hash of the content of named arrays."""
    return key({name: arrays[name] for name in sorted(arrays)})
