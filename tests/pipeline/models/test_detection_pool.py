"""What is cut out of a map is what is in the box, whichever way it is computed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.models.detection_pool import AlignedPool, multiplied, sampled

STRIDES = (8, 16, 32)


def boxes(count: int, cells: int) -> Tensor:
    """Within a map, some of them as narrow as a cell and some up to its edges."""
    draw = torch.Generator().manual_seed(count)
    corners = (torch.rand(count, 2, 2, generator=draw) * cells).sort(dim=1).values.flatten(1)
    corners[:2] = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.6, 0.2, 0.7, 1.0]]) * cells
    return corners


@pytest.mark.parametrize("cells", [1, 5, 40])
def test_products_of_matrices_give_what_sampling_gives_and_its_gradients(cells: int) -> None:
    image = torch.arange(30) % 3
    found, gradients = [], []
    for by in (sampled, multiplied):
        torch.manual_seed(0)
        maps = torch.randn(3, 4, cells, cells, requires_grad=True)
        out = by(maps, image, boxes(30, cells), 7)
        out.square().sum().backward()
        found.append(out.detach())
        gradients.append(maps.grad)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_boxes_are_pooled_from_cells_around_their_middles() -> None:
    """Maps that hold the place of each cell's middle: what is pooled of a box is the places in it, of the level that fits its size."""
    pool = AlignedPool(STRIDES, 7, 90)
    maps = {}
    for number, stride in enumerate(STRIDES):
        middle = (torch.arange(320 // stride) + 0.5) * stride
        across, down = middle.expand(len(middle), -1), middle[:, None].expand(-1, len(middle))
        maps[str(number)] = torch.stack([across, down, torch.full_like(across, stride)])[None]
    given = torch.tensor([[40.0, 60.0, 75.0, 130.0], [30.0, 20.0, 150.0, 160.0], [20.0, 30.0, 290.0, 300.0]])
    found = pool(maps, [given], [(320, 320)])
    for box, one, stride in zip(given, found, STRIDES, strict=True):
        assert one[2].unique().tolist() == pytest.approx([stride])
        inside = (torch.arange(7) + 0.5) / 7
        torch.testing.assert_close(one[0, 3], box[0] + inside * (box[2] - box[0]), atol=1e-3, rtol=0)
        torch.testing.assert_close(one[1, :, 3], box[1] + inside * (box[3] - box[1]), atol=1e-3, rtol=0)
    assert pool(maps, [given[:0]], [(320, 320)]).shape == (0, 3, 7, 7)


def test_each_picture_has_its_own_map() -> None:
    maps = {str(level): torch.arange(2.0)[:, None, None, None].expand(2, 1, 32 // 2**level, 32 // 2**level) for level in range(3)}
    one = torch.tensor([[8.0, 8.0, 60.0, 60.0]])
    found = AlignedPool(STRIDES, 7, 90)(maps, [one, one.repeat(2, 1)], [(256, 256)] * 2)
    assert found.mean((1, 2, 3)).tolist() == [0, 1, 1]
