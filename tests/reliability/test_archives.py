"""Hostile archives at every door that opens one: the zip of a submission of boxes, files of weights, files of arrays."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import BadSubmission, PodiumError
from pipeline.models.weights import BadWeights, from_file
from pipeline.run import open_run
from pipeline.store import Damaged, pack, unpack
from submit import require
from submit.boxes import FILE
from tests.conftest import Said
from tests.reliability.small import answer, opened
from tests.reliability.spoiling import submissions

Podium = Callable[..., Said]
MEBIBYTE = 2**20
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for entry, content in entries:
            archive.writestr(entry, content, None if isinstance(entry, zipfile.ZipInfo) else method)
    return buffer.getvalue()


def patched(content: bytes, at: int, form: str, value: int, central: int | None = None) -> bytes:
    """With another number in the local header, and in the central directory at `central` (or the local place and two)."""
    made = bytearray(content)
    for signature, place in ((LOCAL, at), (CENTRAL, at + 2 if central is None else central)):
        struct.pack_into(form, made, made.index(signature) + place, value)
    return bytes(made)


def link(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


def tarred(content: bytes, kind: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:
        entry = tarfile.TarInfo(f"../{FILE}")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def hostile(good: bytes) -> Iterator[tuple[str, bytes, str]]:
    """What it is, its bytes, the rule that names it. good: the content of a file that keeps every rule."""
    blanks = b" " * (4 * MEBIBYTE)
    for name in (f"../{FILE}", f"../../../../tmp/{FILE}", f"/{FILE}", f"/tmp/{FILE}", f"C:\\{FILE}", f"..\\{FILE}", f"images/{FILE}", f"./{FILE}", f"{FILE}/", FILE.upper(), f"{FILE} "):  # fmt: skip
        yield f"the name {name!r}", zipped((name, good)), "zip-content"
    yield "the name twice", zipped((FILE, good), (FILE, good)), "zip-content"
    yield "another file beside", zipped((FILE, good), ("../../.bashrc", b"touch canary")), "zip-content"
    yield "a thousand files", zipped(*((f"{number}.json", b"[]") for number in range(1000))), "zip-content"
    yield "a link", zipped((link(FILE), good)), "zip-content"
    yield "a link to a file of the system", zipped((link(FILE), b"/etc/passwd")), "zip-content"
    yield "a link beside", zipped((link("images"), b"/"), (f"images/{FILE}", good)), "zip-content"
    yield "a name that goes on after a NUL", zipped((f"{FILE}_x", good)).replace(b".json_x", b".json\0x"), "zip-content"
    yield "an empty archive", zipped(), "zip-content"
    yield "an archive in an archive", zipped((FILE, zipped((FILE, good)))), "not-json"
    yield "an archive in an archive, by its name", zipped(("answer.zip", zipped((FILE, good)))), "zip-content"
    whole = zipped((FILE, good))
    yield "encrypted", patched(whole, 6, "<H", 1), "not-zip"
    yield "strongly encrypted", patched(whole, 6, "<H", 65), "not-zip"
    yield "of an unknown method", patched(whole, 8, "<H", 99), "not-zip"
    yield "another sum", patched(whole, 14, "<I", 12345), "not-zip"
    yield "a smaller size than it has", patched(whole, 22, "<I", 100), "not-zip"
    yield "a larger size than it has", patched(whole, 22, "<I", len(good) + 100), "not-zip"
    yield "another name in its header than in its directory", whole.replace(FILE.encode(), b"/tmp/x.json", 1), "not-zip"
    yield "cut short", whole[:-1], "not-zip"
    yield "its directory alone", whole[whole.index(CENTRAL) :], "not-zip"
    yield "damaged inside", whole[:60] + bytes(20) + whole[80:], "not-zip"
    yield "a bomb", zipped((FILE, blanks)), "too-large"
    for method, what in ((zipfile.ZIP_DEFLATED, "deflated"), (zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")):
        yield f"a bomb that tells a small size, {what}", patched(zipped((FILE, blanks), method=method), 22, "<I", 1000), "not-zip"
    for kind in ("", "gz", "bz2", "xz"):
        yield f"tar {kind}", tarred(good, kind), "not-zip"
    yield "no archive", good, "not-zip"


def below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_no_hostile_zip_is_taken_for_a_submission_and_none_writes_or_fills_the_memory(
    podium: Podium, tmp_path: Path, proof: Any
) -> None:
    with opened("boxes", tmp_path) as one:
        assert podium(*one.words("run", "strict")).code == 0
        (whole,) = submissions("runs")
        good = answer(whole)
        run = open_run(one.name, one.data, "runs")
        require(run, whole)
        file, most, cases = tmp_path / "answer.zip", 0, list(hostile(good))
        file.touch()
        before = below(tmp_path)
        for what, content, rule in cases:
            file.write_bytes(content)
            tracemalloc.start()
            with pytest.raises(BadSubmission) as caught:
                require(run, file)
            most = max(most, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert caught.value.rule == rule, what
        assert below(tmp_path) == before
        assert most < 4 * MEBIBYTE
        for what, content, rule in cases[:: len(cases) // 3]:
            file.write_bytes(content)
            said = podium("submit", one.name, "--check", file, "--data", one.data)
            assert (said.code, f"[{rule}]" in said.err) == (2, True), what
    proof(
        17,
        "the zip of a submission",
        {"hostile archives": len(cases), "refused by their rule": len(cases), "files written": 0, "accepted": 0},
        kind="boxes",
    )


def test_hostile_archives_of_weights_are_refused_and_write_nothing(tmp_path: Path, proof: Any) -> None:
    torch.save({"a": torch.arange(1000.0)}, tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    assert len(from_file(tmp_path / "good.pth").tensors) == 1
    first = next(name for name in parts if name.endswith("data/0"))
    hollow = {"a": torch.zeros(1).expand(2**40)}
    cases: dict[str, bytes] = {
        "tensors that are packed": zipped(*parts.items()),
        "a bomb": zipped(*{**parts, first: bytes(4 * MEBIBYTE)}.items()),
        "names that lead out": zipped(*((f"../../{name}", content) for name, content in parts.items()), method=0),
        "a tensor left out": zipped(*((name, content) for name, content in parts.items() if name != first), method=0),
        "a tensor cut short": zipped(*{**parts, first: parts[first][:-8]}.items(), method=0),
        "names twice": zipped(*parts.items(), *parts.items(), method=0),
        "tar": tarred(b"x", ""),
        "an empty archive": zipped(),
    }
    buffer = io.BytesIO()
    torch.save(hollow, buffer)
    cases["more numbers than it holds"] = buffer.getvalue()
    file = tmp_path / "weights.pth"
    file.touch()
    before, refused = below(tmp_path), 0
    for what, content in cases.items():
        file.write_bytes(content)
        try:
            tensors = from_file(file).tensors
        except BadWeights:
            refused += 1
        else:
            assert what in ("names twice", "names that lead out"), what
            assert torch.equal(tensors["a"], torch.arange(1000.0)), what
    assert below(tmp_path) == before
    proof(17, "files of weights", {"hostile archives": len(cases), "refused": refused, "files written": 0}, kind="images")


def test_hostile_archives_of_arrays_are_refused(tmp_path: Path, proof: Any) -> None:
    def header(shape: str, kind: str = "<f8") -> bytes:
        text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        return np.lib.format.magic(1, 0) + struct.pack("<H", len(text)) + text.encode()

    packed = io.BytesIO()
    np.savez_compressed(packed, a=np.zeros(MEBIBYTE))
    whole = pack({"a": np.arange(100.0)})
    cases = {
        "packed": packed.getvalue(),
        "a shape beyond its bytes": zipped(("a.npy", header("(1000000,)") + bytes(80)), method=0),
        "a negative shape": zipped(("a.npy", header("(-5,)") + bytes(80)), method=0),
        "a header that is code": zipped(("a.npy", header("__import__('os')")), method=0),
        "objects": zipped(("a.npy", header("(1,)", "|O") + b"cos\nsystem\n(S'touch canary'\ntR."), method=0),
        "encrypted": patched(whole, 6, "<H", 1),
        "another sum": patched(whole, 14, "<I", 1),
        "tar": tarred(b"x", "gz"),
        "cut short": whole[:-40],
        "bzip2": zipped(("a.npy", header("(10,)") + bytes(80)), method=zipfile.ZIP_BZIP2),
    }
    for what, content in cases.items():
        with pytest.raises(PodiumError) as caught:
            unpack(content)
        assert isinstance(caught.value, Damaged), what
    assert unpack(whole)["a"].tolist() == list(range(100))
    proof(17, "files of arrays", {"hostile archives": len(cases), "refused": len(cases)})
