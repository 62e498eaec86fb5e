"""Commands that come after `train`: they take up the run that was trained last, by a note of its options in the run folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.console import say
from pipeline.errors import BadData

if TYPE_CHECKING:
    from pipeline.run import Run

LAST = "last.json"  # in the run folder: with which options it was trained last


def note(run: Run, data: Path | None, folds: str | None, rows: int | None, seeds: int) -> None:
    """Keep the options of this run."""
    from pipeline.store import replace_file

    if folds is not None and not folds.isdecimal():
        folds = str(Path(folds).resolve())
    used = {"data": str(data.resolve()) if data else None, "folds": folds, "rows": rows, "seeds": seeds}
    replace_file(run.store.path(LAST), _noted(used))


def reopen(name: str, data: Path | None, runs: Path, folds: str | None, rows: int | None, seeds: int | None) -> tuple[Run, int]:
    """The run that was trained last, where no option says otherwise; so `podium ensemble NAME` goes on from `podium train NAME`."""
    import competitions
    from pipeline.run import open_run

    competitions.find(name)
    last = last_options(runs / name / LAST)
    if data is None and last.get("data"):
        data = Path(last["data"])
        if not data.is_dir():
            raise BadData(f"The last run's data, {data}, is no longer there. Say where it is now with --data DIR.")
        say(f"Taking the last run's data, {data}.")
    run = open_run(name, data, runs, folds or last.get("folds"), rows or last.get("rows"), say=say)
    return run, seeds or last.get("seeds", 1)


def _noted(used: dict[str, Any]) -> bytes:
    """The options of a run as they are kept, with their sum: one that changed would answer for another run."""
    return json.dumps({**used, "sum": hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()}).encode()


def last_options(file: Path) -> dict[str, Any]:
    """The options of the last run; none, said so, where the note of them is damaged."""
    try:
        kept = file.read_bytes()
        used = dict(json.loads(kept))
        used.pop("sum", None)
        if kept == _noted(used):
            return used
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError):
        pass
    say(f"{file}, the note of the last run's options, is damaged and not taken. Give --data, --folds, --seeds and --rows anew.")
    return {}
