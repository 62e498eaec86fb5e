"""The whole loop through the command line, against a server on loopback: nothing wrong is sent, nothing twice, and all is remembered."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import competitions
from pipeline import run as runs
from pipeline.errors import BadSubmission
from submit.kaggle import Site
from submit.ledger import CLAIMED, SENT, Ledger, Origin
from submit.sending import add, pull
from tests.pipeline.draft import folders
from tests.reliability.small import start
from tests.reliability.test_submissions import operators_of
from tests.submit.kaggle_server import ACCOUNT, KEY, TOKEN, Fault, Held, KaggleServer

pytestmark = pytest.mark.xdist_group("kaggle")
Podium = Callable[..., Any]


def kept() -> Path:
    (file,) = Path("runs/toy/submissions").glob("[!.]*/submission.csv")
    return file


def ledger() -> Ledger:
    return Ledger(Path("runs"))


# -------------------------------------------------------------------------------------------------------------------- the loop


def test_from_nothing_to_a_score_on_the_board_unattended(toys: Held, server: KaggleServer, podium: Podium) -> None:
    data = podium("data", "toy")
    assert data.code == 0, data.err
    assert "60 train rows, 60 test rows, 3 folds\nfrom data/toy, taken as real data\n" in data.out
    run = podium("run", "toy", "ridge")
    assert run.code == 0, run.err
    assert "PRACTICE" not in run.out
    sent = podium("submit", "toy", "-m", "first", "--wait")
    assert (sent.code, sent.last) == (0, run.last), sent.err
    assert re.search(r"Public score 0\.\d+; CV 0\.\d+\.\n", sent.out)
    [row] = ledger().rows("toy")
    [there] = server.sent
    assert there["content"] == Path(run.last).read_bytes()
    about = json.loads(Path(run.last).with_name("manifest.json").read_text())["about"]
    assert (row.state, row.ref, row.message, row.place) == (SENT, there["ref"], "first", "kaggle")
    assert (row.origin.data, row.origin.honest) == (about["data"]["fingerprint"], about["ensemble"]["honest"])
    assert (row.origin.raw, [row.origin.low, row.origin.high]) == (about["ensemble"]["optimistic"], about["ensemble"]["interval"])
    assert row.origin.weights == about["ensemble"]["weights"]
    board = podium("board", "toy").out
    assert f"{row.public:.5f}" in board
    assert "first" in board
    assert "Select 1: 'first' of 20" in board
    exported = podium("ledger", "toy", "--csv", "deep/sent.csv")
    assert exported.last == "deep/sent.csv"
    [line] = csv.DictReader(io.StringIO(Path("deep/sent.csv").read_text()))
    assert float(line["public"]) == row.public


def test_a_second_call_of_data_downloads_nothing(submitted: Podium, server: KaggleServer) -> None:
    asked = len(server.seen)
    assert submitted("data", "toy").code == 0
    assert len(server.seen) == asked


def test_a_score_that_comes_later_is_pulled(submitted: Podium, toys: Held, server: KaggleServer) -> None:
    toys.pending = 3
    assert submitted("submit", "toy", "-m", "first").code == 0
    assert [row.public for row in ledger().rows("toy")] == [None]
    assert "0 lines of the ledger have news" in submitted("ledger", "toy", "--pull").out
    toys.pending = 0
    assert "1 lines of the ledger have news" in submitted("ledger", "toy", "--pull").out
    assert ledger().rows("toy")[0].public is not None


def test_a_score_of_0_is_one_and_what_podium_did_not_send_is_told(server: KaggleServer, tmp_path: Path) -> None:
    server.held["toy"] = Held({}, {"1": 5.0}, pending=0)
    known = Ledger(tmp_path / "runs")
    row = known.claim("toy", "a" * 64, tmp_path / "my.csv", "m", "", Origin())
    said: list[str] = []
    with Site("toy") as site:
        site.send("by hand.csv", b"id,y\n1,6\n", "")
        known.sent(row, site.send("podium-aaaaaaaaaaaa.csv", b"id,y\n1,5\n", ""))
        [after] = pull(site, known, "toy", said.append)
        assert pull(site, known, "toy", said.append) == []
    assert after.public == 0.0
    assert said == ["1 submissions of Kaggle's list were not sent by podium and are not in the ledger."] * 2


def test_no_credential_stands_in_anything_that_is_written_or_said(submitted: Podium, server: KaggleServer, person: Path) -> None:
    said = [submitted("submit", "toy", "-m", f"with {TOKEN}", "--wait"), submitted("ledger", "toy", "--csv", "sent.csv")]
    server.faults["CreateSubmission"].append(Fault(400, f"Bearer {TOKEN}"))
    said.append(submitted("submit", "toy", "-m", "again", "--again"))
    (person / ".kaggle" / "access_token").write_text("KGAT-canary-of-nobody")
    said.append(submitted("submit", "toy", "-m", "again", "--again"))
    (person / ".kaggle" / "access_token").unlink()
    (person / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": ACCOUNT, "key": KEY}))
    said.append(submitted("submit", "toy", "-m", "again", "--again", "--wait"))
    said += [submitted("board", "toy"), submitted("doctor")]
    assert [one.code for one in said] == [0, 0, 1, 2, 0, 0, 0]
    assert "<access_token>" in said[2].err
    written = b"".join(str(path).encode() + path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file())
    for text in (written, *(f"{one.out}{one.err}".encode() for one in said)):
        assert b"canary" not in text


# --------------------------------------------------------------------------------------------------------------------- refused


def test_thirty_mutations_are_refused_with_the_rule_s_name_and_nothing_is_asked(submitted: Podium, server: KaggleServer) -> None:
    asked, tried = len(server.seen), 0
    mutations = list(operators_of("tables", kept().read_bytes()))
    for name, content, rule in mutations[:: max(1, len(mutations) // 30)]:
        Path("bad.csv").write_bytes(
            content if isinstance(content, bytes) else "".join(",".join(row) + "\n" for row in content).encode()
        )
        said = submitted("submit", "toy", "bad.csv", "-m", "bad")
        assert (said.code, f"[{rule}]" in said.err) == (2, True), name
        tried += 1
    assert tried >= 30
    assert len(server.seen) == asked
    assert ledger().rows("toy") == []


def test_an_equal_file_is_refused_whatever_it_is_called_unless_told(submitted: Podium, server: KaggleServer) -> None:
    assert submitted("submit", "toy", "-m", "first").code == 0
    Path("copy.csv").write_bytes(kept().read_bytes())
    asked = len(server.seen)
    said = submitted("submit", "toy", "copy.csv", "-m", "second")
    assert said.code == 2
    assert "was sent on 20" in said.err
    assert len(server.seen) == asked
    assert submitted("submit", "toy", "copy.csv", "-m", "second", "--again").code == 0
    assert len(server.sent) == 2
    assert [row.origin.honest for row in ledger().rows("toy")] == [row.origin.honest for row in ledger().rows("toy")[:1]] * 2


def test_practice_data_s_submission_is_never_sent(submitted: Podium, server: KaggleServer) -> None:
    asked = len(server.seen)
    submitted("data", "toy", "--practice", "made-up", "--rows", "60")
    made = submitted("run", "toy", "ridge", "--data", "made-up", "--runs", "other").last
    said = submitted("submit", "toy", "-m", "x", "--data", "made-up", "--runs", "other")
    assert (said.code, "Error: [practice-data] The rows in made-up are made up" in said.err) == (2, True)
    other = submitted(
        "submit", "toy", made, "-m", "x", "--data", "data/toy", "--runs", "other"
    )  # the real rows have the same ids here
    assert (other.code, "[practice-data] The rows that" in other.err) == (2, True)
    with pytest.raises(BadSubmission, match="practice-data"):
        add(Path("other/toy"), "toy", Path(made), "", "", (None, None))
    assert len(server.seen) == asked


def test_a_day_s_last_submission_is_asked_for_first(submitted: Podium, toys: Held, server: KaggleServer) -> None:
    toys.limit = 0
    said = submitted("submit", "toy", "-m", "first")
    assert said.code == 1
    assert "none is left. The count begins anew at midnight UTC" in said.err
    assert server.count("StartSubmissionUpload") == 0
    assert ledger().rows("toy") == []


def test_a_dry_run_does_all_but_send(submitted: Podium, server: KaggleServer) -> None:
    said = submitted("submit", "toy", "-m", "first", "--dry-run")
    assert (said.code, said.last) == (0, str(kept()))
    assert "Submissions left today: 5." in said.out
    assert "Nothing was sent" in said.out
    assert server.sent == []
    assert ledger().rows("toy") == []


def test_what_the_site_does_not_take_may_be_sent_again_and_stands_in_the_ledger(submitted: Podium, server: KaggleServer) -> None:
    server.faults["CreateSubmission"].append(Fault(400, "Not today"))
    said = submitted("submit", "toy", "-m", "first")
    assert (said.code, 'saying "Not today"' in said.err) == (1, True)
    assert submitted("submit", "toy", "-m", "second").code == 0
    assert [(row.state, row.message) for row in ledger().rows("toy")] == [("failed", "first"), ("sent", "second")]
    assert "Not today" in submitted("board", "toy").out


def test_what_cannot_be_scored_is_an_error_and_a_note(submitted: Podium, toys: Held) -> None:
    toys.answers = {}
    said = submitted("submit", "toy", "-m", "first", "--wait")
    assert (said.code, "could not score" in said.err) == (1, True)
    assert "Submission must have 2 columns" in ledger().rows("toy")[0].note


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--wait"], "say with -m TEXT"),
        (["--dry-run"], "say with -m TEXT"),
        (["a.csv", "b.csv", "-m", "x"], "one file is sent, not 2"),
        (["none.csv", "-m", "x"], "[file-missing]"),
        (["-m", "x", "--phase", "valid"], "no phases"),
    ],
)
def test_wrong_words_are_said(submitted: Podium, server: KaggleServer, words: list[str], says: str) -> None:
    said = submitted("submit", "toy", *words)
    assert (said.code, says in said.err) == (2, True), said.err
    assert server.sent == []


def test_without_a_kept_submission_the_command_that_makes_one_is_named(toys: Held, podium: Podium) -> None:
    assert podium("data", "toy").code == 0
    said = podium("submit", "toy", "-m", "x")
    assert (said.code, "First: podium submit toy" in said.err) == (1, True)
    assert "Nothing was sent yet" in podium("ledger", "toy").out


# --------------------------------------------------------------------------------------------------------- several, and the dead


def test_two_processes_that_send_the_same_file_send_it_once(submitted: Podium, server: KaggleServer) -> None:
    server.after["upload"] = lambda: time.sleep(1)
    processes = [start("submit", "toy", "-m", "first") for _ in range(2)]
    said = [process.communicate(timeout=280) for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], said
    assert len(server.sent) == 1
    [row] = ledger().rows("toy")
    assert (row.state, row.ref) == (SENT, server.sent[0]["ref"])
    [err] = [err for process, (_, err) in zip(processes, said, strict=True) if process.returncode]
    assert "This very file was sent" in err or "is sending this very file" in err


@pytest.mark.parametrize(("word", "arrived"), [("upload", 0), ("CreateSubmission", 1)])
def test_a_process_killed_before_or_behind_the_sending_makes_it_neither_lost_nor_double(
    submitted: Podium, server: KaggleServer, word: str, arrived: int
) -> None:
    process: list[subprocess.Popen[str]] = []
    server.after[word] = lambda: os.kill(process[0].pid, signal.SIGKILL)
    process.append(start("submit", "toy", "-m", "first"))
    process[0].communicate(timeout=280)
    assert process[0].returncode == -signal.SIGKILL
    assert [row.state for row in ledger().rows("toy")] == [CLAIMED]
    assert len(server.sent) == arrived
    server.after.clear()
    said = submitted("submit", "toy", "-m", "second", "--wait")
    assert said.code == 0, said.err
    assert ("was not sent again" in said.out) == bool(arrived)
    assert len(server.sent) == 1
    [row] = ledger().rows("toy")
    assert (row.state, row.ref, row.public is None) == (SENT, 1000, False)


def test_what_was_sent_from_elsewhere_is_found_and_not_sent_again(submitted: Podium, server: KaggleServer) -> None:
    assert submitted("submit", "toy", "-m", "first").code == 0
    Path("runs/podium.db").unlink()
    said = submitted("submit", "toy", "-m", "second")
    assert (said.code, "Kaggle has this very file already" in said.out, len(server.sent)) == (0, True, 1)
    assert ledger().rows("toy")[0].ref == 1000


# -------------------------------------------------------------------------------------------------------- notebooks, and by hand


def test_a_notebook_s_mounted_copy_is_taken_without_asking_anybody(
    toys: Held, server: KaggleServer, podium: Podium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "input" / "toy"
    mounted.mkdir(parents=True)
    for name, content in toys.files.items():
        (mounted / name).write_bytes(content)
    monkeypatch.setattr(runs, "MOUNTED", (tmp_path / "input" / "competitions", tmp_path / "input"))
    said = podium("data", "toy")
    assert f"from {mounted}, taken as real data" in said.out
    assert server.seen == []


def test_a_competition_that_is_not_ours_goes_from_its_slug_to_a_score(
    server: KaggleServer, podium: Podium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.fraud(tmp_path / "made")
    files = {path.name: path.read_bytes() for path in sorted((tmp_path / "made").iterdir())}
    server.held["card-fraud-2"] = Held(files, dict.fromkeys(pd.read_csv(tmp_path / "made" / "test.csv").iloc[:, 0].map(str), 0.5))
    monkeypatch.setenv("PODIUM_COMPETITIONS", str(tmp_path / "drafts"))
    monkeypatch.setattr(competitions, "__path__", [*competitions.__path__])
    for words in (
        ("new", "card-fraud", "--kaggle", "card-fraud-2", "--metric", "auc"),
        ("run", "card-fraud", "ridge"),
        ("submit", "card-fraud", "-m", "first", "--wait"),
    ):
        said = podium(*words)
        assert said.code == 0, said.err
    sys.modules.pop("competitions.card_fraud", None)
    [row] = Ledger(Path("runs")).rows("card-fraud")
    assert (row.state, row.place) == (SENT, "kaggle")
    assert row.public is not None


def test_without_credentials_data_says_in_one_screen_what_to_do(stranger: Path, podium: Podium) -> None:
    said = podium("data", "house-prices")
    assert said.code == 2
    assert len(said.err.splitlines()) <= 20
    assert max(map(len, said.err.splitlines())) <= 120
    assert "https://www.kaggle.com/competitions/california-house-prices/rules" in said.err
    assert "podium run house-prices" in said.err
    assert not Path("data").exists()


def test_where_kaggle_takes_no_submissions_the_page_is_named_and_the_ledger_is_kept_by_hand(
    submitted: Podium, toy: Path, server: KaggleServer
) -> None:
    toy.write_text(toy.read_text().replace('kaggle="toy"', 'kaggle="toy", page="https://example.org/toy"'))
    from tests.reliability.spoiling import forget

    forget("toy")
    asked = len(server.seen)
    said = submitted("submit", "toy", "-m", "x")
    assert (said.code, said.last) == (0, str(kept()))
    assert "Send it by hand: https://example.org/toy" in said.out
    assert f"podium ledger add toy {kept()} -m TEXT" in said.out
    assert len(server.seen) == asked
    assert ledger().rows("toy") == []
    first = submitted("ledger", "add", "toy", kept(), "-m", "by hand")
    assert first.code == 0, first.err
    second = submitted("ledger", "add", "toy", kept(), "--public", "0.125")
    assert "0.12500" in second.out
    [row] = ledger().rows("toy")
    assert (row.place, row.message, row.public, set(row.origin.weights)) == ("by hand", "by hand", 0.125, {"ridge"})
    assert "was sent on" in submitted("submit", "toy", "-m", "x").err
    assert "[file-missing]" in submitted("ledger", "add", "toy", "none.csv").err
