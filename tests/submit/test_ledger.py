"""The ledger keeps what was sent; of several processes one may send a file; what a dead one left is taken over."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import AlreadySent, StoreError
from submit.ledger import FAILED, FILE, SENT, Ledger, Origin, Row, exported, refuse_equal

ROOT = Path(__file__).resolve().parents[2]
MADE = Origin("data-1", "rmse", "mean", {"ridge": 0.25, "own": 0.75}, 0.5, 0.51, 0.4, 0.6)
A, B = "a" * 64, "b" * 64

DYING = """
import os, sys
from pathlib import Path
from submit.ledger import Ledger, Origin
Ledger(Path(sys.argv[1])).claim("toy", "a" * 64, Path("my.csv"), "of one that dies", "", Origin())
os._exit(9)
"""
SEVERAL = """
import sys
from pathlib import Path
from pipeline.errors import AlreadySent
from submit.ledger import Ledger, Origin
ledger = Ledger(Path(sys.argv[1]))
for number in range(15):
    try:
        row = ledger.claim("toy", f"{number:064}", Path("my.csv"), "one of several", "", Origin())
    except AlreadySent:
        continue
    ledger.sent(row, number)
    print(number)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "runs")


def claim(ledger: Ledger, sha256: str = A, again: bool = False, message: str = "m") -> Row:
    return ledger.claim("toy", sha256, Path("my.csv"), message, "", MADE, again)


def change(ledger: Ledger, command: str) -> None:
    with sqlite3.connect(ledger.path) as db:
        db.execute(command)
    db.close()


def test_a_line_is_kept_with_all_that_is_known(ledger: Ledger) -> None:
    assert ledger.rows("toy") == []
    assert not ledger.path.exists()
    row = ledger.sent(claim(ledger, message="ünï, 'quoted'"), 7)
    row = ledger.score(row, 0.1 + 0.2, None)
    row = ledger.score(row, None, 0.4)
    assert ledger.rows("toy") == [row]
    assert ledger.rows("other") == []
    assert (row.state, row.ref, row.public, row.private, row.origin) == (SENT, 7, 0.1 + 0.2, 0.4, MADE)
    assert (row.message, row.file, row.number) == ("ünï, 'quoted'", str(Path("my.csv").resolve()), 1)
    assert datetime.now(UTC) - datetime.fromisoformat(row.time) < timedelta(minutes=5)


def test_a_file_that_was_sent_is_refused_unless_told_and_counted_then(ledger: Ledger) -> None:
    ledger.score(ledger.sent(claim(ledger), 7), 0.25, None)
    with pytest.raises(AlreadySent, match=r"message 'm'; it scored 0\.25.*--again"):
        claim(ledger)
    assert ledger.sent(claim(ledger, again=True), 8).number == 2
    assert claim(ledger, B).number == 1


def test_a_file_that_did_not_arrive_may_be_sent_again(ledger: Ledger) -> None:
    first = ledger.failed(claim(ledger), "refused")
    assert (first.state, first.note) == (FAILED, "refused")
    second = claim(ledger)
    assert (second.number, len(ledger.rows("toy"))) == (1, 2)


def test_what_a_living_process_claims_no_other_may_send(ledger: Ledger) -> None:
    row = claim(ledger)
    for again in (False, True):
        with pytest.raises(AlreadySent, match="is sending this very file"):
            claim(ledger, again=again)
    ledger.give_up(row)
    assert claim(ledger).id == row.id


def test_what_a_dead_process_claimed_is_taken_over(ledger: Ledger) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(ledger.path.parent)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 9
    [left] = ledger.rows("toy")
    refuse_equal([left], again=False)
    row = claim(ledger)
    assert (row.id, row.message, left.message) == (left.id, "m", "of one that dies")
    with pytest.raises(AlreadySent):
        claim(ledger)


def test_a_number_that_another_process_got_since_is_not_the_one_that_claimed(ledger: Ledger) -> None:
    row = claim(ledger)
    change(ledger, f"UPDATE submissions SET owner = '{row.owner.rpartition(':')[0]}:1'")
    assert claim(ledger).id == row.id


def test_a_claim_of_another_machine_holds_for_an_hour(ledger: Ledger) -> None:
    claim(ledger)
    change(ledger, "UPDATE submissions SET owner = 'elsewhere:1:1'")
    with pytest.raises(AlreadySent):
        claim(ledger)
    earlier = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    change(ledger, f"UPDATE submissions SET time = '{earlier}'")
    claim(ledger)


def test_of_several_processes_each_file_is_claimed_by_one(ledger: Ledger) -> None:
    words = [sys.executable, "-c", SEVERAL, str(ledger.path.parent)]
    processes = [
        subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    sent = [int(line) for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 3
    assert sorted(sent) == list(range(15))
    assert sorted(row.ref or 0 for row in ledger.rows("toy")) == list(range(15))


def test_what_was_sent_by_hand_is_one_line_however_often_it_is_recorded(ledger: Ledger) -> None:
    one = ledger.add("toy", A, Path("a.zip"), "by hand", "valid", MADE)
    two = ledger.add("toy", A, Path("a.zip"), "by hand", "valid", MADE)
    assert one == two
    assert (one.state, one.place, one.phase) == (SENT, "by hand", "valid")


def test_a_credential_in_a_message_is_not_kept(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "canary-of-a-message")
    ledger.failed(claim(ledger, message="with canary-of-a-message"), "401 for canary-of-a-message")
    assert b"canary" not in ledger.path.read_bytes()
    assert "<KAGGLE_KEY>" in ledger.rows("toy")[0].message


def test_an_export_has_every_line_and_reads_back(ledger: Ledger) -> None:
    ledger.score(ledger.sent(claim(ledger, message='a, "b"\n-3e-07'), 7), -3e-07, None)
    ledger.add("toy", B, Path("b.csv"), "", "", Origin())
    first, second = csv.DictReader(io.StringIO(exported(ledger.rows("toy")).decode()))
    assert (first["message"], float(first["public"]), first["honest"], first["ref"]) == ('a, "b"\n-3e-07', -3e-07, "0.51", "7")
    assert json.loads(first["weights"]) == MADE.weights
    assert (second["public"], second["honest"], second["place"]) == ("", "", "by hand")


@pytest.mark.parametrize("content", [b"no database at all" * 99, b"SQLite format 3\0" + bytes(4080)])
def test_a_damaged_file_is_an_error_that_says_what_to_do(ledger: Ledger, content: bytes) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(content)
    with pytest.raises(StoreError, match="move it away"):
        ledger.rows("toy")


def test_a_newer_podium_s_file_is_left_alone(ledger: Ledger) -> None:
    claim(ledger)
    change(ledger, "PRAGMA user_version = 2")
    before = ledger.path.read_bytes()
    with pytest.raises(StoreError, match="newer podium"):
        claim(ledger, B)
    assert ledger.path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_an_error_and_one_that_is_read_only_is_read(ledger: Ledger, tmp_path: Path) -> None:
    claim(ledger)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        claim(Ledger(tmp_path / "file"))
    ledger.path.chmod(0o400)
    ledger.path.parent.chmod(0o500)
    try:
        assert len(ledger.rows("toy")) == 1
    finally:
        ledger.path.parent.chmod(0o700)


def test_a_process_that_dies_while_it_makes_the_file_leaves_one_that_can_be_used(ledger: Ledger) -> None:
    ledger.path.parent.mkdir()
    (ledger.path.parent / FILE).touch()
    assert ledger.rows("toy") == []
    claim(ledger)


def test_what_a_manifest_says_becomes_the_origin() -> None:
    about = {
        "metric": "rmse",
        "data": {"fingerprint": "data-1"},
        "ensemble": {
            "method": "mean",
            "weights": {"ridge": 0.25, "none": 0.0, "own": 0.75},
            "honest": 0.51,
            "interval": [0.4, 0.6],
            "optimistic": 0.5,
        },
    }
    assert Origin.told(about) == MADE
    assert Origin.told({}) == Origin()
