"""Free text as numbers: its gist (TextSvd) and the phrases in it (TextPhrases). Numbers in it are `features.text_numbers`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

from features.columns import frame, present, texts
from features.fitting import Unsupervised
from features.words import enough, is_word, tokens
from pipeline.predictions import Array

WORD = r"(?u)\b[^\W\d_]{2,}\b"


@dataclass(eq=False, repr=False)
class TextSvd(Unsupervised):
    """Latent semantic analysis of text columns (Deerwester et al., JASIS 41(6), 1990): `svd__COLUMN__000` and so on, the TF-IDF
    of runs of up to `longest` words (numbers are left to `TextNumbers`) on its `components` leading directions, and `length__COLUMN`, log(1 + letters).

    Learned per column: the vocabulary (what stands in `min_rows` rows, the most frequent first), its weights and the
    directions; fewer of these where words or rows are fewer, none where there is no vocabulary. NaN where the text is missing.
    (n, c) -> (n, components + 1).
    """

    columns: Sequence[str]
    components: int = 32
    min_rows: int = 5
    max_words: int = 20_000
    longest: int = 1
    seed: int = 0

    def learn(self, X: pd.DataFrame) -> None:
        self.columns_ = present(X, self.columns)
        self.words_: dict[str, TfidfVectorizer] = {}
        self.directions_: dict[str, Array] = {}
        for name in self.columns_:
            text = texts(X, name)
            words = TfidfVectorizer(
                token_pattern=WORD,
                ngram_range=(1, self.longest),
                min_df=min(self.min_rows, len(X)),
                max_features=self.max_words,
                sublinear_tf=True,
                dtype=np.float32,
            )
            try:
                weights = words.fit_transform(text)
            except ValueError:  # sklearn's word for texts without a word that is frequent enough
                continue
            self.words_[name] = words
            self.directions_[name] = randomized_svd(weights, min(self.components, *weights.shape), random_state=self.seed)[2]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, Array | pd.Series] = {}
        for name in self.columns_:
            text = texts(X, name)
            known = (text != "").to_numpy()
            if name in self.words_:
                directions = self.directions_[name]
                places = np.full((len(X), len(directions)), np.nan)
                if known.any():
                    places[known] = self.words_[name].transform(text[known]) @ directions.T
                made |= {f"svd__{name}__{i:03d}": places[:, i] for i in range(len(directions))}
            made[f"length__{name}"] = np.log1p(text.str.len().astype(np.float64)).where(known)
        return frame(made, X.index)


@dataclass(eq=False, repr=False)
class TextPhrases(Unsupervised):
    """`says__COLUMN__PHRASE`, 1 where the text holds the phrase of up to `longest` words, else 0; NaN where the text is missing.

    Learned per column, without the target, from at most 10,000 rows: of the phrases in `min_share` to 1 - `min_share` of
    them, the `max_columns` that split the rows most evenly, less stop words and phrases that split them as one before does.
    `always`: phrases to look for whatever their share, in any form ("Ocean views"). (n, c) -> (n, phrases).
    """

    columns: Sequence[str]
    always: Sequence[str] = ()
    min_share: float = 0.005
    max_columns: int = 60
    longest: int = 3

    def learn(self, X: pd.DataFrame) -> None:
        self.phrases_ = {name: self._choose(list(map(tokens, enough(texts(X, name))))) for name in present(X, self.columns)}

    def _choose(self, read: list[list[str]]) -> list[str]:
        least = max(self.min_share * len(read), 1)
        # A phrase is no more frequent than its rarest word (the apriori rule of Agrawal and Srikant), so rare words end it.
        words = {word for word, rows in _rows_of(read, 1).items() if rows >= least}
        rows = {p: n for p, n in _rows_of(read, self.longest, words).items() if not set(p.split()) <= ENGLISH_STOP_WORDS}
        evenness = {phrase: min(n, len(read) - n) for phrase, n in rows.items()}
        ordered = sorted((p for p, even in evenness.items() if even >= least), key=lambda p: (-evenness[p], len(p), p))
        always = dict.fromkeys(" ".join(tokens(phrase)) for phrase in self.always)
        candidates = [phrase for phrase in ordered if phrase not in always][: 4 * self.max_columns]
        splits = _holds(list(map(_joined, read)), candidates).T
        first = {split.tobytes(): place for place, split in reversed(list(enumerate(splits)))}
        return [*always, *(candidates[place] for place in sorted(first.values())[: self.max_columns])]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        made: dict[str, Array] = {}
        for name, phrases in self.phrases_.items():
            text = texts(X, name)
            holds = _holds([_joined(tokens(cell)) for cell in text], phrases)
            cells = np.where((text != "").to_numpy()[:, None], holds, np.nan)
            made |= {f"says__{name}__{phrase}": cells[:, place] for place, phrase in enumerate(phrases)}
        return frame(made, X.index)


def _rows_of(read: Iterable[list[str]], longest: int, words: set[str] | None = None) -> Counter[str]:
    """Phrase -> number of texts that hold it; only phrases within a clause and, where words are given, made of these."""
    rows: Counter[str] = Counter()
    for text in read:
        runs = [list(run) for good, run in groupby(text, key=lambda t: is_word(t) and (words is None or t in words)) if good]
        rows.update(
            {
                " ".join(run[start:end])
                for run in runs
                for start in range(len(run))
                for end in range(start + 1, min(start + longest, len(run)) + 1)
            }
        )
    return rows


def _joined(read: list[str]) -> str:
    return f" {' '.join(read)} "


def _holds(joined: list[str], phrases: Sequence[str]) -> Array:
    """(n, phrases) bool: is the phrase in the text, between blanks?"""
    return np.array([[f" {phrase} " in text for phrase in phrases] for text in joined], dtype=bool).reshape(
        len(joined), len(phrases)
    )
