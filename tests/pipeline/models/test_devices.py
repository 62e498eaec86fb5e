"""Where a net computes is chosen well, or refused with the reason."""

from __future__ import annotations

import pytest
import torch

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import detection_nets
from pipeline.models.devices import choose, located, out_of_memory, settings
from pipeline.models.nets import create

CPU = torch.device("cpu")


@pytest.mark.parametrize(("able", "expected"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({}, False)])
def test_auto_is_bfloat16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose(CPU, "auto", create("test_resnet", 2)).bf16 == expected
    assert not choose(CPU, "auto", create("test_efficientnet", 2)).bf16  # depthwise convolutions


def test_a_detectors_heads_are_in_bfloat16_over_a_body_of_depthwise_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose(CPU, "auto", detection_nets.create("test_efficientnet", "fcos", 2, None, 64)).bf16
    assert not choose(CPU, "auto", detection_nets.create("test_efficientnet", "ssdlite", 2, None, 64)).bf16  # so is its head
    whole = detection_nets.create("torchvision/ssdlite320_mobilenet_v3_large", None, 2, None, 320)
    assert not choose(CPU, "auto", whole).bf16


def test_what_is_asked_for_is_given() -> None:
    net = create("lenet", 2)
    assert choose(CPU, "bf16", net).bf16
    assert not choose(CPU, "fp32", net).bf16


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert located("auto") == located("cpu") == CPU
    with pytest.raises(BadRecipe, match=r"device is 'cuda:1', but no GPU .* give \"auto\" or \"cpu\""):
        located("cuda:1")
    with pytest.raises(UnknownName, match="No device is called 'gpu'"):
        located("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert located("auto") == torch.device("cuda")
    assert located("cuda:0") == torch.device("cuda:0")
    for wrong in ("cuda:1", "cuda:x"):
        with pytest.raises(UnknownName, match=f"No device is called '{wrong}'"):
            located(wrong)


def test_settings_are_as_before_afterwards() -> None:
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), settings(CPU, threads + 1):
        assert torch.get_num_threads() == threads + 1
        assert torch.backends.cudnn.enabled
        assert torch.backends.cudnn.deterministic
        torch.manual_seed(3)
        raise ZeroDivisionError
    assert torch.get_num_threads() == threads
    assert not torch.backends.cudnn.deterministic
    assert torch.equal(torch.get_rng_state(), random)


def test_out_of_memory_is_told_from_other_errors() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"))
    assert out_of_memory(RuntimeError("GET was unable to find an engine to execute this computation"))  # cuDNN, for its workspace
    assert not out_of_memory(RuntimeError("shape '[3]' is invalid"))
    with pytest.raises(RuntimeError) as caught:  # the real one
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
