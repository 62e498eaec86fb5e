"""What a person should know of this machine before a long run. Credentials are looked for, never read out."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from pipeline.cores import cores
from pipeline.credentials import kaggle

LIBRARIES = (
    "podium",
    "numpy",
    "pandas",
    "scikit-learn",
    "lightgbm",
    "xgboost",
    "catboost",
    "torch",
    "torchvision",
    "timm",
    "kagglesdk",
    "pytabkit",
)
EXTRAS = ("libreyolo", "ultralytics")  # that models can be made with, if they are there
AUTOML = ("autogluon", "h2o", "flaml")
GIB = 2**30


def findings() -> Iterator[tuple[str, str]]:
    """Pairs of what was looked at and what was found."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in LIBRARIES:
        yield name, _version(name)
    for name in EXTRAS:
        yield name, extra(name)
    for name in AUTOML:
        yield name, automl(name)
    yield "java", java()
    yield "cores", str(cores())
    memory = psutil.virtual_memory()
    yield "memory", f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f}"
    yield "disk", f"{shutil.disk_usage(Path.cwd()).free / GIB:.1f} GiB free here"
    yield "gpu", gpu()
    yield "kaggle", credentials()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed; run `make setup`"


def extra(name: str) -> str:
    from pipeline.identity import ABSENT, interpreter, versions
    from pipeline.models.outside_process import lines

    version = versions([name])[name]
    if version == ABSENT:
        return f"not installed, and not needed; to have its models: {lines(name)}"
    return version if interpreter(name) == sys.executable else f"{version} in {interpreter(name)}"


def automl(name: str) -> str:
    from pipeline.identity import ABSENT, interpreter, versions
    from pipeline.models.automl_process import PACKAGES, line

    package = PACKAGES[name][0]
    version = versions([package])[package]
    if version == ABSENT:
        return f"not installed, and not needed; to have its models: {line(name)}"
    return version if interpreter(package) == sys.executable else f"{version} in {interpreter(package)}"


def java() -> str:
    """What H2O's server would run in."""
    import subprocess

    from pipeline.models.automl_process import java, java_lines

    found = java()
    if found is None:
        return f"none, and only H2O needs it. {java_lines()}"
    try:
        said = subprocess.run([found, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return f"{found} does not run ({type(error).__name__}). {java_lines()}"
    return f"{said.partition(chr(10))[0]} ({found})"


def gpu() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that it is built on is missing
        return f"unknown: torch does not load ({error})"
    if not torch.cuda.is_available():
        return "none; nets train on the CPU"
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, {properties.total_memory / GIB:.0f} GiB"


def credentials() -> str:
    """Where Kaggle credentials were found, in the official client's order; never a part of them."""
    found = kaggle()
    return found.source if found else "no credentials; everything but downloading and sending works without"
