"""A competition's files from Kaggle: one archive, fetched from where an earlier call stopped, unpacked, verified, renamed into place.

Beside the folder stand, while it is not there, `.NAME.zip` (what came so far) and `.NAME.json` (of what it is the beginning). The folder
itself is whole or not there; in it `.download.json` says what it was when it came.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import requests
import urllib3
from filelock import FileLock

from pipeline.errors import BadData, DownloadInterrupted, NoCredentials
from pipeline.store import Store, refusing, replace_file, stray_beside, to_json
from submit import kaggle
from submit.unpack import unpack, unpack_within

RECORD = ".download.json"
CHUNK = 2**16  # bytes at a time: at most so many are lost when it is stopped
LONG = 50 * 2**20  # bytes, from which on a person is told at every tenth how far it is
PARTIAL = 206
CUT = (requests.RequestException, urllib3.exceptions.HTTPError)
Say = Callable[[str], None]


def download(slug: str, root: Path, say: Say, git_hashes: Mapping[str, str] | None = None) -> None:
    """A competition's files as the folder `root`; nothing is done where it is there and as it was downloaded.

    Every file has the size that Kaggle lists; where git's hash of a file is known, the two are compared. Raises BadData for a folder or
    an archive that is not what it should be, KaggleError and its kin, StoreError.
    """
    archive = root.with_name(f".{root.name}.zip")
    if root.is_dir():
        refuse_changed(root)
        return
    refuse_unsigned(slug, root)
    with refusing(root):
        root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):
        if root.is_dir():  # another process was first
            return
        Store(root.parent).sweep()
        with kaggle.Site(slug, say) as site:
            listed, complete = site.files()
            if not listed:
                raise BadData(
                    f"Kaggle lists no files for {slug}. See {kaggle.page(slug, 'data')}; files got by hand are named by --data DIR."
                )
            say(f"Kaggle lists {len(listed):,} files of {size(sum(listed.values()))} for {slug}.")
            fetch(site, archive, say)
        try:
            put_in_place(archive, root, slug, git_hashes or {}, listed, complete, say)
        except BadData:
            forget(archive)  # the same bytes would fail again
            raise
        forget(archive)


def refuse_unsigned(slug: str, root: Path) -> None:
    """Raise NoCredentials with all ways to the files, where there are no credentials; BadData where Kaggle does not have them."""
    if not slug:
        raise BadData(
            f"{root.name} names no competition on Kaggle. Put its files into {root}, or say where they are with --data DIR."
        )
    try:
        kaggle.signed_in(slug)
    except NoCredentials as error:
        raise NoCredentials(
            f"{error}\n"
            f"Or, without them, download the files by hand from {kaggle.page(slug, 'data')}\n"
            f"and unpack them into {root}, or into any folder and say --data DIR."
        ) from None


def refuse_changed(root: Path) -> None:
    """Raise BadData where files of a downloaded folder lack or have another size. A folder that a person made is taken as it is."""
    try:
        told: dict[str, int] = json.loads((root / RECORD).read_bytes())["files"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadData(f"{root / RECORD} cannot be read ({error}). Remove {root}, and podium downloads it again.") from error
    differing(root, told, "as it was downloaded", f"Remove {root}, and podium downloads it again.")


def differing(root: Path, told: Mapping[str, int], what: str, cure: str) -> None:
    """Raise BadData where a file has not the bytes that are told of it."""
    for name, bytes_ in told.items():
        file = root / name
        found = file.stat().st_size if file.is_file() else None
        if found != bytes_:
            state = "is not there" if found is None else f"has {found:,} bytes, not {bytes_:,}"
            raise BadData(f"{root} is not {what}: {name} {state}. {cure}")


def put_in_place(
    archive: Path,
    root: Path,
    slug: str,
    git_hashes: Mapping[str, str],
    listed: Mapping[str, int],
    complete: bool,
    say: Say,
) -> None:
    """Unpack into a folder beside, verify, rename. complete: whether `listed` are all files."""
    stray = stray_beside(root)
    try:
        unpack(archive, stray, sum(listed.values()) if complete else None)
        differing(stray, listed, "what Kaggle lists", "Run this again; if it stays so, download it by hand and say --data DIR.")
        known = compare_hashes(stray, git_hashes, say)
        unpack_within(stray)
        files = {path.relative_to(stray).as_posix(): path.stat().st_size for path in sorted(stray.rglob("*")) if path.is_file()}
        with refusing(root):
            (stray / RECORD).write_bytes(to_json({"kaggle": slug, "files": files}))
            os.sync()  # under its name the folder shall be whole, also after a loss of power
            os.rename(stray, root)
    finally:
        shutil.rmtree(stray, ignore_errors=True)
    say(f"{len(files):,} files are in {root}: sizes as listed, checksums as packed{known}.")


def compare_hashes(root: Path, hashes: Mapping[str, str], say: Say) -> str:
    """Words on the files whose hash is known. One that differs is said: it came whole, so it is Kaggle that has another."""
    same = [name for name, known in hashes.items() if (root / name).is_file() and git_hash(root / name) == known]
    for name in hashes:
        if name not in same:
            say(
                f"{name} is whole, but not the one that podium knows: Kaggle may have replaced it. The README's figures are of the other."
            )
    return f", {', '.join(same)} the ones that podium knows" if same else ""


def git_hash(path: Path) -> str:
    """What git calls a file of these bytes."""
    found = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


# -------------------------------------------------------------------------------------------------------------- what comes so far


def fetch(site: kaggle.Site, archive: Path, say: Say) -> None:
    """The archive of all files, from where an earlier call or a cut connection left it. Raises DownloadInterrupted, KaggleError, StoreError.

    As long as each connection brings something it goes on; what came is kept for the next call in any case.
    """
    fruitless = 0
    while True:
        before = length(archive)
        try:
            stream(site, archive, say)
            return
        except CUT as error:
            fruitless = 0 if length(archive) > before else fruitless + 1
            kept = f"({type(error).__name__}); {size(length(archive))} are kept in {archive}"
            if fruitless == kaggle.TRIES - 1:
                raise DownloadInterrupted(
                    f"The download was cut again and again {kept}. Run this again: it goes on from there."
                ) from None
            say(f"The download was cut {kept}. Going on from there.")
            time.sleep(kaggle.FIRST_PAUSE * 2**fruitless)


def stream(site: kaggle.Site, archive: Path, say: Say) -> None:
    """One connection's worth of the archive. Raises one of CUT when it ends early."""
    response = site.archive()
    try:
        have, whole = resumable(archive, response)
        if have and have == whole:
            return
        if have:
            response = site.rest(response, have, mark_of(response))
            have = have if response.status_code == PARTIAL else 0
        if not have:
            whole = length_told(response)
            replace_file(note_of(archive), to_json({"mark": mark_of(response), "bytes": whole}))
        append(response, archive, have, whole, say)
    finally:
        response.close()
    if whole and length(archive) != whole:
        raise requests.ConnectionError("cut")


def append(response: requests.Response, archive: Path, have: int, whole: int, say: Say) -> None:
    """Write the body behind the first `have` bytes, as it comes."""
    with refusing(archive):
        file = archive.open("r+b" if have else "wb")
    with file:
        file.truncate(have)
        file.seek(have)
        tenth = 10 * have // whole if whole else 0
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            with refusing(archive):
                file.write(chunk)
                file.flush()
            have += len(chunk)
            if whole > LONG and 10 * have // whole > tenth:
                tenth = 10 * have // whole
                say(f"{10 * tenth} % of {size(whole)}")


def resumable(archive: Path, response: requests.Response) -> tuple[int, int]:
    """How many bytes of this very archive are there, and how many it has; 0 for what nobody knows."""
    whole = length_told(response)
    try:
        note = json.loads(note_of(archive).read_bytes())
    except (OSError, ValueError):
        return 0, whole
    have = length(archive)
    same = bool(mark_of(response)) and note == {"mark": mark_of(response), "bytes": whole}
    return (have if same and have <= whole else 0), whole


def mark_of(response: requests.Response) -> str:
    """What changes with the archive's content."""
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


def length_told(response: requests.Response) -> int:
    told = response.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() else 0


def note_of(archive: Path) -> Path:
    return archive.with_suffix(".json")


def length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def forget(archive: Path) -> None:
    for path in (archive, note_of(archive)):
        path.unlink(missing_ok=True)


def size(count: int) -> str:
    """Of a file, as a person reads it."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count} bytes"
