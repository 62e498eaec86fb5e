"""The family "image": a net trained on pictures, from chance or from weights learned elsewhere, that predicts their class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import devices, picture_family
from pipeline.models.batches import Pictures
from pipeline.models.fine_tuning import FineTuning
from pipeline.models.hold_out import held_out, log_loss, temperature, tempered
from pipeline.models.image_recipe import ImageRecipe
from pipeline.models.labelled_pictures import LabelledPictures
from pipeline.models.nets import Net, create, find
from pipeline.models.place import Place
from pipeline.models.recipe import LADDER
from pipeline.pictures.reading import WAYS
from pipeline.predictions import Array

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler

VIEWS = ("plain", "mirror", "upside", "crops")
CROP = 7 / 8  # side of a corner crop, as a share of the picture's
LIBRARIES = ("albumentations", "numpy", "opencv-python-headless", "pillow", "timm", "torch")


@dataclass
class Image:
    """net, weights: see `nets.create`. size: of the square pictures in pixels; how they come to it: "squash", "crop" or "pad".

    views: of a picture, over which predictions are averaged: as it is, mirrored, upside down, its four corners. hold_out: share of
    the training rows that is kept for early stopping and for a temperature (Guo et al. 2017), which makes probabilities as sure as
    they are right; the same picture is never on both sides. precision: "auto", "bf16" or "fp32". device: "auto", "cpu", "cuda".
    """

    classes: int
    seed: int
    place: Place
    recipe: ImageRecipe
    net: str = "tf_efficientnet_lite0"
    weights: str | None = "package"
    size: int = 224
    how: str = "squash"
    views: tuple[str, ...] = ("plain", "mirror")
    hold_out: float = 0.0
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        self.ratio: Array | None = None  # brings probabilities back to the classes' shares, where they were resampled
        find(self.net)
        devices.located(self.device)
        for kind, chosen, known in (
            ("precision", [self.precision], devices.PRECISIONS),
            ("way of fitting a picture", [self.how], WAYS),
            ("view", self.views, VIEWS),
        ):
            for name in set(chosen) - set(known):
                raise UnknownName(kind, str(name), known)
        if not self.views or not 0 <= self.hold_out < 1:
            raise BadRecipe(
                f"views is {self.views}, hold_out {self.hold_out}; give at least one view, and a share from 0 to below 1."
            )
        if self.recipe.patience and not self.hold_out:
            raise BadRecipe(
                f"patience is {self.recipe.patience}, but no rows are held out to judge by; give hold_out too, such as 0.1."
            )

    def fit(self, X: pd.DataFrame, y: Array, sampler: Sampler | None = None) -> Image:
        """y: (n,) int64. A class without rows keeps its column. sampler: of what is not held out. Raises BadRecipe, BadPicture,
        BadWeights."""
        pixels, rows = self._pictures(X)
        with picture_family.settings(self) as device:
            torch.manual_seed(self.seed)
            self.trained = create(self.net, self.classes, self.weights, self.place.labels, self.size).to(device)
            self.computing = devices.choose(device, self.precision, self.trained)
            self.most, self.temperature = self.recipe.batch, 1.0
            away = held_out(self.place.same[rows], self.place.labelled[rows], y, self.hold_out, self.seed)
            self._train(Pictures(pixels, rows[~away], y[~away], self.classes), rows[away], y[away], sampler)
            if away.any():
                self.temperature = temperature(self._seen(pixels, rows[away], self.views), y[away], self.ratio)
        return self

    def _train(self, pictures: Pictures, held: Array, truth: Array, sampler: Sampler | None) -> None:
        weight = None
        if sampler and sampler.step.kind == "weights":
            weight = torch.from_numpy(sampler.by_class(pictures.y).astype(np.float32))
        elif sampler:
            sampler.epoch(pictures.y, np.random.default_rng(self.seed))  # so that it knows by what to correct
        self.ratio = sampler.ratio if sampler else None

        def judge() -> tuple[float, float]:
            self.most = training.micro  # what fits into memory is known by now
            p = tempered(self._seen(pictures.pixels, held, ("plain",)), 1.0, self.ratio)
            return log_loss(p, truth), float((p.argmax(1) == truth).mean())

        judging, patience = judge if len(held) else None, self.recipe.patience
        training = FineTuning(self.trained, self.recipe, self.computing, self.seed, self.place.say, judging, patience)
        drawing = None if weight is not None else sampler
        lesson = LabelledPictures(pictures, self.recipe, self.trained, self.computing, self.seed, drawing, weight)
        step = str(sampler.step) if sampler else None
        key = picture_family.key(self, self.trained, self.computing, LIBRARIES, (pictures.rows, pictures.y, held), step)
        training.run(lesson, self.place.scratch, key, self.place.threads if self.computing.is_gpu else 0)
        self.most = training.micro

    def predict(self, X: pd.DataFrame) -> Array:
        """(n, k) float64 probabilities, rows that sum to 1; in batches, so that memory does not grow with n."""
        pixels, rows = self._pictures(X)
        with picture_family.settings(self):
            return tempered(self._seen(pixels, rows, self.views), self.temperature, self.ratio)

    def _seen(self, pixels: Array, rows: Array, views: tuple[str, ...]) -> Array:
        """Predictions (n, k), of the shares of the classes that were learned. Each picture once and in the gallery's order: the same rows give the same bits, however they are ordered."""
        once, back = np.unique(rows, return_inverse=True)
        p: Array = probabilities(self.trained, self.computing, pixels, once, views, self.most)[back]
        return p

    def _pictures(self, X: pd.DataFrame) -> tuple[Array, Array]:
        """Pixels of all pictures, and which of them are these rows'."""
        gallery = self.place.gallery
        return gallery.pixels(self.size, self.how, say=self.place.say), gallery.rows(X[self.place.column])


def build(family: str, classes: int, seed: int, params: dict[str, Any], place: Place) -> Image:
    """Raises UnknownName for a parameter, a net or a choice that is not known, BadRecipe for a number that cannot be."""
    made: Image = picture_family.build(Image, ImageRecipe, LADDER, family, classes, seed, params, place)
    return made


def prepare(params: dict[str, Any], place: Place) -> None:
    """Decode the pictures once, for all units."""
    picture_family.prepare(Image, params, place)


@torch.no_grad()
def probabilities(net: Net, device: devices.Device, pixels: Array, rows: Array, views: tuple[str, ...], most: int) -> Array:
    """(n, k) float64: the mean over the views of the softmax, of these rows of the pixels, so many at a time."""
    net.eval()
    made = []
    for some in np.split(rows, range(most, len(rows), most)):
        x = device.pictures(torch.from_numpy(np.array(pixels[some])), net)
        with device.autocast():
            logits = [net(view.contiguous(memory_format=net.format)) for name in views for view in seen(x, name)]
        p = torch.stack([each.double().softmax(1) for each in logits]).mean(0)
        made.append((p / p.sum(1, keepdim=True)).cpu().numpy())
    return np.concatenate(made)


def seen(x: Tensor, view: str) -> Iterator[Tensor]:
    """x (b, c, s, s) as this view shows it; the four corners are enlarged to its size."""
    if view == "plain":
        yield x
    elif view == "mirror":
        yield x.flip(3)
    elif view == "upside":
        yield x.flip(2)
    else:
        size, side = x.shape[-1], round(x.shape[-1] * CROP)
        for top in (0, size - side):
            for left in (0, size - side):
                corner = x[..., top : top + side, left : left + side]
                yield functional.interpolate(corner, size=(size, size), mode="bilinear", antialias=False)
