"""Where a reliability test leaves what it found (`proof`), and what it tries to break (`small`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.reliability import report, small

Proof = Callable[..., None]


def pytest_itemcollected(item: pytest.Item) -> None:
    """So that the longer proofs of `make test-slow` are with the short ones, all twenty together."""
    item.add_marker("reliability")


@pytest.fixture
def proof() -> Proof:
    """proof(number, title, figures, kind="all"): call it last, when everything held. Without PODIUM_RELIABILITY it keeps nothing."""

    def prove(number: int, title: str, figures: Mapping[str, object], kind: str = "all") -> None:
        file = os.environ.get("PODIUM_RELIABILITY")
        if file:
            report.record(Path(file), number, title, figures, kind)

    return prove


@pytest.fixture(name="small", params=small.TEXTS)
def small_competition(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[small.Small]:
    """A small competition of each kind, with its data."""
    with small.opened(request.param, tmp_path) as one:
        yield one
