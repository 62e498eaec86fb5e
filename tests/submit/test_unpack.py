"""What others packed is unpacked into its folder, whole; what would lead out of it, or fill the disk, is refused before it does."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pipeline.errors import BadData
from submit.unpack import unpack, unpack_within
from tests.reliability.test_archives import CENTRAL, link, patched, zipped

GOOD = b"id,a\n1,2\n"


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    files = {"train.csv": GOOD, "images/a b/é, 1.jpg": bytes(range(256)), "images/2.jpg": b"", "12:30.txt": b"x"}
    (tmp_path / "a.zip").write_bytes(zipped(("images/", b""), *files.items()))
    unpack(tmp_path / "a.zip", tmp_path / "out", sum(map(len, files.values())))
    assert below(tmp_path / "out") == files


whole = zipped(("train.csv", GOOD))
blanks = b" " * 4_000_000
HOSTILE = {
    **{
        f"the name {name!r}": zipped((name, GOOD))
        for name in ("../x.csv", "a/../../x.csv", "/x.csv", "C:/x.csv", "..\\x.csv", "./x.csv", "a//x.csv", "..", "x\n.csv")
    },
    "a name that goes on after a NUL": zipped(("x.csv_y", GOOD)).replace(b".csv_", b".csv\0"),
    "a link": zipped((link("x.csv"), b"/etc/passwd")),
    "a link that is followed": zipped((link("images"), b"/tmp"), ("images/x", GOOD)),
    "a name twice": zipped(("x.csv", GOOD), ("x.csv", GOOD)),
    "a file that is a folder": zipped(("x", GOOD), ("x/y", GOOD)),
    "encrypted": patched(whole, 6, "<H", 1),
    "bzip2": zipped(("x.csv", GOOD), method=zipfile.ZIP_BZIP2),
    "an unknown method": patched(whole, 8, "<H", 99),
    "a bomb": zipped(("x.csv", blanks)),
    "a bomb that tells a small size": patched(zipped(("x.csv", blanks)), 22, "<I", 1000),
    "another sum": patched(whole, 14, "<I", 12345),
    "a larger size than it has": patched(whole, 22, "<I", len(GOOD) + 100),
    "cut short": whole[:-1],
    "its directory alone": whole[whole.index(CENTRAL) :],
    "no zip": GOOD,
    "nothing": b"",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_would_do_harm_is_refused_and_writes_nothing_elsewhere(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "out"
    folder.parent.mkdir()
    (tmp_path / "a.zip").write_bytes(HOSTILE[what])
    with pytest.raises(BadData):
        unpack(tmp_path / "a.zip", folder)
    assert {name for name in below(tmp_path) if not name.startswith("in/out/")} == {"a.zip"}
    assert sum(map(len, below(folder).values())) <= 1000


def test_more_than_was_listed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(whole)
    with pytest.raises(BadData, match="at most 5 are expected"):
        unpack(tmp_path / "a.zip", tmp_path / "out", 5)


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(whole)
    (tmp_path / "train.csv").write_text("mine")
    with pytest.raises(Exception, match="File exists"):
        unpack(tmp_path / "a.zip", tmp_path)
    assert (tmp_path / "train.csv").read_text() == "mine"


def test_zips_in_the_folder_are_unpacked_beside_themselves(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "train.csv.zip").write_bytes(whole)
    (tmp_path / "images.zip").write_bytes(zipped(("images/1.jpg", b"1"), ("inner.zip", whole)))
    unpack_within(tmp_path)
    assert below(tmp_path) == {"deep/train.csv": GOOD, "images/1.jpg": b"1", "inner.zip": whole}
