"""A run: one competition on one set of files with one fold plan, and the folder where its results are kept."""

from __future__ import annotations

import dataclasses
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import FileLock

import competitions
from pipeline import identity
from pipeline.answers import Answers, Numbers, Scenes
from pipeline.competition import Classification, Data, Entry, Regression, TargetTransformer, Task
from pipeline.errors import BadData, UnknownName
from pipeline.executor import default_workers
from pipeline.folds import Folds, Plan, plan_from
from pipeline.predictions import Array, Truth, as_ids
from pipeline.store import Store, pack, refusing, stray_beside, to_json, unpack
from pipeline.tune.recipes import any_tuned, with_tuned

if TYPE_CHECKING:
    from pipeline.pictures.gallery import Gallery
    from pipeline.pictures.index import Index

RUNS = Path("runs")
DOWNLOADED = Path("data")
MOUNTED = (
    Path("/kaggle/input/competitions"),
    Path("/kaggle/input"),
)  # where a Kaggle notebook has a competition's files, by its slug
PRACTICE_MARK = "PRACTICE.md"
PRACTICE_SUMS = ".sums.json"
IMAGE, TWINS = "image", "twins"  # columns: the name of a row's picture, and the group of its copies
PHASE = "phase"  # column of test: which of a competition's boards the row is for
MOST_BYTES = 64 * 2**30  # of decoded pictures on the disk


@dataclass(frozen=True, eq=False)
class Run:
    """data: as loaded. ids: (n,) text, y: the truth of train, (n,) numbers or the `Truth` of n images. practice: the rows are made up. root: where they came from.
    gallery: the pictures, where rows have some.

    scales: the target scales that this process has fitted, by fold.
    """

    entry: Entry
    data: Data
    ids: Array
    y: Any
    plan: Plan
    folds: Folds
    store: Store
    root: Path
    practice: bool
    gallery: Gallery | None = None
    scales: dict[int, TargetTransformer] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        return self.entry.competition.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a prediction's columns: the target, or the classes; of boxes the ids of their categories."""
        return self.entry.competition.task.columns(self.data)

    @property
    def classes(self) -> int:
        """Number of classes of a row, 0 where the answer is a number or boxes."""
        return len(self.columns) if isinstance(self.entry.competition.task, Classification) else 0

    @cached_property
    def answers(self) -> Answers[Any]:
        """How predictions of this run are judged and put together."""
        if isinstance(self.y, Truth):
            return Scenes(self.y)
        return Numbers(self.ids, self.y, self.entry.competition.metric, self.columns)

    def sizes(self, rows: pd.DataFrame) -> tuple[Array, Array]:
        """Width and height (n,) in pixels of these rows' pictures. Raises BadData where there are no pictures."""
        if self.gallery is None:
            raise BadData(f"{self.name} has no pictures in {self.root}, so nothing can be trained or predicted. Put them there.")
        at = self.gallery.rows(rows[IMAGE])
        return self.gallery.index.width[at], self.gallery.index.height[at]

    def test_of(self, phase: str | None) -> pd.DataFrame:
        """The test rows of a phase; without one those of the last, or all where there are none. Raises BadData, UnknownName."""
        test = self.data.test
        if PHASE not in test:
            if phase is not None:
                raise BadData(f"{self.name} has no phases to choose from; leave --phase out.")
            return test
        known = list(dict.fromkeys(test[PHASE]))
        if phase is not None and phase not in known:
            raise UnknownName("phase", phase, known)
        return test[test[PHASE] == (phase or known[-1])]

    @cached_property
    def test_ids(self) -> Array:
        return as_ids(self.data.test[self.entry.competition.task.id].to_numpy())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every cell of the data, and of the task: what is predicted, and how it is judged."""
        tables = {"train": self.data.train, "test": self.data.test, "sample": self.data.sample}
        tables |= {"boxes": self.data.boxes, "categories": self.data.categories} if isinstance(self.y, Truth) else {}
        pictures = {"pictures": self.gallery.index.fingerprint} if self.gallery else {}
        return identity.key({**tables, **pictures, "task": dataclasses.asdict(self.entry.competition.task)})


def open_run(
    name: str,
    data: str | Path | None = None,
    runs: str | Path = RUNS,
    folds: str | int | None = None,
    rows: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> Run:
    """Load a competition's data, make its folds and open its run folder.

    data: a folder in the competition's own format; else what was downloaded to data/NAME or a notebook of Kaggle's has mounted; else
    practice data of `rows` rows (the competition's own number, without).
    folds: a number, or a fold file, instead of the competition's plan. say: gets what a person should know (notes, strays swept).
    Raises UnknownName, BadData, BadFolds, StoreError.
    """
    entry = competitions.find(name)
    task = entry.competition.task
    store = Store(Path(runs) / name)
    root = where(entry, data, store, rows or entry.competition.practice_rows, seed, say)
    swept = store.sweep()
    if swept:
        say(f"Swept {swept} half-written results of a run that was killed.")
    loaded = entry.load(root)
    for note in loaded.notes:
        say(note)
    ids = unique_ids(loaded, task.id)
    loaded, gallery = with_pictures(loaded, task.id, store, say)
    y = task.truth(loaded)
    plan = entry.competition.folds if folds is None else plan_from(str(folds), entry.competition.folds)
    made = plan.make(ids, loaded.train, y).without(conflicting_copies(loaded, y, gallery))
    if not isinstance(task, Regression):
        say_unlearnt_classes(made, y, class_names(loaded, task), say)
    if TWINS in loaded.train:
        say_split_copies(made, loaded.train[TWINS].to_numpy(), say)
    store_folds(store, made, say)
    practice = (root / PRACTICE_MARK).is_file()
    if practice:
        say(f"PRACTICE DATA: the rows in {root} are made up. Bring the real files with --data DIR.")
    run = Run(entry, loaded, ids, y, plan, made, store, root, practice, gallery)
    if any_tuned(store):
        run = dataclasses.replace(run, entry=with_tuned(entry, store, run.fingerprint, say))
    return run


def class_names(data: Data, task: Task) -> Sequence[str]:
    """What a person calls the classes or categories, in the order of their numbers."""
    return task.columns(data) if data.categories is None else data.categories["name"].tolist()


def with_pictures(data: Data, ids: str, store: Store, say: Callable[[str], None]) -> tuple[Data, Gallery | None]:
    """The data with train's column `twins`, its boxes in pixels of the pictures at hand, and the gallery of these.

    ids: the column of the images' ids. Rows that name pictures which are not there have nothing in `twins`; tables without pictures
    stay as they are. Raises BadPicture, and BadData where a picture has not the shape that its boxes were annotated in.
    """
    if data.images is None:
        nameless = IMAGE not in data.train
        return data if nameless else dataclasses.replace(data, train=data.train.assign(**{TWINS: None})), None
    from pipeline.pictures.gallery import Gallery
    from pipeline.pictures.index import make_index

    kept = store.path("pictures")
    index = make_index(data.images, [*data.train[IMAGE], *data.test[IMAGE]], kept, default_workers(10**6), say)
    rows = index.rows(data.train[IMAGE])
    train = data.train.assign(**{TWINS: kept_twins(index, store)[rows]})
    boxes = data.boxes
    if boxes is not None and {"width", "height"} <= set(train):
        from pipeline.boxes.sizes import to_pictures

        true = np.column_stack([index.width[rows], index.height[rows]])
        boxes, notes = to_pictures(boxes, train[ids], train[["width", "height"]].to_numpy(), true)
        train = train.assign(width=true[:, 0], height=true[:, 1])
        for note in notes:
            say(note)
    return dataclasses.replace(data, train=train, boxes=boxes), Gallery(data.images, index, kept, MOST_BYTES)


def conflicting_copies(data: Data, y: Array | Truth, gallery: Gallery | None) -> Array:
    """(n,) bool: the rows whose label nobody shall learn. These are copies, byte by byte, of a picture that has another label as often
    or more often (`pipeline.pictures.twins`); of numbers and of boxes none is the right one."""
    if gallery is None or isinstance(y, Truth) or y.dtype.kind != "i":
        return np.zeros(len(data.train), dtype=bool)
    from pipeline.pictures.twins import to_learn

    return ~to_learn(gallery.index.sha256[gallery.rows(data.train[IMAGE])], y.tolist())


def kept_twins(index: Index, store: Store) -> Array:
    """(n,) the group of each picture's copies; found once for the same pictures, since every pair of them is compared."""
    from pipeline.pictures.twins import twins

    key = identity.key({"pictures": index.fingerprint, "code": identity.module_hash("pipeline.pictures.twins")})
    kept = store.whole("pictures", f"twins-{key}")
    if kept is None:
        kept = {"twins.npz": pack({"group": twins(index)})}
        store.write("pictures", f"twins-{key}", files=kept)
    return unpack(kept["twins.npz"], store.path("pictures", f"twins-{key}", "twins.npz"))["group"]


def say_unlearnt_classes(folds: Folds, y: Array | Truth, columns: Sequence[str], say: Callable[[str], None]) -> None:
    """Say which classes some fold validates without having a row to learn them from: it cannot but be wrong there."""
    unlearnt: dict[str, int] = {}
    for fold in range(len(folds)):
        sides = [y[rows] for rows in (folds.validate(fold), folds.fit(fold))]
        judged, learnt = (np.flatnonzero(side.presence.any(axis=0)) if isinstance(side, Truth) else side for side in sides)
        for label in np.setdiff1d(judged, learnt):
            unlearnt[columns[label]] = unlearnt.get(columns[label], 0) + 1
    if unlearnt:
        some = ", ".join(f"{label} ({number} of {len(folds)})" for label, number in list(unlearnt.items())[:8])
        say(
            f"Classes of which a fold has rows to validate but none to learn from: {some}. They have too few rows, or too many copies."
        )


def split_copies(folds: Folds, group: Array) -> int:
    """The number of groups of copies, group (n,), of which a fold learns one row and validates another. Missing: of no group."""
    known = pd.notna(group)
    sides = ((rows[known[rows]] for rows in (folds.validate(fold), folds.fit(fold))) for fold in range(len(folds)))
    split = [np.intersect1d(group[judged], group[learned]) for judged, learned in sides]
    return len(np.unique(np.concatenate(split)))


def say_split_copies(folds: Folds, group: Array, say: Callable[[str], None]) -> None:
    """Say where a fold plan that knows nothing of copies lets models be judged on pictures that they learned by heart."""
    split = split_copies(folds, group)
    if split:
        say(
            f"Copies on both sides of a fold: {split} groups of the same picture. Scores will flatter; give these rows one fold, or use "
            f"the competition's own plan with groups={TWINS!r}."
        )


def where(
    entry: Entry,
    data: str | Path | None,
    store: Store,
    rows: int,
    seed: int,
    say: Callable[[str], None] = lambda message: None,
) -> Path:
    """The folder that the rows come from: the one given, the one that is `there`, or practice data, made now if need be."""
    if data is not None:
        if not Path(data).is_dir():
            raise BadData(f"{data} is no folder. Give the folder that holds the competition's files.")
        return Path(data)
    found = there(entry)
    if found is not None:
        return found
    code = identity.source(entry.practice).split()[-1][:8]
    practice = store.path("practice", f"{rows}-rows-seed-{seed}-{code}")
    if practice.is_dir() and not is_as_made(practice):
        set_practice_aside(practice, say)
    if not practice.is_dir():
        keep_practice(entry, practice, rows, seed)
    return practice


def there(entry: Entry) -> Path | None:
    """The folder of the competition's files, where there is one: downloaded, or mounted in a notebook of Kaggle's."""
    name, slug = entry.competition.name, entry.competition.kaggle
    places = [DOWNLOADED / name, *(mounted / slug for mounted in MOUNTED if slug)]
    return next((place for place in places if place.is_dir()), None)


def keep_practice(entry: Entry, root: Path, rows: int, seed: int) -> None:
    """Practice data as a folder that is either whole or not there, with the sums of its files. If another process was first, its
    folder stands."""
    stray = stray_beside(root)
    with refusing(root):
        try:
            write_practice(entry, stray, rows, seed)
            (stray / PRACTICE_SUMS).write_bytes(sums_of(stray))
            os.rename(stray, root)
        except OSError:
            if not (root / PRACTICE_MARK).is_file():
                raise
        finally:
            shutil.rmtree(stray, ignore_errors=True)


def sums_of(root: Path) -> bytes:
    """The SHA-256 of every file below root, as JSON; hidden ones, which a desktop leaves, do not count."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return to_json({path.relative_to(root).as_posix(): identity.file_hash(path) for path in files})


def is_as_made(practice: Path) -> bool:
    """Whether these are the rows that were made up, to the byte. Other rows would be another competition, and nobody would see it."""
    try:
        return (practice / PRACTICE_SUMS).read_bytes() == sums_of(practice)
    except FileNotFoundError:
        return False


def set_practice_aside(practice: Path, say: Callable[[str], None]) -> None:
    """Move practice data that changed out of the way; one process at a time, and it looks once more."""
    aside = practice.with_name(f".damaged-{practice.name}-{uuid.uuid4().hex[:8]}")
    with refusing(practice), FileLock(practice.with_name(".mending.lock")):
        if practice.is_dir() and not is_as_made(practice):
            os.rename(practice, aside)
            say(f"{practice} is not as it was made: it was set aside as {aside.name} and is made again.")


def write_practice(entry: Entry, root: Path, rows: int, seed: int) -> None:
    """Practice data, with the mark that says so."""
    with refusing(root):
        root.mkdir(parents=True, exist_ok=True)
        entry.practice(root, rows, seed)
        if not (root / PRACTICE_MARK).is_file():
            (root / PRACTICE_MARK).write_text(
                f"Practice data: made up by podium for {entry.competition.name} ({rows} rows, seed {seed}). No row is real.\n",
                encoding="utf-8",
            )


def unique_ids(data: Data, column: str) -> Array:
    """Train's ids as text. Raises BadData for a missing column, and for ids that are missing or stand twice, in train or test."""
    for name, table in (("train", data.train), ("test", data.test)):
        if column not in table:
            raise BadData(f"{name} has no column {column!r}; it has {', '.join(map(str, table.columns[:8]))}.")
        ids = table[column]
        text = ids.astype(str)
        lacking = (ids.isna() | (text.str.strip() == "")).to_numpy()
        if lacking.any():
            raise BadData(
                f"{name} has {lacking.sum()} rows without {column}, first row {lacking.argmax() + 1}. Every row needs one."
            )
        twice = text[text.duplicated()]
        if len(twice):
            raise BadData(f"{name} has {len(twice)} ids twice, first {column} {twice.iloc[0]}. Keep one row of each.")
    return as_ids(data.train[column].to_numpy())


def store_folds(store: Store, folds: Folds, say: Callable[[str], None] = lambda message: None) -> None:
    """Write the plan down, once: folds.npz for podium, folds.csv for people and other tools."""
    place = f"folds-{folds.hash}"
    if store.whole(place, damaged=say) is None:
        table = pd.DataFrame({"id": folds.ids, "fold": folds.fold_of})
        store.write(place, files={"folds.npz": pack(folds.arrays()), "folds.csv": table.to_csv(index=False).encode()})
