"""Where the pictures of a column lie."""

from __future__ import annotations

import pytest

from pipeline.draft.pictures import Place, place_of
from pipeline.errors import BadData

CELLS = [f"a{number}" for number in range(30)]


@pytest.mark.parametrize(("before", "after"), [("", ".jpg"), ("images/", ".png"), ("train/all/", ""), ("", "")])
def test_a_place_is_a_folder_and_an_ending(before: str, after: str) -> None:
    cells = [one if after else f"{one}.webp" for one in CELLS]
    pictures = {f"{before}{one}{after}" for one in cells}
    assert place_of(cells, pictures | {"other/x.jpg"}) == Place(before, after)


def test_cells_may_be_paths_themselves() -> None:
    assert place_of([f"images/{one}.jpg" for one in CELLS], {f"images/{one}.jpg" for one in CELLS}) == Place("", "")


def test_of_two_folders_the_one_that_has_them_all_is_taken() -> None:
    pictures = {f"small/{one}.jpg" for one in CELLS[:7]} | {f"large/{one}.jpg" for one in CELLS}
    assert place_of(CELLS, pictures) == Place("large/", ".jpg")


def test_words_that_name_no_picture_have_no_place() -> None:
    assert place_of(["oak", "elm"], {"images/1.jpg"}) is None
    assert place_of(["1", *CELLS], {"images/1.jpg"}) is None


def test_some_that_lack_are_an_error() -> None:
    with pytest.raises(BadData, match=r"2 of 30 pictures are not there, first t/a0\.jpg"):
        place_of(CELLS, {f"t/{one}.jpg" for one in CELLS[2:]} | {"t/a1.png"})
