"""Run folders: a result is a folder that is either whole or not there.

Files are written into a temporary folder beside the final name, synced, listed with their SHA-256 in MANIFEST.json, and
renamed into place. So a kill at any moment leaves a whole result, or a stray that the next start sweeps away. Every reading
makes the manifest anew and compares: a file that is truncated, flipped, missing or too many is never taken for a result, and
no more is a manifest of which a byte has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from filelock import FileLock

from pipeline.errors import StoreError
from pipeline.predictions import Array

MANIFEST = "MANIFEST.json"
STRAY = ".tmp-"
DAY = 86_400


class Damaged(StoreError):
    """A folder whose files do not have the sums of its manifest."""


class Store:
    """Results below one root, the run folder of a competition."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, *parts: str) -> Path:
        return self.root.joinpath(*parts)

    def has(self, *parts: str) -> bool:
        return (self.path(*parts) / MANIFEST).is_file()

    def write(self, *parts: str, files: Mapping[str, bytes]) -> Path:
        """Keep these files as one whole folder. If another process was first, its result stands. Raises StoreError."""
        final = self.path(*parts)
        with refusing(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            stray = stray_beside(final)
            try:
                stray.mkdir()
                for name, content in {**files, MANIFEST: manifest(files)}.items():
                    _write_synced(stray / name, content)
                _sync_folder(stray)
                self._into_place(stray, final)
            finally:
                shutil.rmtree(stray, ignore_errors=True)
        return final

    def _into_place(self, stray: Path, final: Path) -> None:
        while True:
            try:
                os.rename(stray, final)
            except OSError:
                if not final.is_dir():
                    raise
                if not self._is_whole(final):
                    continue
            break
        _sync_folder(final.parent)

    def _is_whole(self, final: Path) -> bool:
        """Whether a whole result stands there; if not, nothing does any more."""
        try:
            self.read_folder(final)
        except FileNotFoundError:  # forgotten a moment ago
            return False
        except Damaged:
            self.set_aside(final)
            return False
        return True

    def read(self, *parts: str) -> dict[str, bytes]:
        """The files of a result. Raises Damaged if they are not those of the manifest, FileNotFoundError if there is no such result."""
        return self.read_folder(self.path(*parts))

    def read_folder(self, folder: Path) -> dict[str, bytes]:
        """Asked twice before it is called damaged: another process may have been replacing it under our eyes."""
        try:
            return self._read_once(folder)
        except Damaged:
            return self._read_once(folder)

    def _read_once(self, folder: Path) -> dict[str, bytes]:
        try:
            names = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]  # a desktop leaves hidden files
            files = {name: (folder / name).read_bytes() for name in names}
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if folder.is_dir():
                raise Damaged(f"{folder} is damaged: {error.strerror}: {error.filename}.") from error
            raise FileNotFoundError(folder) from None
        except OSError as error:
            raise StoreError(f"Cannot read {folder}: {error.strerror}. Check the disk and the folder's rights.") from error
        if files.pop(MANIFEST, None) != manifest(files):
            raise Damaged(f"{folder} is damaged: {MANIFEST} and the SHA-256 sums of its files do not agree.")
        return files

    def whole(self, *parts: str, damaged: Callable[[str], None] = lambda message: None) -> dict[str, bytes] | None:
        """The files of a result, or None if there is none. A damaged one is set aside, said to `damaged`, and counts as none."""
        try:
            return self.read(*parts)
        except FileNotFoundError:
            return None
        except Damaged as error:
            aside = self.set_aside(self.path(*parts))
            damaged(f"{error} It was set aside as {aside.name} and is made again.")
            return None

    def set_aside(self, folder: Path) -> Path:
        """Move a damaged folder out of the way, so that it can be looked at and is never read again.

        One process at a time, and it looks again, twice: what it finds may be the whole result that another put there since, or is just
        putting there, between the look for its files and the look for itself.
        """
        aside = folder.with_name(f".damaged-{folder.name}-{uuid.uuid4().hex[:8]}")
        with refusing(folder), FileLock(folder.with_name(".mending.lock")):
            try:
                self.read_folder(folder)
            except FileNotFoundError:  # another process was first
                pass
            except Damaged:
                os.rename(folder, aside)
        return aside

    def remove(self, *parts: str) -> None:
        """Forget a result. Renamed first, so that a kill in between leaves a stray, not half a result."""
        folder = self.path(*parts)
        stray = stray_beside(folder)
        with refusing(folder), contextlib.suppress(FileNotFoundError):  # nothing to forget, or another process was first
            os.rename(folder, stray)
            shutil.rmtree(stray)

    def list(self, *parts: str) -> Iterator[str]:
        """Names of the results (and folders) below, sorted; strays and damaged ones left out."""
        folder = self.path(*parts)
        if folder.is_dir():
            yield from sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))

    def sweep(self) -> int:
        """Remove the strays of processes that are no more; their number. Another machine's are left alone for a day."""
        swept = 0
        for folder, names, files in os.walk(self.root):
            for name in [name for name in [*names, *files] if name.startswith(STRAY)]:
                if name in names:
                    names.remove(name)  # no need to walk into it
                stray = Path(folder, name)
                host, _, process = name.removeprefix(STRAY).rpartition("-")[0].rpartition("-")
                here = host == socket.gethostname() and process.isdecimal()
                if int(process) not in psutil.pids() if here else _age(stray) > DAY:
                    shutil.rmtree(stray, ignore_errors=True)
                    with contextlib.suppress(OSError):
                        stray.unlink(missing_ok=True)
                    swept += 1
        return swept


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that may be there already: under its name is the old content or the new, whole. Raises StoreError."""
    stray = stray_beside(path)
    with refusing(path):
        try:
            _write_synced(stray, content)
            os.replace(stray, path)
            _sync_folder(path.parent)
        finally:
            stray.unlink(missing_ok=True)


def stray_beside(final: Path) -> Path:
    """A name beside the final one, which says whose work it is, so that a later start can sweep it away."""
    return final.parent / f"{STRAY}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def write_whole(path: Path, text: str) -> Path:
    """A file of text that is either whole or as it was before; its path. Raises StoreError."""
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = stray_beside(path)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return path


def manifest(files: Mapping[str, bytes]) -> bytes:
    """What MANIFEST.json says of these files: the same files give the same bytes."""
    return to_json({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn an OSError (disk full, read-only, no rights) into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"Cannot write {path}: {error.strerror or error}. Nothing half-written was kept. "
            "Free some space or mend the folder's rights, or choose another run folder with --runs DIR."
        ) from error


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as .npz: its checksums catch a flipped bit that .npy would hand on. The same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(content: bytes, what: str | Path = "A file of arrays in the run folder") -> dict[str, Array]:
    """The arrays of `pack`. Nothing pickled is ever read, nor what is compressed, which could be any size. what: for the message.

    Raises Damaged on anything else, also where a manifest agrees with it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise zipfile.BadZipFile(f"{packed[0]} is compressed")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    except MemoryError:  # nobody shall remove what is whole
        raise
    except Exception as error:  # numpy and zipfile raise all sorts of errors
        raise Damaged(
            f"{what} is none that podium wrote ({type(error).__name__}: {str(error)[:200]}). Remove the folder that it stands in; what it "
            "held is made again."
        ) from error


def to_json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
