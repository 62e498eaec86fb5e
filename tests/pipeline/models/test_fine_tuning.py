"""Training goes on bit for bit after a kill, fits into memory, stops where it must, and freezes what it was told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import BadRecipe, UnknownName
from pipeline.models.batches import Pictures
from pipeline.models.devices import Device
from pipeline.models.fine_tuning import FineTuning
from pipeline.models.image_recipe import ImageRecipe
from pipeline.models.labelled_pictures import LabelledPictures
from pipeline.models.nets import Net, create
from pipeline.models.recipe import LADDER

N, SIZE, CLASSES = 24, 32, 3
CPU = Device(torch.device("cpu"), bf16=False)
NOISE = np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE, 3), dtype=np.uint8)
PICTURES = Pictures(NOISE, np.arange(N), np.arange(N) % CLASSES, CLASSES)


class Killed(Exception):
    """Stands for a kill after an epoch's checkpoint."""


def recipe(**params: Any) -> ImageRecipe:
    return ImageRecipe(**{**LADDER["adamw", False], "epochs": 2, "batch": 8, **params})


def net(name: str = "test_resnet") -> Net:
    torch.manual_seed(1)
    made = create(name, CLASSES, size=SIZE)
    for module in made.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2  # so that the net draws random numbers too
    return made


def lesson(made: Net, chosen: ImageRecipe) -> LabelledPictures:
    return LabelledPictures(PICTURES, chosen, made, CPU, 0)


def trained(folder: Path, made: Net | None = None, chosen: ImageRecipe | None = None, **given: Any) -> FineTuning:
    made, chosen = net() if made is None else made, chosen or recipe()
    training = FineTuning(made, chosen, CPU, 0, **{"say": lambda message: None, "patience": chosen.patience, **given})
    training.run(lesson(made, chosen), folder, "key", workers=0)
    return training


def bits(made: Net) -> list[bytes]:
    return [value.numpy().tobytes() for value in made.state_dict().values()]


def killed_after(epoch: int) -> Callable[[str], None]:
    def say(message: str) -> None:
        if message.startswith(f"epoch {epoch} of"):
            raise Killed

    return say


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("test_vit2", {"ema": 0.9, "patience": 3, "mix": 1.0, "augment": "strong"}),
        ("test_resnet", {"optimizer": "sgd", "freeze": 2, "freeze_epochs": 1}),
    ],
)
def test_killed_again_and_again_it_ends_with_the_same_bits(tmp_path: Path, name: str, params: dict[str, Any]) -> None:
    chosen = recipe(epochs=3, **params)
    losses = {1: 3.0, 2: 1.0, 3: 2.0}

    def run(folder: Path, say: Callable[[str], None]) -> FineTuning:
        made = net(name)
        training = FineTuning(
            made, chosen, CPU, 0, say, lambda: (losses[len(training.history) + 1], 0.5), patience=chosen.patience
        )
        training.run(lesson(made, chosen), folder, "key", workers=0)
        return training

    whole = run(tmp_path / "whole", lambda message: None)
    for epoch in (1, 3):  # the last: trained to the end, but never predicted
        with pytest.raises(Killed):
            run(tmp_path / "killed", killed_after(epoch))
        torch.rand(epoch)  # the process that goes on has drawn other random numbers before
    resumed = run(tmp_path / "killed", lambda message: None)
    assert bits(resumed.net) == bits(whole.net)
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]


def test_a_damaged_checkpoint_costs_an_epoch_and_not_a_bit(tmp_path: Path) -> None:
    whole, said = trained(tmp_path / "whole"), list[str]()
    with pytest.raises(Killed):
        trained(tmp_path / "killed", say=killed_after(2))
    last = sorted((tmp_path / "killed").glob("key/*/state.pt"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    assert bits(trained(tmp_path / "killed", say=said.append).net) == bits(whole.net)
    assert "set aside" in said[0]
    assert said[1] == "It goes on after epoch 1 of 2."


class Small(nn.Module):
    """A memory that holds so many pictures; notes the sizes it was asked for."""

    def __init__(self, inner: nn.Module, holds: int, message: str = "DefaultCPUAllocator: can't allocate memory") -> None:
        super().__init__()
        self.inner, self.holds, self.message = inner, holds, message
        self.tried: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(x))
        if len(x) > self.holds:
            raise torch.OutOfMemoryError(self.message) if "CUDA" in self.message else RuntimeError(self.message)
        return self.inner(x)


@pytest.mark.parametrize("message", ["DefaultCPUAllocator: can't allocate memory", "CUDA out of memory"])
def test_out_of_memory_the_step_is_repeated_with_half_at_a_time(tmp_path: Path, message: str) -> None:
    made, said = net(), list[str]()
    made.backbone = small = Small(made.backbone, 3, message)
    training = trained(tmp_path, made, recipe(epochs=1, batch=12), say=said.append)
    assert small.tried == [12, 6, 3, 3, 3, 3, 3, 3, 3, 3]  # the second batch starts from what is known to fit
    assert training.micro == 3
    assert said[:2] == [
        "Out of memory with 12 pictures at a time: the step is repeated with 6, in batches of the same size.",
        "Out of memory with 6 pictures at a time: the step is repeated with 3, in batches of the same size.",
    ]


def test_where_one_picture_does_not_fit_the_error_is_raised(tmp_path: Path) -> None:
    made = net()
    made.backbone = small = Small(made.backbone, 0)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        trained(tmp_path, made)
    assert small.tried == [8, 4, 2, 1]


def test_any_other_error_is_raised_at_once(tmp_path: Path) -> None:
    made = net()
    made.backbone = small = Small(made.backbone, 0, "shapes do not fit")
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trained(tmp_path, made)
    assert small.tried == [8]


def test_parts_add_up_to_the_whole_batch(tmp_path: Path) -> None:
    """For a net with layer norm; batch norm takes its statistics from the parts."""
    gradients = []
    for holds in (8, 3):
        made = net("test_vit2").eval()
        training = FineTuning(made, recipe(), CPU, 0, lambda message: None)
        training.micro = holds
        x = torch.from_numpy(NOISE[:8])
        targets = torch.eye(CLASSES)[torch.arange(8) % CLASSES]
        loss = training._gradients(lesson(made, recipe()), CPU.pictures(x, made), targets)
        gradients.append([torch.tensor(loss), *(parameter.grad for parameter in made.parameters())])
    for whole, added in zip(*gradients, strict=True):
        torch.testing.assert_close(added, whole, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_no_number_stops_it_with_step_epoch_and_rate(tmp_path: Path) -> None:
    chosen = recipe(optimizer="sgd", rate=1e20, clip=0, warm_up=0.0)
    with pytest.raises(BadRecipe, match=r"The loss became (nan|inf) at step \d of epoch 1, at rate .*: lower `rate`"):
        trained(tmp_path, chosen=chosen)
    assert not list(tmp_path.glob("key/*"))


def test_the_frozen_body_learns_only_after_its_epochs(tmp_path: Path) -> None:
    fresh = net()
    start, head = fresh.state_dict(), fresh.stages()[-1]
    for epochs, frozen in ((1, True), (2, False)):
        made = trained(tmp_path / str(epochs), chosen=recipe(epochs=epochs, freeze="body", freeze_epochs=1)).net
        moved = {name for name, value in made.state_dict().items() if not torch.equal(value, start[name])}
        assert moved == set(head) if frozen else moved > set(head)


def test_it_stops_early_with_the_best_epochs_weights(tmp_path: Path) -> None:
    made, losses, seen = net(), iter([3.0, 2.0, 2.5, 2.6, 1.0]), list[list[bytes]]()

    def judge() -> tuple[float, float]:
        seen.append(bits(made))
        return next(losses), 0.5

    training = trained(tmp_path, made, recipe(epochs=5, patience=2), judge=judge)
    assert [row["held"] for row in training.history] == [3.0, 2.0, 2.5, 2.6]
    assert bits(made) == seen[1]


def test_a_held_out_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    made, losses, seen = net(), iter([float("nan"), 2.0, float("inf"), 2.5]), list[list[bytes]]()

    def judge() -> tuple[float, float]:
        seen.append(bits(made))
        return next(losses), 0.5

    training = trained(tmp_path, made, recipe(epochs=4, patience=2), judge=judge)
    assert len(training.history) == 4
    assert bits(made) == seen[1]


def test_averaged_weights_are_what_stays(tmp_path: Path) -> None:
    training = trained(tmp_path, chosen=recipe(ema=0.9))
    assert training.average is not None
    assert all(torch.equal(value, training.average.weights[name]) for name, value in training.net.state_dict().items())


def test_every_epoch_is_said_in_a_line(tmp_path: Path) -> None:
    said: list[str] = []
    trained(tmp_path, say=said.append, judge=lambda: (1.25, 0.5))
    assert len(said) == 2
    assert said[1].startswith("epoch 2 of 2: loss ")
    assert ", held out 1.250, accuracy 0.500, rate " in said[1]
    assert said[1].endswith(" images/s")


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": 2.5}, {"rate": 0}, {"smoothing": 1.5}, {"batch": "8"}])
def test_a_number_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    name, value = next(iter(wrong.items()))
    with pytest.raises(BadRecipe, match=f"{name} is {value!r}; give a (whole )?number from"):
        recipe(**wrong)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"No optimizer is called 'adam'. Did you mean adamw"):
        recipe(optimizer="adam")
