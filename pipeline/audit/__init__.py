"""The audit: everything a careful person checks before any training. Each module here is one room of checks; none of them trains a recipe."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from pipeline.audit import classes, detection, features, keys, pictures, rows, shift, target_leaks
from pipeline.audit.finding import Finding, Severity
from pipeline.audit.subject import Subject
from pipeline.predictions import Truth
from pipeline.run import Run


@dataclass(frozen=True)
class Check:
    """A room of checks: what is looked at, the function, and to which runs it applies."""

    name: str
    find: Callable[[Subject], list[Finding]]
    applies: Callable[[Subject], bool]


def _always(subject: Subject) -> bool:  # noqa: ARG001 - all are asked in the same way
    return True


def _has_columns(subject: Subject) -> bool:
    return bool(len(subject.train.columns))


def _has_targets(subject: Subject) -> bool:
    return not isinstance(subject.run.y, Truth)


CHECKS = (
    Check("what the loader said", classes.notes, _always),
    Check("columns that say nothing", classes.useless, _has_columns),
    Check("rows that stand more than once", rows.findings, _always),
    Check("the target in the columns and the ids", target_leaks.findings, _has_targets),
    Check("categories, groups and gaps", keys.findings, _has_columns),
    Check("shift between train and test, and over time", shift.findings, _has_columns),
    Check("features() and the target", features.findings, _has_targets),
    Check("classes in folds", classes.unlearnt, _has_targets),
    Check("pictures", pictures.findings, lambda subject: subject.run.gallery is not None),
    Check("boxes", detection.findings, lambda subject: isinstance(subject.run.y, Truth)),
)


def audit(run: Run, say: Callable[[str], None] = lambda message: None, seed: int = 0) -> list[Finding]:
    """Every check that applies to the run, the worst finding first. say: which check is on.

    A check that fails is a severe finding of its own, since nothing is known of what it looks for. The same run and seed say the same.
    """
    subject, found = Subject(run, seed), []
    with threadpool_limits(1):  # the order of sums is the same on any machine
        for check in CHECKS:
            if check.applies(subject):
                say(f"Checking: {check.name}.")
                found += carried_out(check, subject)
    return sorted(found, key=lambda finding: finding.severity.rank)


def applying(run: Run) -> list[str]:
    """Names of the checks that apply."""
    subject = Subject(run)
    return [check.name for check in CHECKS if check.applies(subject)]


def carried_out(check: Check, subject: Subject) -> list[Finding]:
    """What the check finds, or that it could not be carried out."""
    try:
        return check.find(subject)
    except Exception as error:
        return [
            Finding(
                "a check failed",
                Severity.SEVERE,
                f"The check of {check.name!r} could not be carried out ({type(error).__name__}: {error}), so nothing is known of it.",
                "Mend what the message names; if it is an error of podium itself, report it with the traceback in the JSON.",
                numbers={"traceback": traceback.format_exc()},
            )
        ]
