"""The server that stands in for Kaggle, a person who may sign in there, and a competition whose files it has."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from competitions import find
from pipeline.run import write_practice
from submit import kaggle, sending
from tests.submit.kaggle_server import TOKEN, Held, KaggleServer

CREDENTIALS = ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR", "KAGGLE_API_V1_TOKEN", "XDG_CONFIG_HOME")
ROWS = 60


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person without credentials, whose client talks to loopback alone."""
    home = tmp_path / "person"
    home.mkdir()
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "HOME": str(home),
        "KAGGLE_API_ENVIRONMENT": "TEST",
        "NO_PROXY": "localhost",
        "no_proxy": "localhost",
    }.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture
def person(stranger: Path) -> Path:
    """The home of a person who has a token."""
    (stranger / ".kaggle").mkdir()
    (stranger / ".kaggle" / "access_token").write_text(f"{TOKEN}\n")
    return stranger


@pytest.fixture
def server(person: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """The site, with podium's pauses made short. Its port is the client's own, so that tests with it share one xdist group."""
    for module, name, value in ((kaggle, "FIRST_PAUSE", 0.01), (kaggle, "PATIENCE", 5.0), (sending, "LOOK", 0.01)):
        monkeypatch.setattr(module, name, value)
    end = time.monotonic() + 60
    while True:
        try:
            made = KaggleServer()
            break
        except OSError:  # another run of the tests on this machine has the port
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
    with made:
        yield made


@pytest.fixture
def toys(toy: Path, server: KaggleServer, tmp_path: Path) -> Held:
    """The toy competition's files on the site, of rows that nobody there calls practice."""
    made = tmp_path / "made"
    write_practice(find("toy"), made, ROWS, 1)
    with (made / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    answers = {row["id"]: float(row["a"]) - float(row["b"]) for row in rows}
    files = {path.name: path.read_bytes() for path in sorted(made.glob("*.csv"))}
    server.held["toy"] = Held(files, answers)
    return server.held["toy"]


@pytest.fixture
def submitted(toys: Held, podium: Callable[..., Any]) -> Callable[..., Any]:
    """`podium`, where the toy's files are downloaded and a submission of them is kept."""
    for words in (("data", "toy"), ("run", "toy", "ridge")):
        said = podium(*words)
        assert said.code == 0, said.err
    return podium
