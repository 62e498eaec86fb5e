"""From a kept file to a line of the ledger with its score: checked, refused where it was sent before, sent once, waited for."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.credentials import hidden
from pipeline.errors import BadSubmission, KaggleError, NothingUsable
from submit import require
from submit.kaggle import LOOKS, Site
from submit.ledger import FAILED, KAGGLE, SENT, TAKEN_OVER, Ledger, Origin, Row, refuse_equal
from submit.write import MANIFEST, kept

if TYPE_CHECKING:
    from pipeline.run import Run

LOOK, LONGEST_LOOK, GIVE_UP = 5.0, 30.0, 1800.0  # seconds: to the first look for a score, between two at most, and in all
Say = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """A file that may be sent, read once: what is sent is what was checked. phase: of the rows that it answers, or empty."""

    file: Path
    content: bytes
    sha256: str
    phase: str
    origin: Origin


def newest(run: Run, phase: str | None) -> Path:
    """The last kept submission for a phase's rows. Raises NothingUsable where there is none, UnknownName."""
    told = _phase(run, phase)
    files = [file for file in kept(run.store.path("submissions")) if (about_of(file).get("phase") or "") == told]
    if not files:
        raise NothingUsable(
            f"No submission is kept in {run.store.path('submissions')}{f' for {told}' if told else ''}. First: podium submit {run.name}"
            + (f" --phase {told}" if told else "")
        )
    return files[-1]


def checked(run: Run, file: Path, phase: str | None = None) -> Checked:
    """The file, if it may be sent. Raises BadSubmission (practice-data, changed, and the rules of `require`), UnknownName."""
    if run.practice:
        refuse_practice(f"The rows in {run.root}")
    before = digest(file) if file.is_file() else ""
    require(run, file, phase)
    content = file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != before:
        raise BadSubmission("changed", f"{file} changed while it was checked. Wait until it is written, then run this again.")
    about = kept_about(run.store.path("submissions"), sha256)
    if about.get("practice"):
        refuse_practice(f"The rows that {file} was made from")
    return Checked(file, content, sha256, _phase(run, phase), Origin.told(about))


def send(
    run: Run,
    one: Checked,
    message: str,
    again: bool = False,
    dry: bool = False,
    wait: bool = False,
    say: Say = lambda message: None,
) -> Row | None:
    """Send a checked file to Kaggle, unless it was sent; its line of the ledger. None where nothing is sent: dry, or by hand.

    wait: until it is scored, for half an hour at most. Raises AlreadySent, LimitReached, UploadFailed and other KaggleErrors, StoreError.
    """
    competition, ledger = run.entry.competition, Ledger(run.store.root.parent)
    refuse_equal(ledger.equal(run.name, one.sha256), again)
    if competition.page:
        phase = f" --phase {one.phase}" if one.phase else ""
        say(f"Send it by hand: {competition.page}")
        say(
            f"Then record it: podium ledger add {run.name} {one.file}{phase} -m TEXT, and again with --public SCORE when it has one."
        )
        return None
    with Site(competition.kaggle, say) as site:
        say(f"Submissions left today: {site.remaining()}.")
        if dry:
            say("Nothing was sent, for this is a dry run.")
            return None
        row = ledger.claim(run.name, one.sha256, one.file, message, one.phase, one.origin, again)
        row = deliver(site, ledger, row, one, say)
        return scored(site, ledger, row, say) if wait else row


def deliver(site: Site, ledger: Ledger, row: Row, one: Checked, say: Say) -> Row:
    """Send a claimed file, unless the site has it already: sent by a process that died before it could say so, or from elsewhere."""
    name = name_of(row, one.file.suffix)
    try:
        there = site.sent(name, LOOKS if row.note == TAKEN_OVER else 1)
        if there is not None:
            say("Kaggle has this very file already: it was not sent again. To send it all the same, say --again.")
            return ledger.sent(row, there.ref, there.sent, "found on the site, not sent again")
        ref = site.send(name, one.content, row.message)
        say(f"Sent; Kaggle calls it {ref}.")
        return ledger.sent(row, ref)
    except KaggleError as error:
        ledger.failed(row, str(error))
        raise
    except BaseException:
        ledger.give_up(row)
        raise


def scored(site: Site, ledger: Ledger, row: Row, say: Say) -> Row:
    """The line with its score, once the site has one; without, after half an hour. Raises KaggleError where it cannot be scored."""
    end, pause = time.monotonic() + GIVE_UP, LOOK
    while True:
        seen = next((seen for seen in site.submissions() if seen.ref == row.ref), None)
        if seen is not None and seen.state == "error":
            ledger.note(row, f"not scored: {seen.error}")
            raise KaggleError(f"Kaggle could not score submission {row.ref}: {hidden(seen.error) or 'it says no more'}.")
        if seen is not None and seen.state == "complete":
            return ledger.score(row, seen.public, seen.private)
        if time.monotonic() > end:
            say(f"No score yet. Later: podium ledger {row.competition} --pull")
            return row
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_LOOK)


def pull(site: Site, ledger: Ledger, competition: str, say: Say) -> list[Row]:
    """Bring the scores of all lines up to date with the site's list; the lines that changed."""
    seen = {one.ref: one for one in site.submissions()}
    named, changed, known = {one.name: one for one in seen.values()}, [], set()
    for row in ledger.rows(competition):
        one = seen.get(row.ref or 0) or named.get(name_of(row, Path(row.file).suffix))
        if row.place != KAGGLE or row.state == FAILED or one is None:
            continue
        known.add(one.ref)
        after = row if row.state == SENT else ledger.sent(row, one.ref, one.sent, "found on the site")
        after = ledger.score(after, one.public, one.private)
        changed += [after] * (after != row)
    if len(seen) > len(known):
        say(f"{len(seen) - len(known)} submissions of Kaggle's list were not sent by podium and are not in the ledger.")
    return changed


def add(
    run_folder: Path, competition: str, file: Path, message: str, phase: str, scores: tuple[float | None, float | None]
) -> Row:
    """Record a file that was sent by hand, or what the board said of it since. Raises BadSubmission, StoreError."""
    if not file.is_file():
        raise BadSubmission("file-missing", f"{file} is no file. Name the one that was sent.")
    sha256, ledger = digest(file), Ledger(run_folder.parent)
    about = kept_about(run_folder / "submissions", sha256)
    if about.get("practice"):
        refuse_practice(f"The rows that {file} was made from")
    row = ledger.add(competition, sha256, file, message, phase or about.get("phase") or "", Origin.told(about))
    return ledger.score(row, *scores)


def name_of(row: Row, suffix: str) -> str:
    """What the file is called on the site: there its name tells which file it is, and which sending of it."""
    return f"podium-{row.sha256[:12]}{f'-{row.number}' if row.number > 1 else ''}{suffix}"


def refuse_practice(what: str) -> None:
    raise BadSubmission(
        "practice-data",
        f"{what} are made up: nothing that learned from them is sent. Bring the real files: podium data NAME, or --data DIR.",
    )


def kept_about(folder: Path, sha256: str) -> Mapping[str, Any]:
    """What the manifest of the kept submission of these bytes says of their origin; nothing where there is none."""
    files = (file for file in kept_files(folder, sha256) if digest(file) == sha256)
    return next((about_of(file) for file in files), {})


def kept_files(folder: Path, sha256: str) -> list[Path]:
    """The files of kept submissions that may have these bytes: the names of their folders end so."""
    return [path for path in sorted(folder.glob(f"[!.]*-{sha256[:8]}/*")) if path.name != MANIFEST]


def about_of(file: Path) -> dict[str, Any]:
    """What the manifest beside a kept submission says of its origin."""
    try:
        about = json.loads(file.with_name(MANIFEST).read_bytes())["about"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return about if isinstance(about, dict) else {}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _phase(run: Run, phase: str | None) -> str:
    """The phase that is meant; empty where there are none."""
    rows = run.test_of(phase)
    return str(rows["phase"].iloc[0]) if "phase" in rows else ""
