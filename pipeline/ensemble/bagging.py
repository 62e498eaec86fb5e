"""Hill climbing with bags of members and early stopping (Caruana, Munson and Niculescu-Mizil, ICDM 2006).

One climb over many members finds, sooner or later, the one that fits the noise of these rows. So several climb, each among members drawn
with replacement, and their shares are averaged; and how many rounds they climb is what other rows ask for, by the metric itself.
"""

from __future__ import annotations

import numpy as np

from pipeline.ensemble.climbing import EQUAL, spread
from pipeline.ensemble.weighted import Weighted
from pipeline.metrics import Metric
from pipeline.predictions import Array

BAGS = 20
ROUNDS = 60
PARTS = 5  # every fifth row is held out to say when to stop
JUDGES = 4_000_000  # numbers of P that are looked at to say when to stop
SEED = 0


def bagged_climbing(P: Array, y: Array, metric: Metric) -> Weighted:
    """The mean share of each member over `BAGS` climbs, of as many rounds as are best on held-out rows.

    The climbs go by squared errors (of classes Brier's score), a quadratic form: no round looks at a row again, for any metric.
    """
    products = np.stack([_products(P[:, part::PARTS], y[part::PARTS], metric) for part in range(PARTS)])
    bags = drawn(len(P))
    whole = products.sum(axis=0)
    losses = np.zeros(ROUNDS)
    rows = spread(np.arange(len(y)), max(PARTS, JUDGES // (len(P) * P.shape[2])))
    for part in range(PARTS if len(y) >= 2 * PARTS else 0):
        held = rows[rows % PARTS == part]
        shares = climbs(whole - products[part], bags, ROUNDS)
        blends = np.tensordot(shares, P.take(held, axis=1), 1)
        losses += [-metric.sign * metric.rows(y[held], metric.unlink(blend)).mean() for blend in blends]
    rounds = np.flatnonzero(losses <= losses.min() + EQUAL * abs(losses.min()))[0]
    return Weighted(climbs(whole, bags, ROUNDS)[rounds])


def drawn(members: int) -> Array:
    """(b, m) bool: which members each bag holds, of as many drawn with replacement as there are. One bag holds all of them."""
    drawn = np.random.default_rng(SEED).integers(members, size=(BAGS, members))
    bags = np.zeros((BAGS, members), dtype=bool)
    bags[np.arange(BAGS)[:, None], drawn] = True
    bags[0] = True
    return bags


def climbs(products: Array, bags: Array, rounds: int) -> Array:
    """(rounds, m): after each round, the mean over the bags of how much each member counts. products: (m, m) of the errors."""
    number, each = len(bags), np.arange(len(bags))
    alone = np.where(bags, products.diagonal(), np.inf)
    counts, pull, shares = np.zeros(bags.shape), np.zeros(bags.shape), np.empty((rounds, bags.shape[1]))
    for taken in range(1, rounds + 1):
        picks = (2 * pull + alone).argmin(axis=1)  # what a blend costs by itself is the same for all that may join it
        counts[each, picks] += 1
        pull += products[picks]
        shares[taken - 1] = counts.sum(axis=0) / (number * taken)
    return shares


def _products(P: Array, y: Array, metric: Metric) -> Array:
    """(m, m) of the members' errors on these rows; of classes over all columns."""
    if metric.kind == "value":
        errors = P[:, :, 0] - metric.link(y)
        return errors @ errors.T
    flat = P.reshape(len(P), -1)
    own = P[:, np.arange(len(y)), y].sum(axis=1)
    return flat @ flat.T - own[:, None] - own + len(y)
