"""Every detector, whatever its head, can do the same few things."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import detection_nets, nets, schedules
from pipeline.models.detection_nets import HEADS
from pipeline.models.weights import BadWeights

TINY, SIZE = "test_efficientnet", 64
MOBILE = "torchvision/ssdlite320_mobilenet_v3_large"


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pixels(count=2, size=SIZE):
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)


def target(*boxes, label=0):
    return {"boxes": torch.tensor(boxes).float().reshape(-1, 4), "labels": torch.full((len(boxes),), label)}


def drawn():
    """Two pictures of 96 pixels with a box each of class 0 (bright) and 1 (dark) on grey, and the truth."""
    pictures, truth = np.full((2, 96, 96, 3), 128, np.uint8), []
    for picture, bright, dark in zip(
        pictures, [(8, 10, 40, 50), (50, 40, 90, 70)], [(55, 40, 88, 72), (10, 12, 30, 36)], strict=True
    ):
        for (x0, y0, x1, y1), shade in ((bright, 250), (dark, 10)):
            picture[y0:y1, x0:x1] = shade
        truth.append({"boxes": torch.tensor([bright, dark]).float(), "labels": torch.tensor([0, 1])})
    return torch.from_numpy(pictures), truth


# What they promise


@pytest.mark.parametrize("head", HEADS)
def test_training_gives_losses_that_every_parameter_feels_and_evaluation_gives_boxes(head):
    net = detection_nets.create(TINY, head, 3, None, SIZE)
    x = net.normalise(pixels())
    losses = net(x, [target((5, 5, 40, 45), (20, 8, 33, 30), label=2), target((0, 0, 64, 64), label=1)])
    sum(losses.values()).backward()
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    assert all(parameter.grad is not None for parameter in net.parameters())
    net.eval()
    with torch.no_grad():
        found = net(x)
    assert len(found) == 2
    for each in found:
        assert each["boxes"].shape == (len(each["scores"]), 4)
        assert 0 < len(each["scores"]) <= 100
        assert set(each["labels"].tolist()) <= {0, 1, 2}
        assert 0 <= each["boxes"].min() <= each["boxes"].max() <= SIZE
        assert each["scores"].equal(each["scores"].sort(descending=True).values)


@pytest.mark.parametrize("head", HEADS)
def test_pictures_without_boxes_are_trained_on_too(head):
    net = detection_nets.create(TINY, head, 1, None, SIZE)
    for targets in ([target(), target((5, 5, 40, 45))], [target(), target()]):
        losses = net(net.normalise(pixels()), targets)
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_two_pictures_by_heart(head):
    pictures, truth = drawn()
    net = detection_nets.create(TINY, head, 2, None, 96, norm="frozen")
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    x = net.normalise(pictures)
    net.train()
    for _ in range(120):
        optimizer.zero_grad()
        sum(net(x, truth).values()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
    net.eval()
    with torch.no_grad():
        found = net(x)
    for each, right in zip(found, truth, strict=True):
        for label, box in zip(right["labels"], right["boxes"], strict=True):
            first = (each["labels"] == label).nonzero()[0, 0]  # of its class the one with the highest score
            assert box_iou(each["boxes"][first][None], box[None]).item() > 0.5
            assert each["scores"][first] > 0.3


@pytest.mark.parametrize("head", ["faster-rcnn", "ssd", "fcos"])
def test_class_0_is_an_object_and_not_the_background(head):
    net = detection_nets.create(TINY, head, 1, None, SIZE)
    assert sum(net(net.normalise(pixels()), [target((5, 5, 40, 45))] * 2).values()).item() > 0
    net.eval()
    with torch.no_grad():
        assert all((each["labels"] == 0).all() for each in net(net.normalise(pixels())))


def test_the_targets_stay_as_they_were():
    net = detection_nets.create(TINY, "ssd", 2, None, SIZE)
    given = [target((5, 5, 40, 45), label=1)] * 2
    net(net.normalise(pixels()), given)
    assert given[0]["labels"].tolist() == [1]


@pytest.mark.parametrize("head", HEADS)
def test_stages_hold_every_parameter_once_and_end_in_what_starts_from_chance(head):
    net = detection_nets.create(TINY, head, 2, None, SIZE)
    stages = net.stages()
    assert sorted(name for stage in stages for name in stage) == sorted(name for name, _ in net.named_parameters())
    assert len(stages) >= 5
    assert all(stages)
    assert any("conv_stem" in name for name in stages[0])
    assert all(".body." in name for stage in stages[:-1] for name in stage)
    assert not any(".body." in name for name in stages[-1])


@pytest.mark.parametrize("head", HEADS)
def test_what_is_found_and_what_is_lost_depends_on_the_seed_alone(head):
    def run():
        torch.manual_seed(3)
        net = detection_nets.create(TINY, head, 2, None, SIZE)
        x = net.normalise(pixels())
        losses = list(net(x, [target((5, 5, 40, 45), label=1)] * 2).values())
        net.eval()
        with torch.no_grad():
            first, second = net(x), net(x)
        assert all(a[key].equal(b[key]) for a, b in zip(first, second, strict=True) for key in a)
        return [*losses, *(each["boxes"] for each in first)]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


def test_a_detector_can_be_copied_and_pickled_and_its_state_is_its_layers_alone():
    net = detection_nets.create(TINY, "fcos", 2, None, SIZE).eval()
    x = net.normalise(pixels())
    with torch.no_grad():
        for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert twin(x)[0]["boxes"].equal(net(x)[0]["boxes"])
    assert all(name.startswith("model.") for name in net.state_dict())


def test_pictures_keep_their_channels_last_and_need_not_be_square():
    net = detection_nets.create(TINY, "retinanet", 2, None, SIZE).eval()
    x = net.normalise(torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8))
    assert x.shape == (1, 3, 64, 96)
    assert x.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert net(x)[0]["boxes"][:, 2].max() > 64


# Heads


@pytest.mark.parametrize("head", ["fcos", "retinanet"])
def test_the_focal_losses_start_from_rare_objects(head):
    layer = detection_nets.create(TINY, head, 2, None, SIZE).model.head.classification_head.cls_logits
    assert torch.allclose(layer.bias.sigmoid(), torch.tensor(0.01))


@pytest.mark.parametrize(("size", "smallest", "levels"), [(320, 12.8, 5), (800, 32.0, 5)])
def test_anchors_follow_the_size_of_the_picture(size, smallest, levels):
    anchors = detection_nets.create(TINY, "retinanet", 2, None, size).model.anchor_generator
    assert len(anchors.sizes) == levels
    assert math.isclose(anchors.sizes[0][0], smallest)
    assert anchors.sizes[-1][-1] > size


@pytest.mark.parametrize(("size", "levels"), [(320, 4), (512, 4), (640, 5)])
def test_fcos_has_the_levels_that_its_size_has_objects_for(size, levels):
    assert len(detection_nets.create(TINY, "fcos", 2, None, size).model.anchor_generator.sizes) == levels


def test_points_stand_in_the_middle_of_their_cells():
    net = detection_nets.create(TINY, "fcos", 2, None, SIZE).model
    x = torch.zeros(1, 3, SIZE, SIZE)
    images, _ = net.transform(x)
    anchors = net.anchor_generator(images, list(net.backbone(x).values()))[0]
    middles = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert middles[:9].tolist() == [[4 + 8 * column, 4] for column in range(8)] + [[4, 12]]
    assert torch.allclose(middles.mean(0), torch.tensor(SIZE / 2))


def test_towers_can_be_short_and_the_pyramid_narrow():
    short, full = (detection_nets.create(TINY, "fcos", 2, None, SIZE, width=64, convolutions=count) for count in (1, 4))
    towers = [sum("_head.conv." in name for name, _ in net.named_parameters()) for net in (short, full)]
    assert towers[1] == 4 * towers[0]
    assert short.model.backbone.out_channels == 64
    for bad in ({"width": 100}, {"width": 0}, {"convolutions": 5}, {"convolutions": -1}):
        with pytest.raises(BadRecipe, match=f"{next(iter(bad))} is {next(iter(bad.values()))}"):
            detection_nets.create(TINY, "fcos", 2, None, SIZE, **bad)
    with pytest.raises(BadRecipe, match="convolutions is for fcos and retinanet; ssd has none"):
        detection_nets.create(TINY, "ssd", 2, None, SIZE, convolutions=2)


# Weights


def test_weights_of_a_package_fill_the_body_and_bring_their_normalisation():
    net = detection_nets.create("tf_efficientnet_lite0", "fcos", 2, "package", SIZE)
    whole = nets.create("tf_efficientnet_lite0", 2, "package").backbone.state_dict()
    body = net.model.backbone.body.state_dict()
    assert len(body) > 200
    assert all(tensor.equal(whole[name]) for name, tensor in body.items())
    assert (net.mean.tolist(), net.std.tolist()) == ([127.0] * 3, [128.0] * 3)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_a_file_of_a_classifier_fills_the_body_whatever_timm_calls_its_parts(tmp_path, name):
    classifier = nets.create(name, 7).backbone
    torch.save(classifier.state_dict(), tmp_path / "net.pth")
    torch.manual_seed(1)
    body = detection_nets.create(name, "ssdlite", 2, str(tmp_path / "net.pth"), SIZE).model.backbone.body
    x = torch.randn(1, 3, SIZE, SIZE)
    classifier.eval()
    with torch.no_grad():
        assert torch.allclose(body.eval()(x)[-1], classifier.forward_intermediates(x, intermediates_only=True)[-1], atol=1e-4)


@pytest.mark.parametrize("net", [TINY, MOBILE])
def test_frozen_norms_stay_as_they_are_and_others_do_not(tmp_path, net):
    head = "ssd" if net == TINY else None
    size = 64 if net == TINY else 128
    torch.save(
        (nets.create(net, 2).backbone if head else detection_nets.create(net, None, 5, None, size).model).state_dict(),
        tmp_path / "net.pth",
    )
    for norm, still in ((None, True), ("frozen", True), ("batch", False)):
        made = detection_nets.create(net, head, 2, str(tmp_path / "net.pth"), size, norm=norm)
        statistics = {
            name: value.clone() for name, value in made.state_dict().items() if "backbone" in name and "running" in name
        }
        assert statistics
        made.train()
        schedules.hold(made, set())
        made(made.normalise(pixels(size=size)), [target((5, 5, 40, 45))] * 2)
        after = made.state_dict()
        assert all(after[name].equal(value) for name, value in statistics.items()) is still
        learnt = {name for name, _ in made.named_parameters()}
        assert learnt.isdisjoint(name.replace("running_mean", "weight") for name in statistics) is still


def test_from_chance_norms_are_of_the_batch():
    net = detection_nets.create(TINY, "fcos", 2, None, SIZE)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in net.model.backbone.body.modules())


def test_weights_that_cannot_be_had_are_errors():
    with pytest.raises(BadWeights, match="No package carries weights of test_efficientnet"):
        detection_nets.create(TINY, "fcos", 2, "package", SIZE)
    with pytest.raises(BadWeights, match="is no file"):
        detection_nets.create(TINY, "fcos", 2, "gone.pth", SIZE)
    with pytest.raises(BadWeights, match="timm has no weights of"):
        detection_nets.create("mobilenetv2_035", "fcos", 2, "hub", SIZE)


# Names and sizes


@pytest.mark.parametrize(
    ("net", "head", "message"),
    [
        ("resnt18", "fcos", "No net is called 'resnt18'.*resnet18"),
        ("resnet", "fcos", "No net for detection is called 'resnet'. Did you mean"),
        ("torchvision/resnet50", None, "No net for detection is called 'torchvision/resnet50'"),
        ("torchvision/maskrcnn_resnet50_fpn", None, "Did you mean.*fasterrcnn_resnet50_fpn"),
        (TINY, "fco", "No head for test_efficientnet is called 'fco'. Did you mean fcos"),
        (TINY, None, "No head for test_efficientnet is called 'None'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(net, head, message):
    with pytest.raises(UnknownName, match=message):
        detection_nets.create(net, head, 2, None, SIZE)
    with pytest.raises(UnknownName, match="No norm of a detector is called 'group'"):
        detection_nets.create(TINY, "fcos", 2, None, SIZE, norm="group")


def test_all_known_names_are_of_timm_or_torchvision():
    known = detection_nets.known()
    assert {TINY, MOBILE, "torchvision/fcos_resnet50_fpn"} <= set(known)
    assert not any("maskrcnn" in name or "keypoint" in name for name in known)


def test_a_net_with_a_tag_is_known():
    assert detection_nets.create("test_efficientnet.r160_in1k", "fcos", 2, None, SIZE).name == "test_efficientnet.r160_in1k"


@pytest.mark.parametrize("size", [0, 31, 100, -32])
def test_sizes_that_are_no_multiple_of_32_are_refused(size):
    with pytest.raises(BadRecipe, match=f"Pictures of {size} pixels were given; detectors take multiples of 32"):
        detection_nets.create(TINY, "fcos", 2, None, size)


def test_a_batch_of_such_a_size_is_refused_too():
    net = detection_nets.create(TINY, "fcos", 2, None, SIZE).eval()
    with pytest.raises(BadRecipe, match="Pictures of 100 pixels were given; detectors take multiples of 32, such as 96"):
        net(torch.zeros(1, 3, 64, 100))


@pytest.mark.parametrize("net", ["test_vit2", "swin_tiny_patch4_window7_224"])
def test_nets_without_maps_are_refused(net):
    with torch.device("meta"), pytest.raises(BadRecipe, match=f"{net} has no maps at strides 8, 16 and 32"):
        detection_nets.create(net, "fcos", 2, None, SIZE)


def test_a_detector_of_no_classes_is_refused():
    with pytest.raises(BadRecipe, match="for 0 classes"):
        detection_nets.create(TINY, "fcos", 0, None, SIZE)


@pytest.mark.parametrize("body", ["test_efficientnet", "test_resnet"])
@pytest.mark.parametrize("head", HEADS)
def test_boxes_and_scores_are_exact_where_convolutions_are_not(head: str, body: str) -> None:
    """In bfloat16 boxes would come in steps of pixels, and scores in a hundred values."""
    torch.manual_seed(0)
    net = detection_nets.create(body, head, 3, None, 96).eval()
    x = net.normalise(torch.randint(0, 256, (1, 96, 96, 3), dtype=torch.uint8))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        (found,) = net(x)
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    assert len(found["boxes"]) > 20
    inside = found["boxes"][(found["boxes"] > 0) & (found["boxes"] < 96)]
    assert (inside.to(torch.bfloat16).float() != inside).float().mean() > 0.2  # none, where they were rounded


@pytest.mark.parametrize(("body", "expected"), [("test_efficientnet", torch.float32), ("test_resnet", torch.bfloat16)])
def test_in_training_a_body_of_depthwise_convolutions_stays_in_float32_and_the_rest_does_not(body, expected):
    seen = {}
    net = detection_nets.create(body, "fcos", 2, None, SIZE).train()
    backbone = net.model.backbone
    backbone.body.register_forward_hook(lambda _, __, out: seen.update(body=out[0].dtype))
    backbone.fpn.register_forward_hook(lambda _, __, out: seen.update(pyramid=out["0"].dtype))
    x = net.normalise(torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8))
    target = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(net(x, [target, target]).values())
    loss.backward()
    assert seen == {"body": expected, "pyramid": torch.bfloat16}
    assert loss.dtype == torch.float32
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())


def test_a_cell_looks_at_its_own_middle():
    """TensorFlow's padding alone would move it half a cell further; what was learned with it looks back by as much."""
    torch.manual_seed(0)
    body = detection_nets.create("tf_efficientnet_lite0", "cascade-rcnn", 2, "package", 128).model.backbone.body.eval()
    x = torch.randn(8, 3, 128, 128, requires_grad=True)
    body(x)[0][:, :, 8, 8].pow(2).sum().backward()
    weight = x.grad.abs().sum((0, 1))
    for axis in (0, 1):
        assert (weight.sum(axis) * torch.arange(128)).sum() / weight.sum() == pytest.approx(8 * 8 + 4, abs=1.5)
