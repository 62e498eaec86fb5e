"""A page of pictures with words below, in one file that any browser opens; nothing in it comes from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipeline.pictures.reading import BadPicture, fitted, path_of, read
from pipeline.store import refusing, stray_beside

SIDE = 160  # pixels of a picture on the page
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 1.2em; }
figure { margin: 0; } img { width: 160px; height: 160px; border: 1px solid #ddd; }
figcaption { overflow-wrap: anywhere; } small { color: #777; }
"""


@dataclass(frozen=True)
class Shown:
    """A picture by its name, and what stands below it."""

    name: str
    first: str
    second: str


def write_page(path: Path, title: str, text: str, root: Path, shown: Sequence[Shown]) -> Path:
    """Write the page, whole or not at all. root: the folder of the pictures; one that cannot be read leaves its words. Raises StoreError."""
    figures = "\n".join(_figure(root, one) for one in shown) or "<p>Nothing to show.</p>"
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n<main>\n{figures}\n</main>\n</html>\n"
    )
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = stray_beside(path)
        try:
            beside.write_text(page, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return path


def _figure(root: Path, one: Shown) -> str:
    try:
        source = f'<img alt="" src="data:image/jpeg;base64,{_small(path_of(root, one.name))}">'
    except BadPicture:
        source = "<p>(cannot be read)</p>"
    words = f"{escape(one.first)}<br>{escape(one.second)}<br><small>{escape(one.name)}</small>"
    return f"<figure>{source}<figcaption>{words}</figcaption></figure>"


def _small(path: Path) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(fitted(read(path), SIDE, "pad")).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
