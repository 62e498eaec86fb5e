"""Reading a competition's CSV files, strictly: pandas reads a file that was cut short, or has a cell too many, without a word.

Where train.csv is not there, what Kaggle packed it into is read: train.csv.zip, train.csv.gz or train.zip.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.errors import BadData

pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own pool keeps what a large table freed while it was read
TEXT = pd.StringDtype("pyarrow", na_value=np.nan)  # pandas 3's own: a tenth of the memory of Python's texts, the same NaN
PACKED_SMALLER, ROOM = (
    250,
    2**20,
)  # a packed table may be so many times as large as its file, and so many bytes: more would be a bomb
MISSING = frozenset({"", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "#N/A"})


def read_text(path: Path) -> pd.DataFrame:
    """A CSV as text (`TEXT`), cell by cell as it stands in the file. Raises BadData if it is missing, empty, cut short or no CSV."""
    header, *rows = _rows(path)
    return pd.DataFrame({name: pd.array(cells, dtype=TEXT) for name, cells in zip(header, zip(*rows, strict=True), strict=True)})


def read_table(
    path: Path, columns: Sequence[str], numbers: Collection[str], required: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    """A CSV whose columns are known: `numbers` as float64, all others as text, NaN where missing; and the names that it lacks.

    Columns that the file lacks are there with NaN only. Raises BadData for a column that is unexpected or required and absent,
    and for a text in a column of numbers, with the first such cell.
    """
    text = read_text(path)
    unexpected = [c for c in text.columns if c not in columns]
    absent = [c for c in columns if c not in text.columns]
    lacking = [c for c in absent if c in required]
    if unexpected or lacking:
        wrong = [f"lacks {_some(lacking)}"] * bool(lacking) + [f"has unexpected columns {_some(unexpected)}"] * bool(unexpected)
        raise BadData(f"{path} {' and '.join(wrong)}. Is it another competition's file? Expected: {_some(columns)}.")
    table = {c: _column(path, text, c, c in numbers) for c in columns if c in text.columns}
    table |= {c: pd.Series(np.nan, index=text.index, dtype=np.float64 if c in numbers else TEXT) for c in absent}
    return pd.DataFrame({c: table[c] for c in columns}), absent


def same_ids(test: Path, of_test: pd.Series, sample: Path, of_sample: pd.Series, what: str = "ids") -> None:
    """A test file that was cut between two rows shows only here: the sample submission asks for rows that it lacks. Raises BadData."""
    lacking, unknown = set(of_sample) - set(of_test), set(of_test.dropna()) - set(of_sample)
    if lacking or unknown:
        raise BadData(
            f"{test.parent}: {test.name} and {sample.name} do not fit: {len(lacking)} {what} are only in the sample and {len(unknown)} only "
            f"in test (such as {min(lacking or unknown)!r}). One of them is cut short or another competition's; download both again."
        )


def packed(path: Path) -> Path:
    """The table's file: `path` itself, or one that it was packed into."""
    names = (path.name, f"{path.name}.zip", f"{path.name}.gz", f"{path.stem}.zip")
    return next((one for one in map(path.with_name, names) if one.is_file()), path)


def _column(path: Path, text: pd.DataFrame, column: str, number: bool) -> pd.Series:
    known = text[column].where(~text[column].isin(MISSING))
    if not number:
        return known
    wrong = ~np.isfinite(pd.to_numeric(known, errors="coerce").astype(np.float64)) & known.notna()
    if wrong.any():
        first = int(wrong.to_numpy().argmax())
        raise BadData(
            f"{path}: {column!r} is a column of numbers but {int(wrong.sum())} rows have text or infinity, first {known.iloc[first]!r} "
            f"in row {first + 1} ({text.columns[0]} {text.iloc[first, 0]}). Mend the cell or leave it empty."
        )
    return known.astype(np.float64)  # Python's reading, exact to the last bit; that of to_numeric is not


def _rows(path: Path) -> list[list[str]]:
    path = packed(path)
    raw = _content(path)
    try:
        text = raw.decode("utf-8-sig")
        once: dict[str, str] = {}  # equal cells share one text: most stand many times, and each would take 50 bytes and more
        rows = [[once.setdefault(cell, cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except UnicodeDecodeError as error:
        raise BadData(
            f"{path} is no UTF-8 text: byte {error.start} is {raw[error.start]:#04x}. Is it a zip, a spreadsheet's own format, or cut short?"
        ) from error
    except csv.Error as error:
        raise BadData(f"{path} is cut short or no CSV: {error}. Download it again.") from error
    if not text.strip():
        raise BadData(f"{path} is empty. Download it again.")
    if not text.endswith(("\n", "\r")):
        raise BadData(
            f"{path} is cut short: no line end after its last row. Download it again; if it is whole, end it with a line end."
        )
    return _rectangular(path, [row for row in rows if row])


def _content(path: Path) -> bytes:
    """Of the file, unpacked. Raises BadData."""
    try:
        if path.suffix not in (".zip", ".gz"):
            return path.read_bytes()
        with _unpacking(path) as file:
            most = ROOM + PACKED_SMALLER * path.stat().st_size
            raw = file.read(most + 1)
    except FileNotFoundError:
        there = sorted(child.name for child in path.parent.iterdir()) if path.parent.is_dir() else []
        raise BadData(f"{path} is missing. The folder has {_some(there)}.") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadData(f"{path} cannot be unpacked: {error}. Download it again, or unpack it by hand.") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > most:
        raise BadData(f"{path} would unpack to more than {most:,} bytes. If it is what it should be, unpack it by hand.")
    return raw


def _unpacking(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.open(path)
    with zipfile.ZipFile(path) as archive:
        inside = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
        if len(inside) != 1:
            raise BadData(f"{path} holds {_some([one.filename for one in inside])}; one table is needed. Unpack it by hand.")
        return archive.open(inside[0])


def _rectangular(path: Path, rows: list[list[str]]) -> list[list[str]]:
    header = rows[0]
    twice = {column for column in header if header.count(column) > 1}
    if twice:
        raise BadData(f"{path} has the column {sorted(twice)[0]!r} twice.")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise BadData(
                f"{path}: row {number} has {len(row)} cells, the header has {len(header)}. It is cut short or damaged; download it again."
            )
    if len(rows) == 1:
        raise BadData(f"{path} has a header and no rows. Download it again.")
    return rows


def _some(names: Collection[str], most: int = 8) -> str:
    shown = ", ".join(map(repr, list(names)[:most]))
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown or "nothing"
