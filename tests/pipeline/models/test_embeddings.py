"""Features are the net's own, computed once: in any order, after a kill, beside another process, on a damaged disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from pipeline.errors import UnknownName
from pipeline.models import embeddings as module
from pipeline.models.embeddings import VIEWS, Backbone, Embeddings, folded, seen
from pipeline.models.nets import Net, create
from pipeline.pictures.gallery import Gallery
from pipeline.predictions import Array
from pipeline.store import MANIFEST
from tests.pipeline.models import coloured
from tests.pipeline.models.coloured import SIZE

N, SHARD = 10, 4
CPU = torch.device("cpu")
TINY = Backbone("test_efficientnet", None, SIZE)
LAYERS = ["last", "early", "middle", "late"]
ROWS = np.array([7, 0, 9, 3, 0])


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return coloured.draw(tmp_path_factory.mktemp("pictures"), N)


@pytest.fixture
def said() -> list[str]:
    """Messages of the computing, one for each shard."""
    return []


@pytest.fixture
def made(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Callable[..., Embeddings]:
    monkeypatch.setattr(module, "SHARD", SHARD)

    def make(backbone: Backbone = TINY, say: Callable[[str], None] = said.append) -> Embeddings:
        return Embeddings(backbone, coloured.place(gallery, tmp_path / "kept", tmp_path / "scratch", say))

    return make


def shards(tmp_path: Path) -> list[Path]:
    return sorted(path.parent for path in (tmp_path / "kept").glob(f"embeddings/*/*/{MANIFEST}"))


@pytest.mark.parametrize("view", VIEWS)
def test_features_are_the_nets_own_in_the_order_that_is_asked_for(made, gallery, view):
    found = made().features(view, LAYERS, ROWS)
    net = TINY.create()
    with torch.no_grad():
        expected = net.embed(net.normalise(seen(gallery.pixels(SIZE)[ROWS], view, CPU)))
    for layer in LAYERS:
        assert found[layer].dtype == np.float32
        np.testing.assert_allclose(found[layer], expected[layer].numpy(), rtol=1e-3, atol=1e-4)


def test_only_the_layers_that_are_asked_for_are_given(made):
    assert list(made().features("plain", ["middle"], ROWS)) == ["middle"]
    assert set(made().layers()) == set(LAYERS)


def test_they_are_computed_once_and_say_how_far_they_are(made, said):
    first = made().features("plain", LAYERS, ROWS)
    assert [message.partition(" pictures")[0] for message in said] == [
        f"Features of test_efficientnet at 32 px, plain: {count} of 10" for count in (4, 8, 10)
    ]
    again = made().features("plain", LAYERS, ROWS)
    assert len(said) == 3
    assert all(first[layer].tobytes() == again[layer].tobytes() for layer in LAYERS)


def test_an_interruption_loses_only_the_shard_in_the_making(made, tmp_path, said):
    whole = made().features("plain", LAYERS, np.arange(N))
    made().place.kept.remove(*shards(tmp_path)[0].parent.relative_to(tmp_path / "kept").parts)
    said.clear()

    def stopped(message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(say=stopped).features("plain", LAYERS, ROWS)
    assert len(shards(tmp_path)) == 1
    after = made().features("plain", LAYERS, np.arange(N))
    assert len(said) == 2
    assert all(whole[layer].tobytes() == after[layer].tobytes() for layer in LAYERS)


def test_a_damaged_shard_is_made_again(made, tmp_path, said):
    whole = made().features("plain", LAYERS, ROWS)
    file = shards(tmp_path)[1] / "last.npz"
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    said.clear()
    after = made().features("plain", LAYERS, ROWS)
    assert [message.split()[-1] for message in said] == ["again.", "images/s."]
    assert all(whole[layer].tobytes() == after[layer].tobytes() for layer in LAYERS)


def test_of_two_that_ask_at_once_one_computes_and_the_other_waits(made, said):
    waiting, found = threading.Event(), {}

    def second(message: str) -> None:
        said.append(message)
        waiting.set()

    other = threading.Thread(target=lambda: found.update(made(say=second).features("plain", LAYERS, ROWS)))

    def first(message: str) -> None:
        said.append(message)
        if not waiting.is_set():
            other.start()
            assert waiting.wait(60)

    mine = made(say=first).features("plain", LAYERS, ROWS)
    other.join()
    assert [message.split()[0] for message in said] == ["Features", "Another", "Features", "Features"]
    assert all(mine[layer].tobytes() == found[layer].tobytes() for layer in LAYERS)


def test_what_decides_features_decides_where_they_are_kept(made, tmp_path):
    file = tmp_path / "other.pth"
    torch.manual_seed(1)
    torch.save(create("test_efficientnet", 1).backbone.state_dict(), file)
    backbones = [TINY, Backbone(TINY.net, str(file), SIZE), Backbone(TINY.net, None, 64), Backbone(TINY.net, None, SIZE, "crop")]
    for backbone in [*backbones, *backbones]:
        made(backbone).prepare("plain")
    made().prepare("mirror")
    assert len({shard.parent for shard in shards(tmp_path)}) == len(backbones) + 1


def test_an_unknown_view_or_way_is_refused(made):
    with pytest.raises(UnknownName, match=r"No view is called 'miror'\. Did you mean mirror"):
        made().prepare("miror")
    with pytest.raises(UnknownName, match="No way of fitting a picture is called 'crob'"):
        Backbone(how="crob")


pictures = arrays(np.uint8, st.tuples(st.integers(1, 2), st.shared(st.integers(5, 9), key="side"), st.shared(st.integers(5, 9), key="side"), st.just(3)))  # fmt: skip


@given(pictures)
def test_views_are_turns_and_mirrors_and_a_closer_look(pixels: Array):
    views = {view: seen(pixels, view, CPU).numpy() for view in VIEWS}
    assert all(view.shape == pixels.shape for view in views.values())
    np.testing.assert_array_equal(views["mirror"], pixels[:, :, ::-1])
    np.testing.assert_array_equal(views["upside"], pixels[:, ::-1])
    for quarters, view in enumerate(("plain", "left", "turn", "right")):
        np.testing.assert_array_equal(views[view], np.rot90(pixels, quarters, axes=(1, 2)))
    assert views["zoom"].min() >= 0 <= views["zoom"].max() <= 255
    even = np.full_like(pixels, pixels[0, 0, 0, 0])
    np.testing.assert_allclose(seen(even, "zoom", CPU).numpy(), even, atol=1e-3)


def test_out_of_memory_batches_become_half_as_large(made, gallery, monkeypatch):
    tried, whole = [], Net.embed

    def tight(net, x):
        tried.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(net, x)

    expected = made().features("plain", ["last"], ROWS)["last"]
    monkeypatch.setattr(module, "BATCH", {"cpu": 8})
    pixels, net = gallery.pixels(SIZE), TINY.create()
    monkeypatch.setattr(Net, "embed", tight)
    with torch.inference_mode():
        found = module._embed(net, pixels, "plain", CPU)["last"][ROWS]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert tried == [8, 4, *[2] * (N // 2)]
        monkeypatch.setattr(Net, "embed", lambda net, x: torch.empty(2**60))
        with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
            module._embed(net, pixels, "plain", CPU)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "resnet", "torchvision/densenet121", "test_vit2"])
def test_batch_norms_fold_into_convolutions_without_changing_features(name):
    torch.manual_seed(0)
    net = create(name, 1).eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):  # as after training
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    with torch.inference_mode():
        x = net.normalise(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
        before, twin = net.embed(x), folded(net, x)
        after = twin.embed(x)
    assert norms(twin) < norms(net) or not norms(net)
    for layer, values in before.items():
        torch.testing.assert_close(after[layer], values, rtol=1e-3, atol=1e-4)


def norms(net: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in net.modules())


class Between(nn.Module):
    """What stands between the convolution and the norm is not seen from outside: it changes the numbers in place."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.convolution(x).relu_()).mean((2, 3)))


def test_a_net_whose_features_would_change_is_left_as_it_was():
    torch.manual_seed(0)
    backbone = Between().eval()
    backbone.norm.running_mean.fill_(1)
    net = Net("between", backbone, (127.0,) * 3, (128.0,) * 3)
    with torch.inference_mode():
        assert folded(net, torch.randn(2, 3, 16, 16)) is net
