"""The average of weights follows its rule, and leaves the net's own weights alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.models.averages import Average


def filled(value: float) -> nn.Module:
    net = nn.BatchNorm1d(2)
    for tensor in net.state_dict().values():
        tensor.fill_(int(value))
    return net


def test_it_is_the_exponential_moving_average_with_a_short_memory_at_the_start() -> None:
    average, expected = Average(filled(0), 0.5), 0.0
    for step, value in enumerate([1, 5, 3, 8, 8, 2, 7, 7, 9, 4], start=1):
        average.update(filled(value))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.weights["weight"].tolist() == pytest.approx([expected] * 2)
    assert average.weights["running_mean"].tolist() == pytest.approx([expected] * 2)
    assert average.weights["num_batches_tracked"] == 4  # counters are copied


def test_the_net_has_its_own_weights_again_afterwards() -> None:
    net, average = filled(3), Average(filled(1), 0.9)
    with pytest.raises(ZeroDivisionError), average.applied(net):
        assert (net.weight == 1).all()
        raise ZeroDivisionError
    assert (net.weight == 3).all()


def test_its_state_brings_it_back() -> None:
    first, second = Average(filled(0), 0.9), Average(filled(0), 0.9)
    first.update(filled(4))
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update(filled(2))
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
