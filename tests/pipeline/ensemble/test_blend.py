"""The ensemble as a whole: what it is made of, what it says of itself, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ensemble.blend import Blend, blend
from pipeline.ensemble.methods import METHODS
from pipeline.errors import BadPredictions, NothingUsable, UnknownName
from pipeline.metrics import METRICS
from pipeline.predictions import Table

N = 120
IDS = np.array([f"{i:04}" for i in range(N)])
FOLDS = np.arange(N) % 5


def prices(seed: int = 0, noise: tuple[float, ...] = (0.2, 0.2, 0.4)) -> tuple[dict[str, Table], np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.exp(random.normal(12, 1, N))
    return {f"m{j}": Table(IDS, y * np.exp(s * random.normal(size=N)), ("price",)) for j, s in enumerate(noise)}, y


def leaves(seed: int = 0, models: int = 3) -> tuple[dict[str, Table], np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.arange(N) % 3
    logits = 1.5 * np.eye(3)[y] + random.normal(size=(models, N, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return {f"m{j}": Table(IDS, p[j], ("ash", "elm", "oak")) for j in range(models)}, y


def rows(table: Table, keep: np.ndarray) -> Table:
    return Table(table.ids[keep], table.values[keep], table.columns)


def same(a: Blend, b: Blend) -> bool:
    return (
        (a.method, a.members, a.weights, a.honest, a.interval, a.gain_interval, a.sentences)
        == (b.method, b.members, b.weights, b.honest, b.interval, b.gain_interval, b.sentences)
        and a.oof.ids.tolist() == b.oof.ids.tolist()
        and a.oof.values.tolist() == b.oof.values.tolist()
    )


@pytest.mark.parametrize("method", [*METHODS, None])
@pytest.mark.parametrize("name", METRICS)
def test_every_method_blends_for_every_metric_and_applies_to_test_rows(name: str, method: str | None) -> None:
    metric = METRICS[name]
    members, y = prices() if metric.kind == "value" else leaves()
    blended = blend(members, (IDS, y), FOLDS, metric, method)
    assert blended.method == (method or blended.method)
    assert blended.scores.keys() == ({method, "best"} if method else METHODS.keys())
    assert blended.honest == pytest.approx(metric.natural(y, blended.oof.at(IDS)))
    assert blended.interval[0] <= blended.honest <= blended.interval[1]
    assert blended.member_scores == pytest.approx({m: metric.natural(y, t.values) for m, t in members.items()})
    assert all(low <= blended.member_scores[m] <= high for m, (low, high) in blended.member_intervals.items())
    assert blended.gain == pytest.approx(metric.sign * (blended.honest - blended.best_score))
    test = blended.apply({m: Table(np.char.add("t", t.ids), t.values, t.columns) for m, t in members.items()})
    assert test.columns == next(iter(members.values())).columns
    assert metric.natural(y, test.values) == pytest.approx(blended.optimistic)
    if metric.kind != "value":
        np.testing.assert_allclose(test.values.sum(axis=1), 1)
        np.testing.assert_allclose(blended.oof.values.sum(axis=1), 1)


def test_rmsle_is_blended_in_logs_and_answered_in_prices() -> None:
    members, y = prices()
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "mean")
    expected = np.expm1(np.mean([np.log1p(t.values) for t in members.values()], axis=0))
    np.testing.assert_allclose(blended.oof.values, expected)
    np.testing.assert_allclose(blended.apply(members).values, expected)


def test_good_members_make_an_ensemble_that_is_better_than_its_best() -> None:
    members, y = prices(noise=(0.2, 0.2, 0.2, 0.2))
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"])
    assert blended.better_than_best
    assert blended.gain_interval[0] > 0
    assert f"It is better than its best member, {blended.best_member}" in blended.sentences[1]


def test_useless_members_leave_the_best_alone_and_it_says_so() -> None:
    members, y = prices(noise=(0.02, 2.0, 2.0))
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"])
    assert not blended.better_than_best
    assert blended.sentences[1] == "It is its best member, m0, alone."
    averaged = blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "mean")
    assert "not shown to be better than its best member, m0" in averaged.sentences[1]
    assert averaged.sentences[1].endswith("m0 alone is the simpler choice.")


def test_the_best_member_may_be_the_choice_and_then_gains_nothing() -> None:
    members, y = prices(noise=(0.02, 2.0, 2.0))
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "best")
    assert (blended.gain, blended.gain_interval, blended.better_than_best) == (0, (0, 0), False)
    assert blended.weights == {"m0": 1, "m1": 0, "m2": 0}


def test_weights_fitted_to_noise_look_better_than_they_are() -> None:
    random = np.random.default_rng(0)
    members = {f"m{j:02}": Table(IDS, random.normal(size=N), ("y",)) for j in range(40)}
    blended = blend(members, (IDS, random.normal(size=N)), FOLDS, METRICS["rmse"], "nnls")
    assert blended.gap > 0.05
    assert f"a gap of {blended.gap:.2g}" in blended.sentences[0]


def test_folds_that_do_not_agree_on_the_method_are_reported() -> None:
    odd = [
        made
        for made in (blend(members, (IDS, y), FOLDS, METRICS["accuracy"]) for members, y in (leaves(seed) for seed in range(6)))
        if made.honest != made.scores[made.method]
    ]
    assert odd
    assert all(made.sentences[2].startswith("The folds do not agree on the method") for made in odd)


def test_the_order_of_members_and_rows_changes_nothing() -> None:
    members, y = prices()
    shuffled = np.random.default_rng(0).permutation(N)
    other = {name: rows(members[name], np.random.default_rng(len(name)).permutation(N)) for name in reversed(members)}
    first = blend(members, (IDS, y), FOLDS, METRICS["rmsle"])
    assert same(first, blend(other, Table(IDS[shuffled], y[shuffled], ("price",)), FOLDS[shuffled], METRICS["rmsle"]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["rmse", "log_loss"])
def test_a_row_has_the_same_bits_wherever_it_stands(method: str, name: str) -> None:
    rng, columns = np.random.default_rng(0), 1 if name == "rmse" else 3
    P, y = rng.dirichlet(np.ones(max(columns, 2)), (5, 61))[:, :, :columns], rng.integers(0, columns, 61)
    blender, order = METHODS[method](P, y, METRICS[name]), rng.permutation(61)
    whole = blender.predict(P)
    assert blender.predict(P[:, order]).tobytes() == whole[order].tobytes()
    assert all(blender.predict(P[:, row : row + 1]).tobytes() == whole[row].tobytes() for row in range(61))


def test_rows_that_a_member_or_every_fold_lacks_are_missing_not_zero() -> None:
    members, y = prices()
    members["m1"] = rows(members["m1"], np.arange(N) >= 10)
    folds = np.where(np.arange(N) >= N - 5, -1, FOLDS)
    blended = blend(members, (IDS, y), folds, METRICS["rmsle"], "mean")
    assert blended.oof.ids.tolist() == IDS[10 : N - 5].tolist()
    assert blended.oof.values.min() > 0


def test_a_member_without_weight_need_not_predict_the_test_rows() -> None:
    members, y = prices(noise=(0.02, 2.0, 2.0))
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "best")
    assert blended.uses == ("m0",)
    np.testing.assert_allclose(blended.apply({"m0": members["m0"]}).values, members["m0"].values)


def test_test_predictions_are_joined_by_id() -> None:
    members, y = prices()
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "ridge")
    shuffled = {**members, "m2": rows(members["m2"], np.random.default_rng(0).permutation(N))}
    np.testing.assert_array_equal(blended.apply(shuffled).values, blended.apply(members).values)


def refused(error: type[Exception], words: str) -> Callable[..., None]:
    def attempt(
        members: dict[str, Table], y: np.ndarray, name: str = "rmsle", ids: np.ndarray = IDS, folds: np.ndarray = FOLDS
    ) -> None:
        with pytest.raises(error, match=words):
            blend(members, (ids, y), folds, METRICS[name], "mean")

    return attempt


def test_what_cannot_be_blended_is_refused_with_the_member_and_the_value() -> None:
    members, y = prices()
    classes, labels = leaves()
    strange = Table(np.char.add("x", IDS), members["m0"].values, ("price",))
    refused(NothingUsable, "no model has out-of-fold predictions")({}, y)
    refused(BadPredictions, "Member m9 predicts 120 ids that have no truth, first x0000")(members | {"m9": strange}, y)
    halves = {"m0": rows(members["m0"], np.arange(N) < 9), "m1": rows(members["m1"], np.arange(N) >= 9)}
    refused(NothingUsable, "every member \\(rows: m0 9, m1 111\\)")(halves, y)
    refused(NothingUsable, "No validated row")(members, y, folds=np.full(N, -1))
    refused(BadPredictions, "Member m1 predicts columns .*'cost'")(members | {"m1": Table(IDS, y, ("cost",))}, y)
    refused(BadPredictions, "and 7 folds; one value and one fold a row")(members, y, folds=FOLDS[:7])
    refused(BadPredictions, "Member m1: RMSLE needs predictions of 0 or more")(
        members | {"m1": Table(IDS, y * 0 - 0.5, ("price",))}, y
    )
    refused(BadPredictions, "Member m1 predicts -2, which rmsle")(members | {"m1": Table(IDS, y * 0 - 2, ("price",))}, y)
    refused(BadPredictions, "judges one predicted value a row; these members predict 3")(classes, y)
    refused(BadPredictions, "an index from 0 to 2; one is 3")(classes, labels + 1, "accuracy")
    refused(BadPredictions, "an index from 0 to 2; one is 0.5")(classes, labels + 0.5, "accuracy")
    negative = Table(IDS, classes["m0"].values - 0.5, classes["m0"].columns)
    refused(BadPredictions, "Member m1 has class probabilities below 0, or rows of zeros")(
        classes | {"m1": negative}, labels, "log_loss"
    )
    zeros = Table(IDS, np.zeros((N, 3)), classes["m0"].columns)
    refused(BadPredictions, "Member m1 .* the lowest is 0")(classes | {"m1": zeros}, labels, "log_loss")
    refused(BadPredictions, "AUC needs rows of two classes")(classes, labels * 0, "auc")
    refused(BadPredictions, "NaN")(members, y * np.nan)


def test_an_unknown_method_names_the_nearest() -> None:
    members, y = prices()
    with pytest.raises(UnknownName, match=r"No ensemble method is called 'hill-climb'.*hill-climbing"):
        blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "hill-climb")


def test_test_predictions_that_do_not_fit_are_refused() -> None:
    members, y = prices()
    blended = blend(members, (IDS, y), FOLDS, METRICS["rmsle"], "mean")
    with pytest.raises(BadPredictions, match="needs predictions of m2; there are m0, m1"):
        blended.apply({name: members[name] for name in ("m0", "m1")})
    with pytest.raises(BadPredictions, match="there are none"):
        blended.apply({})
    for keep in (np.arange(N) > 3, np.arange(N) < 0):
        with pytest.raises(BadPredictions, match="m1 and m0 predict different rows"):
            blended.apply(members | {"m1": rows(members["m1"], keep)})
    with pytest.raises(BadPredictions, match="m1 and m0 predict different rows: 120 and 117, 117 in common"):
        blended.apply(members | {"m0": rows(members["m0"], np.arange(N) > 2), "m2": rows(members["m2"], np.arange(N) > 2)})
    with pytest.raises(BadPredictions, match="Member m1 predicts columns"):
        blended.apply(members | {"m1": Table(IDS, y, ("cost",))})


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(sorted(METRICS)),
    models=st.integers(1, 5),
    n=st.integers(2, 14),
    folds=st.integers(1, 14),
    grain=st.sampled_from([1, 2, 1000]),
    method=st.sampled_from([None, *METHODS]),
    seed=st.integers(0, 10_000),
)
def test_small_and_odd_cases_behave(
    name: str, models: int, n: int, folds: int, grain: int, method: str | None, seed: int
) -> None:
    """Constant and identical members, classes of one row, more members than rows, folds of one row, members with gaps."""
    metric, random = METRICS[name], np.random.default_rng(seed)
    ids = np.array([f"r{i}" for i in range(n)])
    if metric.kind == "value":
        y, columns = random.integers(0, grain + 1, n) / grain, ["y"]
        P = random.integers(0, grain + 1, (models, n, 1)) / grain
    else:
        columns = ["a", "b", "c"][: random.integers(2, 4)]
        y = np.concatenate([[0, 1], random.integers(len(columns), size=n)])[:n]
        P = random.multinomial(grain, np.full(len(columns), 1 / len(columns)), (models, n)) / grain
    members = {f"m{j}": Table(ids, p, tuple(columns)) for j, p in enumerate(P)}
    members |= {"twin": members["m0"], "gap": rows(members["m0"], np.arange(n) < max(2, n - 2))}
    blended = blend(members, (ids, y), random.integers(folds, size=n), metric, method)
    assert set(blended.weights) == set(members)
    if blended.method != "ridge":
        assert sum(blended.weights.values()) == pytest.approx(1)
        assert min(blended.weights.values()) >= 0
    assert np.isfinite([blended.honest, blended.optimistic, *blended.interval, *blended.gain_interval]).all()
    assert blended.oof.ids.tolist() == sorted(ids[: max(2, n - 2)].tolist())
    members["gap"] = members["m0"]
    assert len(blended.apply(members)) == n
    assert all(isinstance(sentence, str) for sentence in blended.sentences)


def test_blocks_of_time_are_judged_by_what_came_before_and_the_first_is_not_judged() -> None:
    members, y = prices(noise=(0.2, 0.2, 0.2))
    blocks = np.arange(N) * 4 // N
    blended = blend(members, (IDS, y), blocks, METRICS["rmsle"], "nnls", ordered=True)
    assert blended.judged == N * 3 // 4
    assert blended.oof.ids.tolist() == IDS[blocks > 0].tolist()
    assert blended.member_scores["m0"] == pytest.approx(METRICS["rmsle"].natural(y[blocks > 0], members["m0"].values[blocks > 0]))
    one = blend(members, (IDS, y), np.zeros(N), METRICS["rmsle"], "nnls", ordered=True)
    assert one.judged == N
