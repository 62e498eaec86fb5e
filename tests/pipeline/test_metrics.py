import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from pipeline.errors import BadContract, BadPredictions, UnknownName
from pipeline.metrics import METRICS, Metric, metric

seeds = st.integers(0, 10_000)


def shares(rng, n, k):
    return rng.dirichlet(np.ones(k), n)


def values(rng):
    n = int(rng.integers(2, 60))
    return rng.gamma(2, 3, n), rng.gamma(2, 3, n)


def classes(rng, k):
    n = int(rng.integers(2 * k, 80))
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])  # every class has a row: the oracle insists on it
    return y, np.round(shares(rng, n, k), 2) if k == 2 else shares(rng, n, k)  # rounded for ties


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_metrics_of_values_are_scikit_learns(seed):
    y, p = values(np.random.default_rng(seed))
    assert metric("rmse").natural(y, p) == pytest.approx(oracle.root_mean_squared_error(y, p))
    assert metric("mae").natural(y, p) == pytest.approx(oracle.mean_absolute_error(y, p))
    assert metric("rmsle").natural(y, p) == pytest.approx(oracle.root_mean_squared_log_error(y, p))


@given(seeds, st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_metrics_of_classes_are_scikit_learns(seed, k):
    y, p = classes(np.random.default_rng(seed), k)
    assert metric("accuracy").natural(y, p) == pytest.approx(oracle.accuracy_score(y, p.argmax(axis=1)))
    p = p / p.sum(axis=1, keepdims=True)
    assert metric("log_loss").natural(y, p) == pytest.approx(oracle.log_loss(y, p, labels=range(k)))
    judged = p[:, 1] if k == 2 else p
    assert metric("auc").natural(y, p) == pytest.approx(oracle.roc_auc_score(y, judged, multi_class="ovr", labels=range(k)))


def test_one_column_of_probabilities_is_enough_for_auc():
    y, p = classes(np.random.default_rng(0), 2)
    assert metric("auc").natural(y, p[:, 1]) == metric("auc").natural(y, p)


def test_a_class_without_rows_is_left_out_of_auc():
    y, p = classes(np.random.default_rng(0), 3)
    kept = y < 2
    of_two = [oracle.roc_auc_score(y[kept] == label, p[kept, label]) for label in (0, 1)]
    assert metric("auc").natural(y[kept], p[kept]) == pytest.approx(np.mean(of_two))


def test_a_certain_mistake_costs_much_but_not_infinity():
    assert metric("log_loss").natural(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(np.finfo(float).eps))


@pytest.mark.parametrize("name", METRICS)
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_higher_is_better_inside_and_rows_add_up_to_the_score(name, seed):
    judge, rng = metric(name), np.random.default_rng(seed)
    if judge.kind == "value":
        y, p = values(rng)
        better = y
    else:
        y, p = classes(rng, 3)
        better = np.eye(3)[y]
    assert judge.score(y, better) >= judge.score(y, p)
    assert judge.score(y, p) == (1 if judge.higher_is_better else -1) * judge.natural(y, p)
    assert judge.finish(judge.rows(y, p).mean()) == pytest.approx(judge.natural(y, p))


@pytest.mark.parametrize("name", METRICS)
def test_unlink_undoes_link(name):
    x = np.linspace(0, 1e6, 101)
    np.testing.assert_allclose(metric(name).unlink(metric(name).link(x)), x, rtol=1e-12)


@pytest.mark.parametrize("name", ["rmse", "mae", "rmsle", "log_loss", "accuracy"])
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_the_trimmed_score_leaves_out_the_worst_rows(name, seed):
    judge, rng = metric(name), np.random.default_rng(seed)
    y, p = values(rng) if judge.kind == "value" else classes(rng, 3)
    worst_first = np.argsort(judge.sign * judge.rows(y, p), kind="stable")
    kept = worst_first[int(0.25 * len(y)) :]
    assert judge.trimmed(y, p, trim=0.25) == pytest.approx(judge.natural(y[kept], p[kept]))
    assert judge.sign * judge.trimmed(y, p, trim=0.25) >= judge.score(y, p) - 1e-12


def test_trimming_keeps_one_row_and_nothing_is_trimmed_from_auc():
    assert metric("mae").trimmed(np.zeros(3), np.array([1.0, 2, 3]), trim=1) == 1
    assert metric("mae").trimmed(np.zeros(3), np.array([1.0, 2, 3]), trim=0) == 2
    assert np.isnan(metric("auc").trimmed(*classes(np.random.default_rng(0), 2)))


def test_one_gross_error_in_a_hundred_rows_does_not_move_the_trimmed_score():
    y, p = np.zeros(100), np.ones(100)
    p[7] = 1e9
    assert metric("rmse").natural(y, p) > 1e7
    assert metric("rmse").trimmed(y, p) == 1


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean rmse"):
        metric("rmsee")


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_metric_scores_what_is_no_number(name, bad):
    with pytest.raises(BadPredictions, match="1 predictions are NaN or infinite"):
        metric(name).natural(np.array([0, 1]), np.array([[0.5, 0.5], [bad, 0.5]]))


@pytest.mark.parametrize("name", METRICS)
def test_no_metric_scores_nothing_or_another_number_of_rows(name):
    with pytest.raises(BadPredictions, match="3 true values cannot be scored against 2 predictions"):
        metric(name).natural(np.array([0, 1, 0]), np.full((2, 2), 0.5))
    with pytest.raises(BadPredictions, match="0 true values"):
        metric(name).natural(np.array([]), np.zeros((0, 2)))


def test_logs_of_negative_values_are_refused():
    with pytest.raises(BadPredictions, match=r"predictions of 0 or more; the lowest is -2"):
        metric("rmsle").natural(np.array([1.0, 1.0]), np.array([1, -2]))
    with pytest.raises(BadPredictions, match=r"true values of 0 or more; the lowest is -3"):
        metric("rmsle").natural(np.array([1.0, -3.0]), np.array([1, 2]))


@pytest.mark.parametrize("p", [np.array([0.2, 0.8]), np.array([[0.5, 0.5], [0, 0]])])
def test_log_loss_needs_shares(p):
    with pytest.raises(BadPredictions, match="Log loss needs two columns or more"):
        metric("log_loss").natural(np.array([0, 1]), p)


def test_auc_of_one_class_is_refused():
    with pytest.raises(BadPredictions, match="all 2 rows are of class 1"):
        metric("auc").natural(np.array([1, 1]), np.array([0.5, 0.6]))


def test_a_metric_without_a_value_by_row_says_what_it_lacks():
    bare = Metric("bare", "value", higher_is_better=True, whole=lambda y, p: 0.0)
    with pytest.raises(BadContract, match="'bare' has no value by row"):
        bare.rows(np.zeros(2), np.zeros(2))
