"""A process that fails is told of with the cure, and none outlives the one that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.errors import BadRecipe
from pipeline.models.child import Listener
from pipeline.models.outside_process import LINES, nets, run
from pipeline.models.weights import BadWeights
from tests.pipeline.models import boxed

JOB = {
    "do": "train",
    "library": "libreyolo",
    "net": "tiny-n",
    "weights": "w.pt",
    "hub": False,
    "threads": 1,
    "batch": 4,
    "size": 64,
}
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def standing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxed.stand_in(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("way", "error", "words"),
    [
        ("fails", BadRecipe, r"libreyolo failed \(exit code 3\)"),
        ("killed", BadRecipe, "ended by SIGKILL; the system may have run out of memory. Give a smaller batch"),
        ("memory", BadRecipe, "ran out of memory with batch 4, size 64. Give a smaller batch"),
        ("weights", BadWeights, "weights='w.pt' of tiny-n: it is of another net. Other ways: "),
    ],
)
def test_a_process_that_fails_is_told_of_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, error: type[Exception], words: str
) -> None:
    monkeypatch.setenv("STAND_IN", way)
    with pytest.raises(error, match=words) as caught:
        run(JOB, tmp_path, lambda line: None)
    assert len(str(caught.value).splitlines()) <= LINES + 1
    assert ("line 99" in str(caught.value)) == (way == "fails")


@pytest.mark.parametrize("told", ["", "[]", '{"kind": "weights"}', "\0" * 99])
def test_what_it_says_of_its_failure_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("STAND_IN", "fails")
    (tmp_path / "stand_in.py").write_text(
        f"import json, sys; open(json.load(open(sys.argv[3]))['failed'], 'w').write({told!r}); sys.exit(3)"
    )
    with pytest.raises(BadRecipe, match="exit code 3"):
        run(JOB, tmp_path, lambda line: None)


def test_nets_are_asked_for_once(tmp_path: Path) -> None:
    assert nets("libreyolo") == ("tiny-n", "tiny-s")
    (tmp_path / "stand_in.py").write_text("raise SystemExit(1)")
    assert nets("libreyolo") == ("tiny-n", "tiny-s")


def test_only_whole_lines_for_a_person_are_said(tmp_path: Path) -> None:
    said: list[str] = []
    log = tmp_path / "log.txt"
    log.write_bytes(b"podium: of an earlier start\n")
    listen = Listener(log, log.stat().st_size, said.append)
    for part, heard in (
        (b"podium: ep", []),
        (b"och 1\nother\n", ["epoch 1"]),
        (b"\xff\xfe\npodium: \xff\n", ["epoch 1", "\ufffd"]),
    ):
        with log.open("ab") as file:
            file.write(part)
        listen()
        assert said == heard


HANGING = "import os, pathlib, time; pathlib.Path(os.environ['HANGING']).write_text(str(os.getpid())); time.sleep(300)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_does_not_outlive_the_one_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    """The real worker, in which a library hangs; killed, nobody could tell it to stop."""
    package, pid = tmp_path / "libreyolo", tmp_path / "pid"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(HANGING)
    code = (
        "from pathlib import Path; from pipeline.models.outside_process import run; "
        f"run({ {**JOB, 'do': 'list'}!r}, Path({str(tmp_path)!r}), print)"
    )
    about: dict[str, Any] = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "HANGING": str(pid), "PODIUM_LIBREYOLO_PYTHON": ""}
    with subprocess.Popen([sys.executable, "-c", code], env=about, stderr=subprocess.DEVNULL) as parent:
        worker = awaited(pid)
        assert psutil.Process(worker).ppid() == parent.pid
        parent.send_signal(number)
        assert parent.wait(30) != 0
    gone, alive = psutil.wait_procs([psutil.Process(worker)] if psutil.pid_exists(worker) else [], timeout=10)
    assert not alive, gone


def awaited(pid: Path) -> int:
    for _ in range(1_200):
        if pid.is_file() and pid.read_text():
            return int(pid.read_text())
        time.sleep(0.05)
    raise AssertionError("the worker did not begin")


def test_a_worker_has_no_network_unless_weights_are_to_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real worker, with a library that calls home as it is imported."""
    package = tmp_path / "libreyolo"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(
        "import socket\n"
        "for call in (lambda: socket.getaddrinfo('localhost', 80), lambda: socket.create_connection(('127.0.0.1', 9), 1)):\n"
        "    try:\n        call()\n        print('podium: reached')\n"
        "    except OSError as error:\n        print(f'podium: {error}')\n"
        "class BaseModel:\n    _registry = ()\n"
    )
    monkeypatch.delenv("PODIUM_LIBREYOLO_PYTHON")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said: list[str] = []
    run({**JOB, "do": "list"}, tmp_path, said.append)
    assert said == ["podium lets this process use no network"] * 2
    assert json.loads((tmp_path / "nets.json").read_text()) == []
    said.clear()
    run({**JOB, "do": "list", "hub": True}, tmp_path, said.append)
    assert "podium lets this process use no network" not in said
