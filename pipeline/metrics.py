"""Metrics by name. Inside, higher is better: `score` is signed; `natural` is what a person and the competition's board read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.errors import BadContract, BadPredictions, UnknownName
from pipeline.predictions import Array

Kind = Literal["value", "label", "probability", "boxes"]
TRIM = 0.01  # share of the rows with the largest errors that a trimmed score leaves out


def _same(values: Any) -> Any:
    return values


@dataclass(frozen=True)
class Metric:
    """How predictions are judged.

    kind: what is judged, a value (regression), class probabilities ("label" takes the most probable class of them), or boxes, which
    `pipeline.boxes.evaluation` judges: of their metric only the name and the sign are here.
    loss: (y (n,), p (n, k)) -> (n,) loss of each row on the link scale, or None where the score is no mean over rows.
    finish: turns the mean loss into the natural score (a square root, say).
    whole: (y, p) -> natural score, for metrics that are no mean over rows (AUC).
    influence: (y, p) -> (n,) values whose mean is that score and whose resampling is its bootstrap; goes with `whole`.
    link, unlink: the scale on which predictions are averaged. RMSLE is RMSE of log(1 + y), so means are taken of logs.
    """

    name: str
    kind: Kind
    higher_is_better: bool
    loss: Callable[[Array, Array], Array] | None = None
    finish: Callable[[Any], Any] = _same
    whole: Callable[[Array, Array], float] | None = None
    influence: Callable[[Array, Array], Array] | None = None
    link: Callable[[Array], Array] = _same
    unlink: Callable[[Array], Array] = _same

    @property
    def sign(self) -> float:
        return 1.0 if self.higher_is_better else -1.0

    def natural(self, y: Array, p: Array) -> float:
        """The competition's own number for truth y (n,) and predictions p (n, k) or (n,)."""
        if self.whole is not None:
            return float(self.whole(y, _columns(y, p)))
        return float(self.finish(self.rows(y, p).mean()))

    def score(self, y: Array, p: Array) -> float:
        """`natural`, signed so that higher is better."""
        return self.sign * self.natural(y, p)

    def rows(self, y: Array, p: Array) -> Array:
        """(n,) what each row adds: `finish` of their mean is the natural score, so resampling them gives its interval."""
        by_row = self.loss or self.influence
        if by_row is None:
            raise BadContract(f"Metric {self.name!r} has no value by row; give it a loss, or an influence beside its whole.")
        return by_row(y, _columns(y, p))

    def trimmed(self, y: Array, p: Array, trim: float = TRIM) -> float:
        """The natural score without the share `trim` of rows that lose most; NaN for metrics that are no mean over rows.

        Gross errors in a few rows (a price typed with a zero too many) otherwise hide which model is better.
        """
        if self.loss is None:
            return float("nan")
        best_first = np.sort(self.loss(y, _columns(y, p)) * -self.sign)
        return float(self.finish(np.mean(best_first[: max(1, int(np.ceil(len(best_first) * (1 - trim))))]) * -self.sign))


def _columns(y: Array, p: Array) -> Array:
    p = np.asarray(p, dtype=np.float64)
    p = p[:, None] if p.ndim == 1 else p
    if len(p) != len(y) or len(y) == 0:
        raise BadPredictions(f"{len(y)} true values cannot be scored against {len(p)} predictions.")
    if not np.isfinite(p).all():
        raise BadPredictions(f"{int((~np.isfinite(p)).any(axis=1).sum())} predictions are NaN or infinite.")
    return p


def _unit(mean: Array) -> Array:
    return np.clip(mean, 0, 1)


def _squared(y: Array, p: Array) -> Array:
    return (p[:, 0] - y) ** 2


def _absolute(y: Array, p: Array) -> Array:
    return np.abs(p[:, 0] - y)


def _squared_log(y: Array, p: Array) -> Array:
    for what, values in (("predictions", p), ("true values", y)):
        if (values < 0).any():
            raise BadPredictions(f"RMSLE needs {what} of 0 or more; the lowest is {values.min():g}.")
    return (np.log1p(p[:, 0]) - np.log1p(y)) ** 2


def _log_loss(y: Array, p: Array) -> Array:
    """As in scikit-learn, probabilities clipped by the machine's epsilon; a row that does not sum to 1 is made to."""
    total = p.sum(axis=1, keepdims=True)
    if p.shape[1] < 2 or (total <= 0).any():
        raise BadPredictions(
            f"Log loss needs two columns or more, of shares; there are {p.shape[1]}, and the least row sums to {total.min():g}."
        )
    p = np.clip(p / total, np.finfo(p.dtype).eps, 1)
    return -np.log(p[np.arange(len(y)), y.astype(np.intp)])


def _correct(y: Array, p: Array) -> Array:
    return (p.argmax(axis=1) == y).astype(np.float64)


def _auc(y: Array, p: Array) -> float:
    """As in scikit-learn, one class against the rest and averaged; a class with no row is left out."""
    if len(np.unique(y)) < 2:
        raise BadPredictions(f"AUC needs rows of two classes; all {len(y)} rows are of class {y[0]}.")
    return float(np.mean(_placements(y, p)))


def _placements(y: Array, p: Array) -> Array:
    """AUC by row, after DeLong, DeLong and Clarke-Pearson (1988): the share of the other side that a row stands right of.

    Scaled so that the mean over rows is the AUC, however rare a class is. 0.5 where all rows are of one class.
    """
    n, values = len(y), []
    for label in np.unique(y) if p.shape[1] > 2 else [1]:
        mine = y == label
        positives = int(mine.sum())
        if 0 < positives < n:
            _, rank, tied = np.unique(p[:, min(int(label), p.shape[1] - 1)], return_inverse=True, return_counts=True)
            above = np.bincount(rank, weights=mine)
            below = tied - above
            beaten = (np.cumsum(below) - below / 2)[rank] / (n - positives)
            unbeaten = 1 - (np.cumsum(above) - above / 2)[rank] / positives
            auc = beaten[mine].mean()
            values.append(auc + np.where(mine, (beaten - auc) / positives, (unbeaten - auc) / (n - positives)) * n)
    return np.mean(values, axis=0) if values else np.full(n, 0.5)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("rmse", "value", higher_is_better=False, loss=_squared, finish=np.sqrt),
        Metric("mae", "value", higher_is_better=False, loss=_absolute),
        Metric("rmsle", "value", higher_is_better=False, loss=_squared_log, finish=np.sqrt, link=np.log1p, unlink=np.expm1),
        Metric("accuracy", "label", higher_is_better=True, loss=_correct),
        Metric("log_loss", "probability", higher_is_better=False, loss=_log_loss),
        Metric("auc", "probability", higher_is_better=True, whole=_auc, influence=_placements, finish=_unit),
    )
}
OF_BOXES = {"map": Metric("map", "boxes", higher_is_better=True)}


def metric(name: str) -> Metric:
    """The metric of that name. Raises UnknownName with the nearest ones."""
    known = METRICS | OF_BOXES
    if name not in known:
        raise UnknownName("metric", name, known)
    return known[name]
