"""The errors a person can meet. Each message says what is wrong, with the value, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

DONE, NOTHING_USABLE, WRONG_COMMAND, SOME_FAILED = 0, 1, 2, 3
SEVERE_STANDS = 3  # of an audit: done, but something stands that should be mended first


class PodiumError(Exception):
    """Any error that podium raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = WRONG_COMMAND


class UnknownName(PodiumError):
    """A competition, model, family, metric or option that does not exist; the message names the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = difflib.get_close_matches(name, self.known, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(self.known) or 'none'}."
        super().__init__(f"No {kind} is called {name!r}. {hint}")

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class BadContract(PodiumError):
    """A competition's file does not keep the contract of `pipeline.competition`."""


class BadDraft(PodiumError):
    """A new competition cannot be written as asked: its name, or what is there already."""


class BadData(PodiumError):
    """The competition's files are missing, cut short, another competition's, or hold values that cannot be."""


class BadFolds(PodiumError):
    """A fold plan that cannot be made on this data, or a fold file that does not fit it."""


class BadRecipe(PodiumError):
    """A model recipe that its family cannot read."""


class BadStorage(PodiumError):
    """A study of tuning cannot be kept where it was asked to be: no such database, no driver for it, or nobody answers."""


class BadPredictions(PodiumError):
    """Predictions with NaN, infinities, missing or unknown rows."""


class BadSubmission(PodiumError):
    """A submission that breaks a rule; `rule` is its name."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule, self.message = rule, message
        super().__init__(f"[{rule}] {message}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.rule, self.message)


class BadImport(PodiumError):
    """Predictions made elsewhere that break a rule; `rule` is its name."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule, self.message = rule, message
        super().__init__(f"[{rule}] {message}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.rule, self.message)


class BadAnswers(PodiumError):
    """The answers that a submission is to be graded by are faulty, or another competition's; the submission may be fine."""


class StoreError(PodiumError):
    """The run folder cannot be written or read: disk full, read-only, not ours."""

    exit_code = NOTHING_USABLE


class NothingUsable(PodiumError):
    """Every model failed, or there is nothing to blend."""

    exit_code = NOTHING_USABLE


class AlreadySent(PodiumError):
    """A submission equal to one that was sent, or is being sent."""


class KaggleError(PodiumError):
    """Kaggle's site, or the way to it, refused something; its own words are in the message."""

    exit_code = NOTHING_USABLE


class NoCredentials(KaggleError):
    """Nobody told podium how to sign in at Kaggle."""

    exit_code = WRONG_COMMAND


class CredentialsRefused(KaggleError):
    """Kaggle does not know the credentials, or no longer (401)."""

    exit_code = WRONG_COMMAND


class RulesNotAccepted(KaggleError):
    """The competition's rules were not accepted, which a person does in the browser (403)."""

    exit_code = WRONG_COMMAND


class JoinedTooLate(KaggleError):
    """The competition no longer takes new entrants."""

    exit_code = WRONG_COMMAND


class NoSuchCompetition(KaggleError):
    """No competition has that slug, or it is not open to this person (404, and 403 for a misspelt one)."""

    exit_code = WRONG_COMMAND


class RateLimited(KaggleError):
    """Kaggle asks to come back later (429), later than podium waits."""


class LimitReached(KaggleError):
    """No submission is left for today."""


class SiteUnreachable(KaggleError):
    """Nothing answered, or what answered was not Kaggle."""


class DownloadInterrupted(KaggleError):
    """A download was cut again and again; what came is kept."""


class UploadFailed(KaggleError):
    """A submission did not arrive."""
