"""Weights are the net's own, every one of them, or an error that says what else there is."""

import os
import pickle
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipeline.models import nets
from pipeline.models.weights import PACKAGES, BadWeights, Source, from_file, imagenet, put, same_names

NET = "test_efficientnet"
LABELS = ("Oak", "maple", "pine_tree")


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Nothing answers, and nothing was downloaded before."""
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def tensors(classes=3, name=NET):
    return {name: tensor.contiguous() for name, tensor in nets.create(name, classes).backbone.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("wrapped", [dict, lambda own: {"state_dict": own}, lambda own: {"epoch": 3, "model": own}])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "backbone."])
def test_a_file_of_torch_is_read_in_the_forms_people_save_it(tmp_path, wrapped, prefix):
    own = tensors()
    torch.save(wrapped({prefix + name: tensor for name, tensor in own.items()}), tmp_path / "a.pth")
    assert same(own, nets.create(NET, 3, str(tmp_path / "a.pth")).backbone.state_dict())


def test_a_file_of_safetensors_is_read_and_half_precision_becomes_whole(tmp_path):
    own = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors().items()}
    save_file(own, tmp_path / "a.safetensors")
    read = nets.create(NET, 3, str(tmp_path / "a.safetensors")).backbone.state_dict()
    assert same({name: tensor.to(read[name].dtype) for name, tensor in own.items()}, read)


def test_the_counters_of_old_files_may_be_missing(tmp_path):
    own = {name: tensor for name, tensor in tensors().items() if not name.endswith("num_batches_tracked")}
    torch.save(own, tmp_path / "a.pth")
    assert same(own, nets.create(NET, 3, str(tmp_path / "a.pth")).backbone.state_dict())


@pytest.mark.parametrize("name", ["torchvision/densenet121", "torchvision/googlenet"])
def test_torchvisions_old_files_are_read(tmp_path, name):
    own = tensors(3, name)
    old = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in key else key: own[key] for key in own}
    torch.save({**old, "aux1.conv.conv.weight": torch.zeros(2, 2)}, tmp_path / "a.pth")
    assert same(own, nets.create(name, 3, str(tmp_path / "a.pth")).backbone.state_dict())


def test_another_size_of_a_transformers_pictures_stretches_its_position_map(tmp_path):
    torch.save(tensors(3, "test_vit2"), tmp_path / "a.pth")
    net = nets.create("test_vit2", 3, str(tmp_path / "a.pth"), size=64)
    assert net.backbone.pos_embed.shape[1] == 4 * 4 + 1
    assert net(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_another_nets_file_is_refused_with_the_number_that_fit_and_the_first_that_does_not(tmp_path):
    torch.save(tensors(name="test_resnet"), tmp_path / "a.pth")
    with pytest.raises(
        BadWeights, match=r"a\.pth does not fit: \d+ of the net's \d+ tensors .* First: conv_stem\.weight is missing"
    ):
        nets.create(NET, 3, str(tmp_path / "a.pth"))


def damaged(own, how):
    name = "blocks.1.0.conv_exp.weight"
    if how == "missing":
        return {key: own[key] for key in own if key != name}
    if how == "head":
        return {**own, "classifier.bias": torch.tensor(1.0)}
    return {**own, name: own[name][:1]} if how == "shape" else {**own, "more.weight": own[name]}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"conv_exp\.weight is missing"),
        ("shape", r"is \(1, .* there and"),
        ("more", "more.weight is not in"),
        ("head", r"classifier\.bias is \(\) there"),
    ],
)
def test_one_tensor_that_does_not_fit_is_enough_and_nothing_is_changed(how, message):
    net = nets.create(NET, 3)
    before = {name: tensor.clone() for name, tensor in net.backbone.state_dict().items()}
    with pytest.raises(BadWeights, match=message):
        put(net.backbone, ["classifier"], Source("it", damaged(tensors(), how)), ())
    assert same(before, net.backbone.state_dict())


# The head


def test_a_head_of_another_size_starts_anew_and_one_of_the_same_size_is_taken_over(tmp_path):
    torch.save(tensors(4), tmp_path / "a.pth")
    torch.manual_seed(1)
    fresh = nets.create(NET, 3).backbone
    torch.manual_seed(1)
    net = nets.create(NET, 3, str(tmp_path / "a.pth"), LABELS).backbone
    assert torch.equal(net.classifier.weight, fresh.classifier.weight)
    assert not torch.equal(net.conv_stem.weight, fresh.conv_stem.weight)


def test_rows_of_the_head_go_by_the_classes_names(tmp_path):
    own = tensors(4)
    torch.save(own, tmp_path / "a.pth")
    (tmp_path / "a.pth.labels.txt").write_text("birch\nPine Tree\n\nfir\nOAK\n")
    net = nets.create(NET, 3, str(tmp_path / "a.pth"), LABELS).backbone
    assert torch.equal(net.classifier.weight[[0, 2]], own["classifier.weight"][[3, 1]])
    assert torch.equal(net.classifier.bias[[0, 2]], own["classifier.bias"][[3, 1]])
    assert not (net.classifier.weight[1] == own["classifier.weight"]).all(dim=1).any()


def test_a_list_of_labels_of_another_length_is_refused(tmp_path):
    torch.save(tensors(4), tmp_path / "a.pth")
    (tmp_path / "a.pth.labels.txt").write_text("birch\nfir\n")
    with pytest.raises(BadWeights, match="4 classes in its head, but 2 labels"):
        nets.create(NET, 3, str(tmp_path / "a.pth"), LABELS)


def test_imagenets_rows_are_known_by_synset_and_by_each_word_and_a_name_of_two_rows_is_nobodys():
    rows = imagenet(1000)
    assert len(rows) == 1000
    assert same_names(["n01440764", "Tinca_tinca", "great WHITE shark", "crane", "no such thing"], rows) == [
        (0, 0),
        (1, 0),
        (2, 2),
    ]
    assert imagenet(7) == ()


@given(st.lists(st.sampled_from("abcd"), max_size=6), st.lists(st.sampled_from("abcdef"), max_size=6))
def test_pairs_of_names_are_right_and_none_is_left_out(labels, rows):
    pairs = dict(same_names(labels, tuple((row,) for row in rows)))
    for number, label in enumerate(labels):
        assert (number in pairs) == (rows.count(label) == 1)
        assert number not in pairs or rows[pairs[number]] == label


# Packages


def test_a_packages_weights_know_a_palace_and_a_daisy():
    from PIL import Image
    from sklearn.datasets import load_sample_image

    net = nets.create("tf_efficientnet_lite0", 1000, "package").eval()
    assert net.mean.tolist() == [127] * 3
    assert net.std.tolist() == [128] * 3
    views = [
        Image.fromarray(load_sample_image(name)).crop((106, 0, 533, 427)).resize((224, 224))
        for name in ("china.jpg", "flower.jpg")
    ]
    pixels = torch.stack([torch.frombuffer(bytearray(view.tobytes()), dtype=torch.uint8).view(224, 224, 3) for view in views])
    with torch.no_grad():
        likely = net(net.normalise(pixels)).argmax(1).tolist()
    assert [imagenet(1000)[row][1] for row in likely] == ["palace", "daisy"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_fits_its_net_and_hands_rows_over_by_name(name):
    labels = ("daisy", "some leaf")
    net, whole = nets.create(name, 2, "package", labels).backbone, nets.create(name, 1000, "package").backbone
    assert torch.equal(net.conv_head.weight, whole.conv_head.weight)
    row = [words[1] for words in imagenet(1000)].index("daisy")
    assert torch.equal(net.classifier.weight[0], whole.classifier.weight[row])
    assert not torch.equal(net.classifier.weight[1], torch.zeros(1280))


@pytest.mark.parametrize("name", [NET, "resnet", "torchvision/resnet18"])
def test_a_net_without_a_package_is_told_which_have_one(name):
    with pytest.raises(BadWeights, match="tf_efficientnet_lite0, tf_efficientnet_lite1, tf_efficientnet_lite2"):
        nets.create(name, 3, "package")


# Files that are no weights


class Hostile:
    def __reduce__(self):
        return os.system, ("touch hostile",)


def test_a_hostile_file_is_refused_and_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv_stem.weight": Hostile()}, "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Hostile()))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(BadWeights, match=r"cannot be read as weights.*holds code or objects is refused"):
            nets.create(NET, 3, name)
    assert not (tmp_path / "hostile").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_cut_short_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)({"a": torch.ones(1000)}, path)
    whole = path.read_bytes()
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BadWeights, match="cannot be read as weights"):
            from_file(path)


@settings(max_examples=50)
@given(content=st.binary(max_size=100))
def test_no_bytes_cause_anything_but_our_own_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "a.pt"
    path.write_bytes(content)
    with pytest.raises(BadWeights):
        from_file(path)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_a_compiled_net_or_any_other_archive_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("data.txt", "hello")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(BadWeights, match="cannot be read as weights"):
            from_file(tmp_path / name)


@pytest.mark.parametrize("content", [[torch.ones(2)], {"a": 1}, {}, torch.ones(2)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match="holds no tensors by name"):
        from_file(tmp_path / "a.pt")


def test_a_file_that_is_larger_than_it_looks_is_refused(tmp_path):
    torch.save({"a": torch.ones(2), "b": torch.zeros(1).expand(2**40)}, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match="stands for more numbers than it holds, first in b"):
        from_file(tmp_path / "a.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "b.pt")
    with zipfile.ZipFile(tmp_path / "b.pt") as whole, zipfile.ZipFile(tmp_path / "c.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert len(from_file(tmp_path / "b.pt").tensors) == 1
    with pytest.raises(BadWeights, match=r"cannot be read as weights \(ValueError: it is compressed"):
        from_file(tmp_path / "c.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, value])}, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match="holds NaN or infinite numbers, first in b"):
        from_file(tmp_path / "a.pt")


@pytest.mark.parametrize("weights", ["imagenet", "nowhere/a.pth", "."])
def test_what_is_no_file_and_no_source_is_refused(weights):
    with pytest.raises(BadWeights, match=r'is no file\. Weights are "hub", "package"'):
        nets.create(NET, 3, weights)


# The hub


@pytest.mark.parametrize("name", [NET, "torchvision/squeezenet1_1"])
def test_a_hub_that_does_not_answer_is_an_error_that_names_the_other_ways(no_network, name):
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    with pytest.raises(BadWeights, match=r'could not be fetched .*Other ways: weights="PATH".*weights="package".*weights=None'):
        nets.create(name, 3, "hub")
    assert before == constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(
    ("name", "whose"), [("resnet", "No hub has weights of the course's"), ("mobilenetv2_035", "timm has no weights of")]
)
def test_a_net_without_weights_on_a_hub_says_so(name, whose):
    with pytest.raises(BadWeights, match=f"{whose} {name}. Other ways"):
        nets.create(name, 3, "hub")


def test_what_torchvision_downloaded_before_needs_no_network(no_network):
    own = tensors(1000, "torchvision/squeezenet1_1")
    kept = no_network / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    torch.save(own, kept / "squeezenet1_1-b8a52dc0.pth")
    net = nets.create("torchvision/squeezenet1_1", 2, "hub", ("my class", "great white shark")).backbone
    assert torch.equal(net.features[0].weight, own["features.0.weight"])
    assert torch.equal(net.classifier[1].weight[1], own["classifier.1.weight"][2])


def test_what_timm_downloaded_before_needs_no_network(no_network):
    own = tensors(1000)
    repository = no_network / "hub" / "models--timm--test_efficientnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(own, repository / "snapshots" / ("0" * 40) / "model.safetensors")
    net = nets.create(NET, 2, "hub", ("my class", "great white shark")).backbone
    assert torch.equal(net.conv_stem.weight, own["conv_stem.weight"])
    assert torch.equal(net.classifier.weight[1], own["classifier.weight"][2])
