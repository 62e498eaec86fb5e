"""Training a net on pictures, from chance or from weights learned elsewhere, as the course teaches it.

A small rate for the body and a larger one for the new head, first stages frozen for a while, warm-up and cosine, clipped gradients,
averaged weights, early stopping. Every epoch ends with a checkpoint, and all that is random is a function of the seed and the
epoch, so a training that was killed ends with the same bits as one that was not. What is learned is a `Lesson`.

Out of memory, a step is repeated with half the pictures at a time; the gradients of the parts add up to those of the whole batch,
as far as the lesson's loss is a mean over pictures. Batch norm then differs: it takes its statistics from the parts, which are
smaller, and updates them for each part, and for what was seen of the step that failed. Below
about eight pictures at a time that costs accuracy: choose smaller pictures, or a net with layer norm.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import BadRecipe
from pipeline.models import checkpoints
from pipeline.models.averages import Average
from pipeline.models.batches import NET, generator
from pipeline.models.devices import Device, out_of_memory
from pipeline.models.recipe import Recipe
from pipeline.models.schedules import frozen, groups, hold, warm_then_cosine


class Staged(Protocol):
    """A net (nn.Module) whose parameters' names are known by stage, see `nets.Net.stages`."""

    def stages(self) -> list[list[str]]: ...


class Lesson(Protocol):
    """What a net learns, in batches. All that is random in it is a function of the seed, the epoch and the place in that."""

    def sizes(self, epoch: int) -> Sequence[int]:
        """The number of pictures in each batch of an epoch."""

    def batches(self, epochs: Sequence[int], workers: int) -> Generator[Any, None, None]:
        """The batches of these epochs in turn, prepared ahead by so many processes; 0: by a thread."""

    def ready(self, batch: Any, epoch: int, step: int) -> tuple[Tensor, Any]:
        """x (b, 3, h, w) as the net takes it, where it computes; and what is to be learned of it, which can be sliced by picture."""

    def loss(self, net: Any, x: Tensor, y: Any) -> Tensor:
        """The mean over these pictures; a detector's, over what is to be found in them."""


class FineTuning:
    """One training of one net, which is `Staged`. judge: gives (loss, accuracy) of the net on the rows held out. patience: epochs without
    a better such loss before it stops, 0 for never. history: a row per epoch."""

    def __init__(
        self,
        net: Any,
        recipe: Recipe,
        device: Device,
        seed: int,
        say: Callable[[str], None],
        judge: Callable[[], tuple[float, float]] | None = None,
        patience: int = 0,
    ) -> None:
        self.net, self.recipe, self.device, self.seed, self.say = net, recipe, device, seed, say
        self.judge, self.patience = judge, patience
        self.stages = net.stages()
        self.still = frozen(self.stages, recipe.freeze)
        self.optimizer = self._optimizer()
        self.average = Average(net, recipe.ema) if recipe.ema else None
        self.forward = torch.compile(net) if recipe.compile else net
        self.micro = recipe.batch + 1  # pictures that fit into memory at a time, as far as is known; a batch may be larger by one
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] | None = None

    def _optimizer(self) -> torch.optim.Optimizer:
        chosen = self.recipe
        made = groups(self.net, self.stages, chosen.rate, chosen.head_rate, chosen.layer_decay, chosen.weight_decay)
        if chosen.optimizer == "sgd":
            return torch.optim.SGD(made, momentum=chosen.momentum, nesterov=chosen.momentum > 0)
        return torch.optim.AdamW(made)

    def run(self, lesson: Lesson, scratch: Path, key: str, workers: int) -> None:
        """Train, from the last checkpoint under this key on; the net then has the weights to predict with. Raises BadRecipe where the
        loss is no number, RuntimeError where not even one picture fits into memory."""
        self._restore(checkpoints.load(scratch, key, self.say))
        left = range(len(self.history), 0 if self._is_over() else self.recipe.epochs)
        with closing(lesson.batches(left, workers)) as batches:
            for epoch in left:
                self._epoch(epoch, lesson, batches)
                checkpoints.save(scratch, key, epoch, self._state())
                self.say(self._line())
                if self._is_over():
                    break
        if self.average:
            self.net.load_state_dict(self.average.weights)
        if self.best is not None:
            self.net.load_state_dict(self.best)

    def _epoch(self, epoch: int, lesson: Lesson, batches: Iterable[Any]) -> None:
        recipe, start = self.recipe, time.perf_counter()
        torch.manual_seed(int(generator(NET, self.seed, epoch).integers(2**63)))
        hold(self.net, self.still if recipe.freeze_epochs is None or epoch < recipe.freeze_epochs else ())
        sizes, losses = lesson.sizes(epoch), 0.0
        for step, batch in enumerate(itertools.islice(batches, len(sizes))):
            share = warm_then_cosine(epoch * len(sizes) + step, recipe.epochs * len(sizes), recipe.warm_up)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * share
            loss = self._gradients(lesson, *lesson.ready(batch, epoch, step))
            if not math.isfinite(loss):
                raise BadRecipe(
                    f"The loss became {loss} at step {step + 1} of epoch {epoch + 1}, at rate {recipe.rate * share:.2g}: "
                    "lower `rate`, set `clip` to 1 or less, or precision to fp32."
                )
            self._step()
            losses += loss * sizes[step]
        speed = sum(sizes) / (time.perf_counter() - start)
        self.history.append({"loss": losses / sum(sizes), "rate": recipe.rate * share, "speed": speed, **self._judged()})

    def _gradients(self, lesson: Lesson, x: Tensor, y: Any) -> float:
        """Make the gradients of the mean loss of the batch, a part at a time; the loss. Out of memory, parts become half as large."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            parts = np.array_split(np.arange(len(x)), -(-len(x) // self.micro))
            try:
                return sum(self._backward(lesson, x, y, slice(part[0], part[-1] + 1)) for part in parts)
            except RuntimeError as error:
                most = min(self.micro, len(x))
                if not out_of_memory(error) or most == 1:
                    raise
            self.micro = most // 2
            if self.device.is_gpu:
                torch.cuda.empty_cache()
            self.say(
                f"Out of memory with {most} pictures at a time: the step is repeated with {self.micro}, in batches of the same size."
            )

    def _backward(self, lesson: Lesson, x: Tensor, y: Any, part: slice) -> float:
        with self.device.autocast():
            mean = lesson.loss(self.forward, x[part], y[part])
        loss = mean * ((part.stop - part.start) / len(x))
        loss.backward()
        return float(loss.detach())

    def _step(self) -> None:
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.optimizer.step()
        if self.average:
            self.average.update(self.net)

    def _judged(self) -> dict[str, float]:
        """How the net predicts the rows held out; where it stops early, the best weights so far are kept."""
        if self.judge is None:
            return {}
        with self.average.applied(self.net) if self.average else nullcontext():
            loss, accuracy = self.judge()
            loss = loss if math.isfinite(loss) else math.inf  # it is no better than any other
            if self.patience and loss < min((row["held"] for row in self.history), default=math.inf):
                self.best = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        return {"held": loss, "accuracy": accuracy}

    def _is_over(self) -> bool:
        if not self.patience or not self.history:
            return False
        held = [row["held"] for row in self.history]
        return len(held) - 1 - held.index(min(held)) >= self.patience

    def _line(self) -> str:
        now = self.history[-1]
        held = f", held out {now['held']:.3f}, accuracy {now['accuracy']:.3f}" if self.judge else ""
        done = f"epoch {len(self.history)} of {self.recipe.epochs}"
        return f"{done}: loss {now['loss']:.3f}{held}, rate {now['rate']:.1e}, {now['speed']:.0f} images/s"

    def _state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "best": self.best,
            "micro": self.micro,
            "history": self.history,
        }

    def _restore(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.best, self.micro, self.history = state["best"], state["micro"], state["history"]
        self.say(f"It goes on after epoch {len(self.history)} of {self.recipe.epochs}.")
