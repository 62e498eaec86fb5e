"""All pictures of a competition as decoded pixels at hand: one memory map for each size, made once.

A map is a folder of two files: the pixels, and a CRC-32 of each picture's. It is written into a temporary folder, synced, read
back and compared with the sums, and renamed into place; so a kill leaves a whole map or a stray that the next making sweeps
away. An opening compares the file's length, its header and the sums of 64 pictures chosen at random: a map that is cut short,
or not what was asked for, is never used; of single bits that flip on the disk later, it finds those in the pictures it looks at.
A map that does not pass is removed and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from pipeline.cores import cores
from pipeline.errors import BadData, BadRecipe, StoreError, UnknownName
from pipeline.pictures.index import Index
from pipeline.pictures.reading import WAYS, BadPicture, content_of, decode, fitted, in_threads, path_of, refuse_bad
from pipeline.predictions import Array
from pipeline.store import Store, pack, refusing, stray_beside, to_json, unpack

FORMAT = 1  # of the pixels; to be raised when a changed program would make others of the same pictures
PIXELS, SUMS = "pixels.npy", "sums.npz"
LOOKED_AT = 64  # pictures whose sums are compared on opening


def _silent(message: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """root: the folder of the pictures, only read. cache: where maps are kept, most_bytes of them at most (those used last).

    Any process may hold one: it is sent as the index and two paths, and a map is opened where it is used.
    """

    root: Path
    index: Index
    cache: Path
    most_bytes: int

    def rows(self, names: Iterable[str]) -> Array:
        """(m,) int64: where these pictures stand in `pixels`. Raises BadData for names that are not in the index."""
        return self.index.rows(names)

    def pixels(self, size: int, how: str = "squash", say: Callable[[str], None] = _silent) -> np.memmap:
        """(n, size, size, 3) uint8 RGB in the order of the index, read-only; how: see `reading.fitted`.

        Made if there is no such map, by one process while others wait. The system keeps as much of it in memory as there is
        room. Raises BadPicture where files are not what they were in the index, StoreError where there is no room on the disk.
        """
        if how not in WAYS:
            raise UnknownName("way of fitting a picture", how, WAYS)
        if size < 1:
            raise BadRecipe(f"Pictures of {size} pixels cannot be. Give a size of 1 or more.")
        if not len(self.index):
            raise BadData(f"There are no pictures to decode below {self.root}. Check the table that names them.")
        key = hashlib.sha256(to_json([self.index.fingerprint, size, how, FORMAT, version("pillow")])).hexdigest()[:16]
        made = self._opened(key, size)
        return self._made(key, size, how, say) if made is None else made

    def _made(self, key: str, size: int, how: str, say: Callable[[str], None]) -> np.memmap:
        with refusing(self.cache):
            self.cache.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.cache / ".making.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                say("Another process is decoding pictures; waiting for it.")
                lock.acquire()
        try:
            made = self._opened(key, size)  # by the process we waited for
            if made is None:
                self._make(key, size, how, say)
                made = self._opened(key, size)
        finally:
            lock.release()
        if made is None:
            raise StoreError(
                f"{self.cache / key} was damaged as soon as it was made. Check the disk, and that nobody else cleans up there."
            )
        return made

    def _make(self, key: str, size: int, how: str, say: Callable[[str], None]) -> None:
        store, final, each = Store(self.cache), self.cache / key, size * size * 3
        store.sweep()
        store.remove(key)
        self._make_room(len(self.index) * each)
        stray = stray_beside(final)
        try:
            with refusing(final):
                stray.mkdir()
                shape = (len(self.index), size, size, 3)
                header = np.lib.format.open_memmap(stray / PIXELS, "w+", np.uint8, shape).offset  # the file in its full length
                with (stray / PIXELS).open("r+b") as file:
                    sums = self._decode_all(file.fileno(), header, size, how, say)
                    os.fsync(file.fileno())
                with (stray / SUMS).open("wb") as file:
                    file.write(pack({"sums": sums}))
                    os.fsync(file.fileno())
                if _checked(stray, shape, range(len(sums))) is None:
                    raise StoreError(f"{stray} reads other than it was written. Check the disk.")
                os.rename(stray, final)
        finally:
            shutil.rmtree(stray, ignore_errors=True)

    def _decode_all(self, handle: int, header: int, size: int, how: str, say: Callable[[str], None]) -> Array:
        """(n,) uint32 sums of the pictures, which are written behind the header. Raises one BadPicture for all that are bad."""
        names = self.index.names.tolist()
        sums, bad = np.zeros(len(names), dtype=np.uint32), []
        write = partial(self._write, handle, header, size, how)
        threads = cores()
        for row, told in enumerate(in_threads(write, names, threads, say, f"Decoding pictures to {size} pixels")):
            if isinstance(told, str):
                bad.append(told)
            else:
                sums[row] = told
        refuse_bad(bad, len(names))
        return sums

    def _write(self, handle: int, header: int, size: int, how: str, name: str) -> int | str:
        """The sum of one picture, or why it is bad."""
        row, path = self.index.rows([name])[0], path_of(self.root, name)
        try:
            content = content_of(path)
            if hashlib.sha256(content).hexdigest() != self.index.sha256[row]:
                return f"{path} was changed since the index was made. Make the index again."
            pixels = fitted(decode(content, path, 2 * size).image, size, how).tobytes()
        except BadPicture as error:
            return str(error)
        written = 0
        while written < len(pixels):
            written += os.pwrite(handle, memoryview(pixels)[written:], header + row * len(pixels) + written)
        return zlib.crc32(pixels)

    def _make_room(self, needed: int) -> None:
        """Remove the maps whose last use is longest ago. Who has one open can read on."""
        if needed > self.most_bytes:
            raise StoreError(
                f"{len(self.index):,} pictures of that size take {needed:,} bytes, more than the {self.most_bytes:,} that decoded "
                "pictures may take. Choose a smaller size, or allow more."
            )
        store, free = Store(self.cache), shutil.disk_usage(self.cache).free
        maps = {name: size for name in store.list() if (size := _bytes(self.cache / name))}
        if needed > free + sum(maps.values()):
            raise StoreError(
                f"{self.cache} has {free:,} bytes free; the decoded pictures need {needed:,}. Free some space, or choose a smaller size."
            )
        for name in sorted(maps, key=lambda name: _last_use(self.cache / name)):
            if sum(maps.values()) + needed <= self.most_bytes and needed <= free:
                break
            store.remove(name)
            free += maps.pop(name)

    def _opened(self, key: str, size: int) -> np.memmap | None:
        """The map if it is there and whole, as far as a look at some of its pictures tells."""
        folder, n = self.cache / key, len(self.index)
        rows = np.arange(n) if n <= LOOKED_AT else np.random.default_rng().integers(n, size=LOOKED_AT)
        pixels = _checked(folder, (n, size, size, 3), rows)
        if pixels is not None:
            with contextlib.suppress(OSError):  # a folder that we may only read
                os.utime(folder, ns=(time.time_ns(), time.time_ns()))  # the system's own mark may lag behind
        return pixels


def _checked(folder: Path, shape: tuple[int, int, int, int], rows: Iterable[int]) -> np.memmap | None:
    """The map in a folder; None if it is not there or damaged: cut or too long, of another shape, or one of these rows has not its sum.

    Raises StoreError where it cannot be read: that is no reason to make it again.
    """
    try:
        content = (folder / SUMS).read_bytes()
        length = (folder / PIXELS).stat().st_size
        sums = unpack(content)["sums"]
        pixels = np.lib.format.open_memmap(folder / PIXELS, mode="r")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"Cannot read {folder}: {error.strerror or error}. Check the disk and the folder's rights.") from error
    except Exception:  # numpy and zipfile raise all sorts of errors on damaged bytes
        return None
    told = (pixels.shape, pixels.dtype, sums.shape, pixels.offset + pixels.nbytes)
    if told != (shape, np.uint8, shape[:1], length):
        return None
    return pixels if all(zlib.crc32(pixels[row]) == sums[row] for row in rows) else None


def _bytes(folder: Path) -> int:
    """Of a map; 0 for a folder that is none."""
    try:
        return (folder / PIXELS).stat().st_size
    except OSError:
        return 0


def _last_use(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:  # removed a moment ago
        return 0
