"""Pictures: copies within train, across folds, across train and test, labels that conflict, and whether test's pictures look like train's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.audit.alone import alone, splits_of
from pipeline.audit.finding import MATTERS, SHOWN, Chart, Finding, Severity, graded, some
from pipeline.audit.shift import FEWEST, FOLDS, MOST_ROWS, TELLS, TELLS_MUCH, told_by
from pipeline.audit.subject import Kind, Subject, goal_of, straddling
from pipeline.data_care import copies, labels
from pipeline.pictures.index import SIDE, Index
from pipeline.pictures.page import Shown
from pipeline.predictions import Array
from pipeline.run import IMAGE, kept_twins

FEW = MATTERS / 10
WAVES = 6  # frequencies per axis of a thumbnail that are looked at
SIZES = ("width", "height", "width over height", "colour mode")


def findings(subject: Subject) -> list[Finding]:
    if subject.run.gallery is None:
        return []
    index = subject.run.gallery.index
    return [*_copies(subject, index), *_looks(subject, index)]


def _copies(subject: Subject, index: Index) -> list[Finding]:
    """Copies are found as `pipeline.pictures.twins` does, which says what it cannot find."""
    run, found = subject.run, copies(subject.run)
    if not found.groups:
        return []
    group = kept_twins(index, run.store)
    mine, other = (group[index.rows(table[IMAGE])] for table in (run.data.train, run.data.test))
    apart = straddling(subject.folds, np.where(np.bincount(group)[mine] > 1, mine, -1))
    share, known = float(apart.mean()), np.isin(other, mine)
    said = f"{found.groups:,} groups of the same picture, {found.identical:,} of them byte by byte"
    severity = graded(share, MATTERS, FEW) if apart.any() else Severity.NOTE
    made = [
        Finding(
            "copies of pictures",
            severity,
            f"{said}; {found.split:,} on both sides of a fold ({int(apart.sum()):,} train rows, {share:.2%})."
            if apart.any()
            else f"{said}; within train each stands in one fold.",
            "Give copies one fold: KFold(groups=('twins',))."
            if apart.any()
            else "Nothing has to be done; `podium ensemble` prints the score without them too.",
            numbers={
                "groups": found.groups,
                "identical": found.identical,
                "on both sides of a fold": found.split,
                "share": share,
            },
            pictures=_shown(subject, np.flatnonzero(apart), mine, "on both sides of a fold"),
        )
    ]
    if found.conflicting:
        rows = found.rows["row"].to_numpy()
        share = len(rows) / len(mine)
        made.append(
            Finding(
                "conflicting labels of pictures",
                graded(share, np.inf, MATTERS),
                f"{found.conflicting:,} groups of the same picture have different labels: {len(rows):,} rows ({share:.2%} of train); "
                f"{found.unlearnt:,} rows are not learned from.",
                "Look at them; no model can get all of them right. Of identical pictures only the label of the majority is learned.",
                ids=tuple(run.ids[rows[:5]].tolist()),
                numbers={"groups": found.conflicting, "rows": len(rows), "not learned from": found.unlearnt, "share": share},
                pictures=_shown(subject, rows, mine, "labels differ"),
            )
        )
    if known.any():
        rows = np.flatnonzero(np.isin(mine, other[known]))
        made.append(
            Finding(
                "pictures of train in test",
                graded(float(known.mean()), np.inf, MATTERS),
                f"{int(known.sum()):,} of {len(other):,} test pictures ({known.mean():.2%}) stand in train too: {found.spanning:,} groups.",
                "The board will be a little higher than folds that keep copies together say. Take train's answer for them only where the rules allow it.",
                ids=tuple(run.test_ids[known][:5].tolist()),
                numbers={"test pictures": int(known.sum()), "groups": found.spanning, "share": float(known.mean())},
                pictures=_shown(subject, rows, mine, "stands in test too"),
            )
        )
    return made


def _shown(subject: Subject, rows: Array, group: Array, why: str) -> tuple[Shown, ...]:
    """These train rows' pictures, copies beside each other."""
    names, said = subject.run.data.train[IMAGE].to_numpy(), labels(subject.run)
    ordered = rows[np.argsort(group[rows], kind="stable")][:SHOWN].tolist()
    return tuple(Shown(str(names[row]), str(said[row] or subject.ids[row]), f"{why}: picture {group[row]}") for row in ordered)


def _looks(subject: Subject, index: Index) -> list[Finding]:
    """Sizes, colour modes, brightness and coarse content of the pictures: can test be told from train by them?"""
    run = subject.run
    if min(len(run.data.train), len(run.data.test)) < FEWEST:
        return []
    rng = np.random.default_rng(subject.seed)
    rows = [index.rows(table[IMAGE]) for table in (run.data.train, run.data.test)]
    mine, other = (np.sort(rng.permutation(part)[:MOST_ROWS]) for part in rows)
    facts = facts_of(index, np.concatenate([mine, other]))
    goal = goal_of(np.repeat([0, 1], [len(mine), len(other)]), ("train", "test"))
    splits = splits_of(len(facts), FOLDS, subject.seed)
    whole = told_by(facts.to_numpy(), goal, splits, subject.seed)
    each = {name: alone(facts[name], Kind.NUMBER, goal, splits) for name in facts}
    told = {name: one for name, one in each.items() if one is not None and one.certain and one.low >= TELLS}
    made = []
    sizes = [name for name in told if name in SIZES]
    if sizes:
        a, b = ((np.median(index.width[part]), np.median(index.height[part])) for part in (mine, other))
        made.append(
            Finding(
                "sizes of pictures",
                graded(max(told[name].low for name in sizes), np.inf, TELLS_MUCH),
                f"Test's pictures have other sizes or colour modes than train's: AUC {some(f'{name} {told[name].value:.3f}' for name in sizes)}; "
                f"median {a[0]:g} x {a[1]:g} pixels in train, {b[0]:g} x {b[1]:g} in test.",
                "Resize both in the same way, and vary the scale while training; see that nothing is learned from the shape itself.",
                tuple(sizes),
                numbers={name: told[name].value for name in sizes},
            )
        )
    if whole is not None and whole.certain and whole.low >= TELLS:
        ranked = sorted(told, key=lambda name: -told[name].value)
        made.append(
            Finding(
                "looks of pictures",
                graded(whole.low, np.inf, TELLS_MUCH),
                f"Test's pictures can be told from train's with AUC {whole}, by size, brightness, contrast and coarse content"
                f"{f': {some(ranked)}' if ranked else ''}.",
                "Look at pictures of both side by side; augment train towards test.",
                numbers={"auc": whole.value, "error": whole.error},
                charts=(
                    Chart(
                        "How well one fact of a picture alone tells test from train: AUC",
                        tuple(ranked[:12]),
                        tuple(told[name].value for name in ranked[:12]),
                        reference=0.5,
                    ),
                )
                * bool(ranked),
            )
        )
    return made


def facts_of(index: Index, rows: Array) -> pd.DataFrame:
    """(m, c) float64: size, shape, colour mode, mean and deviation of the grey values, and the lowest frequencies of the thumbnail."""
    grey = index.thumbnails[rows].astype(np.float64)
    position, frequency = np.arange(SIDE), np.arange(WAVES)[:, None]
    cosines = np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE)) / SIDE
    waves = (cosines @ grey @ cosines.T).reshape(len(rows), -1)
    modes = np.unique(index.mode)
    facts = {
        "width": index.width[rows],
        "height": index.height[rows],
        "width over height": index.width[rows] / index.height[rows],
        "colour mode": np.searchsorted(modes, index.mode[rows]),
        "brightness": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
    }
    facts |= {f"waves {at // WAVES} {at % WAVES}": waves[:, at] for at in range(1, WAVES**2)}
    return pd.DataFrame(facts, dtype=np.float64)
