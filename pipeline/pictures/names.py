"""Names of pictures in a competition's tables: every row has one, none stands twice, each is a file below its folder. None is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from pipeline.errors import BadData


def once(path: Path, cells: pd.Series, one: str = "a picture's name", many: str = "pictures") -> None:
    """Every row of the table in `path` has such a cell, and none has another row's. Raises BadData with the first that does not.

    one, many: what the cells are, for the message.
    """
    for wrong, what, cure in (
        (cells.isna() | (cells.str.strip() == ""), f"rows without {one}", "Fill the cell or remove the row"),
        (cells.duplicated(), f"{many} that stand twice", "Keep one row of each"),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise BadData(f"{path} has {int(wrong.sum())} {what}, first {cells.tolist()[row]!r} in row {row + 1}. {cure}.")


def apart(first: Path, of_first: pd.Series, second: Path, of_second: pd.Series, many: str = "pictures") -> None:
    """No cell of one table is one of another, or what is asked would have been learned. Raises BadData with the first."""
    both = of_second[of_second.isin(of_first)]
    if len(both):
        raise BadData(
            f"{first.parent}: {len(both)} {many} stand both in {first.name} and in {second.name}, first {both.iloc[0]!r}. A picture's "
            "answer must not be given away; take them out of one of the files, or download both again."
        )


def inside(root: Path, names: Sequence[str]) -> None:
    """No name leads out of the folder. Raises BadData."""
    outside = [name for name in names if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if outside:
        raise BadData(f"{root}: {len(outside)} pictures lie outside of this folder: {some(outside)}. Name them relative to it.")


def there(root: Path, names: Sequence[str], tables: str) -> None:
    """Every picture is a file below `root`. Each folder is listed once: asking for 18,000 files one by one takes seconds.

    tables: those that name the pictures, in words. Raises BadData.
    """
    inside(root, names)
    folders = sorted({name.rpartition("/")[0] for name in names})
    present = {name for folder in folders for name in files_of(root, folder)}
    lacking = [name for name in names if name not in present]
    if lacking:
        raise BadData(
            f"{root} lacks {len(lacking)} of the {len(names)} pictures that {tables} name: {some(lacking)}. "
            "Unpack the whole archive there, or download it again."
        )


def files_of(root: Path, folder: str) -> list[str]:
    """Names of the files in a folder, relative to `root`."""
    try:
        with os.scandir(root / folder) as entries:
            return [f"{folder}/{entry.name}" if folder else entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        raise BadData(
            f"{root / folder} is no folder, but the tables name pictures in it. Unpack the archive of pictures so that it is there."
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise BadData(f"{str(root / folder)!r} cannot be read as a folder of pictures: {error}.") from error


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of them, for a message."""
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)
