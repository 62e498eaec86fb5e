"""Every net, whoever wrote it, can do the same few things."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import nets
from pipeline.models.course_nets import COURSE_NETS

TINY = [
    "test_vit2",
    "test_efficientnet",
    "test_resnet",
    "test_convnext",
    "torchvision/squeezenet1_1",
    "torchvision/shufflenet_v2_x0_5",
]
ALL = [*TINY, *COURSE_NETS]


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("name", ALL)
def test_logits_embeddings_and_stages_are_what_they_promise(name):
    net = nets.create(name, 5).eval()
    with torch.no_grad():
        x = net.normalise(torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8))
        logits, features = net(x), net.embed(x)
    assert logits.shape == (3, 5)
    assert {"last", "middle"} <= set(features) <= {"last", "early", "middle", "late"}
    assert all(part.shape[0] == 3 and part.ndim == 2 and part.isfinite().all() for part in features.values())
    stages = net.stages()
    assert sorted(parameter for stage in stages for parameter in stage) == sorted(name for name, _ in net.named_parameters())
    assert len(stages) >= 4
    assert all(stages)
    assert {len(net.get_parameter(parameter)) for parameter in stages[-1]} == {5}


@pytest.mark.parametrize("name", ["test_vit2", "torchvision/shufflenet_v2_x0_5", "resnet"])
def test_the_head_on_the_last_embedding_gives_the_logits_and_no_hook_stays(name):
    net = nets.create(name, 5).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        head = net.backbone.get_submodule(nets.heads(net.backbone)[0])
        assert torch.allclose(head(net.embed(x)["last"]), net(x), atol=1e-5)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("name", ["test_vit2", "test_resnet", "torchvision/vit_b_32", "nin"])
def test_stages_go_from_the_stem_up(name):
    with torch.device("meta"):
        first, *_, head = nets.create(name, 5).stages()
    stems = ("conv1", "patch_embed", "conv_proj", "stages.0")
    assert any(stem in parameter for stem in stems for parameter in first)
    assert not any("head" in parameter or "fc." in parameter for parameter in first)
    assert all("head" in parameter or "fc." in parameter for parameter in head)


def test_class_tokens_and_position_maps_go_with_the_stem():
    for name, stem in (
        ("torchvision/vit_b_32", {"class_token", "conv_proj.weight", "encoder.pos_embedding"}),
        ("test_vit2", {"pos_embed"}),
    ):
        with torch.device("meta"):
            assert {f"backbone.{part}" for part in stem} <= set(nets.create(name, 2).stages()[0])


def test_normalising_takes_bytes_to_the_mean_and_spread_of_the_net():
    net = nets.create("test_efficientnet", 2)
    pixels = torch.randint(0, 256, (2, 8, 6, 3), dtype=torch.uint8)
    x = net.normalise(pixels)
    expected = (pixels.double() / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert (x.shape, x.dtype) == ((2, 3, 8, 6), torch.float32)
    assert torch.allclose(x.double(), expected.permute(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "convolutional"), [("test_vit2", False), ("test_resnet", True), ("test_convnext", True), ("lenet", True)]
)
def test_channels_stand_last_where_that_is_faster(name, convolutional):
    net = nets.create(name, 2)
    x = net.normalise(torch.zeros(2, 32, 32, 3, dtype=torch.uint8))
    assert net.convolutional is convolutional
    assert x.is_contiguous(memory_format=torch.channels_last) is convolutional
    assert x.is_contiguous() is not convolutional


def test_the_start_depends_on_torchs_seed_alone():
    def start(seed):
        torch.manual_seed(seed)
        return torch.cat([tensor.flatten().float() for tensor in nets.create("test_resnet", 3).state_dict().values()])

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


def test_a_net_can_be_copied_pickled_and_its_state_is_its_layers_alone():
    net = nets.create("test_resnet", 3).eval()
    x = torch.randn(1, 3, 32, 32)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), net(x))
        assert (twin.name, twin.convolutional, twin.mean.tolist()) == (net.name, net.convolutional, net.mean.tolist())
    assert all(name.startswith("backbone.") for name in net.state_dict())


def test_a_transformer_takes_other_sizes_and_can_be_made_for_one():
    assert nets.create("test_vit2", 2)(torch.zeros(1, 3, 96, 96)).shape == (1, 2)
    assert nets.create("test_vit2", 2, size=96).backbone.patch_embed.img_size == (96, 96)
    with torch.device("meta"):
        assert nets.create("torchvision/vit_b_32", 2, size=64)(torch.zeros(1, 3, 64, 64)).shape == (1, 2)
    with pytest.raises(BadRecipe, match="vit_b_32 cannot be made for pictures of 100 pixels"):
        nets.create("torchvision/vit_b_32", 2, size=100)


def test_torchvisions_side_heads_stay_out():
    net = nets.create("torchvision/googlenet", 4).train()
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 4)


@given(st.integers(2, 6), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_pooling_averages_places_wherever_the_channels_stand(channels, height, width, batch):
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    mean = x.mean((2, 3))
    assert torch.allclose(nets.pooled(x), mean)
    assert torch.allclose(nets.pooled(x, channels), mean)
    assert torch.allclose(nets.pooled(x.flatten(2).transpose(1, 2)), mean)
    assert torch.equal(nets.pooled(mean), mean)
    if height != channels:
        assert torch.allclose(nets.pooled(x.permute(0, 2, 3, 1), channels), mean)


# Names


def test_a_bare_name_is_the_courses_then_timms_then_torchvisions():
    assert nets.find("googlenet") == ("course", "googlenet")
    assert nets.find("torchvision/googlenet") == ("torchvision", "googlenet")
    assert nets.find("resnet18") == ("timm", "resnet18")
    assert nets.find("resnet18.a1_in1k") == ("timm", "resnet18.a1_in1k")
    assert nets.find("shufflenet_v2_x0_5") == ("torchvision", "shufflenet_v2_x0_5")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("resnt50", "resnet50"),
        ("torchvision/resnet19", "torchvision/resnet18"),
        ("lennet", "lenet"),
        ("resnet18.a1_in2k", "resnet18.a1_in1k"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(UnknownName, match=f"called '{wrong}'. Did you mean .*{near}"):
        nets.create(wrong, 2)


@pytest.mark.parametrize("name", ["", "hf-hub:timm/resnet18", "torchvision/lenet", "timm/resnet18", "torchvision/"])
def test_names_of_other_places_are_unknown(name):
    with pytest.raises(UnknownName, match="No net is called"):
        nets.create(name, 2)


def test_all_known_names_are_found():
    known = nets.known_nets()
    assert len(known) > 1000
    assert all(nets.find(name) for name in [*COURSE_NETS, *known[:: len(known) // 20]])


def test_labels_of_another_number_and_nets_without_a_classifier_are_refused():
    with pytest.raises(BadRecipe, match="2 labels were given for 3 classes"):
        nets.create("lenet", 3, labels=("a", "b"))
    with torch.device("meta"), pytest.raises(BadRecipe, match="deepseek_vit_412m_enc is an encoder without a classifier"):
        nets.create("deepseek_vit_412m_enc", 3)


def test_nothing_is_printed_or_logged_and_timm_is_loaded_when_asked_for():
    code = (
        "import sys, pipeline.models.nets as nets; assert 'timm' not in sys.modules and 'torchvision' not in sys.modules;"
        "nets.create('test_vit2', 3, size=96)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
