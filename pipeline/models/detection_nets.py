"""Object detectors by name, all with the same few abilities.

A net of timm with the name of a head ("tf_efficientnet_lite0" and "fcos") is that net's body, a feature pyramid and torchvision's
head; "torchvision/NAME" without a head is one of torchvision's own detectors, with its own anchors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import detection_heads, detection_torchvision, nets
from pipeline.models.exact import EXACTLY
from pipeline.models.nets import TORCHVISION
from pipeline.models.weights import from_file

HEADS = tuple(detection_heads.HEADS)
GROUPS = 32  # of channels, as torchvision's heads normalise them
STEP = 32  # pixels: sizes are multiples of it, so that each level's map is half the one before
WIDTH, CONVOLUTIONS = 128, 4
NORMS = ("frozen", "batch")
BODY = re.compile(r"backbone\.(body\.|(?=features\.))")
NESTED = re.compile(r"features(\.\d+)+")  # layers of the SSDs' bodies, which torchvision counts within counts


EXACT = ("backbone", "head", "rpn.head", "roi_heads.box_predictor")  # modules whose outputs become boxes and scores
LAST = {"cls_logits", "bbox_reg", "bbox_ctrness", "bbox_pred", "cls_score", "classes", "moves"}  # layers that give these


def _exactly(_: nn.Module, __: Any, out: Any) -> Any:
    """As float32: under autocast boxes would be rounded to whole pixels and more, and scores to a hundred values."""
    if isinstance(out, Tensor):
        return out.float()
    made: Any = type(out)
    return (
        made((name, _exactly(_, __, one)) for name, one in out.items())
        if isinstance(out, Mapping)
        else made(_exactly(_, __, one) for one in out)
    )


class Detector(nn.Module):
    """A detector and what is to be known of it.

    name: as it was asked for. mean, std: (3,) on the 0 to 255 scale, what `normalise` takes from pictures. background: whether
    the model's own class 0 is the background; outside, classes count from 0 everywhere. whole: whether its first weights were
    those of a detector rather than of a body alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, model: nn.Module, mean: Sequence[float], std: Sequence[float], background: bool, whole: bool = False
    ) -> None:
        super().__init__()
        self.name, self.model, self.background, self.whole = name, model, background, whole
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)
        self.format = torch.channels_last
        self.model.to(memory_format=self.format)
        for path in EXACT:
            with suppress(AttributeError):  # each model has some of them
                self.model.get_submodule(path).register_forward_hook(_exactly)
        for name, module in self.model.named_modules():
            if name.rpartition(".")[2] in LAST and type(module) in EXACTLY:
                module.__class__ = EXACTLY[type(module)]  # the same layer, with the same tensors

    @property
    def is_light(self) -> bool:
        """As of `nets.Net`, but for a pyramid's body, which minds that itself."""
        pyramid = self.model.backbone
        minded = set(pyramid.body.modules()) if isinstance(pyramid, detection_heads.Pyramid) else set()
        return any(map(nets.is_depthwise, set(self.model.modules()) - minded))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pictures (b, h, w, 3) uint8, where the net is -> (b, 3, h, w) float32 as `forward` takes them."""
        return ((pixels - self.mean) / self.std).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def forward(self, x: Tensor, targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Normalised pictures (b, 3, h, w), h and w multiples of 32; boxes are corners (x0, y0, x1, y1) in pixels of x.

        Training: a dict of losses, each the mean over the batch as torchvision gives it. targets: for each picture "boxes"
        (n, 4) float32 of positive width and height, and "labels" (n,) int64 from 0; n may be 0. Evaluation: for each picture
        "boxes" (n, 4), "labels" (n,) and "scores" (n,), the highest first, at most 100. Raises BadRecipe for other sizes.
        """
        check_size(*x.shape[-2:])
        if self.training and targets is not None:
            given = [{"boxes": each["boxes"], "labels": each["labels"] + int(self.background)} for each in targets]
            return self.model(x, given)
        found = self.model(x)
        return [
            {"boxes": each["boxes"], "labels": each["labels"] - int(self.background), "scores": each["scores"]} for each in found
        ]

    def stages(self) -> list[list[str]]:
        """Names of the parameters from stem to head, each in exactly one stage.

        The last stage is all that starts from chance: the pyramid and the head; where a whole detector's weights were taken, the
        layers that tell the classes, and what lies between them and the body is the stage before.
        """
        body: list[str] = []
        neck: list[str] = []
        last: list[str] = []
        for name, _ in self.named_parameters():
            inner = name.removeprefix("model.")
            if self.whole and detection_torchvision.PREDICTORS.match(inner):
                last.append(name)
            else:
                (body if BODY.match(inner) else neck).append(name)
        parts: dict[str, list[str]] = {}
        for name in body:
            inner = BODY.sub("", name.removeprefix("model."))
            layer = NESTED.match(inner)
            parts.setdefault(layer.group() if layer else nets.part(inner), []).append(name)
        stages = nets.joined(parts.values(), {name for name in body if self.get_parameter(name).ndim > 1})
        return [*stages, neck, last] if self.whole else [*stages, neck]


def create(
    net: str,
    head: str | None,
    classes: int,
    weights: str | None,
    size: int,
    *,
    norm: str | None = None,
    width: int | None = None,
    convolutions: int | None = None,
) -> Detector:
    """A detector for this many classes; what starts from chance depends on torch's seed alone.

    head: of HEADS for a net of timm, None for torchvision's own. weights: None, "hub", "package" or a file's path, as for
    `nets.create`; those of a body are a classifier's, those of torchvision's detectors a detector's. size: of the pictures in
    pixels, which the anchors follow. norm: "frozen" keeps the statistics and scales of the batch norms that came with weights,
    since batches of detectors are small; it is the default if there are weights, else "batch". width: channels of the pyramid.
    convolutions: of the towers of FCOS and RetinaNet before their last layer.
    Raises UnknownName, BadWeights, or BadRecipe for what cannot be.
    """
    check(net, head, weights, size, norm, width, convolutions)
    if classes < 1:
        raise BadRecipe(f"A detector for {classes} classes was asked for; it needs one or more.")
    norm = norm or ("batch" if weights is None else "frozen")
    if net.startswith(TORCHVISION):
        name = net.removeprefix(TORCHVISION)
        model, mean, std = detection_torchvision.detector(name, classes, weights, size)
        if norm == "frozen":
            detection_torchvision.freeze(model, name, weights)
        return Detector(net, model, mean, std, detection_torchvision.has_background(name), whole=weights is not None)
    if head is None:
        raise UnknownName(f"head for {net}", "None", HEADS)
    plan = detection_heads.Plan(
        classes, size, WIDTH if width is None else width, CONVOLUTIONS if convolutions is None else convolutions
    )
    return _headed(net, head, weights, norm, plan)


def check(
    net: str,
    head: str | None,
    weights: str | None,
    size: int,
    norm: str | None = None,
    width: int | None = None,
    convolutions: int | None = None,
) -> None:
    """Raise what `create` would, as far as names and numbers tell without making the net."""
    check_size(size)
    if norm is not None and norm not in NORMS:
        raise UnknownName("norm of a detector", norm, NORMS)
    if net not in known() and (net.startswith(TORCHVISION) or nets.find(net)[0] != "timm"):  # whose names may have a tag
        raise UnknownName("net for detection", net, known())
    if net.startswith(TORCHVISION):
        if head is not None or width is not None or convolutions is not None:
            raise BadRecipe(
                f"{net} is a whole detector: leave out width and convolutions, and give head=None, or name one of timm's nets."
            )
    elif head not in HEADS:
        raise UnknownName(f"head for {net}", str(head), HEADS)
    elif width is not None and (not isinstance(width, int) or width < 2 * GROUPS or width % GROUPS):
        # A group of one channel has nothing to normalise on the coarsest map, which may be one pixel.
        raise BadRecipe(f"width is {width!r}, but the heads normalise {GROUPS} groups of channels; give 64, 96, 128, ...")
    elif convolutions is not None and head not in detection_heads.WITH_TOWERS:
        raise BadRecipe(f"convolutions is for {' and '.join(detection_heads.WITH_TOWERS)}; {head} has none to leave out.")
    if weights not in (None, "hub", "package") and not Path(str(weights)).is_file():
        from_file(Path(str(weights)))  # says what there is instead


def known() -> list[str]:
    """All names of nets, sorted. timm's that are not convolutional have no body to give, which `create` says when asked."""
    import timm

    return sorted([*timm.list_models(), *(TORCHVISION + name for name in detection_torchvision.names())])


def check_size(*sides: int) -> None:
    """Raises BadRecipe unless the sides of a picture are multiples of 32."""
    for side in sides:
        if not isinstance(side, int) or side < STEP or side % STEP:
            near = max(STEP, STEP * round(side / STEP))
            raise BadRecipe(f"Pictures of {side} pixels were given; detectors take multiples of {STEP}, such as {near}.")


# A body of timm with a head


def _headed(net: str, head: str, weights: str | None, norm: str, plan: detection_heads.Plan) -> Detector:
    if not 0 <= plan.convolutions <= CONVOLUTIONS:
        raise BadRecipe(f"convolutions is {plan.convolutions}; a head has 0 to {CONVOLUTIONS}.")
    classifier = nets.create(net, 2, weights)
    body, channels = _body(net, classifier.backbone)
    if norm == "frozen":
        body = detection_heads.frozen(body)
    model = detection_heads.detector(head, body, channels, plan)
    background = head in detection_heads.WITH_BACKGROUND
    return Detector(net, model, classifier.mean.tolist(), classifier.std.tolist(), background)


def _body(net: str, classifier: nn.Module) -> tuple[nn.Module, list[int]]:
    """The part of a classifier before its head, with its tensors, as a list of maps at strides 8, 16 and 32; their channels."""
    import timm

    unfit = f"{net} has no maps at strides 8, 16 and 32 to detect objects on. Choose a convolutional net, such as resnet18."
    if not nets.is_convolutional(classifier):
        raise BadRecipe(unfit)
    try:
        with torch.device("meta"):
            reductions = timm.create_model(net, features_only=True).feature_info.reduction()
        places = [reductions.index(stride) for stride in detection_heads.STRIDES]
    except (AssertionError, AttributeError, RuntimeError, ValueError) as error:
        raise BadRecipe(unfit) from error
    body = timm.create_model(net, features_only=True, out_indices=places)
    tensors = {_plain(name): tensor for name, tensor in classifier.state_dict().items()}
    with torch.no_grad():
        for name, tensor in body.state_dict().items():
            origin = tensors.get(_plain(name))
            if origin is None or origin.shape != tensor.shape:
                raise BadRecipe(f"The body of {net} has a tensor {name} that its classifier has not. Choose another net.")
            tensor.copy_(origin)
    return body, body.feature_info.channels()


def _plain(name: str) -> str:
    """timm writes stages_0 in a body for what is stages.0 in the classifier."""
    return name.removeprefix("model.").replace("_", ".")
