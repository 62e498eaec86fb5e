"""The members of a run that are complete: those that were trained here, and those that were made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.ensemble.pruning import Pruned, prune
from pipeline.errors import NothingUsable, UnknownName
from pipeline.foreign import imports
from pipeline.predictions import Table
from pipeline.run import Run
from pipeline.train import BY_FAMILY, Member, members, recipes, resampled_before, units


def ours(run: Run, wanted: Sequence[str], seeds: int, say: Callable[[str], None]) -> dict[str, Member]:
    """Of these names, or of all that the competition knows, the models that are trained. Raises UnknownName."""
    named = recipes(run.entry, wanted or [*recipes(run.entry), *resampled_before(run)])
    return members(run, units(run, named, seeds), say)


def gathered(run: Run, wanted: Sequence[str], seeds: int, say: Callable[[str], None]) -> dict[str, Member]:
    """Of these names, or of all, the members that are there. Raises UnknownName on a name, NothingUsable where there is none."""
    mine, theirs = imports.split(run.store, wanted)
    known = [*run.entry.models(), *BY_FAMILY]
    unknown = [name for name in mine if name.partition("+")[0] not in known]
    if unknown:
        raise UnknownName("model", unknown[0], [*known, *imports.names(run.store)])
    foreign = imports.members(run, theirs if wanted else None, say)
    elsewhere = [name for name in theirs if name not in foreign]
    if elsewhere:
        raise NothingUsable(
            f"{elsewhere[0]!r} was imported for other data or other folds. Write these folds with podium export {run.name} --plan, and "
            "import predictions that were made on them."
        )
    found = {**(ours(run, mine, seeds, say) if mine or not wanted else {}), **foreign}
    if not found:
        first = " ".join(["podium train", run.name, *mine])
        raise NothingUsable(f"No model asked for is trained on this data and these folds. First: {first}")
    return found


def pruned(run: Run, members: Mapping[str, Member]) -> Pruned | None:
    """Which members help and which do not; None of boxes, whose fusion gives weights of 0 by itself, and of one member."""
    tables = {name: member.oof for name, member in members.items() if isinstance(member.oof, Table)}
    if len(tables) < 2:
        return None
    return prune(tables, (run.ids, run.y), run.folds.fold_of, run.entry.competition.metric, run.folds.ordered)


def suspected(run: Run, members: Mapping[str, Member]) -> list[str]:
    """What is too good to be true about members that were made elsewhere, a sentence each."""
    mine = [one for one in members.values() if not isinstance(one, imports.Foreign)]
    best = max(mine, key=lambda one: run.entry.competition.metric.sign * one.score, default=None)
    interval = run.answers.interval(best.oof) if best and imports.doubted(run, members, None) else None
    foreign = imports.doubted(run, members, interval)
    return [f"SUSPICIOUSLY GOOD, {name}: {flag}" for name, one in sorted(foreign.items()) for flag in one.flags]
