"""The multilayer perceptron learns, stops at its best, says why it cannot, and keeps to itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.competition import Model
from pipeline.errors import UnknownName
from pipeline.models import build
from pipeline.models.mlp import Mlp, Net
from pipeline.predictions import Array


def waves(rows: int, seed: int) -> tuple[pd.DataFrame, Array]:
    X = pd.DataFrame(np.random.default_rng(seed).uniform(-2, 2, (rows, 2)), columns=["a", "b"])
    return X, 1e5 + 1e4 * (np.sin(2 * X.a) * X.b).to_numpy()


def net(**params: Any) -> Mlp:
    model = build(Model("mlp", {"hidden": (32, 32), "dropout": 0.0, "batch": 32, "rate": 1e-2, "epochs": 40, **params}), 0, 0)
    assert isinstance(model, Mlp)
    return model


def error(model: Any, seed: int = 0) -> float:
    (X, y), (new, truth) = waves(600, seed), waves(300, seed + 1)
    return float(np.sqrt(np.mean((model.fit(X, y).predict(new)[:, 0] - truth) ** 2)) / truth.std())


def test_it_learns_what_no_line_can() -> None:
    assert error(net()) < 0.3 < 0.9 < error(build(Model("ridge"), 0, 0))


@pytest.mark.parametrize("initialisation", ["he", "xavier"])
@pytest.mark.parametrize("params", [{"optimiser": "adam"}, {"optimiser": "sgd", "rate": 1.0, "weight_decay": 1e-4}])
def test_every_initialisation_learns_with_every_optimiser(initialisation: str, params: dict[str, Any]) -> None:
    assert error(net(initialisation=initialisation, **params)) < 0.5


def test_the_weights_start_with_the_spread_of_their_rule() -> None:
    """He et al. 2015: variance 2 / fan-in; Glorot and Bengio 2010: variance 2 / (fan-in + fan-out)."""
    torch.manual_seed(0)
    he, xavier = (Net(400, [], 1, Mlp(0, 0, hidden=(300,), initialisation=rule)).layers[0].weights for rule in ("he", "xavier"))
    assert he.shape == (4, 400, 300)
    assert he.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert xavier.std().item() == pytest.approx(math.sqrt(2 / 700), rel=0.02)


@pytest.mark.parametrize(("name", "value"), [("initialisation", "zero"), ("optimiser", "adm")])
def test_an_unknown_choice_is_refused_before_training(name: str, value: str) -> None:
    with pytest.raises(UnknownName, match=f"No {name} is called '{value}'. (Known|Did you mean)"):
        build(Model("mlp", {name: value}), 0, 0)


def test_early_stopping_keeps_the_best_epochs_weights() -> None:
    """A rate far too high makes later epochs worse; a longer patience must not."""
    X, y = waves(200, 0)
    held: list[tuple[float, dict[str, torch.Tensor]]] = []

    class Watched(Mlp):
        def _held_out_loss(self, *given: Any) -> float:
            loss = super()._held_out_loss(*given)
            held.append((loss, {name: value.clone() for name, value in self.net.state_dict().items()}))
            return loss

    model = Watched(0, 0, hidden=(16,), rate=0.5, epochs=30, patience=5, warm_up=0.0).fit(X, y)
    losses = [loss for loss, _ in held]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert len(losses) in (best + 6, 30)
    for name, value in model.net.state_dict().items():
        torch.testing.assert_close(value, held[best][1][name], rtol=0, atol=0)


def test_a_loss_that_is_no_number_is_said_with_the_rate() -> None:
    X, y = waves(200, 0)
    with pytest.raises(FloatingPointError, match=r"The loss became (inf|nan) at rate .*; lower `rate`"):
        net(optimiser="sgd", rate=1e30, clip=1e30, warm_up=0.0).fit(X, y)


def test_torchs_own_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    net(epochs=1).fit(*waves(100, 0))
    assert torch.equal(before, torch.get_rng_state())


def test_the_seed_decides() -> None:
    X, y = waves(100, 0)
    first, same, other = (Mlp(0, seed, hidden=(8,), epochs=2).fit(X, y).predict(X).tobytes() for seed in (0, 0, 1))
    assert first == same != other


def test_a_target_of_one_value_is_predicted() -> None:
    X, _ = waves(50, 0)
    np.testing.assert_allclose(net(epochs=2).fit(X, np.full(50, 7.0)).predict(X), 7, atol=3)


def test_few_rows_are_enough() -> None:
    X, y = waves(3, 0)
    assert np.isfinite(net(epochs=1).fit(X, y).predict(X)).all()
