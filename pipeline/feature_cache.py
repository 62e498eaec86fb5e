"""A fold's features, made once and shared by all models of a run: fitted on the training part alone, kept as Arrow files."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.feather

from pipeline import identity
from pipeline.errors import BadContract
from pipeline.run import Run

LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")
PARTS = ("fit", "validate", "test")


@dataclass(frozen=True, eq=False)
class FoldFeatures:
    """The features table of a fold's training rows, its validation rows, and the test rows."""

    fit: pd.DataFrame
    validate: pd.DataFrame
    test: pd.DataFrame


def fold_features(run: Run, fold: int) -> FoldFeatures:
    """From the run folder if they are there, else made and kept; read from the same bytes either way."""
    place = ("features", features_key(run), f"fold-{fold}")
    kept = run.store.whole(*place)
    if kept is None:
        made = make(run, fold)
        kept = {f"{part}.arrow": to_arrow(getattr(made, part)) for part in PARTS}
        run.store.write(*place, files=kept)
    return FoldFeatures(*(from_arrow(kept.pop(f"{part}.arrow")) for part in PARTS))


def features_key(run: Run) -> str:
    return identity.key(
        {
            "data": run.fingerprint,
            "folds": run.folds.hash,
            "features": run.entry.features(),
            "versions": identity.versions(LIBRARIES),
        }
    )


def make(run: Run, fold: int) -> FoldFeatures:
    """Fit the competition's features on the fold's training rows.

    `fit_transform` where there is one: encoders of the target give training rows values that leave out their own target.
    """
    train, fit = run.data.train, run.folds.fit(fold)
    raw = [part.reset_index(drop=True) for part in (train.iloc[fit], train.iloc[run.folds.validate(fold)], run.data.test)]
    rows, y = raw[0], run.y[fit]
    features = run.entry.features()
    fitted = features.fit_transform(rows, y) if hasattr(features, "fit_transform") else features.fit(rows, y).transform(rows)
    made = FoldFeatures(fitted, *map(features.transform, raw[1:]))
    target = getattr(run.entry.competition.task, "target", None)
    for part, before in zip(PARTS, raw, strict=True):
        table = getattr(made, part)
        if not isinstance(table, pd.DataFrame):
            raise BadContract(f"{run.name}: features() must give a DataFrame; it gave a {type(table).__name__} for {part!r}.")
        if list(table.columns) != list(made.fit.columns):
            raise BadContract(f"{run.name}: features() must give the same columns for every part; {part!r} differs.")
        if not table.index.equals(before.index):
            raise BadContract(
                f"{run.name}: features() must keep the rows and their order; of {len(before)} in {part!r} it gave {len(table)}."
            )
        if target in table.columns:
            raise BadContract(f"{run.name}: features() hands on the target column {target!r}.")
    return made


def to_arrow(table: pd.DataFrame) -> bytes:
    """Arrow keeps a category's levels also where no row has them; parquet would drop those."""
    sink = io.BytesIO()
    pyarrow.feather.write_feather(pa.Table.from_pandas(table, preserve_index=False), sink, compression="uncompressed")
    return sink.getvalue()


def from_arrow(content: bytes) -> pd.DataFrame:
    return pyarrow.feather.read_feather(pa.BufferReader(content), memory_map=False)
