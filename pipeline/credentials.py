"""Credentials around this process. What podium writes never has one in it, and processes of other libraries do not get them."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAMED = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(?:_|$)", re.IGNORECASE)
OWNER = "KAGGLE_"  # whose variables no other library needs, the name of the account among them
LEAST = 8  # characters; shorter values stand in many a text by chance
TOKENS = ("access_token", "access_token.txt")
LOGIN = "credentials.json"  # what `kaggle auth login` leaves


@dataclass(frozen=True)
class Kaggle:
    """Credentials of Kaggle: a token, or an account and its key; neither where `kaggle auth login` left what a token is asked with.

    source: where they were found, never a part of them.
    """

    source: str
    token: str | None = field(default=None, repr=False)
    account: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


def kaggle() -> Kaggle | None:
    """The credentials that the official client would take, found in its order; None where there are none."""
    return next(_of_kaggle(), None)


def kaggle_folder() -> Path:
    """Where the official client keeps its credentials."""
    named = os.environ.get("KAGGLE_CONFIG_DIR")
    usual = Path.home() / ".kaggle"
    other = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    if named:
        return Path(named)
    return other if other.exists() and not usual.exists() else usual


def hidden(text: str) -> str:
    """The text with the name of each credential in its place, longer ones first, since one may be part of another."""
    for name, value in sorted(set(_known()), key=lambda known: (-len(known[1]), known)):
        text = text.replace(value, f"<{name}>")
    return text


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without credentials."""
    return {name: value for name, value in environment.items() if not NAMED.search(name) and not name.startswith(OWNER)}


def _of_kaggle() -> Iterator[Kaggle]:
    home = Path.home() / ".kaggle"
    if {"KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"} <= set(os.environ):
        given = _content(os.environ.get("KAGGLE_API_V1_TOKEN", ""))
        if given:
            yield Kaggle("the notebook's own token found", given)
    value = os.environ.get("KAGGLE_API_TOKEN", "").strip()
    token = _content(value)  # of a file that it may name
    token = value if token is None else token
    if token:
        yield Kaggle("KAGGLE_API_TOKEN is set", token)
    for name in TOKENS:
        token = _content(home / name)
        if token:
            yield Kaggle(f"{name} file found", token)
    kept = _json(kaggle_folder() / "kaggle.json")
    account, key = (os.environ.get(f"KAGGLE_{name}") for name in ("USERNAME", "KEY"))
    if account and key:
        yield Kaggle("KAGGLE_USERNAME and KAGGLE_KEY are set", None, account, key)
    account, key = account or kept.get("username"), key or kept.get("key")
    if account and key:
        yield Kaggle("kaggle.json found", None, account, key)
    if _json(home / LOGIN).get("refresh_token"):
        yield Kaggle(f"{LOGIN} of `kaggle auth login` found")


def _known() -> Iterator[tuple[str, str]]:
    found = [(name, value) for name, value in os.environ.items() if NAMED.search(name)]
    files = ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN")  # these may name a file, which holds the token
    found += [(name, _content(os.environ.get(name, "")) or "") for name in files]
    for folder in {kaggle_folder(), Path.home() / ".kaggle"}:
        found += [("access_token", _content(folder / name) or "") for name in TOKENS]
        found.append(("kaggle.json", _json(folder / "kaggle.json").get("key", "")))
        found += [(LOGIN, _json(folder / LOGIN).get(name, "")) for name in ("access_token", "refresh_token")]
    one = next(_of_kaggle(), None)
    if one is not None and one.key is not None:  # as a request's header has it
        found.append(("Authorization", base64.b64encode(f"{one.account}:{one.key}".encode()).decode()))
    yield from ((name, value.strip()) for name, value in found if len(value.strip()) >= LEAST)


def _content(path: str | Path) -> str | None:
    """Of a text file, without blanks at its ends; None where there is none, also where `path` is no path at all but a token."""
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else None
    except (OSError, ValueError):
        return None


def _json(path: Path) -> dict[str, str]:
    """The texts of a file of JSON, by name; empty where there is none."""
    try:
        content = json.loads(_content(path) or "{}")
        return {name: value for name, value in content.items() if isinstance(value, str)}
    except (ValueError, AttributeError):  # no JSON, or no object
        return {}
