"""The second stage of Cascade R-CNN (Cai and Vasconcelos 2018): three looks at each box, each from where the one before has moved it.

Each look learns from boxes that overlap an object by more than the one before did, so the last one is exact where the first is forgiving.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import box_iou, clip_boxes_to_image, generalized_box_iou_loss

Targets = Sequence[dict[str, Tensor]]

OVERLAPS = (0.5, 0.6, 0.7)  # of a box with an object, to be one of it: of each look
FINENESS = (1.0, 2.0, 3.0)  # by how much a look's moves are smaller than the first one's
SHARES = (1.0, 0.5, 0.25)  # of each look in the loss
MOVES = 2.0  # weight of the boxes' loss beside that of their classes


class Look(nn.Module):
    """What is in each box, and how it should move: (n, width, s, s) -> (n, classes), (n, 4), float32; background is class 0."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.features = TwoMLPHead(inputs, hidden)
        self.classes, self.moves = nn.Linear(hidden, classes), nn.Linear(hidden, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.features(x)
        return self.classes(found).float(), self.moves(found).float()


class CascadeHeads(RoIHeads):
    """In the place of torchvision's second stage. pool: cuts a box's features out of the maps. inputs: numbers in these. hidden: of each
    look's two layers. classes: with the background. options: as torchvision's."""

    def __init__(self, pool: nn.Module, inputs: int, hidden: int, classes: int, **options: Any) -> None:
        super().__init__(pool, None, None, OVERLAPS[0], OVERLAPS[0], bbox_reg_weights=None, **options)
        self.looks = nn.ModuleList(Look(inputs, hidden, classes) for _ in OVERLAPS)

    def forward(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_shapes: list[tuple[int, int]], targets: Any = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's: what was found in each picture, and losses; one of them is empty."""
        boxes, losses, chances = proposals, {}, []
        if self.training:
            boxes = self.select_training_samples(list(proposals), targets)[0]
        for number, look in enumerate(self.looks):
            logits, moves = look(self.box_roi_pool(features, boxes, image_shapes))
            fine = FINENESS[number]
            moved = BoxCoder((10 * fine, 10 * fine, 5 * fine, 5 * fine)).decode_single(moves, torch.cat(boxes))
            if self.training:
                for name, loss in self._losses(number, logits, moved, boxes, targets).items():
                    losses[f"{name}_{number}"] = loss * SHARES[number]
            chances.append(logits.softmax(dim=-1))
            parts = moved.detach().split([len(one) for one in boxes])
            boxes = [clip_boxes_to_image(one, shape) for one, shape in zip(parts, image_shapes, strict=True)]
        if self.training:
            return [], losses
        mean = torch.stack(chances).mean(dim=0)
        still = mean.new_zeros((len(mean), 4 * mean.shape[1]))
        found = zip(*self.postprocess_detections(mean.log(), still, boxes, image_shapes), strict=True)
        return [{"boxes": box, "scores": score, "labels": label} for box, score, label in found], {}

    def _losses(self, number: int, logits: Tensor, moved: Tensor, boxes: Sequence[Tensor], targets: Targets) -> dict[str, Tensor]:
        """Cross-entropy of all boxes; of those that are of an object what they lack to its box (Rezatofighi et al. 2019)."""
        labels, true = assigned(boxes, targets, OVERLAPS[number])
        mine = labels > 0
        lack = generalized_box_iou_loss(moved[mine], true[mine], reduction="sum") / max(1, int(mine.sum()))
        return {"classes": functional.cross_entropy(logits, labels), "moves": lack * MOVES}


def assigned(boxes: Sequence[Tensor], targets: Targets, overlap: float) -> tuple[Tensor, Tensor]:
    """Of the boxes of all pictures, one after another, the label (n,), 0 for background, and the object's box (n, 4) that each overlaps
    most; it is of that object where it overlaps it by so much."""
    labels, true = [], []
    for mine, target in zip(boxes, targets, strict=True):
        if not len(target["boxes"]):
            labels.append(torch.zeros(len(mine), dtype=torch.int64, device=mine.device))
            true.append(mine)
            continue
        best, at = box_iou(target["boxes"].to(mine.dtype), mine).max(dim=0)
        labels.append(torch.where(best >= overlap, target["labels"][at], 0))
        true.append(target["boxes"].to(mine.dtype)[at])
    return torch.cat(labels), torch.cat(true)
