"""Made-up tables without any fault, and runs of them, for planting faults into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import FunctionTransformer

from pipeline.competition import Classification, Competition, Data, Entry, Regression
from pipeline.folds import KFold, Plan
from pipeline.run import Run
from pipeline.store import Store

WORDS = np.array(
    [
        "a",
        "house",
        "with",
        "many",
        "rooms",
        "near",
        "the",
        "park",
        "and",
        "some",
        "trees",
        "on",
        "quiet",
        "street",
        "old",
        "new",
        "large",
        "small",
        "garden",
    ]
)


def tables(seed: int, n: int = 800, m: int = 500) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train with `y`, test without: independent rows of mixed types, with gaps, skewed numbers, texts and dates."""
    rng, rows = np.random.default_rng(seed), n + m
    size, quality = np.exp(rng.normal(7, 1.2, rows)), rng.normal(size=rows)
    made: dict[str, Any] = {
        "id": [f"r{number}" for number in range(rows)],
        "size": size.round(1),
        "quality": quality,
        "count": rng.poisson(3, rows),
        "flag": rng.random(rows) < 0.3,
        "town": rng.choice([f"town {letter}" for letter in "abcdefgh"], rows),
        "street": rng.choice([f"street {number}" for number in range(rows // 3)], rows),
        "when": (pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D")).strftime("%Y-%m-%d"),
        "said": [" ".join(rng.choice(WORDS, rng.integers(6, 14))) for _ in range(rows)],
        "mixed": np.where(rng.random(rows) < 0.5, rng.integers(1, 9, rows).astype(str), "unknown, ask"),
    }
    table = pd.DataFrame(made)
    for column, share in (("size", 0.1), ("quality", 0.02), ("town", 0.05), ("said", 0.2)):
        table.loc[rng.random(rows) < share, column] = np.nan
    table.loc[rng.random(rows) < 0.01, "size"] = np.inf
    table["y"] = np.exp(0.4 * np.log(size) + 0.5 * quality + 0.1 * table["count"] + rng.normal(0, 0.6, rows)) * 1000
    return table[:n].copy(), table[n:].drop(columns="y").reset_index(drop=True)


def as_classes(train: pd.DataFrame, number: int = 3) -> pd.DataFrame:
    """The same with classes for a target."""
    return train.assign(y=pd.qcut(train["y"], number, labels=[f"class {place}" for place in range(number)]).astype(str))


def numbers(X: pd.DataFrame) -> pd.DataFrame:
    return X[["quality", "count"]].astype(float)


def run_of(
    root: Path,
    train: pd.DataFrame,
    test: pd.DataFrame,
    plan: Plan | None = None,
    features: Callable[[], Any] = lambda: FunctionTransformer(numbers),
    metric: str | None = None,
) -> Run:
    """A run of these tables, as `open_run` would make it, without files."""
    text = train["y"].dtype == object
    task: Any = (
        Classification(id="id", target="y", metric=metric or "accuracy") if text else Regression("id", "y", metric or "rmsle")
    )
    plan = plan or KFold(k=3)
    entry = Entry(
        Competition(name="made", kaggle="made", task=task, folds=plan),
        load=lambda root: data,
        features=features,
        models=dict,
        practice=lambda root, rows, seed: None,
        target=None,
        module="made",
    )
    data = Data(train.reset_index(drop=True), test.reset_index(drop=True), test[["id"]])
    ids, y = data.train["id"].to_numpy(dtype=np.str_), task.truth(data)
    return Run(entry, data, ids, y, plan, plan.make(ids, data.train, y), Store(root / "made"), root, practice=False)
