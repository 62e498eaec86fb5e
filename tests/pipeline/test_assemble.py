"""The blend is kept with what it was made of, under a key that says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.assemble import assemble
from pipeline.competition import Model
from pipeline.errors import NothingUsable
from pipeline.predictions import Table
from pipeline.run import Run, open_run
from pipeline.store import unpack
from pipeline.train import Member, train


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Run:
    return open_run("toy", runs=tmp_path / "runs", rows=60)


@pytest.fixture
def members(run: Run) -> dict[str, Member]:
    return train(run, {"few": Model("extra-trees", {"n_estimators": 3}), "ridge": Model("ridge")}, workers=1)


def test_the_blend_is_kept_and_a_second_call_has_the_same_key_and_files(run: Run, members: dict[str, Member]) -> None:
    first = assemble(run, members)
    kept = run.store.read("ensembles", first.key)
    second = assemble(run, dict(reversed(members.items())))
    assert second.key == first.key
    assert run.store.read("ensembles", first.key) == kept
    assert list(run.store.list("ensembles")) == [first.key]
    test = Table.from_arrays(unpack(kept["test.npz"]))
    assert test.ids.tolist() == run.test_ids.tolist()
    assert test.at(run.test_ids).tobytes() == first.test.at(run.test_ids).tobytes()
    about = json.loads(kept["ensemble.json"])
    assert about["practice"] is True
    assert about["ensemble"]["method"] == first.blend.method
    assert about["ensemble"]["honest"] == pytest.approx(first.blend.honest)
    assert set(about["models"]) == set(members)
    assert about["models"]["ridge"]["units"] == list(members["ridge"].keys)


def test_another_method_or_other_members_have_another_key(run: Run, members: dict[str, Member]) -> None:
    made = [assemble(run, members, "mean"), assemble(run, members, "best"), assemble(run, {"few": members["few"]}, "mean")]
    assert len({one.key for one in made}) == 3
    average = (members["few"].test.at(run.test_ids) + members["ridge"].test.at(run.test_ids)) / 2
    np.testing.assert_allclose(made[0].test.at(run.test_ids), average)


def test_a_damaged_blend_is_kept_anew(run: Run, members: dict[str, Member]) -> None:
    key = assemble(run, members).key
    before = run.store.read("ensembles", key)
    run.store.path("ensembles", key, "oof.npz").write_bytes(b"")
    assemble(run, members)
    assert run.store.read("ensembles", key) == before


def test_nothing_to_blend_is_said_with_where_to_look(run: Run) -> None:
    with pytest.raises(NothingUsable, match="podium board toy"):
        assemble(run, {})
