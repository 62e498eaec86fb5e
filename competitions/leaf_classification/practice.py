"""A made-up collection of leaves in the competition's own files, for working without the real pictures.

Every leaf is drawn: an outline of one of twelve invented species, veins, colour, paper and light (`shapes`, `drawing`). The
collection has the real one's troubles: unequal classes, the same file under several names, pictures that are other pictures
saved again or mirrored, wrong labels, and copies that stand both in train and in test.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from competitions.leaf_classification.files import ID, TARGET
from competitions.leaf_classification.shapes import SPECIES
from pipeline.errors import BadData

MARKER = "PRACTICE.md"
FEWEST = 50
LEAST = 2  # pictures of each species, in train and in test
TEST = 0.25  # test pictures for each of train
SAME, ALIKE = 0.03, 0.02  # of all pictures: files that are copies of another; such that were saved again, mirrored or not
WRONG = 0.02  # of the train labels
ASTRAY = 0.2  # of the copies in train are under another species' name, beside the wrong labels
DRAWN, SAME_FILE, MIRRORED, SAVED_AGAIN = range(4)


class Plan(NamedTuple):
    """What is to be drawn, before anything is. species: (n,) int, what is in each picture; the first `rows` are train. labels:
    (rows,) int, what train says. source: (n,) int, the picture that each is a copy of, else itself. kind: (n,) int, DRAWN and so on."""

    species: np.ndarray
    labels: np.ndarray
    source: np.ndarray
    kind: np.ndarray


def practice(root: Path, rows: int = 300, seed: int = 0) -> None:
    """Write train.csv, test.csv, sample_submission.csv, PRACTICE.md and the folder images/ into `root`, made if need be.

    rows: of train; test has a quarter as many. The same rows and seed give the same bytes. Raises BadData for rows below 50,
    and rather than replace tables that no marker says are practice.
    """
    root = Path(root)
    if (root / "train.csv").exists() and not (root / MARKER).exists():
        raise BadData(f"{root} holds a train.csv but no {MARKER}: it may be the real one. Name another folder for practice data.")
    planned = plan(rows, seed)
    (root / "images").mkdir(parents=True, exist_ok=True)
    # The marker comes first: a folder left half written must not pass for the real competition.
    (root / MARKER).write_text(marker(rows, seed), encoding="utf-8", newline="\n")
    names = pictures(root, planned, seed)
    tables = {
        "train": pd.DataFrame({ID: names[:rows], TARGET: [SPECIES[label].name for label in planned.labels.tolist()]}),
        "test": pd.DataFrame({ID: names[rows:]}),
        "sample_submission": pd.DataFrame({ID: names[rows:], TARGET: SPECIES[0].name}),
    }
    for name, table in tables.items():
        table.to_csv(root / f"{name}.csv", index=False, lineterminator="\n")


def plan(rows: int, seed: int) -> Plan:
    """Which species each picture shows, which are copies, which labels are wrong. Raises BadData for rows below 50."""
    if rows < FEWEST:
        raise BadData(f"rows={rows} is too few for practice pictures: twelve species and their copies need {FEWEST} or more.")
    rng = np.random.default_rng(seed)
    species = np.concatenate([spread(rng, rows), spread(rng, max(round(rows * TEST), LEAST * len(SPECIES)))])
    source, kind = np.arange(len(species)), np.full(len(species), DRAWN)
    same, alike = (int(np.ceil(share * len(species))) for share in (SAME, ALIKE))
    copies = rng.choice(len(species), same + alike, replace=False)
    originals = np.setdiff1d(source, copies)
    for i, copy in enumerate(copies.tolist()):
        source[copy] = rng.choice(originals[species[originals] == species[copy]])
        kind[copy] = SAME_FILE if i < same else (MIRRORED, SAVED_AGAIN)[i % 2]
    labels = species[:rows].copy()
    in_train = np.sort(copies[copies < rows])
    wrong = [rng.choice(rows, int(np.ceil(WRONG * rows)), replace=False), in_train[:: round(1 / ASTRAY)]]
    for row in np.unique(np.concatenate(wrong)).tolist():
        labels[row] = rng.choice(np.delete(np.arange(len(SPECIES)), labels[row]))
    return Plan(species, labels, source, kind)


def spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) species in random order: LEAST of each, the rest by their shares."""
    shares = np.cumsum([species.share for species in SPECIES])
    ends = np.round(shares / shares[-1] * (count - LEAST * len(SPECIES))).astype(int)
    return rng.permutation(np.repeat(np.arange(len(SPECIES)), LEAST + np.diff(ends, prepend=0)))


def pictures(root: Path, planned: Plan, seed: int) -> list[str]:
    """Draw and write all pictures; their names, relative to `root`. Each has a random stream of its own."""
    from competitions.leaf_classification.drawing import draw, jpeg  # OpenCV loads only when something is drawn

    names = [f"images/drawn-{i}.jpg" for i in range(len(planned.species))]
    for i, name in enumerate(names):
        source, kind = int(planned.source[i]), planned.kind[i]
        rng = np.random.default_rng([seed, source])
        picture = draw(rng, SPECIES[planned.species[source]])
        if kind == MIRRORED:
            picture = picture[:, ::-1]
        quality = int(rng.integers(80, 96)) - 20 * (kind in (MIRRORED, SAVED_AGAIN))
        (root / name).write_bytes(jpeg(picture, quality))
    return names


def marker(rows: int, seed: int) -> str:
    """The one paragraph of PRACTICE.md."""
    return (
        "This folder holds practice data in the format of the leaf classification competition. All its pictures are drawn by a "
        f"program, generated with rows={rows}, seed={seed}: no leaf and no species in it is real, and a score on it says nothing "
        "about the competition's board.\n"
    )
