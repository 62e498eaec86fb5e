"""Does test look like train? Adversarial validation, the columns that give it away, and what drifts over time.

A classifier learns to tell test rows from train rows; its AUC on rows that it did not learn from is 0.5 where nobody can tell. Ids are left out: they
nearly always go on where train's end. Where a clock gives test away the question is whether the fold plan respects that clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.audit.alone import Score, alone, score, splits_of
from pipeline.audit.finding import Chart, Finding, Severity, graded, some
from pipeline.audit.proposal import by_time, left_over, matrix, settings
from pipeline.audit.subject import Goal, Kind, Subject, goal_of
from pipeline.audit.target_leaks import by_blocks
from pipeline.folds import Folds, KFold
from pipeline.predictions import Array

MOST_ROWS = 10_000  # of train, and of test
FEWEST = 50
FOLDS = 3
TELLS, TELLS_MUCH = 0.55, 0.65  # AUC, surely: what is told at all, what is a warning
BEYOND = 0.9  # share of test rows later than nearly all of train's that puts test into the future
NEARLY_ALL = 0.95
DRIFTS, DRIFTS_MUCH = 0.01, 0.05  # R2 of ranks by time, surely: of the target a note and a warning, of a column a note
GAPS = 0.05  # share of rows that a clock may lack
SHOWN = 12
BLOCKS = 12  # of time


def findings(subject: Subject) -> list[Finding]:
    if len(subject.train) < FEWEST or len(subject.test) < FEWEST:
        few = (
            f"{len(subject.train):,} train and {len(subject.test):,} test rows are too few to tell whether test looks like train."
        )
        return [Finding("shift", Severity.NOTE, few, f"At least {FEWEST} of each are needed.")]
    clocks = [clock for clock in clocks_of(subject) if clock.ahead >= BEYOND]
    found = adversarial(subject, [clock.name for clock in clocks]) if subject.shared else []
    if clocks:
        found.append(future(subject, clocks))
    return found + drift(subject, clocks)


# --------------------------------------------------------------------------------------------------------------------- adversarial


def adversarial(subject: Subject, clocks: Sequence[str]) -> list[Finding]:
    """Can test be told from train? With all columns, and without those that place it in the future."""
    rows, goal = sampled(subject)
    splits = splits_of(len(rows), FOLDS, subject.seed)
    each = columns_of(subject, rows, goal, splits)
    whole = told_apart(subject, rows, goal, splits, [])
    rest = told_apart(subject, rows, goal, splits, clocks) if clocks else whole
    if whole is None or not (whole.certain and whole.low >= TELLS):
        return []
    ranked = [name for name in sorted(each, key=lambda name: -each[name].value) if each[name].low >= TELLS]
    own = [name for name in ranked if name not in clocks]
    left = rest is not None and rest.certain and rest.low >= TELLS
    severity = graded(rest.low, np.inf, TELLS_MUCH) if left and rest is not None else Severity.NOTE
    time = f" Without {some(clocks)}, which put test later than train, {rest}." if clocks and rest is not None else ""
    given = (
        f" Given away by {some(f'{name!r} {each[name].value:.3f}' for name in ranked)}."
        if ranked
        else " No column alone gives it away."
    )
    cure = (
        "Drop or transform what gives test away (ratios, ranks, differences to the row's own time), and see whether the score of the train rows "
        "most like test differs."
        if left
        else "It is the time alone: what matters is whether the fold plan respects it."
    )
    used = f" ({len(rows):,} rows used)" if len(rows) < len(subject.train) + len(subject.test) else ""
    return [
        Finding(
            "adversarial validation",
            severity,
            f"Test can be told from train with AUC {whole}{used}.{time}{given}",
            cure,
            tuple(own or ranked),
            numbers={
                "auc": whole.value,
                "error": whole.error,
                **({"auc without clocks": rest.value} if clocks and rest is not None else {}),
                "columns": {name: each[name].value for name in ranked},
            },
            charts=(_bars(each),),
        )
    ]


def sampled(subject: Subject) -> tuple[Array, Goal]:
    """Rows of train and test one below the other, at most so many of each, and the question which is test."""
    rng, n, m = np.random.default_rng(subject.seed), len(subject.train), len(subject.test)
    mine, other = (np.sort(rng.permutation(size)[:MOST_ROWS]) for size in (n, m))
    return np.concatenate([mine, n + other]), goal_of(np.repeat([0, 1], [len(mine), len(other)]), ("train", "test"))


def columns_of(subject: Subject, rows: Array, goal: Goal, splits: Sequence[tuple[Array, Array]]) -> dict[str, Score]:
    """Of every column alone; of a text also its length."""
    found: dict[str, Score] = {}
    for name in subject.shared:
        both = pd.concat(subject.cells(name), ignore_index=True).iloc[rows].reset_index(drop=True)
        kind = subject.kinds[name]
        values = (both.str.len().astype(np.float64), Kind.NUMBER) if kind == Kind.TEXT else (both, kind)
        one = alone(*values, goal, splits)
        if one is not None:
            found[name] = one
    return found


def told_apart(
    subject: Subject, rows: Array, goal: Goal, splits: Sequence[tuple[Array, Array]], without: Sequence[str]
) -> Score | None:
    """The AUC of gradient boosting on all columns but these, on rows that it did not learn from."""
    return told_by(matrix(subject, without, sides="both")[rows], goal, splits, subject.seed)


def told_by(X: Array, goal: Goal, splits: Sequence[tuple[Array, Array]], seed: int) -> Score | None:
    """The same of any numbers X (n, c), NaN where missing."""
    import lightgbm

    if not X.shape[1]:
        return None
    z, guesses = goal.z[:, 0], []
    for fit, judged in splits:
        model = lightgbm.LGBMClassifier(**settings(seed)).fit(X[fit], z[fit].astype(np.int64))
        guesses.append(model.predict_proba(X[judged])[:, 1])
    judged_rows = np.concatenate([judged for _, judged in splits])
    guess = np.concatenate(guesses)[:, None]
    return score(goal, judged_rows, guess, np.zeros_like(guess))


def _bars(each: Mapping[str, Score]) -> Chart:
    ranked = sorted(each, key=lambda name: -each[name].value)[:SHOWN]
    return Chart(
        "How well one column alone tells test from train: AUC with 95 % intervals",
        tuple(ranked),
        tuple(each[name].value for name in ranked),
        tuple(each[name].value - 1.96 * each[name].error for name in ranked),
        tuple(each[name].value + 1.96 * each[name].error for name in ranked),
        reference=0.5,
    )


# ---------------------------------------------------------------------------------------------------------------------------- time


@dataclass(frozen=True, eq=False)
class Clock:
    """A column by which rows follow each other. train, test: its values, NaN where missing. ahead: the share of test later than nearly all of train."""

    name: str
    train: Array
    test: Array
    ahead: float

    @property
    def gap(self) -> float:
        """Between train's last row and test's first, 0 where they overlap."""
        return max(0.0, float(np.nanmin(self.test) - np.nanmax(self.train)))


def clocks_of(subject: Subject) -> list[Clock]:
    """Dates, and numbers of which nearly all of test's are larger than nearly all of train's; without gaps first, then those that put test
    furthest ahead."""
    found = []
    for name in subject.shared:
        kind = subject.kinds[name]
        if kind not in (Kind.DATE, Kind.NUMBER):
            continue
        mine, other = (cells.to_numpy(dtype=np.float64) for cells in subject.cells(name))
        if np.isnan(mine).mean() > GAPS or np.isnan(other).mean() > GAPS or not np.nanmin(mine) < np.nanmax(mine):
            continue
        ahead = float((other[~np.isnan(other)] > np.nanquantile(mine, NEARLY_ALL)).mean())
        if kind == Kind.DATE or ahead >= BEYOND:
            found.append(Clock(name, mine, other, ahead))
    return sorted(found, key=lambda clock: (bool(np.isnan(clock.train).any()), -clock.ahead))


def respects(folds: Folds, clock: Array) -> bool:
    """Whether no fold learns from a row that is later than one it is judged on."""
    return all(np.nanmax(clock[folds.fit(fold)]) <= np.nanmin(clock[folds.validate(fold)]) for fold in range(len(folds)))


def future(subject: Subject, clocks: Sequence[Clock]) -> Finding:
    """Test lies in the future: does the plan respect it, and if not, what does that hide?"""
    clock = clocks[0]
    later = f"{clock.ahead:.1%} of test rows are later than {NEARLY_ALL:.0%} of train's by {clock.name!r}"
    plan = subject.run.plan
    if respects(subject.folds, clock.train):
        return Finding(
            "test lies in the future",
            Severity.NOTE,
            f"{later}; every fold of {plan!r} learns from what came before.",
            "Nothing has to be done.",
            (clock.name,),
            numbers={"ahead": clock.ahead, "gap": clock.gap},
        )
    found = by_time(subject, clock.train, [one.name for one in clocks] + subject.of_kind(Kind.DATE)) if subject.goal else None
    severity = Severity.WARNING if found is None else found.severity
    measured = (
        "It could not be measured what that hides."
        if found is None
        else found.told("on the last fifth if it learned what came before it")
    )
    proposed = f"TimeBlocks({clock.name!r}, k={max(2, min(len(subject.folds), 5))}{f', gap={clock.gap:g}' * (clock.gap > 0)}) or HoldOut({clock.name!r})"
    kind = "mixes" if isinstance(plan, KFold) else "lets models learn from later rows, mixing"
    gaps = " Rows without it must be mended first." * bool(np.isnan(clock.train).any())
    return Finding(
        "test lies in the future",
        severity,
        f"{later}, but the plan {plan!r} {kind} early and late rows. {measured}",
        f"Proposed: {proposed}.{gaps}"
        if severity != Severity.NOTE
        else f"The plan at hand hides nothing that can be seen; else {proposed}.{gaps}",
        (clock.name,),
        numbers={"ahead": clock.ahead, "gap": clock.gap, **(found.numbers if found else {})},
        charts=() if found is None else (found.chart("learned from the past"),),
    )


def drift(subject: Subject, ahead: Sequence[Clock]) -> list[Finding]:
    """The target over time, and every column over time, by how well the time alone foretells them, on rows that it did not learn from."""
    clocks = clocks_of(subject)
    if not clocks:
        return []
    clock = clocks[0]
    time, splits = pd.Series(clock.train), splits_of(len(clock.train), FOLDS, subject.seed)
    found, moved = [], {}
    if subject.goal is not None:
        found += _drift_of_target(subject, clock, any(one.ahead >= BEYOND for one in ahead))
    for name in subject.shared:
        if subject.kinds[name] == Kind.DATE or name == clock.name or name in [one.name for one in ahead]:
            continue
        goal = as_goal(subject.cells(name)[0], subject.kinds[name])
        one = None if goal is None else alone(time, Kind.NUMBER, goal, splits, BLOCKS)
        if one is not None and one.low > 0 and one.value >= DRIFTS:
            moved[name] = one
    if moved:
        worst = sorted(moved, key=lambda name: -moved[name].value)
        found.append(
            Finding(
                "columns that drift",
                Severity.NOTE,
                f"{len(moved)} columns change over {clock.name!r}: {some(f'{name!r} R2 {moved[name].value:.3f}' for name in worst)}.",
                "Compare them with their own time (ranks within a month, ratios to its median), or see that the folds are blocks of time.",
                tuple(worst),
                numbers={name: moved[name].value for name in worst},
                charts=tuple(_course(subject, clock, name) for name in worst[:4]),
            )
        )
    return found


def _drift_of_target(subject: Subject, clock: Clock, ahead: bool) -> list[Finding]:
    """The target itself over time, and what a model without any clock leaves over of it: a change of what is sold is no change of prices."""
    if subject.goal is None:
        return []
    said: dict[str, Score] = {}
    whole = alone(
        pd.Series(clock.train), Kind.NUMBER, _as_number(subject.goal), splits_of(len(clock.train), FOLDS, subject.seed), BLOCKS
    )
    if whole is not None:
        said["the target"] = whole
    charts = [by_blocks(f"Target by {clock.name}", clock.train, subject.goal.z[:, 0], subject.goal.names[0])]
    rest = left_over(subject, [clock.name, *subject.of_kind(Kind.DATE)])
    if rest is not None:
        rows, over = rest
        splits = splits_of(len(rows), FOLDS, subject.seed)
        left = alone(pd.Series(clock.train[rows]), Kind.NUMBER, Goal(over[:, None], ("rest",), classes=False), splits, BLOCKS)
        if left is not None:
            said["what a plain LightGBM without dates leaves over of it"] = left
        charts.append(by_blocks(f"Left over by a model without dates, by {clock.name}", clock.train[rows], over, "what is left"))
    sure = {what: one for what, one in said.items() if one.low > 0 and one.value >= DRIFTS}
    if not sure:
        return []
    told = ", ".join(f"R2 {one} of {what}" for what, one in said.items())
    return [
        Finding(
            "drift of the target",
            graded(max(one.low for one in sure.values()), np.inf, DRIFTS_MUCH) if ahead else Severity.NOTE,
            f"{clock.name!r} alone foretells, on rows that it did not learn from: {told}.",
            "Trees do not go beyond what they saw: carry the drift forward in target(), or predict a ratio to something of the row's own time.",
            (clock.name,),
            numbers={what: one.value for what, one in said.items()},
            charts=tuple(charts),
        )
    ]


def as_goal(cells: pd.Series, kind: Kind) -> Goal | None:
    """A column as something to foretell, by least squares: ranks of its numbers or of its texts' lengths, flags of its most frequent levels;
    and a flag for what is missing."""
    parts = [cells.isna().to_numpy(dtype=np.float64)]
    if kind == Kind.CATEGORY:
        parts += [(cells == level).to_numpy(dtype=np.float64) for level in cells.value_counts().index[:5]]
    else:
        values = (cells.str.len() if kind == Kind.TEXT else cells).astype(np.float64)
        if values.notna().any():
            parts.append((values.rank().fillna(values.rank().median())).to_numpy())
    varied = [(part - part.mean()) / part.std() for part in parts if part.std() > 0]
    if not varied:
        return None
    return Goal(np.column_stack(varied), tuple(map(str, range(len(varied)))), classes=False)


def _as_number(goal: Goal) -> Goal:
    return Goal(goal.z, goal.names, classes=False)


def _course(subject: Subject, clock: Clock, name: str) -> Chart:
    cells = subject.cells(name)[0]
    if subject.kinds[name] == Kind.NUMBER:
        known = cells.notna().to_numpy() & np.isfinite(clock.train)
        return by_blocks(f"{name} by {clock.name}", clock.train[known], cells.to_numpy()[known], name)
    level = cells.value_counts().index[0]
    return by_blocks(f"{name} by {clock.name}", clock.train, (cells == level).to_numpy(dtype=np.float64), f"{level!r}"[:60])
