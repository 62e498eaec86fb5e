"""The course's line of networks for pictures, from LeNet to ResNet, in plain torch.

Each is `stages`, which end in pooled features, and a `head`. Two things differ from the papers, so that all of them train
without care and take pictures of any size from 32 pixels: batch normalisation stands after every layer with a ReLU, and the
features are pooled to a fixed size before the first fully connected layer. A training batch needs two pictures or more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class CourseNet(nn.Module):
    """Pictures (b, 3, s, s) -> logits (b, classes). stages: from the stem on; head: the part that knows the classes."""

    def __init__(self, stages: list[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)
        self.head = head
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(x))


def initialise(net: nn.Module) -> None:
    """He et al. 2015 for layers before a ReLU, Glorot and Bengio 2010 for those before tanh and for fully connected ones."""
    saturating = any(isinstance(module, nn.Tanh) for module in net.modules())
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and not saturating:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def convolution(a: int, b: int, kernel: int, stride: int = 1, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Convolution, batch normalisation (Ioffe and Szegedy 2015), activation; keeps the size at stride 1."""
    return nn.Sequential(nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(b), activation())


def halve() -> nn.MaxPool2d:
    """Overlapping pooling (3 by 3, stride 2), which takes even a single pixel."""
    return nn.MaxPool2d(3, stride=2, padding=1)


def flat(size: int = 1) -> nn.Sequential:
    """Maps of any size -> (b, channels * size * size)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Flatten())


def hidden(a: int, b: int) -> nn.Sequential:
    """A wide fully connected layer with dropout, as AlexNet and VGG have two of."""
    return nn.Sequential(nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(0.5))


def lenet(classes: int) -> CourseNet:
    """LeNet-5 (LeCun et al. 1998): two convolutions, average pooling, tanh."""
    stages = [
        nn.Sequential(convolution(3, 6, 5, activation=nn.Tanh), nn.AvgPool2d(2)),
        nn.Sequential(convolution(6, 16, 5, activation=nn.Tanh), nn.AvgPool2d(2), flat(5)),
        nn.Sequential(nn.Linear(16 * 5 * 5, 120), nn.Tanh()),
        nn.Sequential(nn.Linear(120, 84), nn.Tanh()),
    ]
    return CourseNet(stages, nn.Linear(84, classes))


def alexnet(classes: int) -> CourseNet:
    """AlexNet (Krizhevsky et al. 2012)."""
    stages = [
        nn.Sequential(convolution(3, 96, 11, stride=4), halve()),
        nn.Sequential(convolution(96, 256, 5), halve()),
        convolution(256, 384, 3),
        convolution(384, 384, 3),
        nn.Sequential(convolution(384, 256, 3), halve(), flat()),
        hidden(256, 4096),
        hidden(4096, 4096),
    ]
    return CourseNet(stages, nn.Linear(4096, classes))


def vgg(classes: int) -> CourseNet:
    """VGG-11 (Simonyan and Zisserman 2014): blocks of 3 by 3 convolutions, each block halves the maps."""
    stages: list[nn.Module] = []
    before = 3
    for width, count in ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)):
        layers = [convolution(before if i == 0 else width, width, 3) for i in range(count)]
        stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        before = width
    stages[-1] = nn.Sequential(stages[-1], flat())
    return CourseNet([*stages, hidden(512, 4096), hidden(4096, 4096)], nn.Linear(4096, classes))


def nin(classes: int) -> CourseNet:
    """Network in Network (Lin et al. 2013): 1 by 1 convolutions after each; the head is one too, pooled over all places."""

    def block(a: int, b: int, kernel: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(convolution(a, b, kernel, stride), convolution(b, b, 1), convolution(b, b, 1))

    stages = [
        nn.Sequential(block(3, 96, 11, stride=4), halve()),
        nn.Sequential(block(96, 256, 5), halve()),
        nn.Sequential(block(256, 384, 3), halve(), nn.Dropout(0.5)),
        nn.Sequential(convolution(384, 1024, 3), convolution(1024, 1024, 1)),
    ]
    return CourseNet(stages, nn.Sequential(nn.Conv2d(1024, classes, 1), flat()))


class Inception(nn.Module):
    """Four ways side by side, their maps concatenated: 1x1; 1x1 then 3x3; 1x1 then 5x5; pooling then 1x1."""

    def __init__(self, a: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> None:
        super().__init__()
        self.ways = nn.ModuleList(
            [
                convolution(a, one, 1),
                nn.Sequential(convolution(a, three[0], 1), convolution(three[0], three[1], 3)),
                nn.Sequential(convolution(a, five[0], 1), convolution(five[0], five[1], 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), convolution(a, pooled, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([way(x) for way in self.ways], dim=1)


def googlenet(classes: int) -> CourseNet:
    """GoogLeNet (Szegedy et al. 2014), without the two side heads, which batch normalisation makes needless."""
    stages = [
        nn.Sequential(convolution(3, 64, 7, stride=2), halve()),
        nn.Sequential(convolution(64, 64, 1), convolution(64, 192, 3), halve()),
        nn.Sequential(Inception(192, 64, (96, 128), (16, 32), 32), Inception(256, 128, (128, 192), (32, 96), 64), halve()),
        nn.Sequential(
            Inception(480, 192, (96, 208), (16, 48), 64),
            Inception(512, 160, (112, 224), (24, 64), 64),
            Inception(512, 128, (128, 256), (24, 64), 64),
            Inception(512, 112, (144, 288), (32, 64), 64),
            Inception(528, 256, (160, 320), (32, 128), 128),
            halve(),
        ),
        nn.Sequential(
            Inception(832, 256, (160, 320), (32, 128), 128),
            Inception(832, 384, (192, 384), (48, 128), 128),
            flat(),
            nn.Dropout(0.4),
        ),
    ]
    return CourseNet(stages, nn.Linear(1024, classes))


class Residual(nn.Module):
    """Two 3 by 3 convolutions beside a straight way, which is a 1 by 1 convolution where the shape changes."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.deep = nn.Sequential(convolution(a, b, 3, stride), convolution(b, b, 3, activation=nn.Identity))
        same = a == b and stride == 1
        self.straight = nn.Identity() if same else convolution(a, b, 1, stride, activation=nn.Identity)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.deep(x) + self.straight(x))


def resnet(classes: int) -> CourseNet:
    """ResNet-18 (He et al. 2015)."""
    stages: list[nn.Module] = [nn.Sequential(convolution(3, 64, 7, stride=2), halve())]
    before = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages.append(nn.Sequential(Residual(before, width, stride), Residual(width, width, 1)))
        before = width
    stages[-1] = nn.Sequential(stages[-1], flat())
    return CourseNet(stages, nn.Linear(512, classes))


COURSE_NETS: Mapping[str, Callable[[int], CourseNet]] = {
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg": vgg,
    "nin": nin,
    "googlenet": googlenet,
    "resnet": resnet,
}
