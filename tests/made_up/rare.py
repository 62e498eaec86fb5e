"""A made-up table in which one row of a hundred is of the class that matters. The benchmark's resampling section trains on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import FunctionTransformer

from pipeline.competition import Classification, Competition, Data, Model, Transformer
from pipeline.folds import KFold
from pipeline.tables import read_table, read_text

NUMBERS = [f"x{place}" for place in range(12)]
COLUMNS = ["id", *NUMBERS, "kind"]

competition = Competition(
    name="rare",
    kaggle="rare",
    task=Classification(id="id", target="y", metric="auc"),
    folds=KFold(5, strata=1),
    practice_rows=20_000,
)


def load(root: Path) -> Data:
    train, _ = read_table(root / "train.csv", [*COLUMNS, "y"], set(NUMBERS), {"id", "y"})
    test, _ = read_table(root / "test.csv", COLUMNS, set(NUMBERS), {"id"})
    return Data(train, test, read_text(root / "sample_submission.csv"))


def features() -> Transformer:
    return FunctionTransformer(lambda X: X[[*NUMBERS, "kind"]].astype({"kind": "category"}))


def models() -> dict[str, Model]:
    return {
        "lightgbm": Model("lightgbm", {"n_estimators": 150, "learning_rate": 0.05, "num_leaves": 15}),
        "ridge": Model("ridge"),
        "mlp": Model("mlp", {"hidden": (32,), "epochs": 15}),
    }


def practice(root: Path, rows: int, seed: int) -> None:
    """Rare rows lie in three small clouds among the others, which overlap with them; two numbers and the kind say a little by themselves."""
    random = np.random.default_rng(seed)
    total = 2 * rows
    rare = random.random(total) < 0.01
    numbers = random.normal(size=(total, len(NUMBERS)))
    clouds = random.normal(scale=1.3, size=(3, 5))
    numbers[rare, :5] = clouds[random.integers(3, size=rare.sum())] + random.normal(scale=0.6, size=(rare.sum(), 5))
    numbers[:, 10:] += 0.5 * rare[:, None]
    kind = np.where(random.random(total) < 0.3 + 0.3 * rare, "a", random.choice(list("bcd"), total))
    table = pd.DataFrame(numbers, columns=NUMBERS).assign(kind=kind).rename_axis("id")
    table[:rows].assign(y=np.where(rare[:rows], "rare", "usual")).to_csv(root / "train.csv")
    table[rows:].to_csv(root / "test.csv")
    table[rows:].assign(rare=0.01, usual=0.99)[["rare", "usual"]].to_csv(root / "sample_submission.csv")
