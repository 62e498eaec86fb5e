"""Files that would run code, and pictures that are none, at every door that takes files: a canary is never touched."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.errors import NOTHING_USABLE, WRONG_COMMAND
from pipeline.models import checkpoints
from pipeline.run import open_run
from pipeline.store import MANIFEST, Store, manifest
from tests.conftest import Said
from tests.reliability.small import opened
from tests.reliability.spoiling import spoilt, submissions

Podium = Callable[..., Said]
NET = 'Model("image", {**NET, "net": "test_efficientnet", "epochs": 1, "weights": WEIGHTS})'


class Hostile:
    """Unpickled by whoever runs what a pickle says, it touches the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def pickles(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Files with such an object, in every form that people hand weights and arrays around in."""
    one = Hostile(canary)
    yield "pickle", pickle.dumps({"conv_stem.weight": one})
    yield "pickle of the oldest kind", pickle.dumps(one, protocol=0)
    for new in (True, False):
        buffer = io.BytesIO()
        torch.save({"state_dict": {"conv_stem.weight": one}}, buffer, _use_new_zipfile_serialization=new)
        yield f"torch, {'new' if new else 'old'}", buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.array([one], dtype=object))
    yield "npy of objects", buffer.getvalue()
    yield "a call of eval", b'cbuiltins\neval\n(S\'__import__("os").system("touch %s")\'\ntR.' % str(canary).encode()
    buffer = io.BytesIO()
    np.savez(buffer, values=np.array([one], dtype=object))
    yield "npz of objects", buffer.getvalue()


def test_an_object_that_runs_when_it_is_read_does_run_where_nobody_prevents_it(tmp_path: Path) -> None:
    """The canary sings, or the tests below would show nothing."""
    pickle.loads(pickle.dumps(Hostile(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


def test_no_file_of_weights_is_run(podium: Podium, tmp_path: Path, proof: Any) -> None:
    canary, tried = tmp_path / "canary", 0
    with opened("images", tmp_path) as one:
        for name, forms in (("weights.pth", 7), ("weights.safetensors", 1)):
            for _, content in list(pickles(canary))[:forms]:
                (tmp_path / name).write_bytes(content)
                more = NET.replace("WEIGHTS", repr(str(tmp_path / name)))
                with spoilt(one, f'\n\ndef models():\n    return {{"net": {more}}}\n'):
                    said = podium(*one.words("train"))
                assert said.code in (NOTHING_USABLE, WRONG_COMMAND)
                assert "cannot be read as weights" in said.out + said.err
                assert not canary.exists()
                tried += 1
    proof(18, "weights that are code", {"put in": tried, "refused": tried, "run": 0}, kind="images")


def planted(folder: Path, name: str, content: bytes) -> None:
    """In place of a file of a result, with a manifest that agrees."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    assert name in files
    (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(manifest({**files, name: content}))


@pytest.mark.parametrize("kind", ["tables", "images", "boxes"])
def test_nothing_in_the_run_folder_is_run_though_its_sums_are_right(
    kind: str, podium: Podium, tmp_path: Path, proof: Any
) -> None:
    canary, tried = tmp_path / "canary", 0
    with opened(kind, tmp_path) as one:
        assert podium(*one.words("run", one.quick[0], runs="whole")).code == 0
        wanted = {"units/*/*/oof.npz": 2, "units/*/*/test.npz": 1, "ensembles/*/oof.npz": 1, "folds-*/folds.npz": 1}
        if kind != "tables":
            wanted |= {"pictures/twins-*/twins.npz": 1, "pictures/*/index.npz": 1}
        for pattern, forms in wanted.items():
            for _, content in list(pickles(canary))[-forms:]:
                shutil.rmtree("runs", ignore_errors=True)
                shutil.copytree("whole", "runs")
                file = next(Path("runs", one.name).glob(pattern))
                planted(file.parent, file.name, content)
                said = podium(*one.words("run", one.quick[0]))
                assert not canary.exists()
                assert "Traceback" not in said.err
                assert said.code == 0 or f"{file} is none that podium wrote" in said.err
                tried += 1
    proof(18, "objects in the run folder", {"put in": tried, "run": 0, "tracebacks": 0}, kind=kind)


def test_no_checkpoint_is_run(tmp_path: Path, proof: Any) -> None:
    canary, forms = tmp_path / "canary", list(pickles(tmp_path / "canary"))
    for number, (_, content) in enumerate(forms):
        Store(tmp_path).write("key", f"epoch-{number:05}", files={checkpoints.FILE: content})
    said: list[str] = []
    assert checkpoints.load(tmp_path, "key", said.append) is None
    assert len(said) == len(forms)
    assert not canary.exists()
    proof(18, "checkpoints that are code", {"put in": len(forms), "passed over": len(forms), "run": 0}, kind="images")


def test_no_file_that_a_person_names_is_run(podium: Podium, tmp_path: Path, proof: Any) -> None:
    """As folds, as a submission to check, as the competition's own data."""
    canary, tried = tmp_path / "canary", 0
    with opened("tables", tmp_path) as one:
        for what, content in list(pickles(canary))[1::2]:
            (tmp_path / "file.npz").write_bytes(content)
            checked = podium("submit", one.name, "--data", one.data, "--check", tmp_path / "file.npz")
            dealt = podium(*one.words("train"), "--folds", tmp_path / "file.npz")
            whole = (one.data / "train.csv").read_bytes()
            (one.data / "train.csv").write_bytes(content)
            loaded = podium(*one.words("data"))
            (one.data / "train.csv").write_bytes(whole)
            for said in (checked, dealt, loaded):
                assert (said.code, "Traceback" in said.err) == (WRONG_COMMAND, False), what
                tried += 1
    assert not canary.exists()
    proof(18, "files that a person names", {"put in": tried, "refused": tried, "run": 0}, kind="tables")


# -------------------------------------------------------------------------------------------------------------------- pictures


def scene(side: int = 32) -> Image.Image:
    down, across = np.mgrid[:side, :side] * 255 // side
    return Image.fromarray(np.stack([across, down, 255 - across], axis=-1).astype(np.uint8))


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it is so large, with other chunks."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        *more,
        (b"IDAT", zlib.compress(bytes(99))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def bad(canary: Path) -> dict[str, bytes]:
    """What is no picture, or one that would fill the memory."""
    whole = saved(scene(), "JPEG")
    script = f"<script>require('fs').writeFileSync('{canary}', '')</script>".encode()
    return {
        "empty": b"",
        "HTML": b"<!DOCTYPE html><html>" + script + b"</html>",
        "SVG": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&x;'
        + script
        + b"</svg>",
        "EPS": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({canary}) (w) file closefile showpage\n".encode(),
        "PDF": b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript>>>>endobj\n",
        **dict(pickles(canary)),
        "cut short": whole[: len(whole) // 2],
        "cut in its pixels": saved(scene(), "PNG")[:-40],
        "its header alone": whole[:20],
        "a bomb of 3,600,000,000 pixels": png(60_000, 60_000),
        "a bomb of 81,000,000 pixels": png(9_000, 9_000),
        "a bomb in its text": png(32, 32, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**23), 9))),
        "a bomb in its profile": png(32, 32, (b"iCCP", b"k\0\0" + zlib.compress(bytes(2**23), 9))),
        "a BMP of a million rows": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 10**6, 10**6, 1, 24, 0, 0, 0, 0, 0, 0),
        "floating-point pixels": saved(Image.new("F", (8, 8)), "TIFF"),
        "animated, cut in its first frame": saved(scene(), "GIF")[:-100],
        "an icon": saved(scene(), "ICO"),
    }


def good() -> dict[str, bytes]:
    """Odd, but pictures."""
    grey, frames = scene().convert("L"), [scene(), Image.new("RGB", (32, 32), "red")]
    made = {
        "PNG": saved(scene(), "PNG"),
        "animated GIF": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated WebP": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "animated PNG": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "TIFF of pages": saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "16 bits": saved(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG"),
        "CMYK": saved(scene().convert("CMYK"), "JPEG"),
        "one bit": saved(scene().convert("1"), "PNG"),
        "palette": saved(scene().quantize(), "PNG"),
        "transparent": saved(scene().convert("RGBA"), "PNG"),
        "one pixel": saved(Image.new("RGB", (1, 1)), "PNG"),
        "EXIF of noise": saved(scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        "a page behind the picture": saved(scene(), "PNG") + b"<script>alert(1)</script>",
    }
    for orientation in (*range(10), 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        made[f"EXIF orientation {orientation}"] = saved(scene(), "JPEG", exif=exif)
    return made


def test_what_is_no_picture_is_refused_by_its_name_and_odd_ones_are_read(podium: Podium, tmp_path: Path, proof: Any) -> None:
    canary = tmp_path / "canary"
    with opened("images", tmp_path) as one:
        names = pd.read_csv(one.data / "train.csv")["image"].tolist()
        whole = {name: (one.data / name).read_bytes() for name in names}
        refused, cases = 0, list(bad(canary).items())
        for first in range(0, len(cases), 10):  # so many a message names
            some = dict(zip(names, cases[first : first + 10], strict=False))
            for name, (_, content) in some.items():
                (one.data / name).write_bytes(content)
            said = podium(*one.words("data", runs=f"runs-{first}"))
            assert (said.code, "Traceback" in said.err) == (WRONG_COMMAND, False)
            assert [what for name, (what, _) in some.items() if name not in said.err] == []
            refused += len(some)
            for name in some:
                (one.data / name).write_bytes(whole[name])
        odd = good()
        for name, content in zip(names, odd.values(), strict=False):
            (one.data / name).write_bytes(content)
        assert len(odd) <= len(names)
        said = podium(*one.words("data"))
        assert (said.code, said.err) == (0, "")
        gallery = open_run(one.name, one.data, "runs").gallery
        assert gallery is not None
        assert gallery.pixels(16).shape == (len(gallery.index), 16, 16, 3)
        assert not canary.exists()
    proof(
        18,
        "pictures",
        {"hostile": len(cases), "refused by name": refused, "odd": len(odd), "read": len(odd), "run": 0},
        kind="images",
    )


def test_a_name_that_leads_to_no_picture_of_the_folder_is_refused(podium: Podium, tmp_path: Path, proof: Any) -> None:
    names = ("../canary.png", "/etc/passwd", "images/../../canary.png", "pipe.png", "folder.png", "gone.png")
    with opened("images", tmp_path) as one:
        (tmp_path / "canary.png").write_bytes(saved(scene(), "PNG"))
        os.mkfifo(one.data / "pipe.png")
        (one.data / "folder.png").mkdir()
        whole = (one.data / "train.csv").read_text()
        for name in names:
            (one.data / "train.csv").write_text(whole.replace("000.png", name))
            said = podium(*one.words("data"))
            assert (said.code, "Traceback" in said.err) == (WRONG_COMMAND, False)
            assert name in said.err
    proof(18, "names of pictures", {"that lead elsewhere": len(names), "refused": len(names)}, kind="images")


def test_annotations_that_would_run_or_fill_the_memory_are_refused(podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened("boxes", tmp_path) as one:
        told = json.loads((one.data / "train.json").read_text())
        deep = "[" * 100_000
        wide = json.dumps({**told, "images": [{**told["images"][0], "width": 10**9}, *told["images"][1:]]})
        digits = json.dumps(told).replace(str(told["annotations"][0]["image_id"]), "9" * 10_000, 1)
        out = json.dumps({**told, "images": [{**told["images"][0], "file_name": "../../etc/passwd"}, *told["images"][1:]]})
        contents = [content for _, content in list(pickles(tmp_path / "canary"))[::3]] + [
            text.encode() for text in (deep, wide, digits, out)
        ]
        for content in contents:
            (one.data / "train.json").write_bytes(content)
            said = podium(*one.words("data"))
            assert (said.code, "Traceback" in said.err) == (WRONG_COMMAND, False)
    assert not (tmp_path / "canary").exists()
    assert not submissions("runs")
    proof(18, "annotations", {"hostile": len(contents), "refused": len(contents), "run": 0}, kind="boxes")
