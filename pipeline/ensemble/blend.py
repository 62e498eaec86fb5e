"""Blend the members' out-of-fold predictions, and say honestly whether that was worth it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.ensemble.diversity import correlations, told
from pipeline.ensemble.honest import choice, chosen, cross_fitted, judged, parts
from pipeline.ensemble.interval import DRAWS, bounds, resampled
from pipeline.ensemble.methods import METHODS
from pipeline.ensemble.verdict import Verdict
from pipeline.ensemble.weighted import Blender, Weighted
from pipeline.errors import BadPredictions, NothingUsable, UnknownName
from pipeline.metrics import Metric
from pipeline.predictions import Array, Table

MANY, FEWER_DRAWS = 5_000_000, 200  # predictions from which the interval of each member alone is drawn fewer times


@dataclass(frozen=True, eq=False, kw_only=True)
class Blend(Verdict):
    """An ensemble of tables. uses: the members whose test predictions `apply` needs, those that count. oof: the honest predictions, by
    id, sorted. correlations: (m, m) of the members' errors (`diversity`)."""

    uses: tuple[str, ...]
    oof: Table
    blender: Blender
    correlations: Array

    @property
    def sentences(self) -> tuple[str, ...]:
        return (*super().sentences, *told(self.members, self.correlations))

    def apply(self, members: Mapping[str, Table]) -> Table:
        """The blend of the members' predictions for other rows, on the natural scale, in the order of the first one's ids.

        Members that do not count may be absent. Raises BadPredictions if one that counts is, if two have different ids, or
        if the columns are not those that were blended.
        """
        absent = [name for name in self.uses if name not in members]
        if absent:
            raise BadPredictions(
                f"The blend needs predictions of {', '.join(absent)}; there are {', '.join(sorted(members)) or 'none'}."
            )
        ids = members[self.uses[0]].ids
        P = []
        for name in self.uses:
            _check_columns(name, members[name], self.oof.columns)
            values = members[name].at(ids)
            lacking = np.isnan(values[:, 0])
            if lacking.any() or len(members[name]) != len(ids):
                raise BadPredictions(
                    f"{name} and {self.uses[0]} predict different rows: {len(members[name])} and {len(ids)}, "
                    f"{int((~lacking).sum())} in common. Predict the same test rows with both."
                )
            P.append(_linked(name, values, self.metric))
        return Table(ids, self.metric.unlink(self.blender.predict(np.stack(P))), self.oof.columns)


def blend(
    members: Mapping[str, Table],
    truth: Table | tuple[Array, Array],
    fold_of: Array,
    metric: Metric,
    method: str | None = None,
    seed: int = 0,
    ordered: bool = False,
) -> Blend:
    """The ensemble of members' out-of-fold predictions; without a method, by the one of `METHODS` with the best honest score.

    truth: y by id, as a Table of one column or (ids (n,), y (n,)); for classes y is the index of the column. fold_of: (n,)
    the fold that validated each of these rows, below 0 for none. Only rows that a fold validated and every member predicts
    take part: a row without a prediction is missing, not zero. seed: of the bootstrap. ordered: the folds are blocks of time, and what
    predicts one is fitted on earlier ones alone; then the first block fits, and is not scored.
    Raises NothingUsable if there is no such row, UnknownName on a method, BadPredictions on members that do not fit.
    """
    if method is not None and method not in METHODS:
        raise UnknownName("ensemble method", method, METHODS)
    names = tuple(sorted(members))
    ids, fold, y, P = aligned({name: members[name] for name in names}, truth, fold_of, metric)
    columns, part = members[names[0]].columns, parts(fold, ordered)

    tried = {name: fit for name, fit in METHODS.items() if method in (None, name) or name == "best"}
    ordered = ordered and bool(np.ptp(fold))
    predictions = cross_fitted(tried, P, y, metric, part, ordered)
    scored = judged(part, ordered)
    whole_P, whole_y = P, y
    ids, y, P, part = ids[scored], y[scored], P if scored.all() else P.compress(scored, axis=1), part[scored]
    predictions = {name: p[scored] for name, p in predictions.items()}
    rows = {name: metric.rows(y, p) for name, p in predictions.items()}
    oof = predictions[method] if method else chosen(predictions, y, metric, part, ordered)
    method = method or choice(rows, metric)
    blender = METHODS[method](whole_P, whole_y, metric)
    optimistic = metric.natural(y, metric.unlink(blender.predict(P)))
    weights = dict(zip(names, blender.weights.tolist(), strict=True))
    uses = names
    if isinstance(blender, Weighted):
        uses = tuple(name for name in names if weights[name] != 0)
        blender = blender.without_zeros()

    alone = [metric.rows(y, metric.unlink(p)) for p in P]
    compared = np.stack([metric.rows(y, oof), rows["best"], *alone], axis=1)
    scores = metric.finish(compared.mean(axis=0))
    drawn = metric.finish(resampled(compared[:, :2], seed))
    of_members = metric.finish(resampled(compared[:, 2:], seed, DRAWS if P.size <= MANY else FEWER_DRAWS))
    low, high = (np.concatenate(both).tolist() for both in zip(bounds(drawn), bounds(of_members), strict=True))
    gains = bounds(metric.sign * (drawn[:, 0] - drawn[:, 1]))
    return Blend(
        metric=metric,
        method=method,
        members=names,
        weights=weights,
        uses=uses,
        judged=len(ids),
        honest=float(scores[0]),
        interval=(low[0], high[0]),
        optimistic=optimistic,
        scores={name: float(metric.finish(values.mean())) for name, values in rows.items()},
        best_member=names[int(np.argmax(metric.sign * scores[2:]))],
        best_score=float(scores[1]),
        gain=float(metric.sign * (scores[0] - scores[1])),
        gain_interval=(float(gains[0]), float(gains[1])),
        member_scores=dict(zip(names, scores[2:].tolist(), strict=True)),
        member_intervals=dict(zip(names, zip(low[2:], high[2:], strict=True), strict=True)),
        oof=Table(ids, oof, columns),
        blender=blender,
        correlations=correlations(P, y, metric),
    )


def aligned(
    members: Mapping[str, Table], truth: Table | tuple[Array, Array], fold_of: Array, metric: Metric
) -> tuple[Array, Array, Array, Array]:
    """ids (n,), fold (n,), y (n,) and members P (m, n, k) on the link scale, of the rows that take part, sorted by id."""
    if not members:
        raise NothingUsable("There is nothing to blend: no model has out-of-fold predictions.")
    known = truth if isinstance(truth, Table) else Table(truth[0], truth[1], ("truth",))
    fold_of = np.asarray(fold_of)
    if len(fold_of) != len(known) or known.values.shape[1] != 1:
        raise BadPredictions(
            f"The truth has shape {known.values.shape} and {len(fold_of)} folds; one value and one fold a row are needed."
        )
    order = np.argsort(known.ids, kind="stable")
    ids, y, fold = known.ids[order], known.values[order, 0], fold_of[order]
    columns = next(iter(members.values())).columns

    places, common = {}, fold >= 0
    seen = place = np.empty(0)
    for name, table in members.items():
        _check_columns(name, table, columns)
        if not np.array_equal(table.ids, seen):  # models of one run share their rows, and finding text is slow
            seen, place = table.ids, _places(name, table, ids)
        places[name] = place
        present = np.zeros(len(ids), dtype=bool)
        present[place] = True
        common &= present
    if not common.any():
        counts = ", ".join(f"{name} {len(table)}" for name, table in members.items())
        raise NothingUsable(
            f"No validated row is predicted by every member (rows: {counts}). Leave out the members that lack most."
        )
    ids, y, fold = ids[common], _truth(y[common], len(columns), metric), fold[common]

    P = np.empty((len(members), len(ids), len(columns)))
    rank = np.cumsum(common) - 1
    for values, (name, table) in zip(P, members.items(), strict=True):
        kept = common[places[name]]
        values[rank[places[name][kept]]] = _linked(name, table.values[kept], metric)
        try:
            metric.rows(y, metric.unlink(values))
        except BadPredictions as error:
            raise BadPredictions(f"Member {name}: {error}") from error
    return ids, fold, y, P


def _check_columns(name: str, table: Table, columns: tuple[str, ...]) -> None:
    if table.columns != columns:
        raise BadPredictions(
            f"Member {name} predicts columns {table.columns}; the others {columns}. Only the same columns can be blended."
        )


def _places(name: str, table: Table, ids: Array) -> Array:
    """Where each row of the table stands in the sorted ids."""
    place = np.minimum(np.searchsorted(ids, table.ids), len(ids) - 1)
    unknown = ids[place] != table.ids
    if unknown.any():
        raise BadPredictions(
            f"Member {name} predicts {int(unknown.sum())} ids that have no truth, first {table.ids[unknown][0]}. "
            "Its predictions are of other rows: give its out-of-fold ones."
        )
    return place


def _truth(y: Array, columns: int, metric: Metric) -> Array:
    if metric.kind == "value":
        if columns != 1:
            raise BadPredictions(f"{metric.name} judges one predicted value a row; these members predict {columns}.")
        return y
    wrong = (y != np.floor(y)) | (y < 0) | (y >= columns)
    if wrong.any():
        raise BadPredictions(f"{metric.name} needs the true class as an index from 0 to {columns - 1}; one is {y[wrong][0]:g}.")
    return y.astype(np.intp)


def _linked(name: str, values: Array, metric: Metric) -> Array:
    """Values (n, k) on the link scale; class probabilities scaled to sum to 1."""
    if metric.kind != "value":
        sums = values.sum(axis=1, keepdims=True)
        if (values < 0).any() or (sums == 0).any():
            raise BadPredictions(
                f"Member {name} has class probabilities below 0, or rows of zeros; the lowest is {values.min():g}."
            )
        values = values / sums
    with np.errstate(invalid="ignore", divide="ignore"):
        linked = metric.link(values)
    if not np.isfinite(linked).all():
        raise BadPredictions(f"Member {name} predicts {values[~np.isfinite(linked)][0]:g}, which {metric.name} cannot judge.")
    return linked
