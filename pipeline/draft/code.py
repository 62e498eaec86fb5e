"""Writing Python as a formatter would leave it: lines of up to 130 characters, what is longer with one part a line."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

WIDTH = 130
OURS, THEIRS = ("features", "pipeline"), ("numpy", "pandas", "sklearn")
PEOPLES = 10_000  # whole numbers from which digits are grouped: years are not


@dataclass(frozen=True)
class Node:
    """A bracket with parts: code, or others like it. head: what stands before it, the bracket included. one: a tuple, which has a comma
    also after a single part."""

    head: str
    parts: tuple[str | Node, ...]
    tail: str
    one: bool = False

    def flat(self) -> str:
        inner = ", ".join(part.flat() if isinstance(part, Node) else part for part in self.parts)
        return f"{self.head}{inner}{',' * (self.one and len(self.parts) == 1)}{self.tail}"

    def laid(self, indent: int = 0, after: str = "", split: bool = False) -> str:
        """On one line, if it fits and is not to be split; after: what follows on the last line."""
        pad = " " * indent
        if not split and columns(pad + self.flat() + after) <= WIDTH:
            return pad + self.flat() + after
        comma = "" if len(self.parts) == 1 and isinstance(self.parts[0], Node) and not self.one else ","
        inside = [part.laid(indent + 4, comma) if isinstance(part, Node) else f"{pad}    {part}," for part in self.parts]
        return "\n".join([pad + self.head, *inside, pad + self.tail + after])


def columns(text: str) -> int:
    """What a text takes of a line: wide characters two places."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def called(name: str, *parts: str | Node, **named: Any) -> Node:
    return Node(f"{name}(", (*parts, *(f"{key}={literal(value)}" for key, value in named.items())), ")")


def many(values: Iterable[Any], head: str = "") -> Node:
    """A tuple of literals."""
    return Node(f"{head}(", tuple(map(literal, values)), ")", one=True)


def mapped(pairs: Mapping[str, str | Node], head: str = "") -> Node:
    """A dict of texts to code."""
    parts: list[str | Node] = []
    for key, value in pairs.items():
        before = f"{quoted(key)}: "
        parts.append(Node(before + value.head, value.parts, value.tail, value.one) if isinstance(value, Node) else before + value)
    return Node(f"{head}{{", tuple(parts), "}")


def literal(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return many(value).flat()
    if isinstance(value, Mapping):
        return mapped({key: literal(one) for key, one in value.items()}).flat()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= PEOPLES:
        return f"{value:_}"
    return repr(value).replace("e+", "e")


def quoted(text: str) -> str:
    """In double quotes, unless single ones need fewer backslashes."""
    mark = "'" if text.count('"') > text.count("'") else '"'
    return mark + "".join(_escaped(one, mark) for one in text) + mark


def _escaped(one: str, mark: str) -> str:
    if one in (mark, "\\"):
        return "\\" + one
    return one if one.isprintable() else repr(one)[1:-1]


def shown(name: str) -> str:
    """A name for a docstring or a comment: on one line, and with nothing in it that could end that."""
    return "".join(one if one.isprintable() else " " for one in name).replace("\\", "/").replace('"', "'").strip()


def documented(first: str, paragraphs: Iterable[str], points: Iterable[str]) -> str:
    """A module's docstring. first: its first line."""
    lines = [f'"""{shown(first)}', ""]
    for text in paragraphs:
        lines += [*textwrap.wrap(shown(text), WIDTH - 2), ""]
    for point in points:
        lines += textwrap.wrap(f"- {shown(point)}", WIDTH - 2, subsequent_indent="  ")
    return "\n".join([*lines, '"""'])


def imports(named: Mapping[str, Iterable[str]], plain: Iterable[str] = ()) -> str:
    """Import lines in the order that isort gives them. named: names by module; plain: modules by themselves, such as json."""
    sections: dict[int, list[str]] = {}
    for module in sorted(plain):
        sections.setdefault(_section(module), []).append(f"import {module}{' as pd' * (module == 'pandas')}")
    for module in sorted(named):
        names = sorted(named[module], key=_place)
        if names:
            sections.setdefault(_section(module), []).append(f"from {module} import {', '.join(names)}")
    return "\n\n".join(["from __future__ import annotations", *("\n".join(sections[number]) for number in sorted(sections))])


def _section(module: str) -> int:
    top = module.partition(".")[0]
    return 2 if top in OURS else 1 if top in THEIRS else 0


def _place(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def module(blocks: Sequence[str]) -> str:
    """The whole text. A block that begins with "def" has two empty lines before it, and so has what comes after it."""
    text = blocks[0]
    for before, block in pairwise(blocks):
        text += "\n\n\n" if "def " in (block[:4], before[:4]) else "\n\n"
        text += block
    return text.rstrip() + "\n"
