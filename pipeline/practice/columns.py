"""What the columns of a table hold: enough to make features by, and to make up rows of the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Number:
    """low, middle, high: what 1 %, half and 99 % of the rows lie below; whole numbers, where all three are written so.

    missing: the share of rows without one; so with the other kinds.
    """

    low: float
    middle: float
    high: float
    missing: float = 0.0

    @property
    def whole(self) -> bool:
        return all(isinstance(bound, int) for bound in (self.low, self.middle, self.high))


@dataclass(frozen=True)
class Category:
    """levels: the values; of many only their number."""

    levels: tuple[str, ...] | int
    missing: float = 0.0


@dataclass(frozen=True)
class Date:
    """first, last: as 2014-05-02. format: how the file writes one (see strftime)."""

    first: str
    last: str
    missing: float = 0.0
    format: str = "%Y-%m-%d"


@dataclass(frozen=True)
class Text:
    """words: in a cell, about."""

    words: int
    missing: float = 0.0


Kind: TypeAlias = Number | Category | Date | Text
Columns: TypeAlias = Mapping[str, Kind]


def of_kind(columns: Columns, kind: type[Kind]) -> list[str]:
    """The names of the columns of a kind."""
    return [name for name, column in columns.items() if isinstance(column, kind)]
