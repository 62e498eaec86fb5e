"""What a fold plan that mimics the shift would change: the same rows, judged by a model that learned as the plan at hand lets it, and by one that
learned as it will have to for test, from as many rows each. The model is a plain LightGBM on the raw columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audit.finding import SURE, Chart, Severity
from pipeline.audit.subject import Kind, Subject
from pipeline.predictions import Array

MOST_ROWS = 8_000
LATE = 0.2  # share of the rows that stand in for test
PARTS = 4  # of these, each judged by a model that may know the others
GROUPED = 3  # folds of groups
FLATTERS, A_LITTLE = 0.05, 0.01  # by how much worse the truth is: severe, a warning
BOOSTING = {"n_estimators": 60, "learning_rate": 0.1, "num_leaves": 15, "min_child_samples": 20}
BULK = 0.99  # of the losses; larger ones are held to it, lest a few gross errors decide
MOST_CLASSES = 20
MOST_LEVELS = 250  # of a category; rarer ones are one


@dataclass(frozen=True, eq=False)
class Evidence:
    """mixed, parted: (m,) losses of the same rows where the model could and could not learn from like rows. group: (m,) int, rows whose losses
    go together. root: whether the score is a root of their mean. rows: how many were used."""

    mixed: Array
    parted: Array
    group: Array
    root: bool
    rows: int

    @property
    def scores(self) -> tuple[float, float]:
        power = 0.5 if self.root else 1.0
        return float(self.mixed.mean() ** power), float(self.parted.mean() ** power)

    @property
    def worse(self) -> float:
        """By what share the parted score is worse."""
        return self.scores[1] / self.scores[0] - 1 if self.scores[0] > 0 else 0.0

    @cached_property
    def error(self) -> float:
        """Standard error of the log of the ratio, by the delta method; rows of one group count as one."""
        if not (self.mixed.mean() > 0 and self.parted.mean() > 0):
            return np.inf
        influence = self.parted / self.parted.mean() - self.mixed / self.mixed.mean()
        sums = np.bincount(np.unique(self.group, return_inverse=True)[1], weights=influence)
        return float(np.sqrt((sums**2).sum()) / len(influence)) * (0.5 if self.root else 1.0)

    @property
    def severity(self) -> Severity:
        if np.log1p(self.worse) < SURE * self.error:
            return Severity.NOTE
        return Severity.SEVERE if self.worse >= FLATTERS else Severity.WARNING if self.worse >= A_LITTLE else Severity.NOTE

    @property
    def bounds(self) -> tuple[float, float]:
        low, high = (float((1 + self.worse) * np.exp(side * 1.96 * self.error) - 1) for side in (-1, 1))
        return low, high

    @property
    def numbers(self) -> dict[str, float]:
        return {"worse by": self.worse, "worse by at least": self.bounds[0], "worse by at most": self.bounds[1]}

    def told(self, where: str) -> str:
        low, high = self.bounds
        return (
            f"A plain LightGBM on the raw columns has an error {abs(self.worse):.1%} {'larger' if self.worse > 0 else 'smaller'} (95 % {low:+.1%} to "
            f"{high:+.1%}) {where} than if it learned as the plan at hand lets it; on the same {len(self.mixed):,} rows, from as many each "
            f"({self.rows:,} rows used)."
        )

    def chart(self, parted: str) -> Chart:
        return Chart("Error of a plain LightGBM on the same rows", ("as the plan has it", parted), self.scores)


def by_time(subject: Subject, clock: Array, without: Sequence[str]) -> Evidence | None:
    """The last fifth of train, judged by models of what came before, and by models of any time. clock: (n,), NaN rows are left out.

    without: columns that no model may see, being clocks. None where there are too few rows, or columns, or moments.
    """
    rows = np.flatnonzero(np.isfinite(clock))
    rows = rows[np.argsort(clock[rows], kind="stable")]
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.intp)]
    edge = np.quantile(clock[rows], 1 - LATE, method="higher") if len(rows) else 0.0
    before, late = rows[clock[rows] < edge], rows[clock[rows] >= edge]
    X = matrix(subject, without)
    if min(len(before), len(late)) < 100 or not X.shape[1]:
        return None
    rng = np.random.default_rng(subject.seed)
    mixed = np.empty(len(late))
    part = rng.permutation(np.arange(len(late)) % PARTS)
    for one in range(PARTS):
        others = np.concatenate([before, late[part != one]])
        fit = rng.choice(others, min(len(before), len(others)), replace=False)
        mixed[part == one] = losses(subject, X, np.sort(fit), late[part == one])
    parted = losses(subject, X, before, late)
    return evidence(subject, mixed, parted, np.arange(len(late)), len(rows))


def by_groups(subject: Subject, key: str) -> Evidence | None:
    """All rows, judged by models that know none of their group, and by models that may. Rows without a key are left out."""
    cells = subject.cells(key)[0]
    group = pd.factorize(cells)[0]
    rng = np.random.default_rng(subject.seed)
    shuffled = rng.permutation(group.max() + 1)
    size = np.bincount(group[group >= 0], minlength=len(shuffled))
    kept = shuffled[np.cumsum(size[shuffled]) <= MOST_ROWS]
    rows = np.flatnonzero(np.isin(group, kept))
    X = matrix(subject, [key])
    if len(rows) < 100 or len(kept) < 2 * GROUPED or not X.shape[1]:
        return None
    home = np.full(len(size), -1)
    home[kept] = np.arange(len(kept)) % GROUPED
    apart, anywhere = home[group[rows]], rng.permutation(np.arange(len(rows)) % GROUPED)
    # With the key itself a model would do better still where it may know the group, so the key is left to others.
    mixed, parted = np.empty(len(rows)), np.empty(len(rows))
    for fold, loss in ((anywhere, mixed), (apart, parted)):
        for one in range(GROUPED):
            loss[fold == one] = losses(subject, X, rows[fold != one], rows[fold == one])
    return evidence(subject, mixed, parted, group[rows], len(rows))


def left_over(subject: Subject, without: Sequence[str]) -> tuple[Array, Array] | None:
    """Rows (m,) and what a model without these columns leaves over of their targets (m,), on the metric's own scale, out of fold; the
    outermost hundredth on either side is held to the bulk. None where the target is no number, or there is nothing to learn from."""
    X = matrix(subject, without)
    if subject.value is None or not X.shape[1] or len(X) < 100:
        return None
    rng = np.random.default_rng(subject.seed)
    rows = np.sort(rng.permutation(len(X))[:MOST_ROWS])
    part, rest = rng.permutation(np.arange(len(rows)) % GROUPED), np.empty(len(rows))
    for one in range(GROUPED):
        judged = rows[part == one]
        rest[part == one] = on_scale(subject, judged) - foretold(subject, X, rows[part != one], judged)
    return rows, np.clip(rest, *np.quantile(rest, [1 - BULK, BULK]))


def evidence(subject: Subject, mixed: Array, parted: Array, group: Array, rows: int) -> Evidence:
    limit = np.quantile(np.concatenate([mixed, parted]), BULK) if subject.value is not None else np.inf
    return Evidence(np.minimum(mixed, limit), np.minimum(parted, limit), group, subject.value is not None, rows)


def losses(subject: Subject, X: Array, fit: Array, judged: Array) -> Array:
    """Of each judged row: its squared error on the metric's own scale, or minus the log of its class's probability."""
    if subject.value is not None:
        return (foretold(subject, X, fit, judged) - on_scale(subject, judged)) ** 2
    import lightgbm

    y = subject.run.y
    frequent = np.argsort(-np.bincount(y), kind="stable")[:MOST_CLASSES]
    known = np.where(np.isin(y, frequent), y, -1)
    labels, codes = np.unique(known[fit], return_inverse=True)
    if len(labels) < 2:
        return np.zeros(len(judged))
    chance = lightgbm.LGBMClassifier(**settings(subject.seed)).fit(X[fit], codes).predict_proba(X[judged])
    place = np.minimum(np.searchsorted(labels, known[judged]), len(labels) - 1)
    own = np.where(labels[place] == known[judged], chance[np.arange(len(judged)), place], 0.0)
    return -np.log(np.clip(own, 1e-3, 1.0))


def foretold(subject: Subject, X: Array, fit: Array, judged: Array) -> Array:
    """Predictions (m,) on the metric's own scale: RMSLE is judged in logs."""
    import lightgbm

    found: Array = lightgbm.LGBMRegressor(**settings(subject.seed)).fit(X[fit], on_scale(subject, fit)).predict(X[judged])
    return found


def on_scale(subject: Subject, rows: Array) -> Array:
    return subject.run.entry.competition.metric.link(subject.run.y[rows])


def settings(seed: int) -> dict[str, Any]:
    """Of LightGBM: small, on one thread, the same every time."""
    return {**BOOSTING, "n_jobs": 1, "verbose": -1, "deterministic": True, "force_col_wise": True, "random_state": seed}


def matrix(subject: Subject, without: Sequence[str] = (), sides: str = "train") -> Array:
    """(n, c) float64 of the shared columns but these: numbers, days, the rank of a category by frequency, the length of a text.

    sides: train, or both, test's rows below train's.
    """
    columns = []
    for name in subject.shared:
        if name in without:
            continue
        both = pd.concat(subject.cells(name), ignore_index=True)
        kind = subject.kinds[name]
        if kind in (Kind.NUMBER, Kind.DATE):
            columns.append(both.to_numpy(dtype=np.float64))
            continue
        counts = both.value_counts()
        order = sorted(counts.index, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
        rank = {level: float(place) for place, level in enumerate(order)}
        columns.append(both.map(rank).fillna(float(MOST_LEVELS)).where(both.notna()).to_numpy(dtype=np.float64))
        if kind == Kind.TEXT:
            columns.append(both.str.len().to_numpy(dtype=np.float64))
    n = len(subject.train) + len(subject.test)
    table = np.column_stack(columns) if columns else np.empty((n, 0))
    return table[: len(subject.train)] if sides == "train" else table
