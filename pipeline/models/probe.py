"""The family "probe": a small model on the features of a frozen net. Quick to fit, and strong where pictures are few.

Features are averaged over views of the picture, brought to one scale, and whitened by the spread within classes: a direction
in which pictures of one class differ counts for little. On what is left works a head: linear discriminants, a logistic
regression or nearest neighbours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pandas as pd
from scipy.linalg import cholesky, solve_triangular
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import refuse_unknown
from pipeline.models.embeddings import VIEWS, Backbone, Embeddings
from pipeline.models.hold_out import held_out, log_loss, temperature, tempered
from pipeline.models.nets import find
from pipeline.models.place import Place
from pipeline.predictions import Array

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler

SHRINKAGES = (0.003, 0.01, 0.03, 0.1, 0.3)
TYPICAL_SHRINKAGE = 0.1  # where no rows are held out to choose by
LEAST_SHRINKAGE = 0.001  # with less, more features than rows could not be whitened
FLOOR = 1e-3  # of the neighbours' votes, given to all classes alike
ROWS_AT_ONCE = 1024


class Head(Protocol):
    """fit: whitened features Z (n, d) and y (n,), every class of 0 to k - 1 at least once. log_p: (n, k) log-probabilities. by_share:
    whether a class with more rows is more likely, so that rows seen more often have to be taken back."""

    by_share: ClassVar[bool]

    def fit(self, Z: Array, y: Array) -> Any: ...

    def log_p(self, Z: Array) -> Array: ...


class Discriminants:
    """Linear discriminants (Fisher 1936; Rao 1948): classes are normal, with one covariance and equal shares."""

    by_share: ClassVar[bool] = False

    def fit(self, Z: Array, y: Array) -> Discriminants:
        self.means = class_means(Z, y)
        return self

    def log_p(self, Z: Array) -> Array:
        """Divided by the root of the dimensions: the spread was learned from the same rows, which makes them too sure by far."""
        return log_softmax((Z @ self.means.T - (self.means**2).sum(axis=1) / 2) / np.sqrt(Z.shape[1]), axis=1)


@dataclass
class Logistic:
    """Multinomial logistic regression. penalty: half of it times the squared weights is added to the mean loss."""

    by_share: ClassVar[bool] = True
    penalty: float

    def fit(self, Z: Array, y: Array) -> Logistic:
        self.model = LogisticRegression(C=1 / (self.penalty * len(Z)), max_iter=1000, tol=1e-3).fit(Z, y)
        return self

    def log_p(self, Z: Array) -> Array:
        return self.model.predict_log_proba(Z)


@dataclass
class Neighbours:
    """Votes of the nearest rows, along the directions in which the classes' means differ.

    neighbours: how many vote. width: of the kernel exp(-distance² / (width * dimensions)) that weighs their votes.
    """

    by_share: ClassVar[bool] = True
    neighbours: int
    width: float

    def fit(self, Z: Array, y: Array) -> Neighbours:
        means = class_means(Z, y)
        self.classes = len(means)
        self.directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[2][: self.classes - 1].T
        self.rows, self.votes = Z @ self.directions, np.eye(self.classes, dtype=np.float32)[y]
        return self

    def log_p(self, Z: Array) -> Array:
        parts = [self._votes(Z[start : start + ROWS_AT_ONCE]) for start in range(0, len(Z), ROWS_AT_ONCE)]
        return np.log((1 - FLOOR) * np.concatenate(parts) + FLOOR / self.classes)

    def _votes(self, Z: Array) -> Array:
        projected, count = Z @ self.directions, min(self.neighbours, len(self.rows))
        near = 2 * projected @ self.rows.T - (self.rows**2).sum(axis=1)  # less the distance², but for what is the same for all
        chosen = np.argpartition(-near, count - 1, axis=1)[:, :count]
        weights = softmax(np.take_along_axis(near, chosen, axis=1) / (self.width * self.rows.shape[1]), axis=1)
        return np.einsum("nc,nck->nk", weights, self.votes[chosen])


@dataclass
class Whitened:
    """A head behind a whitening: (d, d) W. ratio: (k,) for `tempered`, where the head's probabilities are not those of the classes' shares."""

    head: Head
    W: Array
    ratio: Array | None = None

    def fit(self, Z: Array, y: Array) -> Whitened:
        self.head.fit(Z @ self.W, y)
        return self

    def p(self, Z: Array) -> Array:
        p: Array = np.exp(self.head.log_p(Z @ self.W))
        return p


class Scale:
    """The layers side by side, each centred and then brought to rows of length √d, so that none rules by its size."""

    def fit(self, layers: Mapping[str, Array]) -> Scale:
        self.centres = {layer: values.mean(axis=0) for layer, values in layers.items()}
        return self

    def transform(self, layers: Mapping[str, Array]) -> Array:
        """Layers of (n, d) -> (n, sum of all d)."""
        blocks = []
        for layer, centre in self.centres.items():
            block = layers[layer] - centre
            block *= np.sqrt(block.shape[1]) / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12)
            blocks.append(block)
        return np.hstack(blocks)


@dataclass
class Probe:
    """net, weights, size, how, device: the net that looks, see `embeddings.Backbone`. layers: of it, all that it gives if none are named.

    views: of each picture, over which features are averaged. head: "logistic", "lda" or "knn". shrinkage: share of a round spread
    in the spread within classes (Friedman 1989); 0: of `SHRINKAGES` the one with the least loss on held-out rows.
    penalty: see `Logistic`. neighbours, width: see `Neighbours`. hold_out: share of the rows that choose the shrinkage and a
    temperature (Guo et al. 2017), which makes the probabilities of every head as sure as they are right; then all rows are learned.
    """

    classes: int
    seed: int
    place: Place
    net: str = Backbone.net
    weights: str | None = Backbone.weights
    size: int = Backbone.size
    how: str = Backbone.how
    layers: tuple[str, ...] = ()
    views: tuple[str, ...] = ("plain", "mirror", "zoom")
    head: str = "logistic"
    shrinkage: float = 0.0
    penalty: float = 0.05
    neighbours: int = 60
    width: float = 0.3
    hold_out: float = 0.2
    device: str = "auto"

    def __post_init__(self) -> None:
        find(self.net)
        self.sampler: Sampler | None = None
        self.backbone = Backbone(self.net, self.weights, self.size, self.how, self.device)
        self._head()
        for view in set(self.views) - set(VIEWS):
            raise UnknownName("view", str(view), VIEWS)
        if not self.views or len(set(self.views)) < len(self.views):
            raise BadRecipe(f"views is {self.views}; give at least one, and none twice, of {', '.join(VIEWS)}.")
        positive = self.penalty > 0 and self.neighbours > 0 and self.width > 0
        shrinks = self.shrinkage == 0 or LEAST_SHRINKAGE <= self.shrinkage <= 1
        if not (positive and shrinks and 0 <= self.hold_out < 1):
            raise BadRecipe(
                f"penalty is {self.penalty}, neighbours {self.neighbours}, width {self.width}, shrinkage {self.shrinkage}, hold_out "
                f"{self.hold_out}; the first three must be above 0, shrinkage 0 (to be chosen) or {LEAST_SHRINKAGE} to 1, hold_out "
                "from 0 to below 1."
            )

    def _head(self) -> Head:
        heads: dict[str, Head] = {
            "logistic": Logistic(self.penalty),
            "lda": Discriminants(),
            "knn": Neighbours(self.neighbours, self.width),
        }
        if self.head not in heads:
            raise UnknownName("head", self.head, heads)
        return heads[self.head]

    def fit(self, X: pd.DataFrame, y: Array, sampler: Sampler | None = None) -> Probe:
        """y: (n,) int64. A class without rows gets a column of zeros. sampler: of what the head learns; whitening and what is held
        out see the rows as they are. Raises BadRecipe, BadPicture, BadWeights, UnknownName."""
        self.sampler = sampler
        rows = self.place.gallery.rows(X[self.place.column])
        self.embeddings = self.opened()
        layers = self._features(rows)
        self.scale = Scale().fit(layers)
        Z = self.scale.transform(layers)
        del layers  # as large as Z
        self.present, known = np.unique(y, return_inverse=True)
        away = held_out(self.place.same[rows], self.place.labelled[rows], known, self.hold_out, self.seed)
        shrinkage, self.temperature = self.shrinkage or TYPICAL_SHRINKAGE, 1.0
        if away.any():
            shrinkage, self.temperature = self._tuned(Z[~away], known[~away], Z[away], known[away])
        self.learned = self._learned(Z, known, spread_within(Z, known), shrinkage)
        return self

    def _tuned(self, Z: Array, y: Array, held: Array, truth: Array) -> tuple[float, float]:
        """Shrinkage and temperature with the least loss on held-out rows."""
        spread, found = spread_within(Z, y), []
        for shrinkage in (self.shrinkage,) if self.shrinkage else SHRINKAGES:
            learned = self._learned(Z, y, spread, shrinkage)
            p, ratio = learned.p(held), learned.ratio
            best = temperature(p, truth, ratio)
            found.append((log_loss(tempered(p, best, ratio), truth), shrinkage, best))
        return min(found)[1:]

    def _learned(self, Z: Array, y: Array, spread: Array, shrinkage: float) -> Whitened:
        head = self._head() if len(self.present) > 1 else Discriminants()  # which alone can do with one class
        ratio = None
        if self.sampler:
            Z, label, _ = self.sampler.rows(Z, self.present[y])
            y = np.searchsorted(self.present, label)
            ratio = self.sampler.ratio if head.by_share else None
        return Whitened(head, whitening(spread, shrinkage), None if ratio is None else ratio[self.present]).fit(Z, y)

    def predict(self, X: pd.DataFrame) -> Array:
        """(n, k) float64 probabilities, rows that sum to 1. The same rows give the same bits, however they are ordered."""
        once, back = np.unique(self.place.gallery.rows(X[self.place.column]), return_inverse=True)
        out = np.zeros((len(once), self.classes))
        p = self.learned.p(self.scale.transform(self._features(once)))
        out[:, self.present] = tempered(p, self.temperature, self.learned.ratio)
        return out[back]

    def opened(self) -> Embeddings:
        """The features, which are computed when they are asked for. Raises UnknownName for a layer that the net does not give."""
        embeddings = Embeddings(self.backbone, self.place)
        self.chosen = self.layers or tuple(embeddings.layers())
        for layer in set(self.chosen) - set(embeddings.layers()):
            raise UnknownName(f"layer of {self.net}", str(layer), embeddings.layers())
        return embeddings

    def _features(self, rows: Array) -> dict[str, Array]:
        """Each layer's (n, d): the mean over views of signed roots, which keep a few strong features from ruling (Perronnin et al. 2010)."""
        total: dict[str, Array] = {}
        for view in self.views:
            for layer, values in self.embeddings.features(view, self.chosen, rows).items():
                roots = np.copysign(np.sqrt(np.abs(values)), values)
                total[layer] = total[layer] + roots if layer in total else roots
        return {layer: values / len(self.views) for layer, values in total.items()}


def class_means(Z: Array, y: Array) -> Array:
    """(k, d): the mean of each class's rows."""
    members = np.eye(int(y.max()) + 1, dtype=Z.dtype)[y]
    means: Array = (members.T @ Z) / members.sum(axis=0)[:, None]
    return means


def spread_within(Z: Array, y: Array) -> Array:
    """(d, d) float64: covariance of the rows around their class's mean."""
    around = (Z - class_means(Z, y)[y]).astype(np.float64)
    spread: Array = around.T @ around / max(1, len(Z) - int(y.max()) - 1)
    return spread


def whitening(spread: Array, shrinkage: float) -> Array:
    """(d, d) float32 W: rows Z @ W have unit spread, where Z's is `spread`, shrunk towards a multiple of the identity."""
    size = len(spread)
    mixed = (1 - shrinkage) * spread
    mixed.flat[:: size + 1] += shrinkage * (np.trace(spread) / size or 1.0)
    root = cholesky(mixed, lower=True)
    inverse: Array = solve_triangular(root, np.eye(size), lower=True).T.astype(np.float32)
    return inverse


def build(family: str, classes: int, seed: int, params: dict[str, Any], place: Place) -> Probe:
    known = {field.name for field in dataclasses.fields(Probe)} - {"classes", "seed", "place"}
    refuse_unknown(family, params, known)
    return Probe(classes, seed, place, **params)


def prepare(params: dict[str, Any], place: Place) -> None:
    """Compute the features that these probes ask for, with all of the place's threads; what is kept already is left as it is."""
    probe = build("probe", 1, 0, params, place)
    embeddings = probe.opened()
    for view in probe.views:
        embeddings.prepare(view)
