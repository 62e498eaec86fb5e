"""Numbers in free text ("grade 8, basement of 280 sqft, 2 floors") as columns, found by the words that stand around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from features.columns import frame, present, texts
from features.fitting import Unsupervised
from features.words import enough, is_number, is_word, tokens, value
from pipeline.predictions import Array

UNIQUE = 1.1  # a context that stands more often than this in the rows that have it ("of #") means several things
REPEATS = 0.95  # share of its values that a column may have in common with one before


@dataclass(eq=False, repr=False)
class TextNumbers(Unsupervised):
    """`says__COLUMN__basement of #`: the first number that stands in that context, NaN where none does.

    A context is up to two words before the number, up to two after, or one on each side, within a clause. Learned per column,
    without the target, from at most 10,000 rows: the contexts in at least `min_share` of them, the most frequent first, at
    most `max_columns`; less those that stand several times in a text, that always hold the same number, or that repeat a
    column before. (n, c) -> (n, contexts).
    """

    columns: Sequence[str]
    min_share: float = 0.005
    max_columns: int = 40

    def learn(self, X: pd.DataFrame) -> None:
        self.contexts_ = {name: self._choose(enough(texts(X, name))) for name in present(X, self.columns)}

    def _choose(self, text: pd.Series) -> list[str]:
        found, rows = _found(text), len(text)
        first = found.drop_duplicates(["row", "context"])
        table = first.groupby("context")["value"].agg(["size", "nunique"])
        table["times"] = found.groupby("context").size() / table["size"]
        table = table[(table["size"] >= self.min_share * rows) & (table["nunique"] > 1) & (table["times"] <= UNIQUE)]
        table["words"] = table.index.str.count(" ")
        ordered = table.sort_index().sort_values(["size", "words"], ascending=[False, True], kind="stable")
        candidates = ordered.index.tolist()[: 5 * self.max_columns]
        values = _table(first, candidates, rows)
        kept: list[int] = []
        for place in range(len(candidates)):
            here = ~np.isnan(values[:, place])
            repeats = (values[here][:, kept] == values[here, place, None]).mean(axis=0)
            if len(kept) < self.max_columns and not (repeats >= REPEATS).any():
                kept.append(place)
        return [candidates[place] for place in kept]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, Array] = {}
        for name, contexts in self.contexts_.items():
            first = _found(texts(X, name), frozenset(contexts)).drop_duplicates(["row", "context"])
            values = _table(first, contexts, len(X))
            made |= {f"says__{name}__{context}": values[:, place] for place, context in enumerate(contexts)}
        return frame(made, X.index)


def _found(text: pd.Series, wanted: frozenset[str] | None = None) -> pd.DataFrame:
    """One line per number and context: row (position), context, value, in reading order."""
    lines = [
        (row, context, number)
        for row, cell in enumerate(text)
        for context, number in _contexts(cell)
        if wanted is None or context in wanted
    ]
    rows, contexts, values = zip(*lines, strict=True) if lines else ((), (), ())
    return pd.DataFrame(
        {"row": np.array(rows, np.int64), "context": np.array(contexts, object), "value": np.array(values, np.float64)}
    )


def _contexts(text: str) -> Iterator[tuple[str, float]]:
    read = tokens(text)
    for place, token in enumerate(read):
        if not is_number(token):
            continue
        before, after = _words(read[max(place - 2, 0) : place][::-1])[::-1], _words(read[place + 1 : place + 3])
        number = value(token)
        for context in {
            *(" ".join([*before[-n:], "#"]) for n in range(1, len(before) + 1)),
            *(" ".join(["#", *after[:n]]) for n in range(1, len(after) + 1)),
            *(f"{left} # {right}" for left in before[-1:] for right in after[:1]),
        }:
            yield context, number


def _words(read: list[str]) -> list[str]:
    """The words up to the first number or punctuation."""
    stop = next((place for place, token in enumerate(read) if not is_word(token)), len(read))
    return read[:stop]


def _table(first: pd.DataFrame, contexts: list[str], rows: int) -> Array:
    """(rows, contexts) values; NaN where a row lacks the context."""
    table = np.full((rows, len(contexts)), np.nan)
    place = first["context"].map({context: i for i, context in enumerate(contexts)})
    known = place.notna().to_numpy()
    table[first["row"].to_numpy()[known], place[known].to_numpy(dtype=np.intp)] = first["value"].to_numpy()[known]
    return table
