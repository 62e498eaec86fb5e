"""What a person should know of this machine before a long run. Credentials are looked for, never read out."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

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
GIB = 2**30


def findings() -> Iterator[tuple[str, str]]:
    """Pairs of what was looked at and what was found."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in LIBRARIES:
        yield name, _version(name)
    for name in EXTRAS:
        yield name, extra(name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield "cores", str(cores)
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
