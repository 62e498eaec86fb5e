"""Modern nets for tables, through pytabkit: RealMLP (Holzmüller et al. 2024) and TabM (Gorishniy et al. 2024)."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from pipeline.models import refuse_unknown
from pipeline.models.views import Numbers, kinds, labels_of, probabilities, refuse_nothing
from pipeline.predictions import Array

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler


HELD_OUT = 0.2  # pytabkit's own share where a recipe has no val_fraction


class TabularNet:
    """One net; early stopping on rows that pytabkit holds out inside the fold (`val_fraction`)."""

    def __init__(self, family: str, classes: int, seed: int, params: dict[str, Any]) -> None:
        for library in ("lightning.pytorch", "pytorch_lightning"):
            logging.getLogger(library).setLevel(logging.ERROR)  # its trainer announces itself for every fit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pytabkit's imports use what torch deprecates
            import pytabkit
        kind = {
            ("realmlp", False): pytabkit.RealMLP_TD_Regressor,
            ("realmlp", True): pytabkit.RealMLP_TD_Classifier,
            ("tabm", False): pytabkit.TabM_D_Regressor,
            ("tabm", True): pytabkit.TabM_D_Classifier,
        }[family, bool(classes)]
        refuse_unknown(family, params, set(kind().get_params()))
        self.classes, self.seed = classes, seed
        self.model = kind(**{"device": "cpu", "random_state": seed, "n_threads": 1, "n_cv": 1, "verbosity": 0, **params})

    def fit(self, X: pd.DataFrame, y: Array, sampler: Sampler | None = None) -> TabularNet:
        self.sampler, held = sampler, None
        if sampler:  # before the rows that stop it early are resampled too, they are set apart here instead of inside
            X, y, held = self._sampled(X, y, sampler)
        number, self.category, _ = kinds(X)
        refuse_nothing(X, number + self.category)
        self.numbers = Numbers().fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its trainer warns of a missing logger and of few loader workers
            category = [f"category_{place}" for place in range(len(self.category))]
            self.model.fit(self._view(X), y, val_idxs=held, cat_col_names=category)
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = probabilities(self.model, self._view(X), self.classes)
        return self.sampler.corrected(found) if self.sampler else found

    def _sampled(self, X: pd.DataFrame, y: Array, sampler: Sampler) -> tuple[pd.DataFrame, Array, Array]:
        """The rows, those that learn resampled, and the places (1, h) of those that are held out, which stand at the end as they were."""
        share = self.model.get_params().get("val_fraction") or HELD_OUT
        learn, hold = train_test_split(np.arange(len(y)), test_size=share, random_state=self.seed)
        learned, labels, _ = sampler.rows(X.iloc[learn].reset_index(drop=True), y[learn], learn)
        both = pd.concat([learned, X.iloc[hold]], ignore_index=True)
        return both, np.concatenate([labels, y[hold]]), np.arange(len(labels), len(both))[None]

    def _view(self, X: pd.DataFrame) -> pd.DataFrame:
        numbers = self.numbers.transform(X)
        view = pd.DataFrame(numbers, columns=[f"number_{place}" for place in range(numbers.shape[1])])
        labels = labels_of(X, self.category)
        return view.assign(**{f"category_{place}": labels[:, place] for place in range(labels.shape[1])})


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> TabularNet:
    return TabularNet(family, classes, seed, params)
