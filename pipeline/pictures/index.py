"""What is known of every picture of a competition: its bytes' hash, its size, and what it looks like in a few bytes.

Reading 18,000 small JPEGs takes seconds; what was read is kept and serves as long as a file's size and time stay the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from pipeline.errors import BadData
from pipeline.pictures.reading import BadPicture, content_of, decode, facts_of, in_threads, path_of, refuse_bad
from pipeline.predictions import Array
from pipeline.store import Store, pack, to_json, unpack

FORMAT = 1  # of what is kept; to be raised when a changed program would tell something else of the same file
SIDE = 32  # of a thumbnail
ENOUGH = 4 * SIDE  # a JPEG may be decoded smaller, down to this
LOW = 8  # frequencies per axis in a print: 64 bits
VIEWS = 8  # four turns, mirrored or not
AT_ONCE = 4096  # thumbnails whose prints are made
FILE = "index.npz"


@dataclass(frozen=True, eq=False)
class Index:
    """All pictures of a competition, each once, in the order in which they were asked for.

    names: (n,) text, paths below the root folder. sha256: (n,) text, of the file's bytes. prints: (n, 8) uint64, `prints_of`.
    thumbnails: (n, 32, 32) uint8, grey. width, height: (n,) pixels, upright. mode: (n,) text, how the file keeps its pixels.
    """

    names: Array
    sha256: Array
    prints: Array
    thumbnails: Array
    width: Array
    height: Array
    mode: Array

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of names and contents: equal for equal pictures under equal names in the same order."""
        return hashlib.sha256(to_json([self.names.tolist(), self.sha256.tolist()])).hexdigest()

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names.tolist())}

    def rows(self, names: Iterable[str]) -> Array:
        """(m,) int64: where these pictures stand. Raises BadData for names that are not in the index."""
        names = [str(name) for name in names]
        unknown = [name for name in names if name not in self._place]
        if unknown:
            raise BadData(
                f"{len(unknown):,} of {len(names):,} pictures are not in the index, first {unknown[0]!r}. "
                "Make the index of all pictures that the tables of train and test name."
            )
        return np.array([self._place[name] for name in names], dtype=np.int64)


def make_index(root: Path, names: Iterable[str], kept: Path, workers: int, say: Callable[[str], None]) -> Index:
    """The index of these pictures below root, which is only read. A name that stands twice counts once.

    kept: a folder where what was read of each file stays. A file is read again when its size or its time (of the last change,
    to the nanosecond) is another; what else was kept, or is damaged, is never relied on. workers: threads. say: how far it is.
    Raises one BadPicture for all bad pictures, with the reasons; StoreError where `kept` cannot be written.
    """
    asked = list(dict.fromkeys(str(name) for name in names))
    store, key = Store(kept), hashlib.sha256(to_json([str(root.resolve()), FORMAT])).hexdigest()[:16]
    known = _kept(store, key, say)
    bad: dict[str, str] = {}
    stamps = _stamps(root, asked, bad)
    before = dict(zip(known["names"].tolist(), known["stamp"].tolist(), strict=True))
    new = {name: stamp for name, stamp in stamps.items() if before.get(name) != stamp}
    if new:
        read = _read_all(root, new, workers, say, bad)
        old = ~np.isin(known["names"], read["names"])
        known = {part: np.concatenate([known[part][old], read[part]]) for part in known}
        store.sweep()
        store.remove(key)
        store.write(key, files={FILE: pack(known)})
    refuse_bad(list(bad.values()), len(asked))
    where = {name: row for row, name in enumerate(known["names"].tolist())}
    rows = np.array([where[name] for name in asked], dtype=np.int64)
    return Index(**{part: values[rows] for part, values in known.items() if part != "stamp"})


def prints_of(thumbnails: Array) -> Array:
    """(n, 8) uint64 perceptual hashes of grey pictures (n, 32, 32), one for each `view`.

    A bit for each of the 8 x 8 lowest frequencies of the cosine transform: is it above the median? (pHash: Zauner 2010.) To
    mirror a picture is to change the sign of each second frequency, to turn it is to swap the axes too; so one transform is
    enough for all views. Pictures without any contrast have no print worth comparing.
    """
    position, frequency = np.arange(SIDE), np.arange(LOW)[:, None]
    cosines = np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE))
    signs = (-1.0) ** np.arange(LOW)
    prints = np.empty((len(thumbnails), VIEWS), dtype=np.uint64)
    for few in (slice(start, start + AT_ONCE) for start in range(0, len(thumbnails), AT_ONCE)):
        low = cosines @ thumbnails[few].astype(np.float64) @ cosines.T
        for number in range(VIEWS):
            turned = low.transpose(0, 2, 1) if number & 4 else low
            mirrored = turned * (signs[:, None] if number & 2 else 1) * (signs if number & 1 else 1)
            waves = mirrored.reshape(-1, LOW * LOW)
            above = waves > np.median(waves[:, 1:], axis=1, keepdims=True)  # the first is the brightness
            prints[few, number] = np.packbits(above, axis=1).view(np.uint64)[:, 0]
    return prints


def view(pictures: Array, number: int) -> Array:
    """One of the eight views of grey pictures (n, s, s): axes swapped if number & 4, then upside down if & 2, mirrored if & 1."""
    pictures = pictures.transpose(0, 2, 1) if number & 4 else pictures
    pictures = pictures[:, ::-1] if number & 2 else pictures
    return pictures[:, :, ::-1] if number & 1 else pictures


def _stamps(root: Path, names: Sequence[str], bad: dict[str, str]) -> dict[str, list[int]]:
    """Size and time of each file; why it has none in `bad`."""
    stamps = {}
    for name in names:
        try:
            facts = facts_of(path_of(root, name))
        except BadPicture as error:
            bad[name] = str(error)
        else:
            stamps[name] = [facts.st_size, facts.st_mtime_ns]
    return stamps


def _read_all(
    root: Path, stamps: Mapping[str, list[int]], workers: int, say: Callable[[str], None], bad: dict[str, str]
) -> dict[str, Array]:
    """The parts of the index, for these names; those that cannot be read go to `bad`."""
    found, facts = [], []
    for name, fact in zip(stamps, in_threads(partial(_facts, root), list(stamps), workers, say, "Reading pictures"), strict=True):
        if isinstance(fact, str):
            bad[name] = fact
        else:
            found.append(name)
            facts.append(fact)
    sha256, width, height, mode, thumbnails = zip(*facts, strict=True) if facts else ((),) * 5
    small = np.array(thumbnails, dtype=np.uint8).reshape(-1, SIDE, SIDE)
    return {
        "names": np.array(found, dtype=np.str_),
        "sha256": np.array(sha256, dtype=np.str_),
        "prints": prints_of(small),
        "thumbnails": small,
        "width": np.array(width, dtype=np.int64),
        "height": np.array(height, dtype=np.int64),
        "mode": np.array(mode, dtype=np.str_),
        "stamp": np.array([stamps[name] for name in found], dtype=np.int64).reshape(-1, 2),
    }


def _facts(root: Path, name: str) -> tuple[str, int, int, str, Array] | str:
    """SHA-256, width, height, mode and thumbnail of a picture, or why it has none."""
    path = path_of(root, name)
    try:
        content = content_of(path)
        picture = decode(content, path, ENOUGH)
    except BadPicture as error:
        return str(error)
    from PIL.Image import Resampling

    small = picture.image.convert("L").resize((SIDE, SIDE), Resampling.BILINEAR)
    return hashlib.sha256(content).hexdigest(), picture.width, picture.height, picture.mode, np.asarray(small)


def _kept(store: Store, key: str, say: Callable[[str], None]) -> dict[str, Array]:
    """What was read before; nothing if it is damaged or an older program's."""
    files = store.whole(key, damaged=say)
    return unpack(files[FILE], store.path(key, FILE)) if files else _read_all(Path(), {}, 1, say, {})
