"""Where a reliability test leaves what it found: the fixture `proof`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.reliability import report

Proof = Callable[..., None]


@pytest.fixture
def proof() -> Proof:
    """proof(number, title, figures, kind="all"): call it last, when everything held. Without PODIUM_RELIABILITY it keeps nothing."""

    def prove(number: int, title: str, figures: Mapping[str, object], kind: str = "all") -> None:
        file = os.environ.get("PODIUM_RELIABILITY")
        if file:
            report.record(Path(file), number, title, figures, kind)

    return prove
