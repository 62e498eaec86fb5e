"""Every head of a probe learns, is as sure as it is right, and keeps to the rows it was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from pipeline.competition import Model
from pipeline.errors import BadRecipe, UnknownName
from pipeline.models import build, prepare
from pipeline.models.hold_out import log_loss, tempered
from pipeline.models.place import Place
from pipeline.models.probe import SHRINKAGES, Discriminants, Logistic, Neighbours, Probe, Scale, spread_within, whitening
from pipeline.pictures.gallery import Gallery
from pipeline.predictions import Array
from pipeline.resample import Resample
from pipeline.resample.sampler import Sampler
from tests.pipeline.models import coloured
from tests.pipeline.models.coloured import CLASSES, SIZE

N = 120
HEADS = ["logistic", "lda", "knn"]
X = pd.DataFrame({"picture": coloured.names(N)})
Y = np.arange(N) % len(CLASSES)
LEARN, NEW = slice(0, 80), slice(80, N)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return coloured.draw(tmp_path_factory.mktemp("pictures"), N)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def place(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Place:
    kept = tmp_path_factory.mktemp("kept")
    return coloured.place(gallery, kept, kept / "scratch", said.append)


def recipe(**params: Any) -> Model:
    return Model("probe", {"net": "test_efficientnet", "weights": None, "size": SIZE, "views": ["plain", "mirror"], **params})


def probe(place: Place, classes: int = 3, seed: int = 0, **params: Any) -> Probe:
    made = build(recipe(**params), classes, seed, place)
    assert isinstance(made, Probe)
    return made


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_the_same_way_twice_in_any_order(place, head):
    p = probe(place, head=head).fit(X[LEARN], Y[LEARN]).predict(X[NEW])
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(1) == Y[NEW]).mean() > 0.7
    backwards = probe(place, head=head).fit(X[LEARN], Y[LEARN]).predict(X[NEW][::-1])
    assert backwards[::-1].tobytes() == p.tobytes()


@pytest.mark.parametrize("head", HEADS)
def test_on_a_random_target_no_head_is_sure(place, head):
    losses = []
    for seed in range(6):
        y = np.random.default_rng(seed).permutation(Y)
        p = probe(place, head=head, hold_out=0.5).fit(X[LEARN], y[LEARN]).predict(X[NEW])
        losses.append(log_loss(p, y[NEW]))
    assert np.mean(losses) < np.log(3) + 0.1


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("present", [[1], [0, 2]])
def test_a_class_without_rows_gets_no_probability(place, head, present):
    chosen = np.isin(Y, present)
    p = probe(place, classes=4, head=head).fit(X[chosen], Y[chosen]).predict(X)
    assert p.shape == (N, 4)
    np.testing.assert_allclose(p[:, present].sum(axis=1), 1)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("way", ["copy", "under", "smote"])
def test_resampled_every_head_is_as_sure_of_a_rare_class_as_it_was(place, head, way):
    """Whether a head learns the classes' shares or not: what it did not learn cannot be taken back."""
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 14, 6]))
    sampler = Sampler(Resample(way, {"at": 0.7}), 3, 0)
    plain, resampled = (
        probe(place, head=head, hold_out=0.0).fit(X[LEARN], y, *by).predict(X[NEW]).mean(axis=0) for by in ((), (sampler,))
    )
    assert sampler.before.tolist() == [60, 14, 6]
    np.testing.assert_allclose(resampled, plain, atol=0.15)  # rows that are left out are few: 8 of 60


def test_a_second_layer_and_a_second_view_are_used(place):
    told = [
        {"layers": ["last"]},
        {"layers": ["middle"]},
        {"layers": ["last", "early", "middle", "late"]},
        {},
        {"views": ["plain"]},
    ]
    found = [probe(place, **params).fit(X[LEARN], Y[LEARN]).predict(X[NEW]).tobytes() for params in told]
    assert found[2] == found[3]
    assert len(set(found)) == 4


def test_features_are_prepared_ahead(place, said):
    prepare(recipe(views=["upside", "zoom"]), place)
    assert [message.split(":")[0] for message in said[-2:]] == [
        f"Features of test_efficientnet at 32 px, {view}" for view in ("upside", "zoom")
    ]
    count = len(said)
    probe(place, views=["upside", "zoom"]).fit(X, Y).predict(X)
    assert len(said) == count


def test_the_last_row_of_a_class_is_not_held_out(gallery, tmp_path):
    """Two classes claim the same picture: held out with the other's, it would leave none to learn."""
    place = coloured.place(gallery, tmp_path, tmp_path)
    rows, y = [*range(10), 0], np.array([0] * 10 + [1])
    for seed in range(4):
        model = probe(place, 2, seed, hold_out=0.5, head="lda").fit(X.iloc[rows], y)
        assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"haed": "lda"}, "No parameter of probe is called 'haed'. Did you mean head"),
        ({"head": "ldaa"}, "No head is called 'ldaa'. Did you mean lda"),
        ({"net": "tset_vit2"}, "No net is called 'tset_vit2'"),
        ({"how": "crob"}, "No way of fitting a picture is called 'crob'"),
        ({"views": ["plain", "miror"]}, "No view is called 'miror'. Did you mean mirror"),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_is_computed(place, params, message):
    with pytest.raises(UnknownName) as error:
        probe(place, **params)
    assert message in str(error.value)


def test_an_unknown_layer_is_refused_before_features_are_computed(place):
    with pytest.raises(UnknownName, match=r"No layer of test_efficientnet is called 'midle'\. Did you mean middle"):
        prepare(recipe(layers=["midle"]), place)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"views": []}, "give at least one"),
        ({"views": ["plain", "plain"]}, "none twice"),
        ({"penalty": 0.0}, "penalty is 0.0"),
        ({"shrinkage": 1.5}, "shrinkage 1.5"),
        ({"hold_out": 1.0}, "hold_out 1.0"),
        ({"shrinkage": 1e-6}, r"shrinkage 0 \(to be chosen\) or 0.001 to 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(place, params, message):
    with pytest.raises(BadRecipe, match=message):
        probe(place, **params)


def test_without_held_out_rows_it_learns_all_the_same(place):
    p = probe(place, hold_out=0.0).fit(X[LEARN], Y[LEARN]).predict(X[NEW])
    assert (p.argmax(1) == Y[NEW]).mean() > 0.7


@pytest.mark.parametrize("head", HEADS)
def test_the_shrinkage_and_temperature_are_those_with_the_least_loss_on_held_out_rows(place, head):
    model, fixed, draw = probe(place, head=head), probe(place, head=head, shrinkage=0.2), np.random.default_rng(0)
    model.present = fixed.present = np.arange(3)
    Z, away = draw.normal(size=(60, 30)).astype(np.float32), np.arange(60) >= 40
    y = draw.integers(0, 3, 60)
    Z[np.arange(60), y] += 1.5
    shrinkage, best = model._tuned(Z[~away], y[~away], Z[away], y[away])
    assert shrinkage in SHRINKAGES

    def loss(shrinkage: float, by: float) -> float:
        learned = model._learned(Z[~away], y[~away], spread_within(Z[~away], y[~away]), shrinkage)
        return log_loss(tempered(learned.p(Z[away]), by), y[away])

    assert all(loss(shrinkage, best) <= loss(other, by) + 1e-6 for other in SHRINKAGES for by in (best / 2, best, best * 2))
    assert fixed._tuned(Z[~away], y[~away], Z[away], y[away])[0] == 0.2


# The parts


def clouds(seed: int, rows: int = 200) -> tuple[Array, Array]:
    """Four classes that spread more in some directions than in others."""
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.arange(rows) % 4)
    means = np.random.default_rng(0).normal(size=(4, 10))
    return (means[y] + draw.normal(size=(rows, 10)) * np.linspace(0.5, 5, 10)).astype(np.float32), y


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20)
def test_whitened_classes_spread_alike_in_every_direction(seed):
    Z, y = clouds(seed)
    W = whitening(spread_within(Z, y), 0.0)
    np.testing.assert_allclose(spread_within(Z @ W, y), np.eye(10), atol=1e-3)


@pytest.mark.parametrize("shrinkage", [0.1, 1.0])
def test_discriminants_are_those_of_a_shrunken_covariance(shrinkage):
    (Z, y), (new, _) = clouds(0), clouds(1)
    spread = spread_within(Z, y)
    mixed = (1 - shrinkage) * spread + shrinkage * np.trace(spread) / 10 * np.eye(10)

    class Given:
        """For scikit-learn, whose own estimate of the spread is scaled otherwise."""

        def fit(self, X: Array) -> Given:
            self.covariance_ = mixed
            return self

    W = whitening(spread, shrinkage)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Given(), priors=np.full(4, 0.25)).fit(Z, y)
    ours = Discriminants().fit(Z @ W, y).log_p(new @ W)
    np.testing.assert_array_equal(ours.argmax(1), theirs.predict(new))


@given(seed=st.integers(0, 2**16), count=st.sampled_from([1, 5, 1000]))
@settings(max_examples=20)
def test_neighbours_vote_as_counted_one_by_one(seed, count):
    (Z, y), (new, _) = clouds(seed, 60), clouds(seed + 1, 20)
    model = Neighbours(count, 2.0).fit(Z, y)
    found = np.exp(model.log_p(new))
    rows = Z @ model.directions
    for row, p in zip(new @ model.directions, found, strict=True):
        distance = ((rows - row) ** 2).sum(axis=1)
        near = np.argsort(distance)[:count]
        weights = np.exp(-(distance[near] - distance.min()) / (2.0 * 3))
        votes = np.bincount(y[near], weights, minlength=4) / weights.sum()
        np.testing.assert_allclose(p, 0.999 * votes + 0.001 / 4, atol=1e-4)


def test_a_higher_penalty_makes_the_regression_less_sure():
    Z, y = clouds(0)
    sure = [Logistic(penalty).fit(Z, y).log_p(Z).max(axis=1).mean() for penalty in (0.01, 1.0, 100.0)]
    assert sure == sorted(sure, reverse=True)


def test_layers_weigh_by_their_number_of_features_not_by_their_size():
    draw = np.random.default_rng(0)
    layers = {"last": draw.normal(5, 1000, (30, 8)), "middle": draw.normal(-1, 0.001, (30, 3))}
    Z = Scale().fit(layers).transform(layers)
    np.testing.assert_allclose((Z[:, :8] ** 2).sum(axis=1), 8)
    np.testing.assert_allclose((Z[:, 8:] ** 2).sum(axis=1), 3)
    even = {layer: np.ones_like(values) for layer, values in layers.items()}
    assert np.isfinite(Scale().fit(even).transform(even)).all()
