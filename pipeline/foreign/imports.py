"""Members made elsewhere, kept in runs/NAME/imports/MODEL/KEY: whole or not there, keyed by what they say, for one plan of folds.

The same predictions again are the same folder. Others under the same name are another version; the one that came last counts.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import identity
from pipeline.errors import BadImport, NothingUsable, UnknownName
from pipeline.foreign.checking import Part, checked
from pipeline.foreign.reading import read
from pipeline.foreign.suspicion import oddities, too_good
from pipeline.predictions import Truth
from pipeline.run import Run
from pipeline.store import Store, pack, to_json, unpack
from pipeline.train import Member
from pipeline.tune.recipes import ENDING

PLACE = "imports"
NAME = r"\w[\w.+:=,-]*"  # of a folder, as a model's
ENDINGS = (".oof", "-oof", "_oof")


@dataclass(frozen=True, eq=False)
class Foreign(Member):
    """test is None where only out-of-fold predictions came. odd: why it may be too good to be true; beyond: that it is, beside our best
    member's interval. notes: what else was seen. told: whether its file said which fold validated a row. time: when it came, ISO, UTC."""

    odd: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    told: bool = False
    time: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        return self.odd + self.beyond

    @property
    def state(self) -> str:
        """A few words for the board, the worst first."""
        words = [f"SUSPICIOUS: {flag}" for flag in self.flags]
        words += ["imported", *["no test predictions"] * (self.test is None), *["its folds are not told"] * (not self.told)]
        return ", ".join(words)


def names(store: Store) -> list[str]:
    """Under which names something was imported, for whatever folds."""
    return [name for name in store.list(PLACE) if any(True for _ in store.list(PLACE, name))]


def default_name(file: Path) -> str:
    """A model's name by its file's: the ending, and the word oof before it, left out."""
    return next((file.stem.removesuffix(end) for end in ENDINGS if file.stem.endswith(end)), file.stem)


def bring(
    run: Run,
    files: Sequence[Path],
    name: str | None = None,
    test: Path | None = None,
    fold: str | None = None,
    ours: Mapping[str, Member] | None = None,
    taken: Sequence[str] = (),
    say: Callable[[str], None] = lambda message: None,
) -> Foreign:
    """Take out-of-fold predictions from these files, which hold different rows, and those of the test rows, and keep them.

    name: of the member; the first file's without. fold: the column that says which fold validated a row. ours: our members, to compare
    with. taken: names of our models. Raises BadImport with the name of the rule that is broken.
    """
    name = name or default_name(files[0])
    if not re.fullmatch(NAME, name):
        raise BadImport(
            "file", f"A member cannot be called {name!r}: it is kept in a folder of that name. Use letters, digits and . + - _"
        )
    if name in taken or name.endswith(ENDING):
        raise BadImport(
            "file", f"{name!r} is the name of a model that is, or would be, trained here. Give another one with --name MODEL."
        )
    boxes, task = isinstance(run.y, Truth), run.entry.competition.task
    sheet = read(files, task.id, run.columns, fold, boxes)
    oof, notes = checked(run, sheet, Part.out_of_fold(run))
    arrays = {"oof.npz": oof.arrays()}
    if test is not None:
        found, more = checked(run, read([test], task.id, run.columns, None, boxes), Part.test(run))
        arrays["test.npz"] = found.arrays()
        notes += more
    score = run.answers.score(oof)
    ranked = sorted(ours.values(), key=lambda one: -run.entry.competition.metric.sign * one.score) if ours else []
    best = ranked[0].oof if ranked else None
    if best is None:
        notes.append("There was no member of our own to compare it with; the board does so later.")
    said = {"data": run.fingerprint, "folds": run.folds.hash, "told": sheet.fold is not None}
    key = identity.key({**said, **{file: dict(parts) for file, parts in arrays.items()}})
    about = {
        **said,
        "model": name,
        "score": None if np.isnan(score) else score,
        "odd": oddities(run, oof, best),
        "beyond": [] if best is None else too_good(score, run.answers.interval(best), run.entry.competition.metric),
        "notes": notes,
        "files": {file.name: identity.file_hash(file) for file in ([*files, test] if test else files)},
        "practice": run.practice,
        "podium": importlib.metadata.version("podium"),
        "time": datetime.datetime.now(datetime.UTC).isoformat(),
    }
    if run.store.whole(PLACE, name, key, damaged=say) is not None:
        say(f"{name} was imported before with the same predictions; it is taken anew, so that it counts as the last version.")
        run.store.remove(PLACE, name, key)
    run.store.write(PLACE, name, key, files={"import.json": to_json(about), **{file: pack(one) for file, one in arrays.items()}})
    return members(run, [name], say)[name]


def members(
    run: Run, wanted: Sequence[str] | None = None, say: Callable[[str], None] = lambda message: None
) -> dict[str, Foreign]:
    """The members imported for this data and these folds, each in its last version; of these names where some are given."""
    found: dict[str, Foreign] = {}
    for name in names(run.store) if wanted is None else wanted:
        for key, about, files in _versions(run, name, say):
            here = (about["data"], about["folds"]) == (run.fingerprint, run.folds.hash)
            if here and (name not in found or about["time"] > found[name].time):
                found[name] = _member(run, name, key, about, files)
    return found


def elsewhere(run: Run) -> Iterator[tuple[str, str]]:
    """Names of what was imported for other data or other folds alone, and for which."""
    here = members(run)
    for name in names(run.store):
        if name not in here:
            for _, about, _ in _versions(run, name):
                what = "other folds" if about["data"] == run.fingerprint else "other data"
                yield name, f"imported for {what} ({about['folds' if what == 'other folds' else 'data']})"
                break


def doubted(run: Run, members: Mapping[str, Member], interval: tuple[float, float] | None) -> dict[str, Foreign]:
    """Those of the members that were made elsewhere, each compared anew with the interval of our best member's score, where there is one."""
    metric = run.entry.competition.metric
    return {
        name: dataclasses.replace(one, beyond=tuple(too_good(one.score, interval, metric)) if interval else one.beyond)
        for name, one in members.items()
        if isinstance(one, Foreign)
    }


def remove(store: Store, name: str) -> int:
    """Forget every version of a member made elsewhere; how many there were. Raises UnknownName."""
    known = names(store)
    if name not in known:
        raise UnknownName("imported member", name, known)
    versions = list(store.list(PLACE, name))
    for key in versions:
        store.remove(PLACE, name, key)
    return len(versions)


def split(store: Store, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of our own models, and of those made elsewhere, in their order."""
    imported = set(names(store))
    return [name for name in wanted if name not in imported], [name for name in wanted if name in imported]


def fit_to_submit(members: Mapping[str, Member], say: Callable[[str], None], named: bool) -> dict[str, Member]:
    """Those that predict the test rows too. The others are left out, said so; or refused with NothingUsable, where they were named."""
    without = [name for name, member in members.items() if member.test is None]
    if without:
        what = (
            f"{', '.join(without)}: imported without test predictions, so what is made of {'it' if len(without) == 1 else 'them'} could not "
            "answer the test rows. Import again with --test FILE"
        )
        if named or len(without) == len(members):
            raise NothingUsable(f"{what}, or name other models.")
        say(f"Left out: {what}.")
    return {name: member for name, member in members.items() if member.test is not None}


def _versions(
    run: Run, name: str, say: Callable[[str], None] = lambda message: None
) -> Iterator[tuple[str, dict[str, Any], Mapping[str, bytes]]]:
    for key in run.store.list(PLACE, name):
        files = run.store.whole(
            PLACE, name, key, damaged=lambda told: say(told.replace("is made again", "must be imported again"))
        )
        if files is not None:
            yield key, json.loads(files["import.json"]), files


def _member(run: Run, name: str, key: str, about: Mapping[str, Any], files: Mapping[str, bytes]) -> Foreign:
    place = run.store.path(PLACE, name, key)
    oof = run.answers.read(unpack(files["oof.npz"], place / "oof.npz"))
    test = run.answers.read(unpack(files["test.npz"], place / "test.npz")) if "test.npz" in files else None
    return Foreign(
        name,
        oof,
        test,
        run.answers.score(oof),
        run.answers.trimmed(oof),
        0.0,
        (key,),
        odd=tuple(about["odd"]),
        beyond=tuple(about["beyond"]),
        notes=tuple(about["notes"]),
        told=about["told"],
        time=about["time"],
    )
