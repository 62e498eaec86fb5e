"""The course's multilayer perceptron, with all that the course teaches about training one.

Embeddings for categories, standardised numbers, dropout, weight decay, Xavier or He initialisation, SGD with momentum or
Adam, warm-up and cosine decay of the rate, gradient clipping, early stopping on rows held out inside the fold.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from pipeline.errors import UnknownName
from pipeline.models import refuse_unknown
from pipeline.models.views import Numbers, codes_of, kinds, refuse_nothing
from pipeline.predictions import Array

CHOICES = {"initialisation": ("he", "xavier"), "optimiser": ("adam", "sgd")}


@dataclass
class Mlp:
    """hidden: widths of the layers. rate: the highest learning rate. warm_up, hold_out: shares of the steps and of the rows.

    patience: epochs without a better held-out loss before it stops; the best epoch's weights are kept.
    """

    classes: int
    seed: int
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.1
    initialisation: str = "he"
    optimiser: str = "adam"
    rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 1e-3
    batch: int = 128
    epochs: int = 60
    warm_up: float = 0.1
    clip: float = 1.0
    patience: int = 12
    hold_out: float = 0.1

    def fit(self, X: pd.DataFrame, y: Array) -> Mlp:
        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._fit(X, y)
        return self

    def _fit(self, X: pd.DataFrame, y: Array) -> None:
        number, category, _ = kinds(X)
        refuse_nothing(X, number + category)
        self.numbers = Numbers().fit(X)
        self.levels = {c: X[c].cat.categories for c in category}
        self.shift, self.spread = (0.0, 1.0) if self.classes else (float(y.mean()), float(y.std()) or 1.0)
        learn, hold = train_test_split(np.arange(len(y)), test_size=self.hold_out, random_state=self.seed)
        truth = (
            torch.from_numpy(y)
            if self.classes
            else torch.from_numpy(((y - self.shift) / self.spread).astype(np.float32))[:, None]
        )
        numbers, codes = self._tensors(X)
        self.net = Net(numbers.shape[1], [len(levels) for levels in self.levels.values()], self.classes or 1, self)
        self._train(numbers, codes, truth, torch.from_numpy(learn), torch.from_numpy(hold))

    def _train(self, numbers: Tensor, codes: Tensor, truth: Tensor, learn: Tensor, hold: Tensor) -> None:
        loss_of: Any = nn.CrossEntropyLoss() if self.classes else nn.MSELoss()
        optimiser = self._optimiser()
        steps = self.epochs * math.ceil(len(learn) / self.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_then_cosine(step, steps, self.warm_up))
        best, best_weights, waited = math.inf, copy.deepcopy(self.net.state_dict()), 0
        for _ in range(self.epochs):
            self.net.train()
            for rows in torch.split(learn[torch.randperm(len(learn))], self.batch):
                loss = loss_of(self.net(numbers[rows], codes[rows]), truth[rows])
                if not torch.isfinite(loss):
                    raise FloatingPointError(
                        f"The loss became {loss.item()} at rate {schedule.get_last_lr()[0]:.2g}; lower `rate`."
                    )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
                optimiser.step()
                schedule.step()
            held = self._held_out_loss(loss_of, numbers[hold], codes[hold], truth[hold])
            waited += 1
            if held < best:
                best, best_weights, waited = held, copy.deepcopy(self.net.state_dict()), 0
            elif waited >= self.patience:
                break
        self.net.load_state_dict(best_weights)

    def _optimiser(self) -> torch.optim.Optimizer:
        if self.optimiser == "sgd":
            return torch.optim.SGD(self.net.parameters(), self.rate, self.momentum, nesterov=True, weight_decay=self.weight_decay)
        return torch.optim.AdamW(self.net.parameters(), self.rate, weight_decay=self.weight_decay)

    @torch.no_grad()
    def _held_out_loss(self, loss_of: Any, numbers: Tensor, codes: Tensor, truth: Tensor) -> float:
        self.net.eval()
        return float(loss_of(self.net(numbers, codes), truth))

    @torch.no_grad()
    def predict(self, X: pd.DataFrame) -> Array:
        torch.set_num_threads(1)
        self.net.eval()
        out = torch.cat([self.net(n, c) for n, c in zip(*(part.split(8192) for part in self._tensors(X)), strict=True)])
        out = out.softmax(dim=1) if self.classes else out * self.spread + self.shift
        return out.numpy().astype(np.float64)

    def _tensors(self, X: pd.DataFrame) -> tuple[Tensor, Tensor]:
        codes = [codes.astype(np.int64) + 1 for codes in codes_of(X, self.levels)]
        stacked = np.column_stack(codes) if codes else np.empty((len(X), 0), dtype=np.int64)
        return torch.from_numpy(self.numbers.transform(X)), torch.from_numpy(stacked)


class Net(nn.Module):
    """numbers (n, p), codes (n, c) with 0 for missing or unseen -> (n, outputs)."""

    def __init__(self, numbers: int, levels: list[int], outputs: int, recipe: Mlp) -> None:
        super().__init__()
        widths = [min(16, math.ceil((count + 1) ** 0.5)) for count in levels]
        self.embeddings = nn.ModuleList(nn.Embedding(count + 1, width) for count, width in zip(levels, widths, strict=True))
        layers: list[nn.Module] = []
        width = numbers + sum(widths)
        for hidden in recipe.hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(recipe.dropout)]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)
                if recipe.initialisation == "he":
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                else:
                    nn.init.xavier_uniform_(layer.weight)
        for embedding in self.embeddings:
            nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        embedded = [embedding(codes[:, place]) for place, embedding in enumerate(self.embeddings)]
        return self.layers(torch.cat([numbers, *embedded], dim=1))


def warm_then_cosine(step: int, steps: int, warm_up: float) -> float:
    """Share of the highest rate at a step: up in a line, down along half a cosine (Loshchilov and Hutter 2017)."""
    rise = max(1, round(steps * warm_up))
    return (step + 1) / rise if step < rise else 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


def build(family: str, classes: int, seed: int, params: dict[str, Any]) -> Mlp:
    known = {field.name for field in dataclasses.fields(Mlp)} - {"classes", "seed"}
    refuse_unknown(family, params, known)
    for name, choices in CHOICES.items():
        if params.get(name, choices[0]) not in choices:
            raise UnknownName(name, str(params[name]), choices)
    return Mlp(classes, seed, **params)
