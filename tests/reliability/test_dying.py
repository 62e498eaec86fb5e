"""What the proofs stand on: a process of its own works on what is there when it is started, whatever was loaded before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.reliability.dying import command, served
from tests.reliability.small import opened


def test_a_served_process_knows_the_competitions_of_now(tmp_path: Path) -> None:
    for kind in ("tables", "images"):
        folder = tmp_path / kind
        folder.mkdir()
        with opened(kind, folder) as one:
            assert served(partial(command, "data", one.name, "--practice", folder / "rows")) == 0


def test_its_end_is_told(tmp_path: Path) -> None:
    with opened("tables", tmp_path):
        assert served(partial(command, "data", "no-such-competition")) == 2
