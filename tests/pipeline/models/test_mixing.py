"""Mixed pictures come with targets that say how much of which they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.models.mixing import mix, soft_targets

B, K, SIDE = 6, 4, 8
Y = torch.tensor([0, 1, 2, 3, 0, 1])


def one_colour_each() -> torch.Tensor:
    """Picture i is all i, so that the mean of a mixed one tells its shares."""
    return torch.arange(B).float().view(B, 1, 1, 1).expand(B, 3, SIDE, SIDE).clone()


@settings(deadline=None)
@given(smoothing=some.floats(0, 1))
def test_soft_targets_sum_to_one(smoothing: float) -> None:
    targets = soft_targets(Y, K, smoothing)
    torch.testing.assert_close(targets.sum(1), torch.ones(B))
    assert (targets.gather(1, Y[:, None])[:, 0] - (1 - smoothing + smoothing / K)).abs().max() < 1e-6


@settings(deadline=None)
@given(seed=some.integers(0, 10_000), mixup=some.floats(0, 2), cutmix=some.floats(0, 2))
def test_targets_have_the_shares_of_the_pixels(seed: int, mixup: float, cutmix: float) -> None:
    x, targets = one_colour_each(), torch.eye(B)  # every picture a class of its own
    mixed, shares = mix(x, targets, np.random.default_rng(seed), mixup=mixup, cutmix=cutmix, share=1.0)
    torch.testing.assert_close(mixed.mean((1, 2, 3)), shares @ torch.arange(B).float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shares.sum(1), torch.ones(B))
    assert (x == one_colour_each()).all()


def test_cutmix_pastes_whole_pixels_and_mixup_blends_all() -> None:
    x, targets = one_colour_each(), torch.eye(B)
    pasted, _ = mix(x, targets, np.random.default_rng(1), mixup=0, cutmix=1.0, share=1.0)
    assert (pasted != x).any()
    assert (pasted == pasted.round()).all()
    blended, _ = mix(x, targets, np.random.default_rng(1), mixup=1.0, cutmix=0, share=1.0)
    assert (blended != blended.round()).any()


@pytest.mark.parametrize("off", [{"mixup": 0.0, "cutmix": 0.0, "share": 1.0}, {"mixup": 1.0, "cutmix": 1.0, "share": 0.0}])
def test_off_is_off(off: dict[str, float]) -> None:
    x, targets = one_colour_each(), torch.eye(B)
    assert mix(x, targets, np.random.default_rng(0), **off) == (x, targets)


def test_about_the_asked_share_of_batches_is_mixed() -> None:
    x, targets = one_colour_each(), torch.eye(B)
    draws = [mix(x, targets, np.random.default_rng(seed), mixup=1.0, cutmix=1.0, share=0.3)[0] is not x for seed in range(400)]
    assert 0.2 < np.mean(draws) < 0.4
