"""The contract: what a competition says of itself, and what the pipeline may ask of it.

A competition is one module in `competitions/`: a frozen record named `competition` and plain functions. No base class, no
registration; `check` compares the functions' signatures when the module is found.

    competition = Competition(name=..., kaggle=..., task=Regression(...), folds=...)

    def load(root: Path) -> Data: ...                              files in the competition's own format -> train, test, sample
    def features() -> Transformer: ...                             UNFITTED, so that it can only be fitted inside a fold
    def models() -> dict[str, Model]: ...                          the recipes to try; sklearn-style estimators are welcome as they are
    def practice(root: Path, rows: int, seed: int) -> None: ...    writes a made-up data set in that same format
    def target() -> TargetTransformer: ...                         optional: the scale to learn on, unfitted (see TargetTransformer)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from pipeline.boxes.coco import BOX
from pipeline.errors import BadContract, BadData
from pipeline.folds import Plan
from pipeline.metrics import Metric, metric
from pipeline.predictions import Array, Boxes, Table, Truth
from pipeline.resample import Resample, parse

JUDGED = {"value": "Regression", "label": "Classification", "probability": "Classification", "boxes": "Detection"}


@dataclass(frozen=True)
class Regression:
    """One number per row. Predictions: a `Table` with one column, the target's name. low, high: what a target can be."""

    id: str
    target: str
    metric: str = "rmse"
    low: float = -np.inf
    high: float = np.inf

    predictions = Table

    def columns(self, data: Data) -> tuple[str, ...]:  # noqa: ARG002 - the same question is asked of every task
        return (self.target,)

    def truth(self, data: Data) -> Array:
        """(n,) float64. Raises BadData on text, NaN, infinities and values outside low..high."""
        train, target = data.train, _target(data.train, self.target)
        numbers = pd.to_numeric(target, errors="coerce").to_numpy(dtype=np.float64)
        for wrong, what in (
            (~np.isfinite(numbers), "is not a number"),
            (numbers < self.low, f"is below {self.low:g}"),
            (numbers > self.high, f"is above {self.high:g}"),
        ):
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                raise BadData(
                    f"{self.target!r} {what} in {int(wrong.sum())} train rows, first at {self.id} {train[self.id].iloc[first]}: "
                    f"{target.tolist()[first]!r}. Mend or remove these rows."
                )
        return numbers


@dataclass(frozen=True)
class Classification:
    """One class per row, of tables or images. Predictions: a `Table` of class probabilities, one column per class, sorted."""

    id: str
    target: str
    metric: str = "accuracy"

    predictions = Table

    def columns(self, data: Data) -> tuple[str, ...]:
        return tuple(sorted(data.train[self.target].astype(str).unique()))

    def truth(self, data: Data) -> Array:
        """(n,) int64, the index of each row's class in `columns`. Raises BadData on a missing label."""
        train, target = data.train, _target(data.train, self.target)
        missing = target.isna()
        if missing.any():
            raise BadData(
                f"{self.target!r} is missing in {missing.sum()} train rows, first at {self.id} {train.loc[missing, self.id].iloc[0]}. "
                "Label or remove these rows."
            )
        return np.searchsorted(np.array(self.columns(data)), target.astype(str).to_numpy(dtype=np.str_))


@dataclass(frozen=True)
class Detection:
    """Boxes of several categories per image. Predictions: `Boxes`. The truth is the table `Data.boxes`, not a column."""

    id: str = "image_id"
    metric: str = "map"

    predictions = Boxes

    def columns(self, data: Data) -> tuple[str, ...]:
        """Ids of the categories, in the order of their numbers inside models."""
        return tuple(_table(data.categories, "categories", ("id", "name"))["id"])

    def truth(self, data: Data) -> Truth:
        """Of the images of train, in their order. Raises BadData where a table or a column lacks."""
        categories = np.array(self.columns(data))
        boxes = _table(data.boxes, "boxes", (self.id, "category_id", *BOX, "crowd"))
        ids = [data.train[self.id].to_numpy(), boxes[self.id].to_numpy(), boxes["category_id"].to_numpy()]
        return Truth(
            ids[0], categories, ids[1], ids[2], boxes[BOX].to_numpy(dtype=np.float64), boxes["crowd"].to_numpy(dtype=bool)
        )


Task: TypeAlias = Regression | Classification | Detection


def _table(table: pd.DataFrame | None, name: str, columns: Sequence[str]) -> pd.DataFrame:
    lacking = [column for column in columns if table is None or column not in table]
    if table is None or lacking:
        raise BadData(
            f"Detection needs the table {name!r} with the columns {', '.join(columns)}; load() gave none, or lacks {lacking}."
        )
    return table


def _target(train: pd.DataFrame, name: str) -> pd.Series:
    if name not in train:
        raise BadData(f"train has no target column {name!r}; it has {', '.join(map(str, train.columns[:8]))}.")
    return train[name]


@dataclass(frozen=True)
class Competition:
    """The facts of one competition.

    name: as typed, words joined by hyphens. kaggle: the slug on kaggle.com. folds: the plan that every model shares
    (its module says why it was chosen). practice_rows: of the practice data, where nobody asks for another number. practice_models:
    names of the recipes that are trained on practice data, where nobody names some; without, all. page: where a person sends
    submissions by hand, where Kaggle does not take them. git_hashes: what git calls the published files, by name, where that is known.
    """

    name: str
    kaggle: str
    task: Task
    folds: Plan
    practice_rows: int = 4_000
    practice_models: tuple[str, ...] = ()
    page: str = ""
    git_hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        return metric(self.task.metric)


@dataclass(frozen=True)
class Data:
    """What `load` returns. Ids are text in all three tables.

    train: one row per example, with id and target. test: the rows to predict. sample: the sample submission as text, cell
    by cell, because its ids, columns and order are what the answer is checked against. boxes, categories: detection's truth, one row
    per box (the image's id, category_id, left, top, width, height in pixels, crowd), and id and name of each category, in the order of
    their numbers inside models; where test has a column `phase`, each phase's images are a submission of their own. images: the folder to which the names in the column `image` of train and test are relative; the pipeline then
    adds a column `twins` to train, equal for copies of the same picture, to group folds by. notes: what was repaired or is
    odd, shown to the person.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame
    boxes: pd.DataFrame | None = None
    categories: pd.DataFrame | None = None
    images: Path | None = None
    notes: tuple[str, ...] = ()


class Transformer(Protocol):
    """An unfitted sklearn-style transformer from the raw rows to a table of features.

    Its output is a DataFrame. A column's type says what it is: numbers (NaN where missing), `category`, or text,
    which only the families that read text look at.
    """

    def fit(self, X: pd.DataFrame, y: Array) -> Any: ...

    def transform(self, X: pd.DataFrame) -> pd.DataFrame: ...


class TargetTransformer(Protocol):
    """An unfitted change of the target's scale: logs, a ratio to another column, the drift of prices over time.

    It is fitted on a fold's training part, like the features; `transform` gives (n,) values to learn, `inverse` turns
    predicted ones back for rows X.
    """

    def fit(self, X: pd.DataFrame, y: Array) -> Any: ...

    def transform(self, X: pd.DataFrame, y: Array) -> Array: ...

    def inverse(self, X: pd.DataFrame, z: Array) -> Array: ...


@dataclass(frozen=True)
class PseudoLabels:
    """A second round of training (Lee, ICML Workshop 2013): each fold also learns test rows that another model is sure of.

    of: the name of that model. at_least: its probability of the class. Each fold's labels are those of the other model's unit of
    the same fold and seed, which never saw the fold's validation rows; labels of the whole ensemble would have.
    """

    of: str
    at_least: float = 0.95


@dataclass(frozen=True)
class Model:
    """A recipe: a family (a file of `pipeline.models`) and its parameters. A parameter that the family does not know is an error.

    resample: how rare classes, or rows that matter more, are learned more, such as "smote:at=0.5"; see `pipeline.resample`.
    """

    family: str
    params: Mapping[str, Any] = field(default_factory=dict)
    pseudo: PseudoLabels | None = None
    resample: Resample | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        object.__setattr__(self, "resample", parse(self.resample))

    def __repr__(self) -> str:
        params = [f"{name}={value!r}" for name, value in self.params.items()]
        others = [f"{name}={value!r}" for name in ("pseudo", "resample") if (value := getattr(self, name)) is not None]
        return f"Model({', '.join([repr(self.family), *params, *others])})"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.family, dict(self.params), self.pseudo, self.resample)


@dataclass(frozen=True)
class Entry:
    """A competition as found: the record, its functions, and where they stand."""

    competition: Competition
    load: Callable[[Path], Data]
    features: Callable[[], Transformer]
    models: Callable[[], dict[str, Any]]
    practice: Callable[[Path, int, int], None]
    target: Callable[[], TargetTransformer] | None
    module: str


SIGNATURES: Mapping[str, tuple[str, ...]] = {
    "load": ("root",),
    "features": (),
    "models": (),
    "practice": ("root", "rows", "seed"),
    "target": (),
}
OPTIONAL = {"target"}


def check(module: ModuleType) -> Entry:
    """The module as an Entry. Raises BadContract that names the function and shows the signature expected."""
    where = module.__name__
    record = getattr(module, "competition", None)
    if not isinstance(record, Competition):
        raise BadContract(f"{where} has no record `competition = Competition(...)`; see pipeline/competition.py.")
    _judged(where, record.task)
    found: dict[str, Any] = {}
    for name, parameters in SIGNATURES.items():
        function: Any = getattr(module, name, None)
        if function is None and name in OPTIONAL:
            found[name] = None
            continue
        expected = f"def {name}({', '.join(parameters)})"
        try:
            actual = inspect.signature(function)
        except (TypeError, ValueError):  # it is no function, or one like `dict`, of which Python cannot tell the parameters
            raise BadContract(f"{where} lacks `{expected}`.") from None
        by_position = [p.name for p in actual.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        if tuple(by_position) != parameters or len(actual.parameters) != len(parameters):
            raise BadContract(f"{where} has `def {name}{actual}`; the contract is `{expected}`.")
        found[name] = function
    if found["target"] is not None and isinstance(record.task, Detection):
        raise BadContract(f"{where} has a target(), but boxes have no scale to learn on. Remove it.")
    expected_name = where.rpartition(".")[2].replace("_", "-")
    if record.name != expected_name:
        raise BadContract(f"{where} calls itself {record.name!r}; its file says {expected_name!r}. Rename one of them.")
    return Entry(record, module=where, **found)


def _judged(where: str, task: Task) -> None:
    """A metric of values judges a regression, one of labels or probabilities a classification, one of boxes a detection."""
    judge = metric(task.metric)
    if JUDGED[judge.kind] != type(task).__name__:
        raise BadContract(
            f"{where}: the metric {task.metric!r} judges a {judge.kind}; that does not go with {type(task).__name__}."
        )
