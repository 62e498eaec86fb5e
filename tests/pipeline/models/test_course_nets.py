"""The course's nets take pictures of any size, begin with sound values and learn."""

import pytest
import torch
from torch import nn

from pipeline.models.course_nets import COURSE_NETS

CONVOLUTIONS = {"lenet": 2, "alexnet": 5, "vgg": 8, "nin": 12, "googlenet": 57, "resnet": 20}
LINEARS = {"lenet": 3, "alexnet": 3, "vgg": 3, "nin": 0, "googlenet": 1, "resnet": 1}


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("name", COURSE_NETS)
def test_pictures_of_any_size_give_logits_that_neither_vanish_nor_explode(name):
    net = COURSE_NETS[name](5)
    for size in (32, 57):
        spread = net(torch.randn(4, 3, size, size)).detach().std()
        assert 0.01 < spread < 20


@pytest.mark.parametrize("name", COURSE_NETS)
def test_the_layers_are_those_of_the_paper(name):
    modules = list(COURSE_NETS[name](5).modules())
    assert sum(isinstance(module, nn.Conv2d) for module in modules) == CONVOLUTIONS[name]
    assert sum(isinstance(module, nn.Linear) for module in modules) == LINEARS[name]


@pytest.mark.parametrize("name", COURSE_NETS)
def test_each_net_learns_two_colours_in_a_few_steps(name):
    net, truth = COURSE_NETS[name](2), torch.arange(8) % 2
    x = 0.3 * torch.randn(8, 3, 32, 32)
    x[:, 0] += truth[:, None, None] * 2 - 1
    optimiser = torch.optim.Adam(net.parameters(), 1e-3 if name != "lenet" else 1e-2)
    losses = []
    for _ in range(5):
        loss = nn.functional.cross_entropy(net(x), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_start_depends_on_the_seed_alone():
    def start(seed):
        torch.manual_seed(seed)
        return torch.cat([weight.flatten() for weight in COURSE_NETS["lenet"](3).parameters()])

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))
