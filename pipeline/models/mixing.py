"""Mixing two pictures of a batch into one, and the soft targets that say how much of which: MixUp, CutMix, label smoothing.

All random numbers come from the generator given, so a batch is mixed the same way whenever its step is repeated.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def soft_targets(y: Tensor, classes: int, smoothing: float) -> Tensor:
    """(b,) classes -> (b, classes) rows that sum to 1: the true class gives `smoothing` away to all alike (Szegedy et al. 2016)."""
    return functional.one_hot(y, classes).float() * (1 - smoothing) + smoothing / classes


def mix(
    x: Tensor, targets: Tensor, generator: np.random.Generator, *, mixup: float, cutmix: float, share: float
) -> tuple[Tensor, Tensor]:
    """A share of the batches is mixed, by MixUp or CutMix, at even odds where both are on. x (b, c, h, w), targets (b, k).

    mixup, cutmix: alpha of Beta(alpha, alpha), from which the picture's own share is drawn; 0 turns it off.
    """
    ways = [(name, alpha) for name, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha > 0]
    if not ways or generator.random() >= share:
        return x, targets
    way, alpha = ways[generator.integers(len(ways))]
    own = generator.beta(alpha, alpha)
    other = torch.from_numpy(generator.permutation(len(x))).to(x.device)
    if way == "mixup":
        return mixed_up(x, targets, other, own)
    return cut_and_pasted(x, targets, other, own, generator)


def mixed_up(x: Tensor, targets: Tensor, other: Tensor, own: float) -> tuple[Tensor, Tensor]:
    """MixUp (Zhang et al. 2018): the weighted mean of two pictures, and of their targets. other: (b,) whom each is mixed with."""
    return torch.lerp(x[other], x, own), torch.lerp(targets[other], targets, own)


def cut_and_pasted(
    x: Tensor, targets: Tensor, other: Tensor, own: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """CutMix (Yun et al. 2019): a rectangle of the other picture; targets by the area that it really covers after clipping."""
    height, width = x.shape[-2:]
    side = np.sqrt(1 - own)
    middle = generator.integers(height), generator.integers(width)
    (top, bottom), (left, right) = (
        np.clip((at - length * side / 2, at + length * side / 2), 0, length).astype(int)
        for at, length in zip(middle, (height, width), strict=True)
    )
    pasted = x.clone()
    pasted[..., top:bottom, left:right] = x[other, :, top:bottom, left:right]
    kept = 1 - float((bottom - top) * (right - left)) / (height * width)
    return pasted, torch.lerp(targets[other], targets, kept)
