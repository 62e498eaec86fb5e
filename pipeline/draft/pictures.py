"""Which files the cells of a column name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.errors import BadData

MOSTLY = 0.5  # of the cells: so many make a column one of pictures, and what lacks then is an error


@dataclass(frozen=True)
class Place:
    """before, after: what a cell lacks of its file's path below the root: the folder with its slash, and the ending."""

    before: str
    after: str

    def of(self, cell: str) -> str:
        return f"{self.before}{cell}{self.after}"


def place_of(cells: Iterable[str], pictures: Collection[str]) -> Place | None:
    """Where all the pictures of these cells lie; None where they name none. Raises BadData where only some are there."""
    names = sorted(set(cells))
    found = {place: sum(place.of(name) in pictures for name in names) for place in _candidates(names, pictures)}
    if not found:
        return None
    best = max(sorted(found, key=lambda place: (place.before, place.after)), key=lambda place: found[place])
    if found[best] < MOSTLY * len(names):
        return None
    lacking = [best.of(name) for name in names if best.of(name) not in pictures]
    if lacking:
        raise BadData(
            f"{len(lacking):,} of {len(names):,} pictures are not there, first {lacking[0]}. Unpack the whole archive; pictures of one "
            "table lie in one folder and have one ending."
        )
    return best


def _candidates(names: list[str], pictures: Collection[str]) -> set[Place]:
    """The places of the first cells that name a picture at all."""
    by_end: dict[str, list[str]] = {}
    for path in pictures:
        name = path.rpartition("/")[2]
        for end in {name, name.rpartition(".")[0]}:
            by_end.setdefault(end, []).append(path)
    places: set[Place] = set()
    for cell in names[:20]:
        last = cell.rpartition("/")[2]
        for path in by_end.get(last, []):
            for after in ("", path[path.rindex(".") :]):
                if path.endswith(cell + after) and path[: len(path) - len(cell + after)][-1:] in ("", "/"):
                    places.add(Place(path[: len(path) - len(cell + after)], after))
    return places
