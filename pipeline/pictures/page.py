"""A page of pictures with words below, in one file that any browser opens; nothing in it comes from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.pictures.reading import BadPicture, content_of, decode, fitted, path_of, read
from pipeline.store import write_whole

if TYPE_CHECKING:
    from PIL import Image

SIDE = 160  # pixels of a picture on the page
LARGER = 320  # of the longer side of one with boxes
LINE = 11  # pixels that the words of a box are high
LETTER = 7  # and a letter of them wide, at most
STYLE = f"""
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }}
p {{ max-width: 60em; }}
main {{ display: flex; flex-wrap: wrap; gap: 1.4em; align-items: flex-start; }}
figure {{ margin: 0; width: {SIDE}px; }} figure.boxes {{ width: {LARGER}px; }}
img, svg {{ display: block; border: 1px solid #ddd; }}
figcaption {{ overflow-wrap: anywhere; white-space: pre-line; padding-top: 0.3em; }} small {{ color: #777; }}
rect {{ fill: none; stroke-width: 1.5; filter: drop-shadow(0 0 1px #000); }}
text {{ font: bold 10px system-ui, sans-serif; paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round; }}
.true rect {{ stroke: #1a7fff; }} .true text {{ fill: #0b4fae; }}
.found rect {{ stroke: #ff8c1a; stroke-dasharray: 6 3; }} .found text {{ fill: #a34d00; }}
.odd rect {{ stroke-width: 3; }} .agreed {{ opacity: 0.75; }}
"""


@dataclass(frozen=True)
class Outline:
    """A box drawn into a picture: left, top, width, height in pixels of the picture as it is on the disk, with words at its edge.

    found: it was predicted, not annotated, and is dashed. odd: it is what the picture is shown for, and is thick.
    """

    box: tuple[float, float, float, float]
    words: str
    found: bool = False
    odd: bool = False


@dataclass(frozen=True)
class Shown:
    """A picture by its name, and what stands below it. boxes: drawn into it; it is then larger and keeps its shape."""

    name: str
    first: str
    second: str
    boxes: tuple[Outline, ...] | None = None


def write_page(path: Path, title: str, text: str, root: Path, shown: Sequence[Shown]) -> Path:
    """Write the page, whole or not at all. root: the folder of the pictures; one that cannot be read leaves its words. Raises StoreError."""
    figures = "\n".join(_figure(root, one) for one in shown) or "<p>Nothing to show.</p>"
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n<main>\n{figures}\n</main>\n</html>\n"
    )
    return write_whole(path, page)


def _figure(root: Path, one: Shown) -> str:
    try:
        path = path_of(root, one.name)
        source = _square(path) if one.boxes is None else _with_boxes(path, one.boxes)
    except BadPicture:
        source = "<p>(cannot be read)</p>"
    words = "<br>".join([escape(line) for line in (one.first, one.second) if line] + [f"<small>{escape(one.name)}</small>"])
    kind = "" if one.boxes is None else ' class="boxes"'
    return f"<figure{kind}>{source}<figcaption>{words}</figcaption></figure>"


def _square(path: Path) -> str:
    from PIL import Image

    small = Image.fromarray(fitted(read(path, 2 * SIDE), SIDE, "pad"))
    return f'<img alt="" width="{SIDE}" height="{SIDE}" src="{_embedded(small)}">'


def _with_boxes(path: Path, boxes: Sequence[Outline]) -> str:
    """The picture under lines that stay sharp: they are no part of its pixels."""
    picture = decode(content_of(path), path, 2 * LARGER)
    scale = LARGER / max(picture.width, picture.height)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.image
    small.thumbnail((LARGER, LARGER))
    lines = "".join(_outline(one, scale, width, height) for one in sorted(boxes, key=lambda one: (one.odd, one.found)))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="{_embedded(small)}"/>{lines}</svg>'
    )


def _outline(one: Outline, scale: float, width: int, height: int) -> str:
    """What was annotated has its words below the box, what was found above it; inside where there is no room."""
    left, top, wide, high = (side * scale for side in one.box)
    above = top - 3 if top >= LINE else top + LINE
    below = top + high + (LINE if top + high + LINE < height else -4)
    across = f'x="{left:.1f}"' if left + LETTER * len(one.words) < width else f'x="{width - 2}" text-anchor="end"'
    kind = f"{'found' if one.found else 'true'} {'odd' if one.odd else 'agreed'}"
    return (
        f'<g class="{kind}"><rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}"/>'
        f'<text {across} y="{above if one.found else below:.1f}">{escape(one.words)}</text></g>'
    )


def _embedded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
