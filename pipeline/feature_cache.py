"""A fold's features, made once and shared by all models of a run: fitted on the training part alone, kept as Arrow files.

Each part (training rows, validation rows, test rows) is a result of its own and is read when it is looked at: a model that
is learning has no need of the rows it will predict, and of a large table each part counts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather

from pipeline import identity
from pipeline.errors import BadContract
from pipeline.run import Run
from pipeline.tables import TEXT

LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")
Part = Literal["fit", "validate", "test"]
PARTS: tuple[Part, ...] = ("fit", "validate", "test")
FILE = "features.arrow"


def fold_features(run: Run, fold: int, part: Part) -> pd.DataFrame:
    """From the run folder if they are there, else all parts are made and kept; read from the same bytes either way.

    The columns cannot be written into: they are the bytes of the file.
    """
    places = {each: ("features", features_key(run), f"fold-{fold}-{each}") for each in PARTS}
    kept = run.store.whole(*places[part])
    if kept is None:
        made = {each: to_arrow(table) for each, table in make(run, fold)}  # all, before one is kept: the contract may be broken
        for each, content in made.items():
            run.store.write(*places[each], files={FILE: content})
        return from_arrow(made[part])
    return from_arrow(kept[FILE])


def features_key(run: Run) -> str:
    return identity.key(
        {
            "data": run.fingerprint,
            "folds": run.folds.hash,
            "features": run.entry.features(),
            "versions": identity.versions(LIBRARIES),
        }
    )


def make(run: Run, fold: int) -> Iterator[tuple[Part, pd.DataFrame]]:
    """Each part's features; the competition's transformer is fitted on the fold's training rows.

    `fit_transform` where there is one: encoders of the target give training rows values that leave out their own target.
    Raises BadContract where a part is no DataFrame, or its columns or rows are not what they should be.
    """
    train, fit = run.data.train, run.folds.fit(fold)
    features, y = run.entry.features(), run.y[fit]
    rows = train.iloc[fit].reset_index(drop=True)
    table = features.fit_transform(rows, y) if hasattr(features, "fit_transform") else features.fit(rows, y).transform(rows)
    _check(run, "fit", table, rows)
    columns = list(table.columns)
    yield "fit", table
    del table, rows
    for part, rows in (("validate", train.iloc[run.folds.validate(fold)].reset_index(drop=True)), ("test", run.data.test)):
        table = features.transform(rows.reset_index(drop=True))
        _check(run, part, table, rows)
        if list(table.columns) != columns:
            raise BadContract(f"{run.name}: features() must give the same columns for every part; {part!r} differs.")
        yield part, table  # type: ignore[misc]  # mypy widens the text


def _check(run: Run, part: str, table: object, rows: pd.DataFrame) -> None:
    if not isinstance(table, pd.DataFrame):
        raise BadContract(f"{run.name}: features() must give a DataFrame; it gave a {type(table).__name__} for {part!r}.")
    if not table.index.equals(pd.RangeIndex(len(rows))):
        raise BadContract(
            f"{run.name}: features() must keep the rows and their order; of {len(rows)} in {part!r} it gave {len(table)}."
        )
    target = getattr(run.entry.competition.task, "target", None)
    if target in table.columns:
        raise BadContract(f"{run.name}: features() hands on the target column {target!r}.")
    for place, column in enumerate(table.columns):
        values = table.iloc[:, place]
        if not pd.api.types.is_float_dtype(values.dtype):
            continue
        wrong = np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan))
        if wrong.any():
            raise BadContract(
                f"{run.name}: features() gives infinity in {int(wrong.sum())} of {len(rows)} rows of {part!r}, first in row "
                f"{int(wrong.argmax()) + 1} of {column!r}. Divide by nothing that may be 0, or leave a gap (NaN)."
            )


def to_arrow(table: pd.DataFrame) -> bytes:
    """Arrow keeps a category's levels also where no row has them; parquet would drop those.

    Numbers stand as they are, NaN too (Arrow's own gaps would have to be turned back, into another copy). Of how many pieces a text
    was put together is forgotten: the same table is the same bytes, whichever process made it.
    """
    kept = pa.Table.from_pandas(table, preserve_index=False).combine_chunks()
    for place, (_, column) in enumerate(table.items()):
        if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
            kept = kept.set_column(place, kept.schema.field(place), pa.array(column.to_numpy(), from_pandas=False))
    sink = io.BytesIO()
    pyarrow.feather.write_feather(
        kept, sink, compression="uncompressed", chunksize=max(len(table), 1)
    )  # one piece needs no joining
    return sink.getvalue()


def from_arrow(content: bytes) -> pd.DataFrame:
    """Texts are of type `TEXT`. Its numbers and texts are the bytes themselves, not a copy."""
    kept = pyarrow.feather.read_table(pa.BufferReader(content), memory_map=False)
    return kept.to_pandas(split_blocks=True, types_mapper=dict.fromkeys((pa.string(), pa.large_string()), TEXT).get)
