"""A box's features out of the maps of a pyramid (RoIAlign, He et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, roi_align

MIDDLE = 1  # the level, of three or more, that objects of the size `whole` are cut out of
SAMPLES = 2  # in each direction, of a cell of what is cut out
WIDEST = 64  # cells of a side of a map, up to which a product of matrices is the quicker way on a CPU


class AlignedPool(MultiScaleRoIAlign):
    """strides: of the maps "0", "1", ... size: of what is cut out, (size, size). whole: pixels of the side of an object of the level MIDDLE;
    one of half the side is of the level below.

    Cells stand for what is around their middles (as "aligned" in Detectron2); torchvision takes them for their upper left corners, half
    a cell off. On a CPU small maps are sampled by products of matrices: between cells features are bilinear, so rows and columns can be
    done one after the other.
    """

    def __init__(self, strides: Sequence[int], size: int, whole: float) -> None:
        super().__init__([str(level) for level in range(len(strides))], size, SAMPLES)
        self.strides, self.whole = tuple(strides), whole

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:  # noqa: ARG002
        """Maps (b, c, h, w), and for each picture boxes (n, 4) as corners in pixels -> (all n, c, size, size)."""
        corners = torch.cat(boxes)
        image = torch.cat([torch.full((len(one),), number, device=corners.device) for number, one in enumerate(boxes)])
        side = (corners[:, 2:] - corners[:, :2]).clamp(min=1e-6).prod(dim=1).sqrt()
        level = (torch.log2(side / self.whole) + MIDDLE + 1e-6).floor().clamp(0, len(self.strides) - 1)
        first = x[self.featmap_names[0]]
        out = first.new_zeros((len(corners), first.shape[1], *self.output_size))
        for number, stride in enumerate(self.strides):
            maps, rows = x[self.featmap_names[number]], torch.where(level == number)[0]
            by = multiplied if maps.device.type == "cpu" and max(maps.shape[-2:]) <= WIDEST else sampled
            with torch.autocast(maps.device.type, enabled=False):
                out[rows] = by(maps, image[rows], corners[rows] / stride, self.output_size[0]).to(out.dtype)
        return out


def sampled(maps: Tensor, image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Of the maps (b, c, h, w) numbered `image` (n,) what is in the boxes (n, 4), in cells: (n, c, size, size)."""
    rois = torch.cat([image[:, None].to(boxes.dtype), boxes], dim=1)
    found: Tensor = roi_align(maps, rois, size, 1.0, SAMPLES, aligned=True)
    return found


def multiplied(maps: Tensor, image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The same for boxes within the map: each row and column of what is cut out is a weighted sum of those of the map."""
    out = maps.new_zeros((len(boxes), maps.shape[1], size, size))
    for number in image.unique().tolist():
        rows = torch.where(image == number)[0]
        across, down = (weights(boxes[rows][:, [axis, axis + 2]], size, maps.shape[3 - axis]).to(maps.dtype) for axis in (0, 1))
        h, w, c = (cells := maps[number].permute(1, 2, 0)).shape  # as channels last have it in memory
        narrowed = (down.flatten(0, 1) @ cells.reshape(h, w * c)).view(len(rows), size, w, c)
        out[rows] = (across[:, None] @ narrowed).permute(0, 3, 1, 2)
    return out


def weights(ends: Tensor, size: int, cells: int) -> Tensor:
    """(n, size, cells) of each cell in the mean of the samples that lie in each part of the way between the ends (n, 2)."""
    share = (torch.arange(size * SAMPLES, device=ends.device) + 0.5) / (size * SAMPLES)
    at = (ends[:, :1] + share * (ends[:, 1:] - ends[:, :1]) - 0.5).clamp(0, cells - 1)
    near = (1 - (at[..., None] - torch.arange(cells, device=ends.device)).abs()).clamp(min=0)
    return near.unflatten(1, (size, SAMPLES)).mean(dim=2)
