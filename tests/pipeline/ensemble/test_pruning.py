"""Members without whom the honest score does not fall are named, with what it gains."""

from __future__ import annotations

import pytest

from pipeline.ensemble.blend import blend
from pipeline.ensemble.pruning import prune
from pipeline.metrics import METRICS
from pipeline.predictions import Table
from tests.pipeline.ensemble.test_blend import FOLDS, IDS, leaves, prices


def test_members_that_err_like_others_and_more_are_idle_and_the_others_are_kept() -> None:
    members, y = prices(noise=(0.2, 0.2, 0.2))
    members |= {f"worse{name}": Table(IDS, y * (one.values[:, 0] / y) ** 2, ("price",)) for name, one in members.items()}
    found = prune(members, (IDS, y), FOLDS, METRICS["rmsle"])
    assert found.kept == ("m0", "m1", "m2")
    assert (found.idle, found.spared) == (("worsem0", "worsem1", "worsem2"), ())
    assert found.after == found.before
    assert found.sentences[0].startswith("3 of 6 members do not help a weighted sum (nnls), whose honest score is ")


@pytest.mark.parametrize("name", ["rmsle", "log_loss"])
def test_the_scores_are_the_honest_ones_of_the_ensemble(name: str) -> None:
    metric = METRICS[name]
    members, y = prices() if metric.kind == "value" else leaves()
    found = prune(members, (IDS, y), FOLDS, metric)
    assert found.before == pytest.approx(blend(members, (IDS, y), FOLDS, metric, "nnls").honest)
    left = {one: members[one] for one in found.kept}
    assert found.after == pytest.approx(blend(left, (IDS, y), FOLDS, metric, "nnls").honest)
    assert metric.sign * (found.after - found.before) >= 0
    assert sum(gain for _, gain in found.spared) == pytest.approx(metric.sign * (found.after - found.before))


def test_a_twin_is_one_too_many() -> None:
    members, y = prices(noise=(0.2, 0.3))
    found = prune(members | {"twin": members["m0"]}, (IDS, y), FOLDS, METRICS["rmsle"])
    assert len(found.kept) == 2
    assert "m1" in found.kept


def test_members_that_all_help_are_said_to() -> None:
    members, y = prices(noise=(0.2, 0.2))
    assert prune(members, (IDS, y), FOLDS, METRICS["rmsle"]).sentences == (
        "Every member helps: without any of the 2 the honest score falls.",
    )
