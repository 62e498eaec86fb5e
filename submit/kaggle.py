"""Kaggle's site: the few things that podium asks of it, each of its refusals an error with the cure.

It is spoken to in this process through `kagglesdk`, the library that Kaggle's own `kaggle` command is built on. Unlike the command it raises what
goes wrong, ends no process, and asks nothing as it is imported. `KAGGLE_API_ENVIRONMENT=TEST` sends it to http://localhost:7777.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from pipeline import credentials
from pipeline.credentials import hidden
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

Given = TypeVar("Given")
Say = Callable[[str], None]

PATIENCE = 60.0  # seconds without a byte after which a connection counts as cut
TRIES = 5
LOOKS = 4  # at the list, for what may be on its way there
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 120.0  # seconds between two tries; for longer ones a person is told to come back
PAGE, MOST_PAGES = 200, 100  # entries of a list at a time, and how far it is followed
TOLD = 300  # characters of the site's own words
TOO_MANY, PASSING = 429, (500, 502, 503, 504)  # statuses: of too many requests, and of troubles that pass
BAD, UNKNOWN, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)  # no answer, or half of one
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)  # what the client raises over an answer that it cannot read


@dataclass(frozen=True)
class Seen:
    """A submission as the site lists it. state: pending, complete or error. sent: in UTC, without a zone. scores: None until known."""

    ref: int
    name: str
    state: str
    sent: datetime | None
    public: float | None
    private: float | None
    error: str


def page(slug: str, part: str = "") -> str:
    """The address of a competition's page in the browser."""
    return f"https://www.kaggle.com/competitions/{slug}" + f"/{part}" * bool(part)


def signed_in(slug: str) -> credentials.Kaggle:
    """The credentials that will be used. Raises NoCredentials with what to do, and where was looked."""
    found = credentials.kaggle()
    if found is None:
        raise NoCredentials(
            "No Kaggle credentials were found.\n"
            "  1. Make a token at https://www.kaggle.com/settings (API, Generate New Token).\n"
            "  2. Put it into the file ~/.kaggle/access_token, or into the variable KAGGLE_API_TOKEN.\n"
            f"  3. Accept the rules at {page(slug, 'rules')}, and run this again.\n"
            "Looked for: KAGGLE_API_TOKEN (a token, or a file with one), ~/.kaggle/access_token, KAGGLE_USERNAME with KAGGLE_KEY,\n"
            f"{_from_home(credentials.kaggle_folder() / 'kaggle.json')}, ~/.kaggle/{credentials.LOGIN}."
        )
    return found


def _from_home(path: Path) -> str:
    """As a person writes it: homes are long, and not everybody's to see."""
    return f"~/{path.relative_to(Path.home()).as_posix()}" if path.is_relative_to(Path.home()) else str(path)


class Site:
    """One competition on the site, for the person whose credentials are found. Use it as a context.

    say: gets a message before every pause. Raises NoCredentials as it is made, and KaggleError's kin where the site is asked: for
    credentials, rules, the slug, limits, and for a site that does not answer.
    """

    def __init__(self, slug: str, say: Say = lambda message: None) -> None:
        if not slug:
            raise NoSuchCompetition(
                "This competition's record names none on Kaggle. Write the last part of its page's address there: kaggle=..."
            )
        self.slug, self.say = slug, say
        self.found = signed_in(slug)

    def __enter__(self) -> Site:
        import kagglesdk

        with self._named():
            token = self.found.token
            if token is None and self.found.key is None:
                with kagglesdk.KaggleClient() as client:
                    _wait_patiently(client)
                    token = _patiently(kagglesdk.KaggleCredentials.load(client).get_access_token, self.say)
            self._client = kagglesdk.KaggleClient(username=self.found.account, password=self.found.key, api_token=token)
        self._client.__enter__()
        _wait_patiently(self._client)
        self._api = self._client.competitions.competition_api_client
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.__exit__(kind, error, trace)

    # ------------------------------------------------------------------------------------------------------------------- data

    def files(self) -> tuple[dict[str, int], bool]:
        """The bytes of each file of the data, by name; and whether these are all (of very many the list is not followed to its end)."""
        found: dict[str, int] = {}
        for answer in self._pages("list_data_files", "ApiListDataFilesRequest"):
            if answer is None:
                return found, False
            found |= {file.name: file.total_bytes for file in answer.files}
        return found, True

    def archive(self) -> requests.Response:
        """The zip of all files, its body yet unread; close it."""
        return self._ask("download_data_files", "ApiDownloadDataFilesRequest")

    def rest(self, first: requests.Response, start: int, mark: str) -> requests.Response:
        """The same from byte `start` on (status 206), if it is still the one with that mark; else all of it (200). Closes the first."""
        request = first.request.copy()
        request.headers.update({"Range": f"bytes={start}-", "If-Range": mark})
        first.close()
        session = self._client.http_client()._session
        settings = session.merge_environment_settings(request.url, {}, True, None, None)
        response: requests.Response = session.send(request, **settings)
        try:
            response.raise_for_status()
        except requests.HTTPError:
            response.close()
            raise
        return response

    # ------------------------------------------------------------------------------------------------------------ submissions

    def submissions(self) -> list[Seen]:
        """What was sent to this competition, the last first."""
        answers = self._pages("list_submissions", "ApiListSubmissionsRequest")
        return [_seen(one) for answer in answers if answer is not None for one in answer.submissions]

    def sent(self, name: str, looks: int = 1) -> Seen | None:
        """The submission of a file of this name, if there is one. looks: several where it may be on its way to the list."""
        for number in range(looks):
            time.sleep(FIRST_PAUSE * number)
            found = next((one for one in self.submissions() if one.name == name), None)
            if found is not None:
                return found
        return None

    def remaining(self) -> int:
        """How many submissions are left for today, above 0. Raises LimitReached, and where it is 0 for want of joining what says so."""
        left = self._ask("get_submission_limits", "ApiGetSubmissionLimitsRequest")
        if left.num_allowed_now > 0:
            return int(left.num_allowed_now)
        self._refuse_strangers("")
        if left.limited_by_total:
            raise LimitReached(
                f"All {left.num_total} submissions that {self.slug} takes of a team were made. No more can be sent."
            )
        raise LimitReached(
            f"{left.num_today} submissions were made today and none is left. The count begins anew at midnight UTC."
        )

    def send(self, name: str, content: bytes, message: str) -> int:
        """Send a file under this name; the number that the site gives it.

        Raises UploadFailed where it did not arrive, as far as the site tells: what goes unanswered is looked for in its list.
        """
        token = self._upload(name, content)
        request = self._request("ApiCreateSubmissionRequest", blob_file_tokens=token, submission_description=message)
        with self._named(UploadFailed):
            try:
                answer = _patiently(lambda: self._api.create_submission(request), self.say, once=True)
            except LOST as error:
                return self._looked_for(name, f"Kaggle did not answer ({_short(error)})")
            except requests.HTTPError as error:
                if _status(error) in PASSING:
                    return self._looked_for(name, f"Kaggle answers {_status(error)}")
                raise
        return int(answer.ref) or self._looked_for(name, f"Kaggle gave no number{_words(answer.message)}")

    def _upload(self, name: str, content: bytes) -> str:
        """Bring the file to the site's store; the token that stands for it there. Each try begins anew, with an address of its own."""
        request = self._request(
            "ApiStartSubmissionUploadRequest",
            file_name=name,
            content_length=len(content),
            last_modified_epoch_seconds=int(time.time()),
        )

        def upload() -> str:
            place = self._api.start_submission_upload(request)
            with requests.put(place.create_url, data=content, timeout=PATIENCE) as answer:
                answer.raise_for_status()
            return str(place.token)

        with self._named(UploadFailed):
            return _patiently(upload, self.say)

    def _looked_for(self, name: str, why: str) -> int:
        """The number of a submission that was sent and not confirmed."""
        one = self.sent(name, LOOKS)
        if one is not None:
            return one.ref
        raise UploadFailed(f"{why}, and its list has no {name}: it was not sent. Run this again; the list is looked at first.")

    # ---------------------------------------------------------------------------------------------------------- how it is asked

    def _request(self, kind: str, **values: Any) -> Any:
        from kagglesdk.competitions.types import competition_api_service as types

        made = getattr(types, kind)()
        for name, value in {"competition_name": self.slug, **values}.items():
            setattr(made, name, value)
        return made

    def _pages(self, ask: str, kind: str) -> Iterator[Any]:
        """The answers, page by page; None in the place of what comes after the last that is asked for."""
        token = ""
        for _ in range(MOST_PAGES):
            answer = self._ask(ask, kind, page_size=PAGE, page_token=token)
            yield answer
            token = answer.next_page_token
            if not token:
                return
        yield None

    def _ask(self, ask: str, kind: str, **values: Any) -> Any:
        with self._named():
            request = self._request(kind, **values)
            return _patiently(lambda: getattr(self._api, ask)(request), self.say)

    @contextmanager
    def _named(self, refused: type[KaggleError] = KaggleError) -> Iterator[None]:
        """Turn what the client raises into errors with a cure; nothing of it is chained, for it may hold addresses that are signed.

        refused: the error where the site says no for a reason of its own.
        """
        try:
            yield
        except requests.HTTPError as error:
            raise self._told(error, refused) from None
        except requests.RequestException as error:
            raise SiteUnreachable(
                f"Kaggle cannot be reached ({_short(error)}). Look at the connection, and at a proxy if there is one; then run this again."
            ) from None
        except UNREADABLE as error:
            raise SiteUnreachable(
                f"What answered is not Kaggle, or speaks in a way that this version of kagglesdk does not know ({_short(error)}). Is there a page "
                "to sign in to this network? Else update kagglesdk."
            ) from None

    def _told(self, error: requests.HTTPError, other: type[KaggleError]) -> KaggleError:
        """The error that a refusal is; `other` where it is none of the known ones."""
        status, said = _status(error), _words(str(error))
        if status == UNKNOWN:
            return CredentialsRefused(
                f"Kaggle refuses the credentials ({self.found.source}){said}. Make a new token at https://www.kaggle.com/settings and put it "
                "in their place."
            )
        if status == TOO_MANY:
            return RateLimited(f"Kaggle asks to come back later (429){said}. Wait a quarter of an hour, then run this again.")
        if status == FORBIDDEN and "rules" in said:
            return self._rules(said)
        if status in (BAD, FORBIDDEN, NOT_FOUND):
            try:
                self._refuse_strangers(said)
            except KaggleError as found:
                return found
        return other(
            f"Kaggle refuses this ({status}){said}. Look at {page(self.slug)} in the browser: there may be rules to accept, or an account to "
            "verify."
        )

    def _rules(self, said: str) -> RulesNotAccepted:
        return RulesNotAccepted(
            f"You have not joined {self.slug}{said}. Accept its rules at {page(self.slug, 'rules')} in the browser, then run this again."
        )

    def _refuse_strangers(self, said: str) -> None:
        """Raise what keeps this person out of the competition, by what the site says of it: one status stands for several reasons."""
        try:
            known = _patiently(lambda: self._api.get_competition(self._request("ApiGetCompetitionRequest")), self.say)
        except requests.HTTPError as error:
            if _status(error) in (FORBIDDEN, NOT_FOUND):
                raise NoSuchCompetition(
                    f"Kaggle has no competition {self.slug!r} that is open to you{said}. The slug is the last part of the address of its page; see "
                    f"{page(self.slug)}."
                ) from None
            return
        except (requests.RequestException, *UNREADABLE):
            return
        if known.user_has_entered:
            return
        now = datetime.now(UTC).replace(tzinfo=None)
        last, end = known.new_entrant_deadline, known.deadline
        if last is not None and last < now and (end is None or now < end):
            raise JoinedTooLate(
                f"{self.slug} takes no new entrants since {last:%Y-%m-%d}{said}, so its files cannot be had through your account, nor anything sent. "
                "A team that is in it may take you in, where its rules allow that."
            )
        raise self._rules(said)


class _Patience(HTTPAdapter):
    """Gives up on a connection that is silent; the client's library itself would wait for ever."""

    def send(self, request: Any, *words: Any, **options: Any) -> requests.Response:
        return super().send(request, *words, **{**options, "timeout": PATIENCE})


def _wait_patiently(client: Any) -> None:
    session = client.http_client()._session
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Patience())


def _patiently(do: Callable[[], Given], say: Say, once: bool = False) -> Given:
    """Do it; again after a pause where the site asks for one, is in passing trouble, or does not answer.

    once: only where the site asks for a pause, since otherwise it may have been done all the same. Raises what the last try raised.
    """
    for number in range(TRIES - 1):
        pause = FIRST_PAUSE * 2**number
        try:
            return do()
        except requests.HTTPError as error:
            status = _status(error)
            if status == TOO_MANY:
                pause = _asked_pause(error.response, pause)
            elif once or status not in PASSING:
                raise
            if pause > LONGEST_PAUSE:
                raise
            why = f"Kaggle answers {status}"
        except LOST as error:
            if once:
                raise
            why = f"No answer from Kaggle ({_short(error)})"
        say(f"{why}; once more in {pause:.0f} s.")
        time.sleep(pause)
    return do()


def _asked_pause(response: Any, usual: float) -> float:
    """Seconds, by the header Retry-After: a number of them, or a date; the usual ones without."""
    asked = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return usual


def _status(error: requests.HTTPError) -> int:
    """Of the answer; the client also raises for an answer of status 200 whose JSON has an error's code."""
    response: Any = error.response  # the client raises none without
    return int(response.json()["code"] if response.ok else response.status_code)


def _words(said: str) -> str:
    """What the site says, to be put into a sentence. Its own error pages give addresses, which may be signed."""
    text = " ".join(hidden(said).partition(" for url:")[0].split())
    return f', saying "{text[:TOLD]}"' if text else ""


def _short(error: Exception) -> str:
    """The kind of a failure of the network. Its own words would have the address in them, which may be signed."""
    return type(error).__name__


def _seen(one: Any) -> Seen:
    return Seen(
        one.ref,
        one.file_name,
        one.status.name.lower(),
        one.date,
        _score(one.public_score),
        _score(one.private_score),
        one.error_description,
    )


def _score(text: str) -> float | None:
    """None for what is no number yet."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
