"""Zips that others made, unpacked: what leads out of the folder, is no plain file, or grows beyond what was told is refused."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from pipeline.errors import BadData
from pipeline.store import refusing
from submit.boxes import PACKED

CHUNK = 2**20
DRIVE = re.compile("[A-Za-z]:")
ENCRYPTED = 1  # the bit of an entry's flags
MOST_GROWTH = 200  # times the zip's own bytes that its files may have, where nobody told how many they have
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(archive: Path, folder: Path, most: int | None = None) -> None:
    """The zip's files below `folder`, which may be there; what is there already is never written over.

    most: the bytes that all files may have; without, `MOST_GROWTH` times those of the zip. Every file's CRC-32 is verified. Raises
    BadData for a zip that is broken or would do harm, before anything is written where its directory shows it; StoreError.
    """
    most = MOST_GROWTH * archive.stat().st_size if most is None else most
    try:
        with zipfile.ZipFile(archive) as opened:
            files = [entry for entry in opened.infolist() if not _checked(archive, entry).endswith("/")]
            _refuse_together(archive, files, most)
            for entry in files:
                _write(opened, entry, folder)
    except BROKEN as error:
        raise BadData(f"{archive} is no whole zip ({str(error)[:200]!r}). Download it again.") from error


def unpack_within(folder: Path) -> None:
    """Unpack the zips that lie below `folder`, each beside itself, and remove them. Zips in zips stay."""
    for archive in sorted(folder.rglob("*.zip")):
        unpack(archive, archive.parent)
        archive.unlink()


def _checked(archive: Path, entry: zipfile.ZipInfo) -> str:
    """The entry's name. Raises BadData for one that no file of data has."""
    name = entry.orig_filename  # `filename` ends at a NUL
    parts = name.removesuffix("/").split("/")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    told = f"{archive} holds {name[:200]!r}, "
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or DRIVE.match(name) or not name.isprintable():
        raise BadData(f"{told}a name that is no plain path below a folder. Nothing was unpacked: this is not a zip of data.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadData(f"{told}a link or a device. Nothing was unpacked: this is not a zip of data.")
    if entry.flag_bits & ENCRYPTED or entry.compress_type not in PACKED:
        raise BadData(f"{told}encrypted, or packed by a method other than deflate. Unpack it by hand and say --data DIR.")
    return name


def _refuse_together(archive: Path, files: list[zipfile.ZipInfo], most: int) -> None:
    """Raise BadData where files stand twice, one is another's folder, or all together are too large."""
    names = [entry.orig_filename for entry in files]
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    if len(set(names)) < len(names) or folders & set(names):
        raise BadData(f"{archive} holds a name twice. Nothing was unpacked: this is not a zip of data.")
    total = sum(entry.file_size for entry in files)
    if total > most:
        raise BadData(f"{archive} would unpack to {total:,} bytes, where at most {most:,} are expected. Nothing was unpacked.")


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """One file, as large as its entry says: reading ends there at the latest, and then the CRC-32 of a larger one does not fit."""
    target = folder / entry.orig_filename
    with refusing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, refusing(target), target.open("xb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
        if file.tell() != entry.file_size:
            raise zipfile.BadZipFile(f"{entry.orig_filename} has {file.tell():,} bytes, not {entry.file_size:,}")
