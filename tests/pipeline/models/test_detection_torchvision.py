"""torchvision's own detectors do what the others do, and take torchvision's files of any age."""

import re

import pytest
import torch
from torchvision import models

from pipeline.errors import BadRecipe
from pipeline.models import detection_nets, detection_torchvision
from pipeline.models.weights import BadWeights

MOBILE = "torchvision/ssdlite320_mobilenet_v3_large"
OLD = {  # as torchvision's files of RetinaNet and Faster R-CNN from before their layers were wrapped call them
    r"((?:inner|layer)_blocks\.\d+)\.0\.": r"\1.",
    r"rpn\.head\.conv\.0\.0\.": "rpn.head.conv.",
}


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def trained(net, size):
    x = net.normalise(torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8))
    box = {"boxes": torch.tensor([[5.0, 5.0, 60.0, 50.0]]), "labels": torch.tensor([1])}
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    losses = net(x, [box, empty])
    net.eval()
    with torch.no_grad():
        return losses, net(x)


def check(name, size):
    net = detection_nets.create(f"torchvision/{name}", None, 2, None, size)
    losses, found = trained(net, size)
    assert net.mean.shape == net.std.shape == (3,)
    assert all(loss.isfinite() for loss in losses.values())
    assert all(set(each["labels"].tolist()) <= {0, 1} and len(each["scores"]) <= 100 for each in found)
    stages = net.stages()
    assert sorted(parameter for stage in stages for parameter in stage) == sorted(each for each, _ in net.named_parameters())
    assert len(stages) >= 5


@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_small_ones_train_and_detect(name):
    check(name, 128)


@pytest.mark.slow
@pytest.mark.parametrize("name", detection_torchvision.names())
def test_all_of_them_train_and_detect(name):
    check(name, 320)


@pytest.mark.parametrize(
    "name",
    ["fasterrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn", "retinanet_resnet50_fpn", "ssd300_vgg16", MOBILE.partition("/")[2]],
)
def test_the_layers_that_know_the_classes_are_those_whose_size_depends_on_them(name):
    with torch.device("meta"):
        few, many = (models.get_model(name, weights=None, weights_backbone=None, num_classes=count) for count in (3, 8))
    other = {key.rpartition(".")[0] for key, value in few.state_dict().items() if value.shape != many.state_dict()[key].shape}
    assert set(detection_torchvision._predictors(few)) == other


@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn", "fasterrcnn_resnet50_fpn", "fcos_resnet50_fpn"])
def test_old_names_of_layers_become_those_of_today(name):
    with torch.device("meta"):
        net = models.get_model(name, weights=None, weights_backbone=None, num_classes=3)
    old = {}
    for key, value in net.state_dict().items():
        for pattern, form in OLD.items():
            key = re.sub(pattern, form, key)
        if name.startswith("retinanet"):
            key = re.sub(r"(_head\.conv)\.(\d)\.0\.", lambda found: f"{found[1]}.{2 * int(found[2])}.", key)
        old[key] = value
    assert (old.keys() == net.state_dict().keys()) is False
    assert detection_torchvision._renamed(old, name).keys() == net.state_dict().keys()
    assert not [*net.load_state_dict(old, strict=True, assign=True)[0]]  # torchvision itself takes them for the same


def test_a_file_fills_all_but_the_layers_for_other_classes(tmp_path):
    first = detection_nets.create(MOBILE, None, 4, None, 128)
    torch.save(first.model.state_dict(), tmp_path / "net.pth")
    torch.manual_seed(1)
    same, other = (detection_nets.create(MOBILE, None, classes, str(tmp_path / "net.pth"), 128) for classes in (4, 2))
    taken = first.state_dict()
    assert all(tensor.equal(taken[name]) for name, tensor in same.state_dict().items())
    fresh = {name.rpartition(".")[0] for name, tensor in other.state_dict().items() if not tensor.equal(taken[name])}
    assert fresh == {f"model.{name}" for name in detection_torchvision._predictors(other.model)}
    *_, neck, last = other.stages()
    assert fresh <= {name.rpartition(".")[0] for name in last}
    assert all(".classification_head." in name for name in last)
    assert any(".regression_head." in name for name in neck)


def test_ssd300_takes_pictures_as_its_weights_want_them_and_its_boxes_lie_where_its_maps_look_at_any_size():
    with torch.device("meta"):
        net, mean, std = detection_torchvision.detector("ssd300_vgg16", 2, None, 320)
    assert mean == pytest.approx([123.0, 117.0, 104.0], abs=0.01)
    assert std == pytest.approx([1.0] * 3)
    images, _ = net.transform(torch.zeros(1, 3, 320, 320))
    boxes = net.anchor_generator(images, [torch.zeros(1, 1, side, side) for side in (40, 20, 10, 5, 3, 1)])[0]
    assert ((boxes[-1][:2] + boxes[-1][2:]) / 2).tolist() == [160, 160]


def test_what_cannot_be_is_refused():
    with pytest.raises(BadRecipe, match="is a whole detector: leave out width and convolutions, and give head=None"):
        detection_nets.create(MOBILE, "fcos", 2, None, 128)
    with pytest.raises(BadRecipe, match=r"ssd300_vgg16 cannot be made for pictures of 256 pixels\. Choose 288 or more"):
        detection_nets.create("torchvision/ssd300_vgg16", None, 2, None, 256)
    with pytest.raises(BadWeights, match=r'No package carries weights of torchvision.*With weights="package" the nets are'):
        detection_nets.create(MOBILE, None, 2, "package", 128)
    with pytest.raises(BadWeights, match="is no file"):
        detection_nets.create(MOBILE, None, 2, "gone.pth", 128)
