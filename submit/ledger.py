"""The ledger: every submission that was sent, with what it was made of, its CV and what the board said. One SQLite file for all competitions.

A submission goes through the states claimed, sent and failed. Who is about to send a file claims it first, in one transaction, so that of
several processes one does. A claim whose process is no more is taken over by the next that wants to send the file; whether it had arrived
is then for the site's own list to say (`submit.sending`), which finds it by its name, for the name holds the hash.

The journal is SQLite's plain one: a write-ahead log needs memory that all processes share, which a run folder on a network's disk has not.
"""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from pipeline.credentials import hidden
from pipeline.errors import AlreadySent, StoreError
from pipeline.store import refusing

FILE = "podium.db"  # beside the run folders of all competitions
VERSION = 1
EQUAL = "SELECT * FROM submissions WHERE competition = ? AND sha256 = ? AND state != 'failed'"
TAKEN_OVER = "the claim of a process that is no more was taken over"
BUSY = 60.0  # seconds to wait for another process's transaction
CLAIMED, SENT, FAILED = "claimed", "sent", "failed"
KAGGLE, BY_HAND = "kaggle", "by hand"  # places to which a submission goes
ELSEWHERE = timedelta(
    hours=1
)  # after which a claim from another machine, whose processes nobody here can ask, counts as given up
TABLE = """
CREATE TABLE submissions (
    id INTEGER PRIMARY KEY,
    competition TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'sent', 'failed')),
    owner TEXT NOT NULL,
    time TEXT NOT NULL,
    file TEXT NOT NULL,
    phase TEXT NOT NULL,
    message TEXT NOT NULL,
    place TEXT NOT NULL,
    ref INTEGER,
    data TEXT NOT NULL,
    metric TEXT NOT NULL,
    method TEXT NOT NULL,
    weights TEXT NOT NULL,
    raw REAL,
    honest REAL,
    low REAL,
    high REAL,
    public REAL,
    private REAL,
    note TEXT NOT NULL
);
CREATE UNIQUE INDEX once ON submissions (competition, sha256, number) WHERE state != 'failed';
"""


@dataclass(frozen=True)
class Origin:
    """Of what a file was made, as its manifest says; empty and None where there is none.

    data: the fingerprint. weights: of the members. raw: the CV on the rows that the weights were fitted to; honest: without; low, high: its
    interval.
    """

    data: str = ""
    metric: str = ""
    method: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    raw: float | None = None
    honest: float | None = None
    low: float | None = None
    high: float | None = None

    @staticmethod
    def told(about: Mapping[str, Any]) -> Origin:
        """By what a submission's manifest says about it (`pipeline.assemble`)."""
        blend = about.get("ensemble") or {}
        low, high = blend.get("interval") or (None, None)
        weights = {name: weight for name, weight in (blend.get("weights") or {}).items() if weight}
        data = (about.get("data") or {}).get("fingerprint") or ""
        return Origin(
            data,
            about.get("metric") or "",
            blend.get("method") or "",
            weights,
            blend.get("optimistic"),
            blend.get("honest"),
            low,
            high,
        )


@dataclass(frozen=True)
class Row:
    """A line of the ledger. number: 1, or which sending of the same file it is. time: of the claim, then of the sending, ISO in UTC.

    place: `kaggle`, or `by hand`. ref: the site's number. public, private: the board's scores, None until known.
    """

    id: int
    competition: str
    sha256: str
    number: int
    state: str
    owner: str
    time: str
    file: str
    phase: str
    message: str
    place: str
    ref: int | None
    origin: Origin
    public: float | None
    private: float | None
    note: str


class Ledger:
    """The file below a folder of runs. It is made by the first that writes; reading one that is not there finds nothing.

    Raises StoreError for a file that cannot be written, is none of podium's, or is a newer podium's.
    """

    def __init__(self, runs: Path) -> None:
        self.path = runs / FILE

    # ---------------------------------------------------------------------------------------------------------------- reading

    def rows(self, competition: str) -> list[Row]:
        """Of a competition, in the order in which they were claimed."""
        if not self.path.exists():
            return []
        with self._open("BEGIN") as db:
            return [_row(one) for one in db.execute("SELECT * FROM submissions WHERE competition = ? ORDER BY id", [competition])]

    def equal(self, competition: str, sha256: str) -> list[Row]:
        """Those of the same bytes that were sent, or may be being sent."""
        return [row for row in self.rows(competition) if row.sha256 == sha256 and row.state != FAILED]

    # ---------------------------------------------------------------------------------------------------------------- writing

    def claim(
        self, competition: str, sha256: str, file: Path, message: str, phase: str, origin: Origin, again: bool = False
    ) -> Row:
        """The right to send this file. again: although it was sent before.

        Raises AlreadySent where it was, or where a living process is sending it. A dead process's claim is taken over as it is.
        """
        with self._open() as db:
            equal = [_row(one) for one in db.execute(f"{EQUAL} ORDER BY id", [competition, sha256])]
            abandoned = [row for row in equal if row.state == CLAIMED and not _alive(row)]
            if abandoned:
                told = [_self(), _now(), hidden(message), TAKEN_OVER, abandoned[0].id]
                db.execute("UPDATE submissions SET owner = ?, time = ?, message = ?, note = ? WHERE id = ?", told)
                return _one(db, abandoned[0].id)
            refuse_equal(equal, again)
            return _insert(db, competition, sha256, len(equal) + 1, CLAIMED, file, message, KAGGLE, phase, origin)

    def sent(self, row: Row, ref: int, time: datetime | None = None, note: str = "") -> Row:
        """It arrived, and the site calls it `ref`. time: when, in UTC; now, without."""
        told = _iso(time) if time else _now()
        return self._set(row, state=SENT, ref=ref, time=told, note=note)

    def failed(self, row: Row, why: str) -> Row:
        """It did not arrive, which is known: the same file may be sent again."""
        return self._set(row, state=FAILED, note=why)

    def give_up(self, row: Row) -> Row:
        """Whether it arrived is not known: who sends the file next takes the claim over, and looks first."""
        return self._set(row, owner="")

    def add(self, competition: str, sha256: str, file: Path, message: str, phase: str, origin: Origin) -> Row:
        """Record what a person sent by hand; the line that is there already, if it was recorded before."""
        with self._open() as db:
            there = [_row(one) for one in db.execute(f"{EQUAL} AND state = 'sent' ORDER BY id", [competition, sha256])]
            if there:
                return there[-1]
            equal = db.execute(EQUAL, [competition, sha256]).fetchall()
            return _insert(db, competition, sha256, len(equal) + 1, SENT, file, message, BY_HAND, phase, origin)

    def score(self, row: Row, public: float | None, private: float | None) -> Row:
        """What the board said; None leaves what is known."""
        told = {"public": public, "private": private}
        return self._set(row, **{name: score for name, score in told.items() if score is not None})

    def note(self, row: Row, words: str) -> Row:
        return self._set(row, note=words)

    def _set(self, row: Row, **values: Any) -> Row:
        values = {name: hidden(value) if isinstance(value, str) else value for name, value in values.items()}
        with self._open() as db:
            if values:
                columns = ", ".join(f"{name} = ?" for name in values)
                db.execute(f"UPDATE submissions SET {columns} WHERE id = ?", [*values.values(), row.id])  # noqa: S608
            return _one(db, row.id)

    @contextmanager
    def _open(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """One transaction, the only one that writes from its beginning on; undone where anything is raised."""
        with refusing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA synchronous = FULL")
                db.execute(begin)
                try:
                    self._make(db)
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise StoreError(
                f"The ledger {self.path} cannot be read or written ({error}). Look at the disk and the file's rights; if the file is damaged, "
                "move it away: a new one is begun, and Kaggle's own list still keeps what was sent from being sent again."
            ) from error

    def _make(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"The ledger {self.path} was written by a newer podium (its form is {version}, this one's {VERSION}). Update podium."
            )
        if version == 0:
            for statement in TABLE.strip().split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")


def refuse_equal(equal: list[Row], again: bool) -> None:
    """Raise AlreadySent where one of these was sent, or is being sent by a process that lives. again: the first is no hindrance."""
    for row in equal:
        if row.state == CLAIMED and _alive(row):
            raise AlreadySent(
                f"A process ({row.owner}) is sending this very file since {row.time}. Wait for it, or stop it and run this again."
            )
        if row.state == SENT and not again:
            score = "" if row.public is None else f"; it scored {row.public:g}"
            raise AlreadySent(
                f"This very file was sent on {row.time} with the message {row.message!r}{score}. Equal files score equally: to send it all the "
                "same, say --again."
            )


def exported(rows: list[Row]) -> bytes:
    """As CSV, a line a submission."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    plain = [one.name for one in fields(Row) if one.name not in ("origin", "owner")]
    origin = [one.name for one in fields(Origin)]
    writer.writerow([*plain, *origin])
    for row in rows:
        made = [getattr(row.origin, name) for name in origin]
        cells = [
            *(getattr(row, name) for name in plain),
            *(json.dumps(dict(one)) if isinstance(one, Mapping) else one for one in made),
        ]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue().encode()


def _insert(
    db: sqlite3.Connection,
    competition: str,
    sha256: str,
    number: int,
    state: str,
    file: Path,
    message: str,
    place: str,
    phase: str,
    origin: Origin,
) -> Row:
    values = {
        "competition": competition,
        "sha256": sha256,
        "number": number,
        "state": state,
        "owner": _self(),
        "time": _now(),
        "file": str(file.resolve()),
        "phase": phase,
        "message": hidden(message),
        "place": place,
        "note": "",
        **{one.name: getattr(origin, one.name) for one in fields(Origin)},
        "weights": json.dumps(dict(origin.weights)),
    }
    names = ", ".join(values)
    done = db.execute(f"INSERT INTO submissions ({names}) VALUES ({', '.join('?' * len(values))})", list(values.values()))  # noqa: S608 - names of columns, from above
    return _one(db, int(done.lastrowid or 0))


def _one(db: sqlite3.Connection, number: int) -> Row:
    return _row(db.execute("SELECT * FROM submissions WHERE id = ?", [number]).fetchone())


def _row(one: sqlite3.Row) -> Row:
    origin = {name.name: one[name.name] for name in fields(Origin)}
    plain = {name.name: one[name.name] for name in fields(Row) if name.name != "origin"}
    return Row(origin=Origin(**{**origin, "weights": json.loads(origin["weights"])}), **plain)


def _self() -> str:
    """This process, so that another can tell whether it lives: host, number, and the second in which it began, for numbers are given anew."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def _alive(row: Row) -> bool:
    """Whether the process that claimed this may still be at it."""
    host, _, process = row.owner.partition(":")
    if not process:
        return False
    if host != socket.gethostname():
        return datetime.now(UTC) - datetime.fromisoformat(row.time) < ELSEWHERE
    number, _, begun = process.partition(":")
    try:
        return f"{psutil.Process(int(number)).create_time():.0f}" == begun
    except psutil.Error:
        return False


def _now() -> str:
    return _iso(datetime.now(UTC))


def _iso(time: datetime) -> str:
    return time.replace(tzinfo=UTC).isoformat(timespec="seconds")
