"""Features of pictures from a net that is not trained, computed once for all pictures and kept.

The net is frozen, so what it says of a picture depends on no other picture and no label: train and test may share one set.
A set is one pass of one net over all pictures in one view, in shards; a kill loses the shard in the making, no more.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline import identity
from pipeline.errors import StoreError, UnknownName
from pipeline.models import devices
from pipeline.models.nets import Net, create
from pipeline.models.place import Place
from pipeline.pictures.reading import WAYS
from pipeline.predictions import Array
from pipeline.store import pack, refusing, unpack

FOLDER = "embeddings"
FORMAT = 1  # to be raised when a changed program would make other features of the same pictures
SHARD = 1024  # pictures
BATCH = {"cpu": 16, "cuda": 64}  # pictures; on a CPU few, so that their maps stay in a core's cache
ZOOM = 0.8  # side of the centre crop, as a share of the picture's
VIEWS = ("plain", "mirror", "upside", "left", "turn", "right", "zoom")
QUARTERS = {"plain": 0, "left": 1, "turn": 2, "right": 3}
SAME = 1e-3  # a folded net may differ by this share from the net as it was
LIBRARIES = ("pillow", "timm", "torch", "torchvision")


@dataclass(frozen=True)
class Backbone:
    """What looks at the pictures: a net and its weights (see `nets.create`), the pictures' size in pixels and how they come to it;
    and where it computes (see `devices.located`)."""

    net: str = "tf_efficientnet_lite0"
    weights: str | None = "package"
    size: int = 224
    how: str = "squash"
    device: str = "auto"

    def __post_init__(self) -> None:
        devices.located(self.device)
        if self.how not in WAYS:
            raise UnknownName("way of fitting a picture", self.how, WAYS)

    def create(self) -> Net:
        """The net, frozen, with a head that nobody asks. Weights of chance are the same every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net: Net = create(self.net, 1, self.weights, size=self.size).eval().requires_grad_(False)
        return net


class Embeddings:
    """Features of a gallery's pictures, made when they are first asked for, by one process while others wait."""

    def __init__(self, backbone: Backbone, place: Place) -> None:
        self.backbone, self.place = backbone, place
        self.net = backbone.create()
        self.device = devices.located(backbone.device)
        self.facts = {
            "pictures": place.gallery.index.fingerprint,
            "net": backbone.net,
            "weights": _digest(self.net),
            "size": backbone.size,
            "how": backbone.how,
            "device": self.device.type,  # whose last bits are its own
            "format": FORMAT,
            "versions": identity.versions(LIBRARIES),
        }

    def layers(self) -> list[str]:
        """Names of the layers that the net gives features of."""
        size = self.backbone.size
        with torch.inference_mode():
            return list(self.net.embed(self.net.normalise(torch.zeros(1, size, size, 3, dtype=torch.uint8))))

    def features(self, view: str, layers: Sequence[str], rows: Array) -> dict[str, Array]:
        """Each layer's (m, d) float32 of these pictures, rows (m,) of the gallery. One shard at a time is in memory besides."""
        found: dict[str, Array] = {}
        for shard in np.unique(rows // SHARD):
            wanted = np.flatnonzero(rows // SHARD == shard)
            kept = self._shard(view, int(shard), layers)
            for layer, part in kept.items():
                if layer not in found:
                    found[layer] = np.empty((len(rows), part.shape[1]), dtype=np.float32)
                found[layer][wanted] = part[rows[wanted] % SHARD]
        return found

    def prepare(self, view: str) -> None:
        """Compute what lacks of a view, with all of the place's threads. Raises UnknownName, StoreError, BadPicture."""
        if view not in VIEWS:
            raise UnknownName("view", view, VIEWS)
        if self._missing(view):
            with self._alone(view):
                shards = self._missing(view)  # another process may have made them meanwhile
                if shards:
                    self._make(view, shards)

    def _missing(self, view: str) -> list[int]:
        shards, folder = range(-(-len(self.place.gallery.index) // SHARD)), self._folder(view)
        return [shard for shard in shards if not self.place.kept.has(*folder, _name(shard))]

    def _shard(self, view: str, shard: int, layers: Sequence[str]) -> dict[str, Array]:
        """These layers of a shard; a damaged one is made again."""
        where = (*self._folder(view), _name(shard))
        for _ in range(2):
            self.prepare(view)
            files = self.place.kept.whole(*where, damaged=self.place.say)
            if files is not None:
                place = self.place.kept.path(*where)
                return {layer: unpack(files[f"{layer}.npz"], place / f"{layer}.npz")[layer] for layer in layers}
        raise StoreError(f"{self.place.kept.path(*where)} was damaged as soon as it was made. Check the disk.")

    def _folder(self, view: str) -> tuple[str, str]:
        return FOLDER, identity.key({**self.facts, "view": view})

    @contextmanager
    def _alone(self, view: str) -> Iterator[None]:
        """Within, no other process makes these features."""
        folder = self.place.kept.path(*self._folder(view))
        with refusing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".making.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self.place.say(f"Another process is computing features of {self._what(view)}; waiting for it.")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _make(self, view: str, shards: Sequence[int]) -> None:
        pixels = self.place.gallery.pixels(self.backbone.size, self.backbone.how, say=self.place.say)
        begin, done = time.perf_counter(), 0
        with devices.settings(self.device, self.place.threads), torch.inference_mode():
            net = copy.deepcopy(self.net).to(self.device)
            net = folded(net, net.normalise(seen(pixels[:2], view, self.device)))
            for shard in shards:
                part = pixels[shard * SHARD : (shard + 1) * SHARD]
                files = {f"{layer}.npz": pack({layer: values}) for layer, values in _embed(net, part, view, self.device).items()}
                self.place.kept.write(*self._folder(view), _name(shard), files=files)
                done += len(part)
                self.place.say(
                    f"Features of {self._what(view)}: {shard * SHARD + len(part):,} of {len(pixels):,} pictures, "
                    f"{done / (time.perf_counter() - begin):.0f} images/s."
                )

    def _what(self, view: str) -> str:
        return f"{self.backbone.net} at {self.backbone.size} px, {view}"


def seen(pixels: Array, view: str, device: torch.device) -> Tensor:
    """A view of pictures (b, s, s, 3) uint8, on the same scale and on the device: as they are, mirrored, upside down, turned (a quarter to the left,
    by half, a quarter to the right), or nearer."""
    x = torch.from_numpy(np.array(pixels)).to(device)  # a copy, for a map on the disk is read-only
    if view == "zoom":
        size, side = x.shape[1], round(x.shape[1] * ZOOM)
        first = (size - side) // 2
        centre = x[:, first : first + side, first : first + side].permute(0, 3, 1, 2).float()
        return functional.interpolate(centre, size=(size, size), mode="bicubic").clamp_(0, 255).permute(0, 2, 3, 1)
    if view in QUARTERS:
        return x.rot90(QUARTERS[view], (1, 2))
    return x.flip({"mirror": 2, "upside": 1}[view])


def folded(net: Net, x: Tensor) -> Net:
    """The net with each batch norm folded into the convolution that it follows: the same features in fewer steps.

    x: (b, 3, s, s) normalised pictures to find the pairs with and to compare; where features differ, the net is given back as it was.
    """
    before = net.embed(x)
    twin = copy.deepcopy(net)
    parts = dict(twin.named_modules())
    for norm, convolution in _pairs(twin, x):
        _put(twin, convolution, fuse_conv_bn_eval(parts[convolution], parts[norm]))
        _put(twin, norm, getattr(parts[norm], "act", nn.Identity()))  # timm's batch norms bring their activation with them
    twin.backbone.to(memory_format=net.format)
    after = twin.embed(x)
    same = all(bool((after[layer] - values).norm() <= SAME * values.norm()) for layer, values in before.items())
    return twin if same else net


def _pairs(net: Net, x: Tensor) -> list[tuple[str, str]]:
    """Names (batch norm, convolution) where the norm is given what the convolution gives."""
    outputs: dict[str, Tensor] = {}
    pairs: list[tuple[str, str]] = []

    def told(name: str, given: Tensor) -> None:
        pairs.extend((name, convolution) for convolution, output in outputs.items() if output is given)

    hooks = []
    for name, part in net.named_modules():
        if isinstance(part, nn.Conv2d):
            hooks.append(part.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output})))
        elif isinstance(part, nn.BatchNorm2d):
            hooks.append(part.register_forward_pre_hook(lambda _, given, name=name: told(name, given[0])))
    net.embed(x)
    for hook in hooks:
        hook.remove()
    return pairs


def _put(net: Net, name: str, part: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(net.get_submodule(parent), own, part)


def _embed(net: Net, pixels: Array, view: str, device: torch.device) -> dict[str, Array]:
    """Each layer's (n, d) float32 of pictures (n, s, s, 3), a batch at a time; out of memory, all again in batches half as large."""
    batch = BATCH[device.type]
    while True:
        starts = range(0, len(pixels), batch)
        try:
            parts = [net.embed(net.normalise(seen(pixels[start : start + batch], view, device))) for start in starts]
            return {layer: torch.cat([part[layer] for part in parts]).float().cpu().numpy() for layer in parts[0]}
        except RuntimeError as error:
            if not devices.out_of_memory(error) or batch == 1:
                raise
        batch //= 2


def _name(shard: int) -> str:
    return f"{shard:05d}"


def _digest(net: Net) -> str:
    """SHA-256 of all that the net computes with."""
    digest = hashlib.sha256()
    for name, value in (*net.backbone.state_dict().items(), ("mean", net.mean), ("std", net.std)):
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
