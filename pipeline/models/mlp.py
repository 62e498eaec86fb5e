"""The course's multilayer perceptron, with all that the course teaches about training one, and what tables ask for besides.

Embeddings for categories, standardised numbers, dropout, weight decay, Xavier or He initialisation, SGD with momentum or
Adam, warm-up and cosine decay of the rate, gradient clipping, early stopping on rows held out inside the fold. Besides: a
straight way from the inputs to the output (wide and deep, Cheng et al. 2016), several members trained side by side and
averaged, and for values the Huber loss, which a price typed with a zero too many cannot pull away.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UnknownName
from pipeline.models import refuse_unknown
from pipeline.models.schedules import warm_then_cosine
from pipeline.models.views import Numbers, kinds, refuse_nothing
from pipeline.predictions import Array

if TYPE_CHECKING:
    from pipeline.resample.sampler import Sampler

CHOICES = {"initialisation": ("he", "xavier"), "optimiser": ("adam", "sgd")}
IN_BATCHES = ("balanced", "class-aware")  # ways of resampling that each epoch draws anew
KNEE = 0.5  # where the Huber loss turns from square to line, in standard deviations of the target
ROWS_AT_ONCE = 8192


@dataclass
class Mlp:
    """hidden: widths of the layers. members: nets trained side by side on the same batches, whose outputs are averaged.

    rate: the highest learning rate. warm_up, hold_out: shares of the steps and of the rows. patience: epochs without a better
    held-out loss before it stops; the best epoch's weights are kept. weight_decay: of the layers' weights; all else has a tenth.
    """

    classes: int
    seed: int
    hidden: tuple[int, ...] = (128, 128)
    members: int = 4
    dropout: float = 0.1
    initialisation: str = "he"
    optimiser: str = "adam"
    rate: float = 3e-3
    momentum: float = 0.9
    weight_decay: float = 0.2
    batch: int = 256
    epochs: int = 40
    warm_up: float = 0.15
    clip: float = 1.0
    patience: int = 12
    hold_out: float = 0.1

    def fit(self, X: pd.DataFrame, y: Array, sampler: Sampler | None = None) -> Mlp:
        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._fit(X, y, sampler)
        return self

    def _fit(self, X: pd.DataFrame, y: Array, sampler: Sampler | None) -> None:
        number, category, _ = kinds(X)
        refuse_nothing(X, number + category)
        self.numbers = Numbers().fit(X)
        self.levels = {c: X[c].cat.categories for c in category}
        self.shift, self.spread = (0.0, 1.0) if self.classes else (float(y.mean()), float(y.std()) or 1.0)
        learn, hold = train_test_split(np.arange(len(y)), test_size=self.hold_out, random_state=self.seed)
        weight: Array = np.ones(len(y))
        if sampler and sampler.step.way not in IN_BATCHES:
            learned, labels, found = sampler.rows(X.iloc[learn].reset_index(drop=True), y[learn], learn)
            X, y = pd.concat([learned, X.iloc[hold]], ignore_index=True), np.concatenate([labels, y[hold]])
            learn, hold = np.arange(len(labels)), np.arange(len(labels), len(y))
            weight = np.concatenate([np.ones(len(labels)) if found is None else found, np.ones(len(hold))])
        batches = Batches(learn, y[learn], sampler if sampler and sampler.step.way in IN_BATCHES else None, self.seed)
        ratio = sampler.ratio if sampler else None
        self.shares = torch.zeros(()) if ratio is None else torch.from_numpy(np.log(ratio).astype(np.float32))
        truth = torch.from_numpy(y if self.classes else ((y - self.shift) / self.spread).astype(np.float32))
        numbers, codes = self._tensors(X)
        self.net = Net(numbers.shape[1], [len(levels) for levels in self.levels.values()], self.classes or 1, self)
        self._train(numbers, codes, truth, torch.from_numpy(weight.astype(np.float32)), batches, torch.from_numpy(hold))

    def _train(self, numbers: Tensor, codes: Tensor, truth: Tensor, weight: Tensor, batches: Batches, hold: Tensor) -> None:
        optimiser = self._optimiser()
        steps = self.epochs * math.ceil(len(batches.learn) / self.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_then_cosine(step, steps, self.warm_up))
        best, best_weights, waited = math.inf, copy.deepcopy(self.net.state_dict()), 0
        for epoch in range(self.epochs):
            self.net.train()
            for rows in torch.split(batches.order(epoch), self.batch):
                loss = self._loss(self.net(numbers[rows], codes[rows]), truth[rows], weight[rows])
                if not torch.isfinite(loss):
                    rate = schedule.get_last_lr()[0]
                    raise FloatingPointError(f"The loss became {loss.item()} at rate {rate:.2g}; lower `rate`.")
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
                optimiser.step()
                schedule.step()
            held = self._held_out_loss(numbers[hold], codes[hold], truth[hold])
            waited += 1
            if held < best:
                best, best_weights, waited = held, copy.deepcopy(self.net.state_dict()), 0
            elif waited >= self.patience:
                break
        self.net.load_state_dict(best_weights)

    def _loss(self, out: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
        """The mean over members, so that each learns on its own: out (members, n, outputs), truth (n,), weight (n,)."""
        if self.classes:
            each = functional.cross_entropy(out.flatten(0, 1), truth.repeat(len(out)), reduction="none")
            return (each * weight.repeat(len(out))).mean()
        return (functional.huber_loss(out[..., 0], truth.expand(len(out), -1), delta=KNEE, reduction="none") * weight).mean()

    def _optimiser(self) -> torch.optim.Optimizer:
        weights = [parameter for name, parameter in self.net.named_parameters() if name.endswith("weights")]
        others = [parameter for name, parameter in self.net.named_parameters() if not name.endswith("weights")]
        groups = [
            {"params": weights, "weight_decay": self.weight_decay},
            {"params": others, "weight_decay": self.weight_decay / 10},
        ]
        if self.optimiser == "sgd":
            return torch.optim.SGD(groups, self.rate, self.momentum, nesterov=True)
        return torch.optim.AdamW(groups, self.rate)

    @torch.no_grad()
    def _held_out_loss(self, numbers: Tensor, codes: Tensor, truth: Tensor) -> float:
        """Of the average of the members, which is what `predict` gives."""
        self.net.eval()
        out = self.net(numbers, codes).mean(0, keepdim=True) + self.shares
        return float(self._loss(out, truth, torch.ones(len(truth))))

    @torch.no_grad()
    def predict(self, X: pd.DataFrame) -> Array:
        torch.set_num_threads(1)
        self.net.eval()
        parts = zip(*(part.split(ROWS_AT_ONCE) for part in self._tensors(X)), strict=True)
        out = torch.cat([self.net(numbers, codes).mean(0) for numbers, codes in parts])
        out = (out + self.shares).softmax(dim=1) if self.classes else out * self.spread + self.shift
        return out.numpy().astype(np.float64)

    def _tensors(self, X: pd.DataFrame) -> tuple[Tensor, Tensor]:
        codes = [X[c].cat.set_categories(levels).cat.codes.to_numpy().astype(np.int64) + 1 for c, levels in self.levels.items()]
        stacked = np.column_stack(codes) if codes else np.empty((len(X), 0), dtype=np.int64)
        return torch.from_numpy(self.numbers.transform(X)), torch.from_numpy(stacked)


@dataclass(frozen=True)
class Batches:
    """learn: (n,) rows that are learned, y (n,) their truth. sampler: draws those of an epoch; without, each once."""

    learn: Array
    y: Array
    sampler: Sampler | None
    seed: int

    def __post_init__(self) -> None:
        if self.sampler:
            self.sampler.epoch(self.y, np.random.default_rng(self.seed))  # so that it knows by what to correct

    def order(self, epoch: int) -> Tensor:
        if self.sampler is None:
            return torch.from_numpy(self.learn)[torch.randperm(len(self.learn))]
        return torch.from_numpy(self.learn[self.sampler.epoch(self.y, np.random.default_rng([self.seed, epoch]))])


class Net(nn.Module):
    """numbers (n, p), codes (n, c) with 0 for missing or unseen -> (members, n, outputs)."""

    def __init__(self, numbers: int, levels: list[int], outputs: int, recipe: Mlp) -> None:
        super().__init__()
        embedded = [min(8, math.ceil((count + 1) ** 0.5)) for count in levels]
        self.embeddings = nn.ModuleList(nn.Embedding(count + 1, width) for count, width in zip(levels, embedded, strict=True))
        self.straight = nn.Linear(numbers, outputs)
        self.straight_levels = nn.ModuleList(nn.Embedding(count + 1, outputs) for count in levels)
        widths = [numbers + sum(embedded), *recipe.hidden, outputs]
        self.layers = nn.ModuleList(Layers(recipe.members, a, b, recipe.initialisation) for a, b in itertools.pairwise(widths))
        self.dropout = nn.Dropout(recipe.dropout)
        self.members = recipe.members
        with torch.no_grad():
            self.layers[-1].weights *= 0.1  # at the start the straight way leads
            nn.init.zeros_(self.straight.weight)
            for embedding, level in zip(self.embeddings, self.straight_levels, strict=True):
                nn.init.normal_(embedding.weight, std=0.3)
                nn.init.zeros_(level.weight)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        embedded = [embedding(codes[:, place]) for place, embedding in enumerate(self.embeddings)]
        wide = self.straight(numbers) + sum(level(codes[:, place]) for place, level in enumerate(self.straight_levels))
        deep = torch.cat([numbers, *embedded], dim=1).expand(self.members, -1, -1)
        for layer in self.layers[:-1]:
            deep = self.dropout(functional.silu(layer(deep)))
        return self.layers[-1](deep) + wide


class Layers(nn.Module):
    """One linear layer of every member, as one batched product: (members, n, a) -> (members, n, b)."""

    def __init__(self, members: int, a: int, b: int, initialisation: str) -> None:
        super().__init__()
        spread = math.sqrt(2 / a) if initialisation == "he" else math.sqrt(2 / (a + b))
        self.weights = nn.Parameter(torch.randn(members, a, b) * spread)
        self.bias = nn.Parameter(torch.zeros(members, 1, b))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weights)


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> Mlp:
    known = {field.name for field in dataclasses.fields(Mlp)} - {"classes", "seed"}
    refuse_unknown(family, params, known)
    for name, choices in CHOICES.items():
        if params.get(name, choices[0]) not in choices:
            raise UnknownName(name, str(params[name]), choices)
    return Mlp(classes, seed, **params)
