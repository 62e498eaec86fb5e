"""Learning rates: over the steps (warm-up, cosine) and over the depth of a net (layer decay, a faster head, frozen stages)."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from torch import nn

from pipeline.errors import BadRecipe

BODY = "body"  # to freeze: all but the head


def warm_then_cosine(step: int, steps: int, warm_up: float) -> float:
    """Share of the highest rate at a step: up in a line, down along half a cosine (Loshchilov and Hutter 2017)."""
    rise = max(1, round(steps * warm_up))
    return (step + 1) / rise if step < rise else 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


def groups(
    net: nn.Module, stages: Sequence[Collection[str]], rate: float, head_rate: float, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, each with its highest rate as `peak`; norms and biases without weight decay.

    stages: names of parameters from stem to head. The head learns at rate x head_rate, the last stage of the body at `rate`, and
    each stage before it at layer_decay times the next one's (Howard and Ruder 2018; Bao et al. 2022).
    """
    parameters = dict(net.named_parameters())
    made = []
    for depth, names in enumerate(stages):
        from_end = len(stages) - 1 - depth
        peak = rate * head_rate if from_end == 0 else rate * layer_decay ** (from_end - 1)
        for decayed in (True, False):
            members = [parameters[name] for name in names if (parameters[name].ndim > 1) == decayed]
            if members:
                made.append({"params": members, "lr": peak, "peak": peak, "weight_decay": weight_decay if decayed else 0.0})
    return made


def frozen(stages: Sequence[Collection[str]], freeze: int | str) -> set[str]:
    """Names of the parameters that do not learn: of the first `freeze` stages, or of all but the head ("body"). Raises BadRecipe."""
    count = len(stages) - 1 if freeze == BODY else freeze
    if not isinstance(count, int) or not 0 <= count < len(stages):
        raise BadRecipe(
            f"freeze is {freeze!r}, but this net has {len(stages)} stages with its head; give 0 to {len(stages) - 1}, or {BODY!r}."
        )
    return {name for names in stages[:count] for name in names}


def hold(net: nn.Module, names: Collection[str]) -> None:
    """Put the net in training mode with these parameters frozen: no gradient is made for them or for what lies before them, and
    batch norms among them keep their statistics."""
    net.train()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in names)
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and f"{name}.weight" in names:
            module.eval()
