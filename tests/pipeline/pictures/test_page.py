"""A page of pictures is one whole file that needs nothing else, whatever stands in names and words."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import StoreError
from pipeline.pictures.page import LARGER, SIDE, Outline, Shown, write_page


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.full((40, 20, 3), (10, 200, 30), np.uint8)).save(folder / "green.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_each_picture_stands_on_the_page_with_its_words(root: Path, tmp_path: Path) -> None:
    shown = [
        Shown("green.png", "<b>first</b>", "second & last"),
        Shown("broken.jpg", "of the broken", ""),
        Shown("../x.png", "out", ""),
    ]
    page = write_page(tmp_path / "new" / "page.html", "A & B", "what it is", root, shown).read_text(encoding="utf-8")
    [picture] = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
    assert pixels.shape == (SIDE, SIDE, 3)
    assert abs(pixels[SIDE // 2, SIDE // 2].astype(int) - [10, 200, 30]).max() < 12
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    assert "A &amp; B" in page
    assert page.count("(cannot be read)") == 2
    assert "http" not in page


def test_boxes_are_lines_over_a_larger_picture_that_keeps_its_shape(root: Path, tmp_path: Path) -> None:
    boxes = (
        Outline((10, 20, 5, 10), "<hat>", odd=True),  # in a picture of 20 x 40
        Outline((0, 0, 20, 40), "belt 0.5", found=True),
    )
    page = write_page(tmp_path / "page.html", "t", "", root, [Shown("green.png", "a\nb", "", boxes)]).read_text(encoding="utf-8")
    assert f'<svg viewBox="0 0 {LARGER // 2} {LARGER}" width="{LARGER // 2}" height="{LARGER}">' in page
    scale = LARGER / 40
    assert f'<rect x="{10 * scale}" y="{20 * scale}" width="{5 * scale}" height="{10 * scale}"/>' in page
    first, second = re.findall(r'<g class="([a-z ]+)">', page)
    assert (first, second) == ("found agreed", "true odd")  # what the picture is shown for lies above
    assert "&lt;hat&gt;" in page
    [picture] = re.findall(r'href="data:image/jpeg;base64,([^"]+)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (20, 40)
    for x, y in re.findall(r'<text x="([\d.]+)".*? y="([\d.]+)">', page):
        assert 0 <= float(x) < LARGER / 2
        assert 0 < float(y) < LARGER


def test_a_picture_with_no_box_in_it_may_be_among_those_with_boxes(root: Path, tmp_path: Path) -> None:
    page = write_page(tmp_path / "page.html", "t", "", root, [Shown("green.png", "a", "b", ())]).read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<rect" not in page


def test_a_page_of_nothing_says_so(root: Path, tmp_path: Path) -> None:
    assert "Nothing to show" in write_page(tmp_path / "page.html", "t", "", root, []).read_text()


def test_where_it_cannot_be_written_the_error_says_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot write"):
        write_page(tmp_path / "file" / "page.html", "t", "", root, [])
