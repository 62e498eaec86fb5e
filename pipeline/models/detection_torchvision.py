"""torchvision's own detectors, whole, with its weights from COCO where they are asked for (Lin et al. 2014).

They are as torchvision makes them, anchors included: published weights are right for those alone, in pixels and level by level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from pipeline.errors import BadRecipe
from pipeline.models import detection_heads
from pipeline.models import weights as sources

SMALLEST = {"ssd300_vgg16": 288}  # pixels: its last layers do not pad
OTHER_TARGETS = ("maskrcnn", "keypointrcnn")  # detectors that cannot train on boxes alone
WITHOUT_BACKGROUND = ("fcos", "retinanet")  # among their classes
OLD_EPS = ("fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn")  # whose published weights want no epsilon in the frozen norms
PREDICTORS = re.compile(r"(head\.classification_head\.(cls_logits|module_list)|roi_heads\.box_predictor)\.")
RENAMED = {  # in torchvision's older files: as layers are called now
    r"((?:inner|layer)_blocks\.\d+)\.(weight|bias)$": r"\1.0.\2",
    r"(rpn\.head\.conv)\.(weight|bias)$": r"\1.0.0.\2",
}
TOWER = re.compile(r"(_head\.conv)\.(\d+)\.(weight|bias)$")  # RetinaNet's, whose layers were counted with their activations


def names() -> list[str]:
    """Of all of them that train on boxes alone."""
    from torchvision import models

    return [name for name in models.list_models(module=models.detection) if not name.startswith(OTHER_TARGETS)]


def has_background(name: str) -> bool:
    """Whether its class 0 is the background."""
    return not name.startswith(WITHOUT_BACKGROUND)


def detector(name: str, classes: int, weights: str | None, size: int) -> tuple[nn.Module, list[float], list[float]]:
    """The detector, and mean and spread of the channels that it expects, on the 0 to 255 scale. Raises BadWeights, BadRecipe.

    weights: None, "hub" or a file's path; of a file for as many classes the layers that tell them apart are taken over too.
    """
    from torchvision import models

    if size < SMALLEST.get(name, 0):
        raise BadRecipe(f"torchvision/{name} cannot be made for pictures of {size} pixels. Choose {SMALLEST[name]} or more.")
    box = "box_" if name.startswith("fasterrcnn") else ""
    limits = {box + limit: value for limit, value in detection_heads.LIMITS.items() if not (box and limit == "topk_candidates")}
    rows = classes + has_background(name)
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=rows, **limits)
    mean, std = ([255 * value for value in values] for values in (model.transform.image_mean, model.transform.image_std))
    model.transform = detection_heads.Untouched()
    if name.startswith("ssd"):
        model.anchor_generator.steps = None  # those of ssd300 are for 300 pixels; without, the maps' own sizes are taken
    if weights is not None:
        sources.put(model, _predictors(model), _source(name, model, weights), ())
    return model, mean, std


def freeze(model: nn.Module, name: str, weights: str | None) -> None:
    """Make the batch norms of the part before the head constant."""
    from torchvision.models.detection._utils import overwrite_eps

    model.backbone = detection_heads.frozen(model.backbone)
    if weights == "hub" and name in OLD_EPS:
        overwrite_eps(model, 0.0)


def _predictors(model: nn.Module) -> list[str]:
    """Names of the layers whose size depends on the number of classes."""
    layers = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    depthwise = {name for name in layers if getattr(model.get_submodule(name), "groups", 1) > 1}  # of ssdlite, before the last
    return [name for name in layers if PREDICTORS.match(f"{name}.") and name not in depthwise]


def _source(name: str, model: nn.Module, weights: str) -> sources.Source:
    if weights == "package":
        return sources.from_package(f"torchvision's {name}", model)
    source = sources.from_torchvision(name) if weights == "hub" else sources.from_file(Path(weights))
    return replace(source, tensors=_renamed(source.tensors, name), rows=())


def _renamed(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """By the names of today's layers, which torchvision itself sees to only while it loads a file."""
    renamed = {}
    for old, tensor in tensors.items():
        new = old
        for pattern, form in RENAMED.items():
            new = re.sub(pattern, form, new)
        if name.startswith("retinanet"):
            new = TOWER.sub(lambda found: f"{found[1]}.{int(found[2]) // 2}.0.{found[3]}", new)
        renamed[new] = tensor
    return renamed
