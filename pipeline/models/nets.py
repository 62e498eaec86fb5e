"""Nets for pictures by name: the course's own, timm's and torchvision's, all with the same few abilities.

A bare name is looked for in this order: the course's nets (lenet, alexnet, vgg, nin, googlenet, resnet), timm, torchvision;
"torchvision/NAME" is torchvision's even where another has the name too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import weights as sources
from pipeline.models.course_nets import COURSE_NETS

TORCHVISION = "torchvision/"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PARTS = re.compile(
    r"(?:(?:stages|features|layers|encoder|blocks|trunk_output)\.)*[^.]+"
)  # a part of a net that timm does not group
SIDE_HEADS = {"aux_logits": False, "init_weights": True, "transform_input": True}
OPTIONS: Mapping[str, Mapping[str, Any]] = {"googlenet": SIDE_HEADS, "inception_v3": SIDE_HEADS}


class Net(nn.Module):
    """A net and what is to be known of it.

    name: as it was asked for. mean, std: (3,) on the 0 to 255 scale, what `normalise` takes from pictures. convolutional:
    whether it gains from keeping channels last in memory, as it then does.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, backbone: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.name, self.backbone = name, backbone
        self.convolutional = is_convolutional(backbone)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)
        self.format = torch.channels_last if self.convolutional else torch.contiguous_format
        self.backbone.to(memory_format=self.format)

    @property
    def is_light(self) -> bool:
        """Whether bfloat16 is no gain on a CPU: for depthwise convolutions it is none there."""
        return any(map(is_depthwise, self.modules()))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pictures (b, s, s, 3) uint8, where the net is -> (b, 3, s, s) float32 as `forward` takes them."""
        return ((pixels - self.mean) / self.std).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures (b, 3, s, s) -> logits (b, classes)."""
        return self.backbone(x)

    def embed(self, x: Tensor) -> dict[str, Tensor]:
        """Features (b, d) of normalised pictures (b, 3, s, s), averaged over places.

        "last": what the head is given, side by side if there are two. "early", "middle", "late": of stages half and three quarters
        up and of the last one, where the net has stages that give one tensor. Call it in `eval` mode, else dropout and the
        batch have their say.
        """
        seen = inner(self.backbone)
        caught: dict[str, list[Tensor]] = {"last": [], **{name: [] for name in seen}}
        layers = dict(self.backbone.named_modules())

        def before(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            caught["last"].append(pooled(given[0]))

        def after(name: str, channels: int | None, _: nn.Module, __: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                caught[name].append(pooled(out, channels))

        hooks = [layers[head].register_forward_pre_hook(before) for head in heads(self.backbone)]
        for name, (place, channels) in seen.items():
            if place in layers:
                hooks.append(layers[place].register_forward_hook(partial(after, name, channels)))
        try:
            self.backbone(x)
        finally:
            for hook in hooks:
                hook.remove()
        return {kind: torch.cat(parts, dim=1) for kind, parts in caught.items() if parts}

    def stages(self) -> list[list[str]]:
        """Names of the parameters from stem to head, each in exactly one stage; the last stage is the head alone.

        timm's nets are grouped as timm does for layer decay (blocks of a transformer, stages of a convolutional net), others by
        their parts. What has no weights of its own (norms, class tokens, position maps) goes with its neighbour.
        """
        last = [f"{layer}." for layer in heads(self.backbone)]
        groups = [[name for name in group if not name.startswith(tuple(last))] for group in _groups(self.backbone)]
        head = [name for name, _ in self.backbone.named_parameters() if name.startswith(tuple(last))]
        stages = joined(groups, _weights(self.backbone), head)
        return [[f"backbone.{name}" for name in stage] for stage in stages]


def create(name: str, classes: int, weights: str | None = None, labels: Sequence[str] = (), size: int | None = None) -> Net:
    """A net with a head for this many classes; what starts from chance depends on torch's seed alone.

    weights: None, "hub", "package" or a file's path, see `pipeline.models.weights`. labels: names of the classes in order, for
    rows of the head that can be taken over. size: of the pictures in pixels; only nets made for one size need it.
    Raises UnknownName, BadWeights, or BadRecipe for a size or labels that cannot be.
    """
    if labels and len(labels) != classes:
        raise BadRecipe(f"{len(labels)} labels were given for {classes} classes; one for each is needed, or none.")
    library, own = find(name)
    backbone = _make(library, own, classes, size)
    if any(len(backbone.get_submodule(head).weight) != classes for head in heads(backbone)):
        raise BadRecipe(
            f"{name} is an encoder without a classifier, so it cannot be trained to tell classes. Choose another net."
        )
    mean, std = _pictures(library, own, backbone)
    if weights is not None:
        source = _source(library, own, backbone, weights, size)
        sources.put(backbone, heads(backbone), source, labels)
        mean = mean if source.mean is None else [source.mean] * 3
        std = std if source.std is None else [source.std] * 3
    return Net(name, backbone, mean, std)


def known_nets() -> list[str]:
    """All names that `create` knows, sorted; timm's also take a tag (NAME.TAG) that chooses among its weights."""
    import timm

    return sorted({*COURSE_NETS, *timm.list_models(), *(TORCHVISION + name for name in _torchvision_names())})


def find(name: str) -> tuple[str, str]:
    """Library ("course", "timm" or "torchvision") and the name in it. Raises UnknownName with the nearest names."""
    import timm

    bare = name.removeprefix(TORCHVISION)
    if name in COURSE_NETS:
        return "course", name
    if bare == name and timm.is_model(name):
        tagged = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        if "." in name and name not in tagged:
            raise UnknownName("weights tag of a net", name, tagged)
        return "timm", name
    if bare in _torchvision_names():
        return "torchvision", bare
    raise UnknownName("net", name, known_nets())


def _torchvision_names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _make(library: str, name: str, classes: int, size: int | None) -> nn.Module:
    try:
        if library == "course":
            return COURSE_NETS[name](classes)
        return _timm(name, size, num_classes=classes) if library == "timm" else _torchvision(name, classes, size)
    except (AssertionError, ValueError) as error:
        if size is None:
            raise
        raise BadRecipe(f"{name} cannot be made for pictures of {size} pixels: {error}. Choose another size or net.") from error


def _timm(name: str, size: int | None, **options: Any) -> nn.Module:
    """Nets that are made for one size are made for this one; without a size, for any, as far as timm can do so."""
    import timm

    origin = timm.get_pretrained_cfg(name)
    with sources.quiet():
        if origin is None or not origin.fixed_input_size:
            return timm.create_model(name, **options)
        if size is not None:
            return timm.create_model(name, img_size=size, **options)
        try:
            return timm.create_model(name, dynamic_img_size=True, **options)
        except TypeError:  # this family cannot
            return timm.create_model(name, **options)


def _torchvision(name: str, classes: int, size: int | None) -> nn.Module:
    from torchvision import models

    options = dict(OPTIONS.get(name, {}))
    if name.startswith("vit_") and size is not None:
        options["image_size"] = size
    return models.get_model(name, weights=None, num_classes=classes, **options)


def _pictures(library: str, name: str, backbone: nn.Module) -> tuple[list[float], list[float]]:
    """Mean and spread of the channels that the net's published weights expect, on the 0 to 255 scale."""
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if library == "timm":
        mean, std = backbone.pretrained_cfg["mean"], backbone.pretrained_cfg["std"]
    elif library == "torchvision":
        from torchvision.models import get_model_weights

        view = get_model_weights(name).DEFAULT.transforms()
        mean, std = view.mean, view.std
    return [255 * value for value in mean], [255 * value for value in std]


def _source(library: str, name: str, backbone: nn.Module, weights: str, size: int | None) -> sources.Source:
    if weights == "package":
        return sources.from_package(name if library == "timm" else f"{library}'s {name}", backbone)
    if weights != "hub":
        return sources.from_file(Path(weights))
    if library == "timm":
        return sources.from_timm(name, lambda: _timm(name, size, pretrained=True))
    if library == "torchvision":
        return sources.from_torchvision(name)
    raise sources.BadWeights(f"No hub has weights of the course's {name}. {sources.WAYS}")


# What all nets have in common


def heads(backbone: nn.Module) -> list[str]:
    """Names of the layers that give the logits; more than one only where a net was distilled with a second head."""
    named = getattr(backbone, "pretrained_cfg", {}).get("classifier") or ()
    layers = dict(backbone.named_modules())
    found = [name for name in ((named,) if isinstance(named, str) else named) if hasattr(layers.get(name), "weight")]
    return found or [name for name, layer in layers.items() if isinstance(layer, nn.Linear | nn.Conv2d)][-1:]


def inner(backbone: nn.Module) -> dict[str, tuple[str, int | None]]:
    """The parts whose outputs are the embeddings "early", "middle" and "late": names, and channels where they are known.

    Of few parts fewer, of one none. What lies inside tells apart what the last layer, made for another task, takes for one.
    """
    known = getattr(backbone, "feature_info", None)
    if known is not None:
        places = [(stage["module"], stage["num_chs"]) for stage in known]
    elif "swin" in type(backbone).__module__:  # torchvision's has its channels last, without saying so
        places = []
    else:
        names = [name for name in _weights(backbone) if name.rpartition(".")[0] not in heads(backbone)]
        places = [(place, None) for place in dict.fromkeys(map(part, names))]
    if len(places) < 2:
        return {}
    chosen = {"middle": 3 * (len(places) - 1) // 4, "late": len(places) - 1, "early": len(places) // 2}
    first = {place: name for name, place in reversed(chosen.items())}
    return {name: places[place] for place, name in sorted(first.items())}


def pooled(x: Tensor, channels: int | None = None) -> Tensor:
    """Maps (b, d, h, w) or (b, h, w, d), or tokens (b, n, d), averaged to (b, d); (b, d) as it is."""
    if x.ndim == 4 and channels in (None, x.shape[1]):
        return x.mean((2, 3))
    return x.flatten(1, -2).mean(1) if x.ndim > 2 else x


def joined(groups: Iterable[Sequence[str]], weights: Collection[str], head: Sequence[str] = ()) -> list[list[str]]:
    """Stages of parameters from groups of their names, the head's last: what has none of the weights goes with its neighbour."""
    stages: list[list[str]] = []
    light: list[str] = []
    for group in groups:
        if not set(weights).isdisjoint(group):
            stages.append(light + list(group))
            light = []
        else:
            (stages[-1] if stages else light).extend(group)
    return [*stages, light + list(head)] if light or head else stages


def part(name: str) -> str:
    """Of a net that a parameter belongs to, such as a block or a stage."""
    return PARTS.match(name).group()  # type: ignore[union-attr]


def is_depthwise(module: nn.Module) -> bool:
    """Whether it is a convolution that looks at each channel alone."""
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def is_convolutional(backbone: nn.Module) -> bool:
    """Whether convolutions do most of the work: a transformer has one, for its patches, beside dozens of linear layers."""
    kinds = [type(module) for module in backbone.modules()]
    return 3 * sum(issubclass(kind, nn.Conv2d) for kind in kinds) > sum(issubclass(kind, nn.Linear) for kind in kinds)


def _weights(backbone: nn.Module) -> list[str]:
    """Names of the weights of layers: neither norms nor biases, class tokens, position maps."""
    return [name for name, parameter in backbone.named_parameters() if name.endswith(".weight") and parameter.ndim > 1]


def _groups(backbone: nn.Module) -> list[list[str]]:
    """Names of all parameters in groups, from the stem on."""
    if hasattr(backbone, "group_matcher"):
        from timm.models import group_parameters

        try:
            matcher = backbone.group_matcher(coarse=True)
        except AssertionError:  # one family has the fine grouping only
            matcher = backbone.group_matcher(coarse=False)
        return list(group_parameters(backbone, matcher).values())
    groups: dict[str, list[str]] = {}
    for name, _ in backbone.named_parameters():
        groups.setdefault(part(name), []).append(name)
    return list(groups.values())
