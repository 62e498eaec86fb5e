from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from pipeline.errors import BadFolds
from pipeline.folds import (
    FIT,
    UNUSED,
    VALIDATE,
    FoldFile,
    Folds,
    HoldOut,
    KFold,
    TimeBlocks,
    deal,
    deal_labels,
    group_codes,
    plan_from,
)
from pipeline.predictions import Truth, as_ids
from pipeline.store import pack, unpack

seeds = st.integers(0, 10_000)


def rows(n, **columns):
    """ids, train, y for a plan: n rows of random continuous y."""
    return np.arange(n).astype(str), pd.DataFrame(columns, index=range(n)), np.random.default_rng(n).normal(size=n)


def spread(counts):
    return np.max(counts) - np.min(counts)


def whole(fold, groups):
    """Does every group lie in one fold?"""
    return pd.Series(fold).groupby(groups).nunique().max() == 1


def per_fold(strata, fold, k):
    """(k, strata) numbers of rows."""
    counts = np.zeros((k, strata.max() + 1), dtype=int)
    np.add.at(counts, (fold, strata), 1)
    return counts


# ---------------------------------------------------------------------------------------------------------------------- k-fold


@given(seeds, st.integers(2, 7), st.integers(0, 6), st.booleans(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_every_row_is_validated_once_a_repeat_and_groups_stay_whole(seed, k, strata, grouped, repeats):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4 * k, 200))
    house = rng.integers(0, max(k, n // 3), n).astype(object)
    house[:k] = range(k)  # at least k groups
    house[rng.random(n) < 0.1] = None
    ids, train, y = rows(n, house=house)
    folds = KFold(k, strata, ("house",) if grouped else (), repeats, seed).make(ids, train, y)
    assert len(folds) == k * repeats
    for repeat in range(repeats):
        roles = folds.roles[:, repeat * k : (repeat + 1) * k]
        assert ((roles == VALIDATE).sum(axis=1) == 1).all()
        assert ((roles == FIT).sum(axis=1) == k - 1).all()
        if grouped:
            assert whole((roles == VALIDATE).argmax(axis=1), house)
    for fold in range(len(folds)):
        assert sorted([*folds.fit(fold), *folds.validate(fold)]) == list(range(n))


@given(seeds, st.integers(2, 7), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_without_groups_sizes_and_strata_differ_by_one_row_at_most(seed, k, kinds):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(k, 300))
    ids, train, y = rows(n)
    labels = rng.integers(0, kinds + 1, n)
    folds = KFold(k, strata=kinds, seed=seed).make(ids, train, labels if kinds else y)
    assert spread(np.bincount(folds.fold_of, minlength=k)) <= 1
    if kinds:
        assert np.ptp(per_fold(labels, folds.fold_of, k), axis=0).max() <= 1


@given(seeds, st.integers(2, 10))
@settings(max_examples=30, deadline=None)
def test_a_number_is_stratified_by_its_quantiles(seed, bins):
    y = np.random.default_rng(seed).lognormal(size=257)
    fold = KFold(4, strata=bins, seed=seed).make(np.arange(257).astype(str), pd.DataFrame(index=range(257)), y).fold_of
    bin_of = pd.qcut(y, bins, labels=False)
    assert np.ptp(per_fold(bin_of, fold, 4), axis=0).max() <= 1


def test_one_value_for_all_is_one_stratum():
    ids, train, _ = rows(10)
    assert spread(np.bincount(KFold(3, strata=5).make(ids, train, np.ones(10)).fold_of)) <= 1


def test_single_rows_make_up_for_what_groups_left_uneven():
    groups = np.concatenate([np.zeros(30, dtype=int), np.arange(1, 91)])
    strata = np.concatenate([np.zeros(30, dtype=int), np.arange(90) % 2])
    assert np.bincount(deal(np.zeros(120, dtype=int), groups, 4, seed=0)).tolist() == [30] * 4
    assert np.ptp(per_fold(strata, deal(strata, groups, 2, seed=0), 2), axis=0).tolist() == [1, 1]  # of 75 and of 45 rows


def test_groups_and_classes_are_balanced_no_worse_than_scikit_learn_does():
    """Shares of every class: their standard deviation over folds, averaged over classes and forty random cases."""
    ours, theirs = [], []
    for case in range(40):
        rng = np.random.default_rng(case)
        n, k, kinds = int(rng.integers(60, 500)), int(rng.integers(2, 8)), int(rng.integers(2, 9))
        groups = np.unique(rng.integers(0, n // int(rng.integers(2, 6)), n), return_inverse=True)[1]
        labels = np.concatenate(
            [np.repeat(np.arange(kinds), k), rng.choice(kinds, n - kinds * k, p=rng.dirichlet(np.ones(kinds)))]
        )
        rng.shuffle(labels)
        fold = np.zeros(n, dtype=int)
        sklearn = StratifiedGroupKFold(k, shuffle=True, random_state=case).split(np.zeros(n), labels, groups)
        for number, (_, validate) in enumerate(sklearn):
            fold[validate] = number
        for found, scores in ((fold, theirs), (deal(labels, groups, k, case), ours)):
            counts = per_fold(labels, found, k)
            scores.append((counts / counts.sum(axis=0)).std(axis=0).mean())
    assert np.mean(ours) <= np.mean(theirs)


def test_a_hundred_thousand_groups_are_dealt_evenly():
    groups = np.random.default_rng(0).integers(0, 100_000, 200_000)
    strata = np.arange(200_000) % 10
    fold = deal(strata, np.unique(groups, return_inverse=True)[1], 5, seed=0)
    assert spread(np.bincount(fold)) <= 1
    assert np.ptp(per_fold(strata, fold, 5), axis=0).max() <= 2


def test_rows_without_a_group_value_are_groups_of_their_own():
    train = pd.DataFrame({"a": ["x", "x", None, None, "x"], "b": [1, 1, 1, 1, np.nan]})
    assert group_codes(train, ["a"]).tolist() == [0, 0, 1, 2, 0]
    assert group_codes(train, ["a", "b"]).tolist() == [0, 0, 1, 2, 3]
    assert len(set(group_codes(train, []))) == 5
    assert len(set(group_codes(pd.DataFrame({"a": [None, None]}, dtype=object), ["a"]))) == 2


def test_groups_may_be_categories_or_of_mixed_types():
    assert group_codes(pd.DataFrame({"a": pd.Categorical(["x", "y", "x"], categories=["x", "y", "z"])}), ["a"]).tolist() == [
        0,
        1,
        0,
    ]
    assert group_codes(pd.DataFrame({"a": [1, "x", 1, "x"]}, dtype=object), ["a"]).tolist() == [0, 1, 0, 1]


def test_the_same_seed_is_the_same_plan_and_another_seed_another():
    given = rows(50)
    plans = [KFold(seed=0), KFold(seed=1), KFold(k=4), KFold(repeats=2), KFold(strata=5)]
    hashes = [plan.make(*given).hash for plan in plans]
    assert hashes == [plan.make(*given).hash for plan in plans]
    assert len(set(hashes)) == len(hashes)


def test_rows_are_dealt_by_position_so_another_order_is_another_plan():
    ids, train, y = rows(50)
    there, back = KFold().make(ids, train, y), KFold().make(ids[::-1], train, y[::-1])
    np.testing.assert_array_equal(there.fold_of, back.fold_of)
    assert there.hash != back.hash


@pytest.mark.parametrize("k", [-1, 0, 1, 11])
def test_more_folds_than_rows_or_fewer_than_two_are_refused(k):
    with pytest.raises(BadFolds, match=f"{k} folds cannot be made of 10 rows; ask for 2 to 10"):
        KFold(k).make(*rows(10))


def test_more_folds_than_groups_are_refused():
    with pytest.raises(BadFolds, match="3 folds cannot be made of 2 groups by house"):
        KFold(3, groups=("house",)).make(*rows(10, house=["a", "b"] * 5))


def test_groups_by_a_column_that_is_not_there_are_refused():
    with pytest.raises(BadFolds, match=r"'hous', but train has no such column; it has house"):
        KFold(3, groups=("hous",)).make(*rows(10, house=1))


def test_no_repeats_are_refused():
    with pytest.raises(BadFolds, match="0 repeats"):
        KFold(repeats=0).make(*rows(10))


def truth(labels):
    """Boxes, one for each label (n, c) of an image."""
    image, category = (at.astype(str) for at in np.nonzero(labels))
    n, c = labels.shape
    boxes = np.tile([0.0, 0.0, 5.0, 5.0], (len(image), 1))
    return Truth(np.arange(n).astype(str), np.arange(c).astype(str), image, category, boxes, np.zeros(len(image), dtype=bool))


@given(seeds, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_every_fold_has_its_share_of_the_images_of_each_category(seed, k):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(10 * k, 300))
    labels = rng.random((n, 4)) < [0.7, 0.4, 0.1, 0.03]
    labels[: 2 * k, 3] = True  # the rarest, in at least twice as many images as there are folds
    y = truth(labels)
    assert (y.presence == labels).all()
    plan = KFold(k, strata=1, seed=seed)
    folds = plan.make(y.images, pd.DataFrame(index=range(n)), y)
    per = np.array([labels[folds.validate(fold)].sum(axis=0) for fold in range(k)])
    assert spread(per[:, 3]) <= 1
    assert (per[:, 3] >= 2).all()
    assert (np.abs(per - labels.sum(axis=0) / k) <= np.maximum(2, 0.15 * labels.sum(axis=0) / k + 1)).all()
    assert spread([len(folds.validate(fold)) for fold in range(k)]) <= max(4, n // 8)
    assert folds.hash == plan.make(y.images, pd.DataFrame(index=range(n)), y).hash


@given(seeds, st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_copies_stay_in_one_fold_and_no_fold_is_empty_whatever_the_labels(seed, k):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4 * k, 80))
    groups = np.unique(rng.integers(0, 2 * n, n), return_inverse=True)[1]
    labels = rng.random((n, 3)) < rng.random(3)
    if groups.max() + 1 < 2 * k:
        return
    fold = deal_labels(labels, groups, k, seed)
    assert whole(fold, groups)
    assert set(fold) == set(range(k))
    without = deal_labels(np.zeros((n, 0), dtype=bool), groups, k, seed)
    assert spread(np.bincount(without, minlength=k)) <= np.bincount(groups).max()


# ----------------------------------------------------------------------------------------------------------------------- plans


def test_a_plan_comes_back_from_its_file_as_it_was():
    folds = KFold(repeats=2).make(*rows(20))
    again = Folds.from_arrays(unpack(pack(folds.arrays())))
    assert again.hash == folds.hash
    assert again.ids.tolist() == folds.ids.tolist()


def test_the_hash_changes_with_any_id_and_any_role():
    folds = KFold().make(*rows(20))
    ids, roles = folds.ids.copy(), folds.roles.copy()
    ids[3], roles[5, 0] = "x", UNUSED
    assert len({folds.hash, Folds(ids, folds.roles).hash, Folds(folds.ids, roles).hash}) == 3


def test_a_row_that_no_fold_validates_says_so():
    assert Folds(["a", "b", "c"], [[FIT, FIT], [VALIDATE, FIT], [VALIDATE, VALIDATE]]).fold_of.tolist() == [-1, 0, 0]


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        ([[FIT, FIT], [VALIDATE, FIT]], "Fold 2 of 2 validates no row"),
        ([[VALIDATE], [UNUSED]], "Fold 1 of 1 has no row to fit on"),
        (np.zeros((2, 0)), "A plan without folds"),
    ],
)
def test_folds_that_cannot_be_trained_or_judged_are_refused(roles, says):
    with pytest.raises(BadFolds, match=says):
        Folds(["a", "b"], roles)


# ------------------------------------------------------------------------------------------------------------------------ time


@given(seeds, st.integers(1, 6), st.sampled_from([0.0, 1.0, 7.5]))
@settings(max_examples=60, deadline=None)
def test_models_learn_only_from_what_lies_more_than_the_gap_before(seed, k, gap):
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 200, 150)
    folds = TimeBlocks("time", k, gap).make(*rows(150, time=time))
    starts = []
    for fold in range(k):
        fit, validate = time[folds.fit(fold)], time[folds.validate(fold)]
        assert fit.max() < validate.min() - gap
        assert set(np.flatnonzero(time < validate.min() - gap)) == set(folds.fit(fold))
        starts.append(validate.min())
    assert starts == sorted(set(starts))
    validated = folds.fold_of >= 0
    assert ((folds.roles == VALIDATE).sum(axis=1) <= 1).all()
    assert time[~validated].max() < starts[0]
    assert whole(folds.fold_of, time)


def test_blocks_of_different_moments_are_of_one_size():
    fold = TimeBlocks("time", 4).make(*rows(100, time=np.random.default_rng(0).permutation(100))).fold_of
    assert spread(np.bincount(fold + 1)) <= 1


DATES = pd.date_range("2014-05-02", periods=30).to_series().reset_index(drop=True)


@pytest.mark.parametrize(
    "clock",
    [
        DATES.astype(str),
        DATES,
        DATES.dt.date,
        DATES.dt.tz_localize("America/Los_Angeles"),
        DATES.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    ],
    ids=["text", "datetime64", "date", "zone", "Z"],
)
def test_a_gap_is_in_days_however_the_dates_are_written(clock):
    folds = HoldOut("on", share=0.2, gap=10).make(*rows(30, on=clock))
    assert folds.validate(0).tolist() == list(range(24, 30))
    assert folds.fit(0).tolist() == list(range(14))


def test_a_number_is_a_clock_as_it_is():
    folds = HoldOut("t", share=0.5).make(*rows(4, t=["10", "9", "100", "11"]))
    assert folds.validate(0).tolist() == [2, 3]


@pytest.mark.parametrize("plan", [TimeBlocks("on", 2), HoldOut("on")])
@pytest.mark.parametrize("bad", [None, np.nan, "soon", "2014-13-01", np.inf, pd.NaT])
def test_a_moment_that_cannot_be_read_is_refused_with_its_value(plan, bad):
    with pytest.raises(BadFolds, match=f"'on' is neither a date nor a number in 1 rows, first .*{bad}"):
        plan.make(*rows(4, on=pd.Series(["2014-05-02", "2014-05-03", bad, "2014-05-04"], dtype=object)))


def test_an_infinite_number_and_a_missing_date_are_no_moments():
    for bad in (pd.Series([1.0, np.inf, 2]), pd.Series(pd.to_datetime(["2014-05-02", None, "2014-05-03"]))):
        with pytest.raises(BadFolds, match="in 1 rows, first"):
            HoldOut("t").make(*rows(3, t=bad))


@pytest.mark.parametrize("plan", [TimeBlocks("when"), HoldOut("when")])
def test_a_clock_that_is_no_column_is_refused(plan):
    with pytest.raises(BadFolds, match="'when' is no column of train; it has on"):
        plan.make(*rows(9, on=1))


def test_more_blocks_than_moments_are_refused():
    with pytest.raises(BadFolds, match="5 time blocks cannot be made of 3 different values of 't'"):
        TimeBlocks("t").make(*rows(30, t=np.arange(30) % 3))


def test_a_first_block_with_nothing_before_it_is_refused():
    with pytest.raises(BadFolds, match="Fold 1 of 1 has no row to fit on"):
        HoldOut("t").make(*rows(9, t=1))
    with pytest.raises(BadFolds, match="Fold 1 of 2 has no row to fit on"):
        TimeBlocks("t", 2, gap=40).make(*rows(90, t=range(90)))


def test_no_blocks_are_refused():
    with pytest.raises(BadFolds, match="A plan without folds"):
        TimeBlocks("t", k=0).make(*rows(9, t=range(9)))


@pytest.mark.parametrize(("plan", "gap"), list(product([TimeBlocks, HoldOut], [-1.0, np.nan])))
def test_a_gap_that_lets_the_future_in_is_refused(plan, gap):
    with pytest.raises(BadFolds, match=f"A gap of {gap}"):
        plan("t", gap=gap).make(*rows(30, t=range(30)))


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, np.nan])
def test_a_share_that_leaves_nothing_on_one_side_is_refused(share):
    with pytest.raises(BadFolds, match=f"A share of {share}"):
        HoldOut("t", share).make(*rows(30, t=range(30)))


# ----------------------------------------------------------------------------------------------------------------------- files


def fold_file(path, text):
    file = path / "folds.csv"
    file.write_text(text, encoding="utf-8")
    return FoldFile(file)


@pytest.mark.parametrize(
    "text", ["id,fold\n2,1\n0,0\n1,-1\n3,0\n", "fold,Id\n0,3\n-1,1\n1,2\n0,0\n", '"id","fold"\r\n2,7\r\n0,3\r\n3,3\r\n1,-1\r\n']
)
def test_a_fold_file_is_read_by_id_in_either_order_of_columns_and_with_any_numbers(tmp_path, text):
    plan = fold_file(tmp_path, text)
    folds = plan.make(*rows(4))
    assert plan.k == len(folds) == 2
    assert folds.fold_of.tolist() == [0, -1, 1, 0]
    assert folds.roles[1].tolist() == [FIT, FIT]


def test_a_plan_written_as_a_fold_file_is_the_same_plan(tmp_path):
    given = rows(30)
    made = KFold(4).make(*given)
    pd.DataFrame({"id": made.ids, "fold": made.fold_of}).to_csv(tmp_path / "folds.csv", index=False)
    assert FoldFile(tmp_path / "folds.csv").make(*given).hash == made.hash


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,fold\n0,0\n1,1\n2,0\n3,1\n9,0\n", "1 ids that are not in train, first '9'"),
        ("id,fold\n0,0\n1,1\n", "lacks 2 train ids, first '2'"),
        ("id,fold\n0,0\n1,1\n2,0\n3,1\n1,0\n", "1 ids that stand twice, first '1' with fold '0'"),
        ("id,fold\n0,0\n1,one\n2,0\n3,1\n", "1 ids without a whole number from -1 up, first '1' with fold 'one'"),
        ("id,fold\n0,0\n1,1.0\n2,0\n3,1\n", "with fold '1.0'"),
        ("id,fold\n0,0\n1,-2\n2,0\n3,1\n", "with fold '-2'"),
        ("id,fold\n0,0\n1,\n2,0\n3,1\n", "with fold ''"),
        ("id,part\n0,0\n1,1\n2,0\n3,1\n", r"the columns \['id', 'part'\]; a fold file has two"),
        ("id,x,fold\n0,0,0\n1,1,1\n2,0,0\n3,1,1\n", r"the columns \['id', 'x', 'fold'\]"),
        ("fold\n0\n1\n0\n1\n", r"the columns \['fold'\]"),
        ("id,fold\n0,-1\n1,-1\n2,-1\n3,-1\n", "A plan without folds: none of the 4 rows"),
        ("id,fold\n0,0\n1,0\n2,0\n3,0\n", "has no row to fit on"),
        ("id,fold\n0,0\n1,1\n2,0\n3", "No fold file: .* cut short"),
        ("id,fold\n0,0\n1\n2,0\n3,1\n", "No fold file: .* row 2 has 1 cells"),
        ("", "No fold file: .* is empty"),
        ("id,fold\n", "a header and no rows"),
    ],
)
def test_a_fold_file_that_does_not_fit_is_refused_with_the_id(tmp_path, text, says):
    with pytest.raises(BadFolds, match=says):
        fold_file(tmp_path, text).make(*rows(4))


def test_a_fold_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadFolds, match="is missing"):
        FoldFile(tmp_path / "folds.csv").make(*rows(4))


def test_a_number_asks_for_that_many_folds_of_the_same_plan():
    assert plan_from("7", KFold(strata=3, seed=2)) == KFold(k=7, strata=3, seed=2)
    assert plan_from("3", TimeBlocks("t", gap=4)) == TimeBlocks("t", k=3, gap=4)


def test_a_file_takes_the_place_of_any_plan(tmp_path):
    plan = fold_file(tmp_path, "id,fold\n0,0\n1,1\n")
    for before in (KFold(), TimeBlocks("t"), HoldOut("t")):
        assert plan_from(str(plan.path), before) == plan


def test_a_hold_out_has_no_number_of_folds_to_change():
    with pytest.raises(BadFolds, match=r"HoldOut\(clock='t'.* has no number of folds"):
        plan_from("5", HoldOut("t"))


@pytest.mark.parametrize("text", ["five", "-3", "²", "no.csv", "", "."])
def test_what_is_neither_a_number_nor_a_file_is_refused(text):
    with pytest.raises(BadFolds, match="neither a number nor a file"):
        plan_from(text, KFold())


def test_rows_that_nobody_shall_learn_from_are_validated_all_the_same() -> None:
    ids = as_ids(list("abcdef"))
    folds = KFold(k=3).make(ids, pd.DataFrame({"id": ids}), np.arange(6.0))
    rows = np.array([True, False, False, True, False, False])
    less = folds.without(rows)
    assert (less.fold_of == folds.fold_of).all()
    for fold in range(3):
        assert less.fit(fold).tolist() == [row for row in folds.fit(fold) if not rows[row]]
    assert less.hash != folds.hash
    assert folds.without(np.zeros(6, bool)).hash == folds.hash


def test_blocks_of_time_are_known_to_be_ordered_and_other_plans_not_to_be() -> None:
    ids, train = np.arange(60).astype(str), pd.DataFrame({"t": np.arange(60)})
    y = np.zeros(60)
    plans = {
        TimeBlocks("t", 4): True,
        TimeBlocks("t", 4, gap=2): True,
        HoldOut("t"): False,
        KFold(4): False,
        KFold(3, repeats=2): False,
    }
    assert {plan: plan.make(ids, train, y).ordered for plan in plans} == plans
