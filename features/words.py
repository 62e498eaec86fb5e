"""Words and numbers of free text: the one way in which the text features read a sentence."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pandas as pd

# A number may carry a dollar sign, thousands commas and k or m; "9th" and "67b" are no numbers. Punctuation ends a clause.
TOKEN = re.compile(r"\$?\d+(?:,\d{3})*(?:\.\d+)?[km]?(?![a-z0-9])|[a-z]+(?:'[a-z]+)?|[.,;:!?()\n]")
SCALE = {"k": 1e3, "m": 1e6}
ENOUGH = 10_000  # texts to choose words from; a word in one of 200 still stands in about 50 of them


def tokens(text: str) -> list[str]:
    """Lower-case words in the singular, numbers, and the punctuation between clauses, in reading order."""
    return [_singular(token) for token in TOKEN.findall(text.lower())]


@lru_cache(maxsize=1 << 16)
def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] not in "siu" else word


def is_word(token: str) -> bool:
    return token[0].isalpha()


def is_number(token: str) -> bool:
    return token[0] in "$0123456789"


def value(token: str) -> float:
    """The number that a token stands for: "$1.5m" is 1500000."""
    return float(token.strip("$km").replace(",", "")) * SCALE.get(token[-1], 1.0)


def enough(text: pd.Series) -> pd.Series:
    """At most `ENOUGH` of the texts, evenly spaced, to choose words from."""
    return text if len(text) <= ENOUGH else text.iloc[np.linspace(0, len(text) - 1, ENOUGH).astype(np.intp)]
