"""What an audit says: findings with a severity, a sentence with figures, a cure; and when a difference counts at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.pictures.page import Shown

SURE = 4.0  # standard errors by which an effect must stand out: of 1,000 columns without any, three in a hundred audits see one
MATTERS = 0.01  # share of the rows that a fault must touch to change a score that people compare
SHOWN = 200  # pictures of one finding on the page


class Severity(StrEnum):
    """SEVERE: scores will be wrong, or the submission is at risk. WARNING: look before training. NOTE: good to know."""

    SEVERE = "severe"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Chart:
    """Bars of named values for the page. low, high: ends of their intervals, or empty. reference: a line, such as the value of chance.

    ordered: the names follow each other (blocks of time), so the bars are columns and stay in this order.
    """

    title: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    reference: float | None = None
    ordered: bool = False


@dataclass(frozen=True)
class Finding:
    """check: the name of the check. what: a sentence with its figures. cure: what to do. columns: of the tables, those at fault.
    ids: examples of rows. numbers: the figures again, for programs. charts, pictures: what a person would rather look at."""

    check: str
    severity: Severity
    what: str
    cure: str
    columns: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    pictures: tuple[Shown, ...] = ()


def graded(value: float, severe: float, warning: float) -> Severity:
    """By two thresholds; below both it is a note."""
    return Severity.SEVERE if value >= severe else Severity.WARNING if value >= warning else Severity.NOTE


def some(names: Any, most: int = 6) -> str:
    """The first few of many names, and how many there are."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
