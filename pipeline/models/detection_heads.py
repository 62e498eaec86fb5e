"""Detection heads of torchvision over the feature pyramid of any convolutional body (Lin et al. 2017).

All of them take batches (b, 3, h, w) of one size, a multiple of 32 pixels, and normalised already.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD, SSDHead
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from pipeline.models.detection_cascade import CascadeHeads
from pipeline.models.detection_pool import AlignedPool
from pipeline.models.exact import ExactConv
from pipeline.models.nets import is_depthwise

Targets = list[dict[str, Tensor]]

STRIDES = (8, 16, 32)
# The published anchors start at 32 pixels in pictures of 800. An object keeps its share of the picture when this is shrunk, so the
# smallest anchor is the same share, a 25th of it (13 pixels of 320), and doubles from level to level up to nearly the whole picture.
SMALLEST = 32 / 800
SHAPES = (0.5, 1.0, 2.0)  # height over width
THIRDS = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # sizes of RetinaNet's anchors within a level
REACH = 2.0  # cells from a point to the sides of its box, as FCOS begins
DOUBLES = (1, 2, 4)  # sizes of Faster R-CNN's
WHOLE = 224 / 800  # of a picture: the object for which Faster R-CNN takes its features from the level of stride 16
# Low scores stay: average precision and the fusion of several models use them.
LIMITS: Mapping[str, Any] = {"score_thresh": 0.001, "nms_thresh": 0.55, "detections_per_img": 100, "topk_candidates": 400}
NORM = partial(nn.GroupNorm, 32)  # over channels, since batches of detectors are small


@dataclass(frozen=True)
class Plan:
    """classes: without a background. size: of the pictures in pixels. width: of the pyramid. convolutions: of a tower."""

    classes: int
    size: int
    width: int
    convolutions: int


class Pyramid(nn.Module):
    """Pictures -> maps of one width at strides 8, 16, 32 and `coarser` more, each half the one before.

    body: gives a list of maps, the finest first. channels: theirs. On a CPU a body of depthwise convolutions computes in float32 also
    where the rest is in bfloat16, which is no gain for these.
    """

    def __init__(self, body: nn.Module, channels: Sequence[int], width: int, coarser: int) -> None:
        super().__init__()
        self.body, self.is_light = body, any(map(is_depthwise, body.modules()))
        self.fpn = FeaturePyramidNetwork(list(channels), width, Coarser(width, coarser) if coarser else None)
        self.out_channels = width
        self.levels = len(channels) + coarser

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        with torch.autocast("cpu", enabled=False) if self.is_light and x.device.type == "cpu" else nullcontext():
            maps = self.body(x)
        return self.fpn(OrderedDict((str(level), found) for level, found in enumerate(maps)))


class Coarser(ExtraFPNBlock):
    """Further levels, each a convolution of stride 2 over the one before; in float32, since in bfloat16 oneDNN's gradient of one over a map of
    a single pixel is now and then what stood in memory before."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(ExactConv(width, width, 3, stride=2, padding=1) for _ in range(levels))
        for step in self.steps:
            nn.init.kaiming_uniform_(step.weight, a=1)
            nn.init.zeros_(step.bias)

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:  # noqa: ARG002
        for place, step in enumerate(self.steps):
            results.append(step(results[-1].relu() if place else results[-1]))
            names.append(str(len(names)))
        return results, names


class Untouched(nn.Module):
    """Stands where torchvision scales, normalises, resizes and pads pictures one by one, for batches that need none of it."""

    def forward(self, images: Tensor, targets: Targets | None = None) -> tuple[ImageList, Targets | None]:
        return ImageList(images, [(images.shape[-2], images.shape[-1])] * len(images)), targets

    def postprocess(self, result: Targets, *_: Any) -> Targets:
        return result


class CentredAnchors(AnchorGenerator):
    """Anchors around the middle of each cell; torchvision's stand on its upper left corner, so a flipped picture has others."""

    def grid_anchors(self, grid_sizes: list[list[int]], strides: list[list[Tensor]]) -> list[Tensor]:
        corners = super().grid_anchors(grid_sizes, strides)
        return [grid + torch.stack((x, y, x, y)) / 2 for grid, (y, x) in zip(corners, strides, strict=True)]


def frozen(module: nn.Module) -> nn.Module:
    """With batch norms that are constants: neither training mode nor an optimizer changes them."""
    from timm.layers.norm_act import freeze_batch_norm_2d

    return freeze_batch_norm_2d(module)


def doubling(pyramid: Pyramid, size: int) -> list[float]:
    """Side of the anchors of each level in pixels."""
    return [SMALLEST * size * 2**level for level in range(pyramid.levels)]


def fcos(pyramid: Pyramid, plan: Plan) -> nn.Module:
    """FCOS (Tian et al. 2022): a point of each cell, responsible for objects by size (up to 64 pixels at stride 8, and so on).

    These bounds stay in pixels: what a map of stride 8 can see does not depend on the picture. The last level takes all the rest.
    """
    strides = tuple((STRIDES[0] * 2**level,) for level in range(pyramid.levels))
    head = FCOSHead(pyramid.out_channels, 1, plan.classes, plan.convolutions)
    # Distances below 0 are cut off, and what is cut off does not learn: they begin above it.
    nn.init.constant_(head.regression_head.bbox_reg.bias, REACH)
    return FCOS(pyramid, plan.classes, anchor_generator=CentredAnchors(strides, ((1.0,),) * len(strides)), head=head, **LIMITS)


def retinanet(pyramid: Pyramid, plan: Plan) -> nn.Module:
    """RetinaNet (Lin et al. 2017): nine anchors a cell, of three shapes and three sizes, and the focal loss."""
    anchors = CentredAnchors(tuple(tuple(side * third for third in THIRDS) for side in doubling(pyramid, plan.size)), SHAPES)
    head = RetinaNetHead(pyramid.out_channels, anchors.num_anchors_per_location()[0], plan.classes, NORM)
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[: plan.convolutions]
    return RetinaNet(pyramid, plan.classes, anchor_generator=anchors, head=head, **LIMITS)


def faster_rcnn(pyramid: Pyramid, plan: Plan) -> nn.Module:
    """Faster R-CNN (Ren et al. 2015): proposals from nine anchors a cell, of three shapes and three sizes, then a look at each.

    With one size a level, as published for pictures of 800 pixels, most objects of small pictures would be left to maps of so few cells
    that no anchor comes near them.

    Pictures of few hundred pixels need fewer proposals than torchvision's 512 of 2,000; the second stage is most of the work.
    """
    anchors = CentredAnchors(tuple(tuple(side * times for times in DOUBLES) for side in doubling(pyramid, plan.size)), SHAPES)
    pool = AlignedPool(STRIDES, 7, WHOLE * plan.size)
    return FasterRCNN(
        pyramid,
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_train=500,
        rpn_post_nms_top_n_test=300,
        box_roi_pool=pool,
        box_head=TwoMLPHead(pyramid.out_channels * 7**2, 512),
        box_predictor=FastRCNNPredictor(512, plan.classes + 1),
        box_batch_size_per_image=128,
        **{f"box_{name}": value for name, value in LIMITS.items() if name != "topk_candidates"},
    )


def cascade_rcnn(pyramid: Pyramid, plan: Plan) -> nn.Module:
    """Cascade R-CNN (Cai and Vasconcelos 2018): Faster R-CNN with three looks, each at the boxes that the one before has moved."""
    made = faster_rcnn(pyramid, plan)
    plain = made.roi_heads
    made.roi_heads = CascadeHeads(
        plain.box_roi_pool,
        pyramid.out_channels * 7**2,
        512,
        plan.classes + 1,
        batch_size_per_image=64,  # three times
        positive_fraction=0.5,  # small pictures have few objects, and each is among its own proposals
        **{name: getattr(plain, name) for name in ("score_thresh", "nms_thresh", "detections_per_img")},
    )
    return made


def ssd(pyramid: Pyramid, plan: Plan, head: Callable[..., nn.Module] = SSDHead) -> nn.Module:
    """SSD (Liu et al. 2016): six anchors a cell and a layer of its own for each level; background is a class.

    The loss takes three background anchors for each that has an object, hence none of a picture without objects.
    """
    shares = [SMALLEST * 2**level for level in range(pyramid.levels)]
    anchors = DefaultBoxGenerator([[2, 3]] * pyramid.levels, scales=[*shares, min(1.05, 2 * shares[-1])])
    made = head([pyramid.out_channels] * pyramid.levels, anchors.num_anchors_per_location(), plan.classes + 1)
    return SSD(pyramid, anchors, (plan.size, plan.size), plan.classes + 1, head=made, **LIMITS)


def ssdlite(pyramid: Pyramid, plan: Plan) -> nn.Module:
    """SSD with depthwise convolutions (Sandler et al. 2018), in the head alone."""
    return ssd(pyramid, plan, partial(SSDLiteHead, norm_layer=NORM))


HEADS: Mapping[str, Callable[[Pyramid, Plan], nn.Module]] = {
    "fcos": fcos,
    "retinanet": retinanet,
    "faster-rcnn": faster_rcnn,
    "cascade-rcnn": cascade_rcnn,
    "ssd": ssd,
    "ssdlite": ssdlite,
}
WITH_TOWERS = ("fcos", "retinanet")  # of convolutions before the last layer
WITH_BACKGROUND = ("faster-rcnn", "cascade-rcnn", "ssd", "ssdlite")  # as their class 0


def detector(name: str, body: nn.Module, channels: Sequence[int], plan: Plan) -> nn.Module:
    """A body with a pyramid and the head of this name. channels: of the body's maps."""
    # FCOS's level of stride 128 would be there for objects beyond 512 pixels.
    coarser = 1 if name == "fcos" and plan.size <= 512 else 2
    made = HEADS[name](Pyramid(body, channels, plan.width, coarser), plan)
    made.transform = Untouched()
    return made
