"""The families "autogluon", "h2o" and "flaml": AutoML on a fold's training part, in a process of its own (`automl_worker`).

One fit per fold: whatever the library chooses, bags or stacks, it does with the rows that this fold learns from, so its out-of-fold
predictions are as honest as any other's. What it judges its own models by are the plan's other folds, or the latest rows (`Desk`).

The library's models see numbers with gaps, categories, and, of the three, AutoGluon texts too. Files go between, of numbers and
texts without names, so nothing of ours can be mangled.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import psutil

from pipeline.errors import BadPredictions, BadRecipe, UnknownName
from pipeline.models import automl_process, refuse_unknown
from pipeline.models.desk import Desk
from pipeline.models.views import codes_of, kinds, refuse_nothing
from pipeline.predictions import Array
from pipeline.store import Damaged, pack, refusing, to_json, unpack

GIB = 2**30
FREE = 0.75  # share of the free memory that a training may take where the recipe says nothing
KINDS: Mapping[
    str, tuple[str, ...]
] = {  # of models, by each library's own names; those that nothing more has to be installed for
    "autogluon": ("CAT", "GBM", "NN_TORCH", "RF", "XGB", "XT"),
    "h2o": ("DRF", "DeepLearning", "GBM", "GLM", "StackedEnsemble", "XGBoost"),
    "flaml": ("catboost", "extra_tree", "lgbm", "rf", "xgb_limitdepth", "xgboost"),
}
PRESETS = ("best_quality", "good_quality", "medium_quality")
METRICS: Mapping[bool, tuple[str, ...]] = {False: ("rmse", "mae"), True: ("log_loss", "accuracy", "auc")}
NOT_IN_H2O = "accuracy"
READS_TEXT = ("autogluon",)


@dataclass
class AutoMl:
    """seconds: for the training of one unit, from when the library is loaded; at their end it is stopped, and what it had finished is
    used. memory: GiB of all its processes together, three quarters of what is free if None. metric: by which it chooses, "rmse" or
    "mae" for numbers, "log_loss", "accuracy" or "auc" for classes. only, leave_out: kinds of models, by the library's names.

    preset, stack (autogluon): how much it trains, and the levels of stacking above the bags; "auto" lets it try that out in a fit
    before, of a quarter of the time. most (h2o, flaml): of models, or of configurations tried; None for as many as there is time for.
    """

    family: str
    classes: int
    seed: int
    desk: Desk
    seconds: float = 300
    memory: float | None = None
    metric: str | None = None
    only: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    preset: str = "good_quality"
    stack: int | str = 0
    most: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, int | float) or not 1 <= self.seconds < np.inf:
            raise BadRecipe(f"seconds is {self.seconds!r}; give a number of 1 or more, such as 300. It is for one fold and seed.")
        if self.memory is not None and (not isinstance(self.memory, int | float) or not 0.5 <= self.memory < np.inf):
            raise BadRecipe(f"memory is {self.memory!r}; give GiB, a number of 0.5 or more, or None.")
        if self.preset not in PRESETS:
            raise UnknownName("preset of autogluon", str(self.preset), PRESETS)
        if not (self.stack == "auto" or (isinstance(self.stack, int) and 0 <= self.stack <= 3)):
            raise BadRecipe(f'stack is {self.stack!r}; give a number of levels from 0 to 3, or "auto".')
        if self.most is not None and not (isinstance(self.most, int) and self.most >= 1):
            raise BadRecipe(f"most is {self.most!r}; give a whole number of 1 or more, or None.")
        self._check_kinds()
        fitting = [one for one in METRICS[bool(self.classes)] if (self.family, one) != ("h2o", NOT_IN_H2O)]
        self.metric = self.metric or fitting[0]
        if self.metric not in fitting:
            raise UnknownName(
                f"metric of {self.family} for {'classes' if self.classes else 'numbers'}", str(self.metric), fitting
            )
        automl_process.refuse_absent(self.family)

    def _check_kinds(self) -> None:
        for name in ("only", "leave_out"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, tuple | list):
                raise BadRecipe(f"{name} is {value!r}; give a list of kinds of models, such as {list(KINDS[self.family][:2])}.")
            for kind in value:
                if kind not in KINDS[self.family]:
                    raise UnknownName(f"kind of model of {self.family}", str(kind), KINDS[self.family])
        left = [kind for kind in self.only or KINDS[self.family] if kind not in self.leave_out]
        if not left:
            raise BadRecipe(f"only {list(self.only)} less leave_out {list(self.leave_out)} leaves no kind of model to train.")
        self.kinds = left

    def fit(self, X: pd.DataFrame, y: Array) -> AutoMl:
        """Raises BadRecipe where the library fails, StoreError."""
        self.number, category, text = kinds(X)
        self.levels = {column: X[column].cat.categories for column in category}
        self.text = text if self.family in READS_TEXT else []
        refuse_nothing(X, [*self.number, *category, *self.text])
        y = np.asarray(y)
        if self.classes:
            self.present, y = np.unique(y, return_inverse=True)
            if len(self.present) < 2:
                raise BadRecipe("The rows to learn from are all of one class. Choose folds that are stratified by class.")
        inner = self._inner(y)
        with refusing(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)  # none of the libraries can go on where it was killed
            self.folder.mkdir(parents=True)
        self._write("train", X, {"y": y} if inner is None else {"y": y, "inner": inner})
        limit = self.memory or FREE * psutil.virtual_memory().available / GIB
        memory = round(limit, 2)
        self.job = {name: getattr(self, name) for name in ("seed", "metric", "preset", "stack", "most", "kinds", "seconds")}
        self.job |= {"library": self.family, "memory": memory, "classes": len(self.present) if self.classes else 0}
        self.job |= {"later": self.desk.later and inner is not None, "threads": self.desk.threads}
        automl_process.train(self.job, self.folder, self.desk.say)
        print((self.folder / automl_process.LOG).read_text(encoding="utf-8", errors="replace")[-automl_process.KEPT :])
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        """(n, 1) values, or (n, k) probabilities with 0 for classes that were not to be learned from."""
        self._write("asked", X, {})
        automl_process.predict(self.job, self.folder, self.desk.say)
        with refusing(self.folder):
            found = told((self.folder / automl_process.PREDICTED).read_bytes(), len(X), self.job["classes"])
        if not self.classes:
            return found
        out = np.zeros((len(X), self.classes))
        out[:, self.present] = found
        return out

    @property
    def folder(self) -> Any:
        """This process's own: another one that does the same unit would empty it."""
        return self.desk.scratch.resolve() / f"{self.family}-{os.getpid()}"

    def _inner(self, y: Array) -> Array | None:
        """(n,) the inner fold of each row; pseudo-labelled rows, which stand below the others, are dealt out, or learned."""
        given = self.desk.inner
        if given is None:
            return None
        more = len(y) - len(given)
        added = np.zeros(more, dtype=np.int64) if self.desk.later else np.arange(more) % (given.max() + 1)
        inner = np.concatenate([given, added])
        parts = [0] if self.desk.later else np.unique(inner)
        learned = [y[inner == 0]] if self.desk.later else [y[inner != part] for part in parts]
        if self.classes and any(len(np.unique(part)) < len(self.present) for part in learned):
            self.desk.say(
                "a class is in one of the other folds alone, so the library judges its models by rows of its own choice"
            )
            return None
        return inner

    def _write(self, name: str, X: pd.DataFrame, more: Mapping[str, Array]) -> None:
        numbers = np.empty((len(X), len(self.number)))
        for place, column in enumerate(self.number):
            numbers[:, place] = X[column].to_numpy(dtype=np.float64, na_value=np.nan)
        numbers[~np.isfinite(numbers)] = np.nan
        codes = codes_of(X, self.levels)
        arrays: dict[str, Array] = {"numbers": numbers, "codes": np.empty((len(X), 0), np.int32)}
        if codes:
            arrays["codes"] = np.stack(codes, axis=1).astype(np.int32)
        texts = [X[column].astype(object).where(X[column].notna(), "").astype(str).tolist() for column in self.text]
        with refusing(self.folder):
            (self.folder / f"{name}.npz").write_bytes(pack({**arrays, **more}))
            levels = [len(known) for known in self.levels.values()]
            (self.folder / f"{name}.json").write_bytes(to_json({"levels": levels, "texts": texts}))


def told(content: bytes, rows: int, classes: int) -> Array:
    """(n, 1) or (n, k) of a worker's file. Raises BadPredictions on anything that is no such file."""
    try:
        found = unpack(content)["predicted"]
    except (Damaged, KeyError) as error:
        raise BadPredictions(
            f"The file of predictions cannot be read ({type(error).__name__}: {str(error)[:200]}). Train anew."
        ) from error
    expected = (rows, classes or 1)
    if found.shape != expected or found.dtype.kind != "f" or not np.isfinite(found).all():
        raise BadPredictions(
            f"The file of predictions has an array {found.shape} of {found.dtype} where {expected} finite numbers are due. Train anew."
        )
    return found.astype(np.float64)


OF_ALL = {"seconds", "memory", "metric", "only", "leave_out"}
OWN = {"autogluon": OF_ALL | {"preset", "stack"}, "h2o": OF_ALL | {"most"}, "flaml": OF_ALL | {"most"}}


def build(family: str, classes: int, seed: int, params: dict[str, Any], desk: Desk) -> AutoMl:
    """Raises UnknownName for what is not known, BadRecipe for what cannot be, or for a library that is absent."""
    refuse_unknown(family, params, OWN[family])
    return AutoMl(family, classes, seed, desk, **params)
