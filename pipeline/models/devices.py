"""Where a net computes, and how: CPU or GPU, precision, threads, and what running out of memory looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pipeline import heap
from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.nets import Net

PRECISIONS = ("auto", "bf16", "fp32")
LACKING = (  # words of errors where memory is what lacks: torch on the CPU, CUDA, cuBLAS, and cuDNN that found none for its workspace
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "ALLOC_FAILED",
    "unable to find an engine",
)


@dataclass(frozen=True)
class Device:
    """device: of torch. bf16: whether matrix products and convolutions are in bfloat16; the weights stay in float32."""

    device: torch.device
    bf16: bool

    @property
    def is_gpu(self) -> bool:
        return bool(self.device.type == "cuda")

    def autocast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def pictures(self, images: Tensor, net: Net) -> Tensor:
        """(b, s, s, 3) uint8 -> (b, 3, s, s) as the net wants them. They travel as bytes and are normalised on the device."""
        return net.normalise(images.to(self.device, non_blocking=True))


def located(device: str) -> torch.device:
    """ "auto" is a GPU where there is one. Raises UnknownName, or BadRecipe for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BadRecipe(f'device is {device!r}, but no GPU is to be had here; give "auto" or "cpu".')
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ("auto", "cpu", *["cuda"] * (gpus > 0), *(f"cuda:{number}" for number in range(gpus)))
    if device not in there:
        raise UnknownName("device", device, there)
    return torch.device(device)


class Computed(Protocol):
    """A net of which this is known."""

    @property
    def is_light(self) -> bool: ...


def choose(device: torch.device, precision: str, net: Computed) -> Device:
    """precision: "auto" is bfloat16 where the hardware computes in it; on a CPU, but for nets for which that is no gain (`is_light`)."""
    if precision != "auto":
        return Device(device, precision == "bf16")
    if device.type == "cuda":
        return Device(device, torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    quick = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    return Device(device, bool(quick) and not net.is_light)


def out_of_memory(error: RuntimeError) -> bool:
    """On a GPU, or on the CPU; most of a GPU's libraries say so in a plain RuntimeError, and so does the CPU's allocator."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in LACKING)


@contextmanager
def settings(device: torch.device, threads: int) -> Iterator[torch.device]:
    """Within: so many threads, and random numbers and algorithms of our own choice; outside, these are as they were. On a CPU, memory
    is kept from step to step.

    Algorithms are those that give the same bits twice, and float32 is float32: convolutions do not round to TF32. Some of a GPU's have no such twin, so there results may differ in the last bits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            heap.keeping() if device.type == "cpu" else nullcontext(),
        ):
            yield device
    finally:
        torch.set_num_threads(before)
