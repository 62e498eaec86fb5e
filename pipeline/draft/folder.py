"""What a folder of Kaggle's files holds: the tables of train, test and sample submission, COCO annotations, pictures."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadData
from pipeline.tables import packed

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
ROLES = {
    "sample": ("sample", "submission"),
    "test": ("test",),
    "train": ("train",),
}  # the words in their names; the first that fits
EXACT = {"train": ("train",), "test": ("test",), "sample": ("sample_submission", "samplesubmission", "sample")}
UNREAD = (".parquet", ".feather", ".tsv", ".xlsx", ".jsonl")


@dataclass(frozen=True)
class Folder:
    """Names below root. train, test, sample: of tables, as they are called unpacked; None where there is none. tables: all of these.
    annotations, lists: COCO files with boxes, and without. pictures: paths with forward slashes. of_boxes: whether boxes are asked for."""

    root: Path
    tables: tuple[str, ...]
    train: str | None
    test: str | None
    sample: str | None
    annotations: tuple[str, ...]
    lists: tuple[str, ...]
    pictures: frozenset[str]
    of_boxes: bool = False


def look(root: Path, named: Mapping[str, str | None]) -> Folder:
    """named: "train", "test" and "sample" as the person names them, where their own names do not tell. Raises BadData."""
    if not root.is_dir():
        raise BadData(f"{root} is no folder. Give the folder of the competition's files with --data DIR.")
    tables = tuple(sorted({name for path in root.iterdir() if (name := _table(path))}))
    counts = {path.relative_to(root).as_posix(): _boxes_in(path) for path in sorted(root.rglob("*.json"))}
    annotations = tuple(name for name, count in counts.items() if count)
    lists = tuple(name for name, count in counts.items() if count == 0)
    asked = any(_role(name) == "sample" for name in tables) or named.get("sample") is not None
    if (annotations and not asked) or (named.get("train") or "").endswith(".json"):
        return Folder(root, tables, None, None, None, annotations, lists, _pictures(root), of_boxes=True)
    chosen = {role: _chosen(root, role, tables, named.get(role)) for role in EXACT}
    return Folder(root, tables, chosen["train"], chosen["test"], chosen["sample"], annotations, lists, _pictures(root))


def lacking(folder: Folder, role: str) -> BadData:
    """The error for a table that is not there."""
    other = [path.name for path in sorted(folder.root.iterdir()) if path.suffix in UNREAD]
    there = ", ".join(folder.tables) or "no CSV file at all"
    told = (
        f" {', '.join(other)} cannot be read: write CSV files of them, as by pandas.read_parquet(FILE).to_csv(FILE, index=False)."
    )
    pictures = (
        f" Of pictures in folders of their classes make a table of file and class, such as {min(folder.pictures)!r}."
        if folder.pictures
        else ""
    )
    return BadData(
        f"{folder.root} has no table for {role}: it has {there}. Unpack the competition's archive there, or name the table with "
        f"--{role} FILE.{told * bool(other)}{pictures * (role == 'train')}"
    )


def _table(path: Path) -> str | None:
    """What a CSV file is called unpacked."""
    name = path.name.removesuffix(".zip").removesuffix(".gz")
    if name.startswith(".") or not path.is_file():
        return None
    if name.endswith(".csv"):
        return name
    if path.suffix == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.namelist() if not one.startswith("__MACOSX/")]
        return f"{name}.csv" if len(inside) == 1 and inside[0].endswith(".csv") else None
    return None


def _chosen(root: Path, role: str, tables: tuple[str, ...], named: str | None) -> str | None:
    if named is not None:
        if not packed(root / named).is_file():
            raise BadData(f"{root / named} is missing. The folder has the tables {', '.join(tables) or 'none'}.")
        return named
    mine = [name for name in tables if _role(name) == role]
    exact = [name for name in mine if name.lower().removesuffix(".csv") in EXACT[role]]
    candidates = exact or mine
    if len(candidates) > 1:
        raise BadData(
            f"{root} has several tables that may be the {role}: {', '.join(candidates)}. Say which with --{role} FILE, or move the "
            "others away."
        )
    return candidates[0] if candidates else None


def _role(name: str) -> str | None:
    return next((role for role, words in ROLES.items() if any(word in name.lower() for word in words)), None)


def _boxes_in(path: Path) -> int | None:
    """How many annotations a COCO file has; None where it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not content.get("images"):
        return None
    lists = [part for name in ("annotations", "categories") if isinstance(part := content.get(name), list)]
    return len(lists[0]) if len(lists) == 2 else None


def _pictures(root: Path) -> frozenset[str]:
    found = set()
    for folder, _, names in os.walk(root):
        below = Path(folder).relative_to(root)
        found |= {(below / name).as_posix() for name in names if name.lower().endswith(PICTURES)}
    return frozenset(found)
