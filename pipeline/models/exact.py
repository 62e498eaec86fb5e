"""Layers that compute in float32 under autocast too."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class ExactConv(nn.Conv2d):
    """In float32 under autocast too: with the eight bits of bfloat16 a side of fifty pixels is wrong by an eighth of one."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class ExactLinear(nn.Linear):
    """The same."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


EXACTLY: Mapping[type, type] = {nn.Conv2d: ExactConv, nn.Linear: ExactLinear}
