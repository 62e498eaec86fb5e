"""Starting `outside_worker` and hearing from it. Nothing but files and lines of a log come back, and none of them is trusted."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline import identity
from pipeline.credentials import without
from pipeline.errors import BadRecipe, PodiumError
from pipeline.models import outside_worker
from pipeline.models.child import Listener, tail, watched
from pipeline.store import refusing, to_json

WORKER = Path(outside_worker.__file__)
LOG, JOB, FAILED = "log.txt", "job.json", "failed.json"
LINES = 15  # of the log that an error shows
LACKING = ("out of memory", "can't allocate memory", "Cannot allocate memory", "MemoryError")
SMALLER = "Give a smaller batch, a smaller size or a smaller net."


def refuse_absent(library: str) -> None:
    """Raise BadRecipe, with the lines that install it, where a library is not to be had."""
    if identity.versions([library])[library] != identity.ABSENT:
        return
    variable = identity.variable(library)
    if os.environ.get(variable):
        raise BadRecipe(
            f"{variable} is {os.environ[variable]!r}, which is no Python of 3.11 or later that has {library}. "
            f"Run: uv pip install --python {os.environ[variable]} {library}"
        )
    raise BadRecipe(
        f"The package {library} is not installed. In an environment of its own it cannot get in the way of others (its opencv-python "
        f"and opencv-python-headless overwrite each other). Run: {lines(library)}. Or into this one: uv pip install --python "
        f"{sys.executable} {library}"
    )


def lines(library: str) -> str:
    """Commands that give a library an environment of its own."""
    own = f".venv-{library}"
    return f"uv venv {own} && uv pip install --python {own}/bin/python {library} && export {identity.variable(library)}={own}/bin/python"


def nets(library: str) -> tuple[str, ...]:
    """Names of the nets that a library can train; asked once in a process. Raises BadRecipe where it is absent or does not start."""
    refuse_absent(library)
    return _nets(library, identity.interpreter(library))


@functools.cache
def _nets(library: str, _python: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        run({"do": "list", "library": library, "hub": False, "threads": 1}, Path(folder), lambda line: None)
        return tuple(json.loads(Path(folder, "nets.json").read_text(encoding="utf-8")))


def run(job: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> None:
    """Do a job in a process of its own, whose files are in the folder. say: gets its lines for a person.

    The process ends with this one, however that ends. Raises BadWeights or BadRecipe with the cure, StoreError.
    """
    names = {name: str(folder / name) for name in ("checkpoint.pt", "trained.pt", "boxes.npz", "nets.json", FAILED)}
    files = {name.partition(".")[0]: path for name, path in names.items()}
    log = folder / LOG
    with refusing(folder):
        (folder / FAILED).unlink(missing_ok=True)
        (folder / JOB).write_bytes(to_json({**job, **files, "folder": str(folder)}))
        with log.open("ab") as output:
            begin = output.tell()
            code = watched(
                [identity.interpreter(job["library"]), "-P", str(WORKER), str(folder / JOB), str(os.getpid())],
                {"cwd": folder, "stdout": output, "env": _environment(job, folder)},
                Listener(log, begin, say),
            )
    if code:
        raise _failure(job, folder, code)


def _environment(job: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """No credentials, and what keeps libraries off the network and out of the home folder, and their threads to ours."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(job["threads"]))
    quiet = {
        "MPLCONFIGDIR": str(folder / "settings"),
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "ULTRALYTICS_SAFE_LOAD": "1",  # of a file of weights only tensors and its own classes are read; nothing in it is run
        "WANDB_MODE": "disabled",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(folder / "settings"),
    }
    offline = {} if job["hub"] else {"HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "true"}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if job.get("device") == "cpu" else {}
    return {**without(os.environ), **threads, **quiet, **offline, **hidden}


def _failure(job: Mapping[str, Any], folder: Path, code: int) -> PodiumError:
    """What to tell of a process that did not end well."""
    library = job["library"]
    try:
        told = json.loads((folder / FAILED).read_text(encoding="utf-8"))
        kind, message = str(told["kind"]), str(told["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError):
        kind, message = "", ""
    if kind == "weights":
        from pipeline.models.weights import BadWeights  # with it comes torch, which the parent needs for nothing else

        asked = '"hub"' if job["hub"] else repr(job["weights"])
        return BadWeights(f"weights={asked} of {job['net']}: {message}. {_ways(library)}")
    if kind:
        return BadRecipe(f"{library} stopped: {message}.")
    last = tail(folder / LOG, LINES)
    if any(sign in last for sign in LACKING):
        return BadRecipe(
            f"{library} ran out of memory with batch {job.get('batch')}, size {job.get('size')}. {SMALLER} Its last lines:\n{last}"
        )
    if code < 0:
        name = signal.Signals(-code).name
        return BadRecipe(
            f"The process of {library} was ended by {name}; the system may have run out of memory. {SMALLER} Its last lines:\n{last}"
        )
    return BadRecipe(f"{library} failed (exit code {code}). Mend what its last lines say of the recipe:\n{last}")


def refuse_missing(library: str, weights: str | None) -> None:
    """Raise BadWeights for a file of weights that is not there."""
    if weights not in (None, "hub") and not Path(str(weights)).is_file():
        from pipeline.models.weights import BadWeights

        raise BadWeights(f'weights="{weights}" is no file. {_ways(library)}')


def _ways(library: str) -> str:
    return (
        f'Other ways: weights="PATH" with a file of this very net as {library} writes it (.pt), weights="hub" for its own download, '
        "or weights=None to start from chance."
    )
