"""Sets: cells that list several things ("Garage, Garage - Attached, Covered")."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from features.columns import frame, present, texts
from features.fitting import Unsupervised
from pipeline.predictions import Array


@dataclass(eq=False, repr=False)
class Sets(Unsupervised):
    """Features of cells that list items: `has__COLUMN__ITEM` 0 or 1 for each frequent item, `count__COLUMN` of all items,
    `rare__COLUMN` of the items that are not frequent, and `missing__COLUMN` 0 or 1; the others are NaN in an empty cell.

    Items are split at `separator` (a regular expression) and compared by their letters and digits. Learned per column: the
    items in at least `min_share` of the rows, the most frequent `max_items` of them. (n, c) -> (n, items + 3 columns).
    """

    columns: Sequence[str]
    separator: str = "[,;|]"
    min_share: float = 0.01
    max_items: int = 40

    def learn(self, X: pd.DataFrame) -> None:
        self.items_: dict[str, list[str]] = {}
        for name in present(X, self.columns):
            rows = Counter(item for items in self._items(X, name) for item in items)
            frequent = [item for item, count in rows.items() if count >= self.min_share * len(X)]
            self.items_[name] = sorted(frequent, key=lambda item: (-rows[item], item))[: self.max_items]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, Array] = {}
        for name, frequent in self.items_.items():
            cells = self._items(X, name)
            count = np.array([len(items) for items in cells], dtype=np.float64)
            empty = count == 0
            has = np.array([[item in items for item in frequent] for items in cells], dtype=np.float64).reshape(
                len(X), len(frequent)
            )
            has[empty] = np.nan
            made |= {f"has__{name}__{item}": has[:, place] for place, item in enumerate(frequent)}
            made[f"count__{name}"] = np.where(empty, np.nan, count)
            made[f"rare__{name}"] = count - has.sum(axis=1)
            made[f"missing__{name}"] = empty.astype(np.float64)
        return frame(made, X.index)

    def _items(self, X: pd.DataFrame, name: str) -> list[frozenset[str]]:
        codes, cells = pd.factorize(texts(X, name))
        known = [frozenset(filter(None, map(_plain, re.split(self.separator, cell)))) for cell in cells]
        return [known[code] for code in codes]


def _plain(item: str) -> str:
    """Letters and digits in lower case with single blanks, so that "Garage-Attached" is "garage attached"."""
    return re.sub(r"[\W_]+", " ", item.lower()).strip()
