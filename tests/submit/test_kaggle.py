"""The official client against a server on loopback: what the site refuses is an error with its cure, what passes is tried again."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from pipeline.errors import (
    CredentialsRefused,
    JoinedTooLate,
    KaggleError,
    LimitReached,
    NoCredentials,
    NoSuchCompetition,
    RateLimited,
    RulesNotAccepted,
    SiteUnreachable,
    UploadFailed,
)
from submit import kaggle
from submit.kaggle import Site
from tests.submit.kaggle_server import ACCOUNT, KEY, TOKEN, Fault, Held, KaggleServer

pytestmark = pytest.mark.xdist_group("kaggle")
FILES = {f"{name}.csv": b"id,a\n1,2\n" * number for number, name in enumerate(("train", "test", "sample", "more", "last"), 1)}


@pytest.fixture
def held(server: KaggleServer) -> Held:
    server.held["toy"] = Held(dict(FILES), {"1": 2.0})
    return server.held["toy"]


# ----------------------------------------------------------------------------------------------------------------- credentials


def test_without_credentials_one_screen_says_what_to_do(stranger: Path) -> None:
    with pytest.raises(NoCredentials) as caught:
        Site("toy")
    told = str(caught.value)
    assert len(told.splitlines()) < 20
    assert "https://www.kaggle.com/settings" in told
    assert "https://www.kaggle.com/competitions/toy/rules" in told
    assert "~/.kaggle/access_token" in told


@pytest.mark.parametrize(
    "form",
    ["token", "token file", "access_token", "access_token.txt", "key", "kaggle.json", "config dir", "xdg", "both", "login"],
)
def test_every_form_of_credentials_that_the_client_knows_signs_in(
    form: str, held: Held, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = person / ".kaggle"
    (usual / "access_token").unlink()
    key = json.dumps({"username": ACCOUNT, "key": KEY})
    if form == "token":
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    elif form == "token file":
        (person / "mine").write_text(TOKEN + "\n")
        monkeypatch.setenv("KAGGLE_API_TOKEN", str(person / "mine"))
    elif form.startswith("access_token"):
        (usual / form).write_text(TOKEN)
    elif form == "key":
        monkeypatch.setenv("KAGGLE_USERNAME", ACCOUNT)
        monkeypatch.setenv("KAGGLE_KEY", KEY)
    elif form == "kaggle.json":
        (usual / form).write_text(key)
    elif form == "config dir":
        (person / "elsewhere").mkdir()
        (person / "elsewhere" / "kaggle.json").write_text(key)
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(person / "elsewhere"))
    elif form == "xdg":
        usual.rmdir()
        (person / ".config" / "kaggle").mkdir(parents=True)
        (person / ".config" / "kaggle" / "kaggle.json").write_text(key)
    elif form == "both":  # the account from the file, its key from the variable
        (usual / "kaggle.json").write_text(json.dumps({"username": ACCOUNT}))
        monkeypatch.setenv("KAGGLE_KEY", KEY)
    else:
        expires = (datetime.now(UTC) + timedelta(hours=9)).isoformat()
        kept = {
            "refresh_token": "a-refresh-token",
            "access_token": TOKEN,
            "access_token_expiration": expires,
            "username": ACCOUNT,
        }
        (usual / "credentials.json").write_text(json.dumps(kept))
    with Site("toy") as site:
        assert len(site.files()[0]) == len(FILES)


def test_a_token_longer_than_a_file_s_name_may_be_is_a_token(
    server: KaggleServer, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "eyJ" + 400 * "x")
    with pytest.raises(CredentialsRefused) as caught, Site("toy") as site:
        site.files()
    assert "xxx" not in str(caught.value)


def test_credentials_that_the_site_does_not_know_are_refused_and_not_told(held: Held, person: Path) -> None:
    (person / ".kaggle" / "access_token").write_text("KGAT-canary-of-a-stranger")
    with pytest.raises(CredentialsRefused, match="access_token file found") as caught, Site("toy") as site:
        site.files()
    assert "<access_token>" in str(caught.value)  # the site's words have the header in them
    assert "canary" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------- what the site refuses


def test_a_slug_that_nobody_has_is_said_although_the_site_says_forbidden(held: Held) -> None:
    with pytest.raises(NoSuchCompetition, match=r"no competition 'tyo'.*competitions\.get"), Site("tyo") as site:
        site.files()


def test_a_record_without_a_slug_is_said(person: Path) -> None:
    with pytest.raises(NoSuchCompetition, match="names none on Kaggle"):
        Site("")


def test_rules_that_were_not_accepted_are_said_with_their_page(held: Held, server: KaggleServer) -> None:
    server.faults["ListDataFiles"].append(Fault(403, "You must accept this competition's rules"))
    with Site("toy") as site:
        with pytest.raises(RulesNotAccepted, match=r"https://www\.kaggle\.com/competitions/toy/rules"):
            site.files()
        held.entered = False
        for ask in (site.files, site.submissions, site.remaining, lambda: site.send("a.csv", b"1", "m")):
            with pytest.raises(RulesNotAccepted, match="You have not joined toy"):
                ask()


def test_who_comes_too_late_is_told_since_when(held: Held) -> None:
    held.entered, held.entrants = False, timedelta(days=-3)
    with pytest.raises(JoinedTooLate, match="takes no new entrants since 20"), Site("toy") as site:
        site.files()


def test_a_refusal_of_another_kind_has_the_site_s_own_words(held: Held, server: KaggleServer) -> None:
    server.faults["ListDataFiles"].append(Fault(403, "Verify your phone"))
    with pytest.raises(KaggleError, match=r'\(403\), saying "Verify your phone"'), Site("toy") as site:
        site.files()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, body=b"<html>Sign in to this network</html>"),
        Fault(200, body=b'{"files": 5}'),
        Fault(200, body=b'{"files": [{"name": 5, "totalBytes": {}}], "nextPageToken": 7}'),
        Fault(400, body=b"\xff\xfe"),
        Fault(404, body=b"<html>404</html>"),
    ],
)
def test_what_is_no_answer_of_kaggle_s_is_an_error_of_the_family(held: Held, server: KaggleServer, fault: Fault) -> None:
    server.faults["ListDataFiles"].append(fault)
    with pytest.raises(KaggleError), Site("toy") as site:
        site.files()


def test_an_error_inside_an_answer_of_status_200_is_an_error(held: Held, server: KaggleServer) -> None:
    server.faults["ListDataFiles"].append(Fault(200, body=b'{"code": 401, "message": "expired"}'))
    with pytest.raises(CredentialsRefused), Site("toy") as site:
        site.files()


# ---------------------------------------------------------------------------------------------------------------- what passes


def test_lists_are_followed_to_their_last_page(held: Held, server: KaggleServer) -> None:
    with Site("toy") as site:
        assert site.files() == ({name: len(content) for name, content in FILES.items()}, True)
    assert server.count("ListDataFiles") == 3


@pytest.mark.parametrize(
    "fault",
    [Fault(429), Fault(503), Fault(502, body=b"<html>"), Fault(cut=9), Fault(cut=-1), Fault(429, headers={"Retry-After": "0"})],
)
def test_passing_trouble_passes(held: Held, server: KaggleServer, fault: Fault) -> None:
    said: list[str] = []
    server.faults["ListDataFiles"] += [fault, fault]
    with Site("toy", said.append) as site:
        assert len(site.files()[0]) == len(FILES)
    assert len(said) == 2
    assert all("once more in 0 s" in line for line in said)


def test_the_pause_that_the_site_asks_for_is_kept(held: Held, server: KaggleServer) -> None:
    server.faults["ListDataFiles"].append(Fault(429, headers={"Retry-After": "1"}))
    begun = time.monotonic()
    with Site("toy") as site:
        site.files()
    assert time.monotonic() - begun >= 1


TOMORROW = pytest.param(format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), id="tomorrow")


@pytest.mark.parametrize("asked", ["9000", "inf", TOMORROW])
def test_a_pause_too_long_to_wait_for_is_said(held: Held, server: KaggleServer, asked: str) -> None:
    server.faults["ListDataFiles"].append(Fault(429, "Too many requests", {"Retry-After": asked}))
    with pytest.raises(RateLimited, match="come back later"), Site("toy") as site:
        site.files()
    assert server.count("ListDataFiles") == 1


def test_what_does_not_pass_ends_after_a_few_tries(held: Held, server: KaggleServer) -> None:
    server.faults["ListDataFiles"] += [Fault(429)] * 99
    with pytest.raises(RateLimited), Site("toy") as site:
        site.files()
    assert server.count("ListDataFiles") == kaggle.TRIES


def test_a_server_that_is_silent_is_given_up(held: Held, server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle, "PATIENCE", 0.2)
    server.faults["ListDataFiles"] += [Fault(slow=0.6)] * 99
    with pytest.raises(SiteUnreachable), Site("toy") as site:
        site.files()


def test_where_nobody_answers_the_site_cannot_be_reached(person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle, "FIRST_PAUSE", 0.001)
    with pytest.raises(SiteUnreachable, match="Look at the connection"), Site("toy") as site:
        site.files()


# ---------------------------------------------------------------------------------------------------------------- submissions


def test_what_is_sent_arrives_whole_and_is_listed_with_its_score(held: Held, server: KaggleServer) -> None:
    held.pending = 0
    with Site("toy") as site:
        assert site.remaining() == held.limit
        ref = site.send("a.csv", b"id,y\n1,5\n", "a message")
        (one,) = site.submissions()
    assert (one.ref, one.name, one.state, one.public, one.private) == (ref, "a.csv", "complete", 3.0, None)
    assert server.sent[0]["content"] == b"id,y\n1,5\n"
    assert server.sent[0]["told"]["submissionDescription"] == "a message"


def test_of_many_submissions_the_oldest_is_found(held: Held, server: KaggleServer) -> None:
    held.limit = 9
    with Site("toy") as site:
        for number in range(5):
            site.send(f"{number}.csv", b"id,y\n1,5\n", "")
        assert [one.name for one in site.submissions()] == ["4.csv", "3.csv", "2.csv", "1.csv", "0.csv"]
        assert site.sent("0.csv") is not None
        assert site.sent("none.csv") is None
        with pytest.raises(LimitReached, match="5 submissions were made today"):
            held.limit = 5
            site.remaining()


@pytest.mark.parametrize("fault", [Fault(503), Fault(cut=-1), Fault(500, body=b"")])
def test_an_upload_that_is_cut_begins_anew(held: Held, server: KaggleServer, fault: Fault) -> None:
    server.faults["upload"] += [fault] * 2
    with Site("toy") as site:
        site.send("a.csv", b"id,y\n1,5\n", "")
    assert (len(server.sent), server.count("StartSubmissionUpload")) == (1, 3)


@pytest.mark.parametrize(("word", "status"), [("upload", 403), ("StartSubmissionUpload", 400), ("CreateSubmission", 400)])
def test_an_upload_that_is_refused_is_an_error_and_no_message(held: Held, server: KaggleServer, word: str, status: int) -> None:
    server.faults[word].append(Fault(status, "It may not be"))
    with pytest.raises(UploadFailed, match=f"{status}") as caught, Site("toy") as site:
        site.send("a.csv", b"id,y\n1,5\n", "")
    assert "localhost" not in str(caught.value)  # the store's addresses are signed
    assert server.sent == []


@pytest.mark.parametrize("fault", [Fault(503, after=True), Fault(cut=3, after=True), Fault(cut=-1, after=True)])
def test_a_submission_that_arrives_without_an_answer_is_found_and_not_sent_again(
    held: Held, server: KaggleServer, fault: Fault
) -> None:
    server.faults["CreateSubmission"].append(fault)
    with Site("toy") as site:
        assert site.send("a.csv", b"id,y\n1,5\n", "") == 1000
    assert (len(server.sent), server.count("CreateSubmission")) == (1, 1)


def test_a_submission_that_is_not_answered_and_not_listed_was_not_sent(held: Held, server: KaggleServer) -> None:
    server.faults["CreateSubmission"].append(Fault(503))
    with pytest.raises(UploadFailed, match=r"its list has no a\.csv"), Site("toy") as site:
        site.send("a.csv", b"id,y\n1,5\n", "")
    assert server.sent == []


def test_too_many_requests_are_no_reason_to_send_twice(held: Held, server: KaggleServer) -> None:
    server.faults["CreateSubmission"] += [Fault(429)] * 2
    with Site("toy") as site:
        site.send("a.csv", b"id,y\n1,5\n", "")
    assert len(server.sent) == 1


def test_an_answer_without_a_number_is_no_success(held: Held, server: KaggleServer) -> None:
    server.faults["CreateSubmission"].append(Fault(200, body=b'{"message": "Could not submit to competition"}'))
    with Site("toy") as site:
        assert site.send("a.csv", b"id,y\n1,5\n", "") == 1000  # it had arrived all the same
        server.faults["CreateSubmission"].append(Fault(200, body=b'{"message": "Could not submit to competition"}'))
        server.after["CreateSubmission"] = server.sent.clear
        with pytest.raises(UploadFailed, match="Could not submit"):
            site.send("a.csv", b"id,y\n1,5\n", "")
