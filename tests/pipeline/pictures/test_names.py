"""Names of pictures are checked against the tables and the folder without opening one; messages have the first at fault."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import BadData
from pipeline.pictures.names import apart, inside, once, some, there

A, B = Path("data/a.csv"), Path("data/b.csv")


def test_cells_that_are_there_once_are_taken() -> None:
    once(A, pd.Series(["x", "y"]))
    apart(A, pd.Series(["x", "y"]), B, pd.Series(["z"]))


@pytest.mark.parametrize("nothing", [None, "", " \t"])
def test_a_cell_without_a_name_is_refused(nothing: str | None) -> None:
    with pytest.raises(BadData, match=r"a.csv has 1 rows without an id, first .* in row 2. Fill the cell or remove the row."):
        once(A, pd.Series(["x", nothing, "y"]), "an id", "ids")


def test_a_name_that_stands_twice_or_in_two_tables_is_refused() -> None:
    with pytest.raises(BadData, match=r"a.csv has 2 pictures that stand twice, first 'x' in row 3. Keep one row of each."):
        once(A, pd.Series(["x", "y", "x", "x"]))
    with pytest.raises(BadData, match=r"data: 1 pictures stand both in a.csv and in b.csv, first 'y'. .* download both again"):
        apart(A, pd.Series(["x", "y"]), B, pd.Series(["z", "y"]))


def test_files_of_several_folders_are_found(tmp_path: Path) -> None:
    names = ["0.jpg", "more/1.jpg", "more/deep/2.jpg"]
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for name in names:
        (tmp_path / name).touch()
    there(tmp_path, names, "a.csv")
    with pytest.raises(BadData, match=r"lacks 2 of the 5 pictures that a.csv and b.csv name: more/0.jpg, more/deep\. Unpack"):
        there(tmp_path, [*names, "more/0.jpg", "more/deep"], "a.csv and b.csv")


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("file", "nowhere"):
        with pytest.raises(BadData, match=f"{folder} is no folder, but the tables name pictures in it"):
            there(tmp_path, [f"{folder}/0.jpg"], "a.csv")
    with pytest.raises(BadData, match="cannot be read as a folder of pictures"):
        there(tmp_path, ["a\0b/0.jpg"], "a.csv")


@pytest.mark.parametrize("name", ["/etc/0.jpg", "..", "../0.jpg", "x/../../0.jpg"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    for check in (inside, lambda root, names: there(root, names, "a.csv")):
        with pytest.raises(BadData, match=f"1 pictures lie outside of this folder: {name}"):
            check(tmp_path, ["0.jpg", name])
    inside(tmp_path, ["0.jpg", "x/..0.jpg"])


def test_of_many_names_the_first_are_told() -> None:
    assert (some(["a", "b"]), some(["a", "b", "c"], 2), some([])) == ("a, b", "a, b, ...", "")
