"""The families "libreyolo" and "ultralytics": detectors of other libraries, trained in a process of their own (`outside_worker`).

Inside, pictures are numbered from 1 and classes from 0; ids and names go no further than this file, so none can be mangled.
A training that was killed goes on after its last whole epoch, as the library resumes. Of libreyolo, YOLOX and YOLOv9 come to the
same bits as without the kill; transformers come close. ultralytics keeps only the average of its weights, in half precision, so
there the result is another one of the same kind. Two trainings that nobody kills are equal on one kind of CPU.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline import identity
from pipeline.errors import BadPredictions, BadRecipe, UnknownName
from pipeline.models import outside_process, refuse_unknown
from pipeline.models.place import Place
from pipeline.pictures.reading import ORIENTATION, path_of, read
from pipeline.predictions import Array, Boxes, Truth, as_ids, places, refuse_duplicates
from pipeline.resample.often import drawn
from pipeline.store import Damaged, refusing, to_json, unpack

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler

LEAST, MOST = 0.001, 100  # score of a box, and boxes of a picture, that are worth keeping
STRIDE = 32  # of the coarsest map of the nets
NETS = {"libreyolo": "yolox-s", "ultralytics": "yolov5su"}
DEVICES = ("auto", "cpu", "cuda")
PLAIN = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp"}  # formats that both libraries read as they are
JPEG_END = b"\xff\xd9"
BEGUN, DONE = "begun.txt", "done.txt"  # the key of what is trained in the folder
DATA, BOXES = "data.yaml", "boxes.npz"


@dataclass
class Outside:
    """net: one of the library's, such as "yolox-s", "dfine-n", "rtdetrv2-r18" (libreyolo), "yolov5nu", "yolo11s", "rtdetr-l" (ultralytics).

    weights: None to start from chance, "hub" for the library's own download, or a file's path. size: of the square pictures, a multiple
    of 32. rate: of the library's own choice if None, as is mosaic, the share of pictures that are put together of four; close_mosaic:
    epochs at the end without, a tenth if None. What
    is resampled is the same pictures in all epochs. device: "auto", "cpu" or "cuda".
    """

    family: str
    classes: int
    seed: int
    place: Place
    net: str
    weights: str | None = None
    size: int = 640
    epochs: int = 40
    batch: int = 16
    rate: float | None = None
    mosaic: float | None = None
    close_mosaic: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("epochs", self.epochs), ("batch", self.batch)):
            if not isinstance(value, int) or value < 1:
                raise BadRecipe(f"{name} is {value!r}; give a whole number of 1 or more.")
        if self.size % STRIDE:
            raise BadRecipe(f"size is {self.size}; give a multiple of {STRIDE}, such as {-(-self.size // STRIDE) * STRIDE}.")
        if self.close_mosaic is None:
            self.close_mosaic = -(-self.epochs // 10)
        if not 0 <= self.close_mosaic <= self.epochs or not 0 <= (self.mosaic or 0) <= 1:
            raise BadRecipe(
                f"close_mosaic is {self.close_mosaic} of {self.epochs} epochs, mosaic {self.mosaic}; "
                "give 0 to epochs for the first, and a share from 0 to 1."
            )
        if self.rate is not None and not 0 < self.rate < np.inf:
            raise BadRecipe(f"rate is {self.rate}; give a number above 0, or None for the library's own.")
        if self.device not in DEVICES:
            raise UnknownName("device", str(self.device), DEVICES)
        known = outside_process.nets(self.family)
        if self.net not in known:
            raise UnknownName(f"net of {self.family}", str(self.net), known)
        outside_process.refuse_missing(self.family, self.weights)

    def fit(self, X: pd.DataFrame, y: Truth, sampler: Sampler | None = None) -> Outside:
        """X: the columns place.id and place.column. y: the boxes of these images. Raises BadRecipe, BadWeights, BadPicture, StoreError."""
        ids, sizes = as_ids(X[self.place.id].to_numpy()), self._sizes(X)
        self.categories = y.categories
        if len(y.categories) != self.classes:
            raise BadRecipe(f"The labels have {len(y.categories)} categories where {self.classes} classes are to be learned.")
        row, labels = numbered(y, ids, sizes)
        if not len(labels):
            raise BadRecipe(f"None of the {len(ids)} pictures to learn from has a box with an area inside it. Check the labels.")
        presence = np.zeros((len(ids), self.classes), dtype=bool)
        presence[row, labels[:, 0].astype(np.int64)] = True
        often = sampler.often(presence) if sampler else np.ones(len(ids))
        times = np.bincount(drawn(often, np.random.default_rng(self.seed)), minlength=len(ids))
        copies = np.maximum(1, times)  # what is not in the list is never seen
        if sampler:
            sampler.after = copies @ presence
        key = self._key(X, row, labels, copies)
        if self._kept(DONE) != key:
            if self._kept(BEGUN) != key:
                shutil.rmtree(self.folder, ignore_errors=True)
            rows = self._write(X, row, labels, copies, key)
            hub = self.weights == "hub"
            self._run("train", weights=self._source(), hub=hub, data=str(self.folder / DATA), rows=rows)
            with refusing(self.folder):
                (self.folder / DONE).write_bytes(key)
        return self

    def predict(self, X: pd.DataFrame) -> Boxes:
        """At most 100 boxes an image, of a score from 0.001 up, inside the original picture and in its pixels."""
        ids, sizes = as_ids(X[self.place.id].to_numpy()), self._sizes(X)
        with refusing(self.folder):
            (self.folder / BOXES).unlink(missing_ok=True)
        files = self._pictures(X, "asked")
        pictures = [
            {"number": number, "file": str(file), "width": int(width), "height": int(height)}
            for number, (file, (width, height)) in enumerate(zip(files, sizes, strict=True), 1)
        ]
        self._run("predict", weights=str(self.folder / "trained.pt"), hub=False, pictures=pictures)
        with refusing(self.folder):
            return told((self.folder / BOXES).read_bytes(), ids, sizes, self.categories)

    @property
    def folder(self) -> Path:
        return self.place.scratch.resolve() / self.family

    def _run(self, do: str, **more: Any) -> None:
        job = {name: getattr(self, name) for name in OWN} | {"do": do, "library": self.family, "classes": self.classes}
        outside_process.run({**job, "seed": self.seed, "threads": self.place.threads, **more}, self.folder, self.place.say)

    def _source(self) -> str | None:
        """The file of weights to start from, or the folder for those that are downloaded, which all units share."""
        if self.weights != "hub":
            return None if self.weights is None else str(Path(self.weights).resolve())
        kept = self.place.kept.path("hub", self.family).resolve()
        with refusing(kept):
            kept.mkdir(parents=True, exist_ok=True)
        return str(kept)

    def _sizes(self, X: pd.DataFrame) -> Array:
        """(n, 2) width and height in pixels."""
        index, rows = self.place.gallery.index, self.place.gallery.rows(X[self.place.column])
        return np.stack([index.width[rows], index.height[rows]], axis=1)

    def _key(self, X: pd.DataFrame, row: Array, labels: Array, copies: Array) -> bytes:
        """Of all that decides the training: a checkpoint of anything else is none of ours."""
        weights = Path(self.weights) if self.weights not in (None, "hub") else None
        return identity.key(
            {
                "params": {name: getattr(self, name) for name in OWN},
                "seed": self.seed,
                "pictures": self.place.gallery.index.sha256[self.place.gallery.rows(X[self.place.column])],
                "labels": [row, labels, copies],
                "weights": identity.file_hash(weights) if weights else None,
                "versions": identity.versions([self.family, "torch", "torchvision"]),
            }
        ).encode()

    def _kept(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return b""

    def _write(self, X: pd.DataFrame, row: Array, labels: Array, copies: Array, key: bytes) -> int:
        """The pictures and labels in YOLO's layout: images/1.jpg, labels/1.txt and a list of files; how many it has."""
        files = self._pictures(X, "images")
        with refusing(self.folder):
            (self.folder / "labels").mkdir(exist_ok=True)
            for number, file in enumerate(files):
                lines = (f"{int(label[0])} {' '.join(map(repr, label[1:].tolist()))}\n" for label in labels[row == number])
                (self.folder / "labels" / f"{file.stem}.txt").write_text("".join(lines), encoding="utf-8")
            listed = [str(file) for file, times in zip(files, copies.tolist(), strict=True) for _ in range(times)]
            (self.folder / "train.txt").write_text("\n".join(listed), encoding="utf-8")
            (self.folder / "val.txt").write_text(listed[0], encoding="utf-8")  # ultralytics looks at one whatever it is told
            names = dict(enumerate(self.place.labels if len(self.place.labels) == self.classes else self.categories.tolist()))
            data = {"path": str(self.folder), "train": "train.txt", "val": "val.txt", "nc": self.classes, "names": names}
            (self.folder / DATA).write_bytes(to_json(data))  # JSON is YAML too
            (self.folder / BEGUN).write_bytes(key)
        return len(listed)

    def _pictures(self, X: pd.DataFrame, name: str) -> list[Path]:
        """Links to the pictures, numbered from 1; where a library could read one differently, it is written anew as PNG."""
        folder, root = self.folder / name, self.place.gallery.root
        with refusing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            files = []
            for number, picture in enumerate(X[self.place.column], 1):
                original = path_of(root, str(picture)).resolve()
                ending = plain(original)
                files.append(folder / f"{number}{ending or '.png'}")
                if ending:
                    files[-1].symlink_to(original)
                else:
                    read(original).save(files[-1], compress_level=1)
        return files


OWN = {field.name for field in dataclasses.fields(Outside)} - {"family", "classes", "seed", "place"}


def build(family: str, classes: int, seed: int, params: dict[str, Any], place: Place) -> Outside:
    """Raises UnknownName for a parameter or a net that is not known, BadRecipe for a number that cannot be, or a library that is absent."""
    refuse_unknown(family, params, OWN)
    return Outside(family, classes, seed, place, **{"net": NETS[family], **params})


def prepare(params: dict[str, Any], place: Place) -> None:
    """Units share nothing but the pictures as they are."""


# Into the library's form and back


def numbered(y: Truth, ids: Array, sizes: Array) -> tuple[Array, Array]:
    """Labels of these images as YOLO has them: row (k,) places in ids, and (k, 5) class from 0, then the box's middle, width and
    height as shares of the picture. Boxes are cut off at its edges, what is left without area is no label, nor are boxes around
    crowds and those that stand twice. Raises BadRecipe for an image that was never labelled.
    """
    absent = np.setdiff1d(ids, y.images)
    if len(absent):
        raise BadRecipe(f"{len(absent)} pictures have no labels, not even that nothing is in them, first {absent[0]}.")
    refuse_duplicates(ids, "Pictures to learn from")
    ours = np.isin(y.image, ids) & ~np.asarray(y.crowd, dtype=bool)
    row, category, box = places(ids, y.image[ours]), places(y.categories, y.category[ours]), y.box[ours]
    if not ((ids[row] == y.image[ours]).all() and (y.categories[category] == y.category[ours]).all()):
        raise BadPredictions("Ids do not come back from their numbers. This is an error of podium; please report it.")
    size = sizes[row].astype(np.float64)
    low, high = np.clip(box[:, :2], 0, size), np.clip(box[:, :2] + box[:, 2:], 0, size)
    labels = np.hstack([category[:, None], (low + high) / 2 / size, (high - low) / size])
    there = (high > low).all(axis=1)
    once = np.unique(np.hstack([row[there, None], labels[there]]), axis=0)
    return once[:, 0].astype(np.int64), once[:, 1:]


def plain(path: Path) -> str:
    """The ending under which both libraries read this picture as we do; empty if there is none.

    Not so are those that are turned by their EXIF, transparent, or of 16 bits. And a JPEG whose end is not as it should be:
    ultralytics would mend it, in place, through the link.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            fits = image.mode in ("RGB", "L") and "transparency" not in image.info and image.getexif().get(ORIENTATION, 1) == 1
            ending = PLAIN.get(image.format or "", "") if fits else ""
            file.seek(-2, os.SEEK_END)
            return "" if ending == ".jpg" and file.read() != JPEG_END else ending
    except Exception:  # whatever a decoder raises; `read` says it better
        return ""


def told(content: bytes, ids: Array, sizes: Array, categories: Array) -> Boxes:
    """The boxes of a worker's file, under our ids: cut off at the pictures' edges, the best hundred an image from 0.001 up.

    Raises BadPredictions on anything that is no such file, or has a number that was never given out.
    """
    try:
        found = unpack(content)
        image, category, box, score = (found[name] for name in ("image", "category", "box", "score"))
    except (Damaged, KeyError) as error:
        why = error.__cause__ or error
        raise BadPredictions(f"The file of boxes cannot be read ({type(why).__name__}: {str(why)[:200]}). Train anew.") from error
    n = len(image) if image.ndim else -1
    shapes = [each.shape for each in (image, category, box, score)]
    kinds = [each.dtype.kind for each in (image, category, box, score)]
    if shapes != [(n,), (n,), (n, 4), (n,)] or kinds != ["i", "i", "f", "f"]:
        raise BadPredictions(f"The file of boxes has arrays of shapes {shapes} and kinds {kinds}. Train anew.")
    if n and not (1 <= image.min() <= image.max() <= len(ids) and 0 <= category.min() <= category.max() < len(categories)):
        raise BadPredictions(
            f"The file of boxes has numbers of images beyond 1 to {len(ids)}, or of classes beyond {len(categories)}."
        )
    if not (np.isfinite(box).all() and np.isfinite(score).all()):
        raise BadPredictions("The file of boxes holds NaN or infinite numbers. Train anew, with a smaller rate.")
    row, box = image - 1, box.astype(np.float64)
    low, high = np.clip(box[:, :2], 0, sizes[row]), np.clip(box[:, 2:], 0, sizes[row])
    order = np.lexsort([-score, row])
    rank = np.arange(n) - np.searchsorted(row[order], row[order])
    kept = order[rank < MOST]
    kept = kept[(score[kept] >= LEAST) & (high > low).all(axis=1)[kept]]
    xywh = np.hstack([low, high - low])[kept]
    return Boxes(ids, ids[row[kept]], categories[category[kept]], xywh, np.minimum(score[kept], 1.0))
