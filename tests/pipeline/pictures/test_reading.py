"""Any file is a picture, RGB and upright, or is refused by its name."""

from __future__ import annotations

import io
import os
import pickle
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pipeline.errors import UnknownName
from pipeline.pictures import reading
from pipeline.pictures.reading import BadPicture, decode, fitted, in_threads, path_of, read, strictly


def scene(width: int = 40, height: int = 24) -> Image.Image:
    """Bright above left, dark below right, redder to the right: every turn of it is another picture."""
    y, x = np.mgrid[:height, :width]
    grey = 220 - 100 * x / width - 80 * y / height
    return Image.fromarray(np.stack([grey + 30 * x / width, grey, grey], axis=-1).astype(np.uint8))


def encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def far(a: Image.Image, b: Image.Image) -> float:
    assert a.size == b.size
    return float(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).mean())


JPEG = encoded(scene(), quality=95)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_every_format_reads_as_the_same_picture(tmp_path: Path, form: str) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(scene(), form))  # whatever its name says
    image = read(tmp_path / "a.jpg")
    assert image.mode == "RGB"
    assert far(image, scene()) < 4


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        (lambda: encoded(scene().convert("L")), "L"),
        (lambda: encoded(scene().convert("CMYK"), quality=95), "CMYK"),
        (lambda: encoded(Image.fromarray(np.asarray(scene().convert("L")).astype(np.uint16) * 257), "PNG"), "I;16"),
        (lambda: encoded(Image.fromarray(np.asarray(scene().convert("L")).astype(np.int32) * 257), "TIFF"), "I"),
        (lambda: encoded(scene().quantize(), "PNG"), "P"),
        (lambda: encoded(scene().convert("LA"), "PNG"), "LA"),
    ],
    ids=["grey", "CMYK", "16 bit", "32 bit", "palette", "grey with alpha"],
)
def test_every_mode_reads_as_rgb(make: Callable[[], bytes], mode: str) -> None:
    picture = decode(make(), Path("a"))
    assert (picture.mode, picture.image.mode, picture.width, picture.height) == (mode, "RGB", 40, 24)
    assert far(picture.image, scene() if mode in ("CMYK", "P") else scene().convert("L").convert("RGB")) < 8


def test_what_is_transparent_lies_over_white() -> None:
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    nothing = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    palette = Image.new("P", (4, 4), 0)
    assert read_pixel(encoded(half, "PNG")) == (255, 127, 127)
    assert read_pixel(encoded(nothing, "PNG")) == (255, 255, 255)
    assert read_pixel(encoded(palette, "PNG", transparency=bytes([0]))) == (255, 255, 255)
    assert read_pixel(encoded(palette, "GIF", transparency=0)) == (255, 255, 255)


def read_pixel(content: bytes) -> object:
    return decode(content, Path("a")).image.getpixel((0, 0))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_otherwise_gives_an_upright_picture(orientation: int, form: str) -> None:
    T = Image.Transpose
    lay = [None, T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_90, T.TRANSVERSE, T.ROTATE_270]
    turn = lay[orientation - 1]
    exif = Image.Exif()
    exif[reading.ORIENTATION] = orientation
    picture = decode(encoded(scene() if turn is None else scene().transpose(turn), form, exif=exif), Path("a"))
    assert (picture.width, picture.height) == (40, 24)
    assert far(picture.image, scene()) < 4


def test_exif_that_cannot_be_read_turns_nothing() -> None:
    assert far(decode(encoded(scene(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), Path("a")).image, scene()) < 4
    assert far(decode(encoded(scene(), exif=b"Exif\0\0nonsense"), Path("a")).image, scene()) < 4


def test_of_several_frames_the_first_is_read() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if form == "WEBP" else {}
        assert read_pixel(encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)) == (255, 0, 0)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"is empty"),
        (b"image,label\n1.jpg,acer\n", r"is no picture of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"is no picture of a known format"),
        (JPEG[:-200], r"is damaged or cut short"),
        (JPEG[:20], r"(damaged|no picture)"),
        (encoded(scene(), "PNG")[:-40], r"is damaged or cut short"),
        (encoded(scene(), "GIF")[:-100], r"is damaged or cut short"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), r"floating-point"),
        (bomb(9000, 9000), r"more than 64,000,000 pixels"),
        (bomb(12_000, 9000), r"more than 64,000,000 pixels"),
        (bomb(60_000, 60_000), r"more than 64,000,000 pixels"),
    ],
    ids=["empty", "text", "EPS", "cut JPEG", "a JPEG's start", "cut PNG", "cut GIF", "float", "bomb", "warned bomb", "huge bomb"],
)
def test_what_is_no_whole_picture_is_refused_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "leaf.jpg").write_bytes(content)
    with pytest.raises(BadPicture, match=f"leaf.jpg.*{reason}"):
        read(tmp_path / "leaf.jpg")


def test_a_picture_cut_at_any_length_is_refused_also_where_others_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for length in range(0, len(JPEG) - 2, 7):
        with pytest.raises(BadPicture):
            decode(JPEG[:length], Path("a"))
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "large.jpg").write_bytes(JPEG)
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    for name, reason in {"": "no file", "gone.jpg": "missing", "pipe.jpg": "no file", "large.jpg": "more than the 100"}.items():
        with pytest.raises(BadPicture, match=reason):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["", ".", "../x.jpg", "images/../../x.jpg", "/etc/passwd", "a\0.jpg"])
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadPicture, match="is no picture's name"):
        path_of(tmp_path, name)


def test_a_name_is_a_path_below_the_folder(tmp_path: Path) -> None:
    assert path_of(tmp_path, "images/..1.jpg") == tmp_path / "images" / "..1.jpg"


@given(
    st.integers(0, len(JPEG) - 1),
    st.binary(min_size=1, max_size=8),
    st.sampled_from([JPEG, encoded(scene(), "TIFF"), bomb(9, 9)]),
)
def test_whatever_stands_in_a_file_gives_a_picture_or_is_refused(place: int, noise: bytes, content: bytes) -> None:
    place %= len(content)
    changed = content[:place] + noise + content[place + len(noise) :]
    with suppress(BadPicture):
        assert decode(changed, Path("leaf.jpg")).image.mode == "RGB"


def test_the_error_travels_between_processes() -> None:
    with pytest.raises(BadPicture, match="is empty") as caught:
        decode(b"", Path("leaf.jpg"))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_large_jpeg_may_be_decoded_smaller_and_tells_its_own_size() -> None:
    content = encoded(scene(1000, 600), quality=95)
    picture = decode(content, Path("a"), least=100)
    assert (picture.width, picture.height) == (1000, 600)
    assert picture.image.size == (250, 150)
    small, whole = (fitted(decode(content, Path("a"), least).image, 64, "squash").astype(int) for least in (128, 0))
    assert np.abs(small - whole).mean() < 1


def test_fitting_squashes_cuts_the_middle_or_adds_white() -> None:
    stripes = Image.fromarray(
        np.repeat(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8), 30, axis=0).repeat(30, axis=1)
    )
    assert stripes.size == (90, 30)
    for how, seen in {"squash": [0, 1, 2], "crop": [1, 1, 1], "pad": [0, 1, 2]}.items():
        pixels = fitted(stripes, 30, how)
        assert (pixels.shape, pixels.dtype) == ((30, 30, 3), np.uint8)
        assert pixels[15, [4, 15, 25]].argmax(axis=-1).tolist() == seen
        assert (pixels[2] == 255).all() == (how == "pad")
    with pytest.raises(UnknownName, match=r"Did you mean crop"):
        fitted(stripes, 30, "crops")


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.sampled_from(reading.WAYS))
def test_any_picture_fits_any_size(width: int, height: int, size: int, how: str) -> None:
    image = Image.new("RGB", (width, height), (10, 20, 30))
    pixels = fitted(image, size, how)
    assert pixels.shape == (size, size, 3)
    assert (pixels == (10, 20, 30)).all(axis=-1).any()
    if (width, height) == (size, size):
        assert (pixels == np.asarray(image)).all()


def test_threads_keep_the_order_and_say_how_far_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    names = [str(i) for i in range(100)]
    assert list(in_threads(int, names, 3, said.append, "Reading")) == list(range(100))
    assert said == []
    monkeypatch.setattr(reading, "TOLD", -1.0)
    assert list(in_threads(int, names, 3, said.append, "Reading")) == list(range(100))
    assert said[0] == "Reading: 32 of 100"
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_threads(int, ["1", "x"], 2, said.append, "Reading"))


def test_what_is_set_for_all_threads_is_put_back_by_the_last() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with strictly():
            inside.set()
            leave.wait()

    with strictly():
        thread = threading.Thread(target=stay)
        thread.start()
        inside.wait()
    assert warnings.filters != before
    leave.set()
    thread.join()
    assert warnings.filters == before
