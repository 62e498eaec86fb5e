"""Reading one picture from a file that may be anything: as RGB and upright, or refused with its name and the reason.

The pixels a decoder gives are taken as they are: a JPEG whose bytes were changed in the middle decodes to a wrong picture
without a word. A file whose pixels are cut short is always refused.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.errors import BadData, UnknownName
from pipeline.predictions import Array

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 64_000_000  # 192 MB when decoded; cameras stay below, bombs do not
MOST_BYTES = 2**29
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # not all that PIL knows: for EPS it would start Ghostscript
WAYS = ("squash", "crop", "pad")
WHITE = (255, 255, 255)
SHOWN = 10  # bad pictures that a message names
AT_ONCE = 32  # pictures that a thread takes at a time
TOLD = 5.0  # seconds between two words on how far a long work is
ORIENTATION = 0x0112  # the EXIF tag: how the camera was held
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # grey of 16 bits, which PIL would clip at 255

Result = TypeVar("Result")

_door, _inside, _outside = threading.Lock(), 0, ExitStack()  # for `strictly`


class BadPicture(BadData):
    """A picture that is missing, cut short, damaged, too large, or no picture at all."""


class NoRange(ValueError):
    """Pixels are floating-point numbers, and nobody knows which of them is white."""


@dataclass(frozen=True)
class Picture:
    """image: RGB and upright; a JPEG's may be smaller than width x height, the upright size in pixels that its file tells.
    mode: PIL's word for how the file keeps its pixels, such as L, P or CMYK."""

    image: Image.Image
    width: int
    height: int
    mode: str


def path_of(root: Path, name: str) -> Path:
    """The file of a name in the competition's tables. Raises BadPicture for a name that leads out of the folder."""
    place = PurePosixPath(name)
    if not place.parts or place.is_absolute() or ".." in place.parts or "\0" in name:
        raise BadPicture(f"{name!r} is no picture's name: it must be a path below {root}. Mend the table that names it.")
    return root / place


def read(path: Path, least: int = 0) -> Image.Image:
    """A picture as RGB, upright as its EXIF says, the first frame of several, what is transparent over white.

    least: if not 0, a JPEG may be decoded at a half, a quarter or an eighth of its size, as long as neither side gets smaller
    than this; that is several times faster. Raises BadPicture.
    """
    return decode(content_of(path), path, least).image


def facts_of(path: Path) -> os.stat_result:
    """Size and time of a picture's file. Raises BadPicture where there is none, or no ordinary file, or one of over MOST_BYTES."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise BadPicture(f"{path} is missing. Was the archive unpacked completely, and is this the right folder?") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(facts.st_mode):
        raise BadPicture(f"{path} is no file. Name the picture's own file.")
    if facts.st_size > MOST_BYTES:
        raise BadPicture(f"{path} has {facts.st_size:,} bytes, more than the {MOST_BYTES:,} allowed. Make the picture smaller.")
    return facts


def content_of(path: Path) -> bytes:
    """The bytes of a picture's file. Raises BadPicture as `facts_of`."""
    facts_of(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadPicture:
    return BadPicture(f"{path} cannot be read: {error.strerror or error}. Check the disk and the file's rights.")


def refuse_bad(reasons: Sequence[str], asked: int) -> None:
    """Raise one BadPicture for all bad pictures of so many, with the reasons of the first; nothing if there are none."""
    if reasons:
        more = f"\nand {len(reasons) - SHOWN:,} more" if len(reasons) > SHOWN else ""
        raise BadPicture(f"{len(reasons):,} of {asked:,} pictures cannot be used:\n" + "\n".join(reasons[:SHOWN]) + more)


def decode(content: bytes, path: Path, least: int = 0) -> Picture:
    """`read` from the bytes of a file that was read already; path: for the message of BadPicture."""
    from PIL import Image
    from PIL.Image import Transpose

    try:
        with strictly(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height, mode = *image.size, image.mode
            if width * height > MOST_PIXELS:
                raise Image.DecompressionBombError
            if least:
                image.draft(None, (least, least))
            image.load()
            turn = _turn(image)
            plain = _rgb(image)
    except Image.DecompressionBombError:
        raise BadPicture(
            f"{path} has more than {MOST_PIXELS:,} pixels and was not decoded. Make the picture smaller, or leave it out."
        ) from None
    except Exception as error:  # whatever a decoder raises on bytes that nobody foresaw
        raise BadPicture(f"{path} {_reason(content, error)}, or leave it out.") from error
    if turn is None:
        return Picture(plain, width, height, mode)
    lying = turn in (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
    return Picture(plain.transpose(turn), *((height, width) if lying else (width, height)), mode)


def fitted(image: Image.Image, size: int, how: str) -> Array:
    """(size, size, 3) uint8 of an RGB picture, bicubic and antialiased as PIL does it; a side of that size stays as it is.

    how: "squash" both sides; "crop" the middle square, the short side becoming `size`; "pad" with white borders, the long side
    becoming `size`. Raises UnknownName for another.
    """
    from PIL import Image

    if how not in WAYS:
        raise UnknownName("way of fitting a picture", how, WAYS)
    width, height = image.size
    if how == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        square = (left, top, left + short, top + short)
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=square))
    if how == "squash" or width == height:
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    long = max(width, height)
    inner = image.resize((max(1, round(width * size / long)), max(1, round(height * size / long))), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (size, size), WHITE)
    canvas.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return np.asarray(canvas)


def in_threads(
    work: Callable[[str], Result], names: Sequence[str], threads: int, say: Callable[[str], None], doing: str
) -> Iterator[Result]:
    """work(name) of every picture, in the order of names. Threads do, since decoding leaves other threads alone.

    No more than a few pictures a thread are in memory. say: gets "`doing`: 1,000 of 18,353" every few seconds, so nothing of
    fast work.
    """
    told, done = time.monotonic(), 0
    flying: deque[Future[list[Result]]] = deque()
    parts = (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))
    with strictly(), ThreadPoolExecutor(threads) as pool:
        try:
            while flying or done < len(names):
                flying.extend(pool.submit(_all, work, part) for part in islice(parts, 2 * threads - len(flying)))
                results = flying.popleft().result()
                yield from results
                done += len(results)
                if time.monotonic() - told > TOLD:
                    told = time.monotonic()
                    say(f"{doing}: {done:,} of {len(names):,}")
        finally:
            pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C, none that has not begun


def _all(work: Callable[[str], Result], names: Sequence[str]) -> list[Result]:
    return [work(name) for name in names]


@contextmanager
def strictly() -> Iterator[None]:
    """PIL takes no picture that is cut short, which other libraries tell it to, and shows no warnings: of odd metadata nothing
    depends, and what is too large is refused.

    Both are settings of the whole process, so threads count themselves: the first sets them, the last puts them back.
    """
    from PIL import ImageFile

    global _inside
    with _door:
        if not _inside:
            _outside.enter_context(warnings.catch_warnings())
            _outside.callback(setattr, ImageFile, "LOAD_TRUNCATED_IMAGES", ImageFile.LOAD_TRUNCATED_IMAGES)
            warnings.filterwarnings("ignore", module=r"PIL\b")
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _inside += 1
    try:
        yield
    finally:
        with _door:
            _inside -= 1
            if not _inside:
                _outside.close()


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to set a loaded picture upright. EXIF that cannot be parsed says nothing of the pixels, so it turns nothing."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    with suppress(Exception):
        return turns.get(image.getexif().get(ORIENTATION, 1))
    return None


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode in DEEP:
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise NoRange
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*WHITE, 255)), image).convert("RGB")
    return image.convert("RGB")


def _reason(content: bytes, error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, NoRange):
        return "has floating-point pixels of unknown range. Save it with whole numbers"
    again = "Download or unpack it again"
    if not content:
        return f"is empty. {again}"
    if isinstance(error, UnidentifiedImageError):
        return f"is no picture of a known format ({', '.join(FORMATS)}). {again}"
    return f"is damaged or cut short: {error or type(error).__name__}. {again}"
