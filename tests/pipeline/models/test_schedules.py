"""Rates over steps and depth, and what is frozen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.errors import BadRecipe
from pipeline.models.nets import Net, create
from pipeline.models.schedules import frozen, groups, hold, warm_then_cosine


@pytest.fixture(scope="module")
def net() -> Net:
    return create("test_resnet", 3)


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    rates = [warm_then_cosine(step, 110, 10 / 110) for step in range(111)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[60] == pytest.approx(0.5)
    assert rates[110] == pytest.approx(0, abs=1e-12)
    assert max(rates) == 1


def test_earlier_stages_learn_slower_and_the_head_faster(net: Net) -> None:
    stages = net.stages()
    made = groups(net, stages, 0.1, 10, 0.5, 0.01)
    peaks = {id(parameter): group["peak"] for group in made for parameter in group["params"]}
    parameters = dict(net.named_parameters())
    assert len(peaks) == len(parameters) == sum(len(group["params"]) for group in made)
    by_stage = [{peaks[id(parameters[name])] for name in names} for names in stages]
    assert all(len(each) == 1 for each in by_stage)
    found = [each.pop() for each in by_stage]
    assert found == pytest.approx([0.1 * 0.5 ** (len(stages) - 2 - depth) for depth in range(len(stages) - 1)] + [1.0])


def test_norms_and_biases_do_not_decay(net: Net) -> None:
    for group in groups(net, net.stages(), 0.1, 1, 1, 0.01):
        assert {parameter.ndim > 1 for parameter in group["params"]} == {group["weight_decay"] > 0}


@pytest.mark.parametrize(("freeze", "learning"), [(0, None), (2, None), ("body", 2)])
def test_what_is_frozen_gets_no_gradient_and_keeps_its_statistics(net: Net, freeze: int | str, learning: int | None) -> None:
    still = frozen(net.stages(), freeze)
    hold(net, still)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.zero_grad()
    net(torch.rand(4, 3, 32, 32)).sum().backward()
    named = dict(net.named_parameters())
    assert {name for name, parameter in named.items() if parameter.grad is None} == still
    assert learning is None or len(named) - len(still) == learning
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    trained = {f"{name.rpartition('.')[0]}.running_mean" for name in named.keys() - still}
    assert {name for name in moved if name.endswith("running_mean")} == trained & before.keys()


@pytest.mark.parametrize("freeze", [-1, 99, "head"])
def test_more_stages_than_there_are_cannot_be_frozen(net: Net, freeze: int | str) -> None:
    with pytest.raises(BadRecipe, match=f"freeze is {freeze!r}, but this net has {len(net.stages())} stages"):
        frozen(net.stages(), freeze)
