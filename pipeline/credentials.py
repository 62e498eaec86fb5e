"""Credentials around this process. What podium writes never has one in it, and processes of other libraries do not get them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

NAMED = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(?:_|$)", re.IGNORECASE)
OWNER = "KAGGLE_"  # whose variables no other library needs, the name of the account among them
LEAST = 8  # characters; shorter values stand in many a text by chance


def kaggle_folder() -> Path:
    """Where the official client keeps its credentials."""
    return Path(os.environ.get("KAGGLE_CONFIG_DIR", Path.home() / ".kaggle"))


def hidden(text: str) -> str:
    """The text with the name of each credential in its place, longer ones first, since one may be part of another."""
    for name, value in sorted(set(_known()), key=lambda known: (-len(known[1]), known)):
        text = text.replace(value, f"<{name}>")
    return text


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without credentials."""
    return {name: value for name, value in environment.items() if not NAMED.search(name) and not name.startswith(OWNER)}


def _known() -> Iterator[tuple[str, str]]:
    found = [(name, value) for name, value in os.environ.items() if NAMED.search(name)]
    for name in ("kaggle.json", "access_token"):
        try:
            content = (kaggle_folder() / name).read_text(encoding="utf-8")
            found.append((name, str(json.loads(content)["key"]) if name.endswith(".json") else content))
        except (OSError, ValueError, LookupError, TypeError):  # not there, or no such file
            continue
    yield from ((name, value.strip()) for name, value in found if len(value.strip()) >= LEAST)
