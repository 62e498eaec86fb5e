import inspect
import pickle

import pytest

from pipeline import errors
from pipeline.errors import BadImport, BadSubmission, PodiumError, UnknownName

FAMILY = [thing for _, thing in inspect.getmembers(errors, inspect.isclass) if issubclass(thing, PodiumError)]


def test_a_near_miss_is_asked_back():
    assert (
        str(UnknownName("metric", "rmsel", ["rmse", "rmsle", "auc"]))
        == "No metric is called 'rmsel'. Did you mean rmse or rmsle?"
    )


def test_a_wild_guess_is_answered_with_all_names():
    assert str(UnknownName("metric", "zzzzzz", ["rmse", "auc"])) == "No metric is called 'zzzzzz'. Known: auc, rmse."
    assert str(UnknownName("model", "x", [])).endswith("Known: none.")


@pytest.mark.parametrize("error", FAMILY)
def test_every_error_crosses_a_process_boundary_whole(error):
    ruled = {kind: lambda kind=kind: kind("ids", "two") for kind in (BadImport, BadSubmission)}
    made = {UnknownName: lambda: UnknownName("model", "ridg", ["ridge"]), **ruled}
    thrown = made.get(error, lambda: error("a message"))()
    again = pickle.loads(pickle.dumps(thrown))
    assert type(again) is type(thrown)
    assert str(again) == str(thrown)
    assert vars(again) == vars(thrown)


@pytest.mark.parametrize("error", FAMILY)
def test_every_error_has_an_exit_code_and_says_when_it_is_raised(error):
    nothing_came_out = {"StoreError", "NothingUsable", "KaggleError", "RateLimited", "LimitReached", "SiteUnreachable"}
    nothing_came_out |= {"DownloadInterrupted", "UploadFailed"}
    assert error.exit_code == (1 if error.__name__ in nothing_came_out else 2)
    assert error.__doc__


def test_a_broken_rule_is_named_before_its_message():
    error = BadSubmission("order", "Row 2 comes first.")
    assert str(error) == "[order] Row 2 comes first."
    assert error.rule == "order"
