"""What holds for every transformer of `features`, present and future: a new class without an example here fails the first test."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

import features
from features.compose import Union
from features.dates import Dates
from features.encodings import Categories, Frequency, GroupMedian, TargetEncoding
from features.neighbours import Comparables
from features.numbers import Clip, ItemCounts, Logs, Numbers, Ratios, Repeats, Unit, UnitRepair
from features.sets import Sets
from features.text import TextPhrases, TextSvd
from features.text_numbers import TextNumbers

SUPERVISED = [
    TargetEncoding(("zip", ("zip", "kind"), "absent"), log=True),
    GroupMedian(("zip", "kind"), per="area"),
    Comparables({"area": 1.0, "rooms": 0.5, "absent": 1.0}, groups=("zip", "kind"), neighbours=5, min_group=8),
]
UNSUPERVISED = [
    Clip({"area": (None, None), "price": (1, None), "empty": (0, 1), "absent": (None, None)}),
    UnitRepair({"area": Unit(10, below=100), "absent": Unit(2, below=1)}),
    ItemCounts(("rooms_text", "absent")),
    Numbers(("area", "zip", "empty", "absent")),
    Logs(("area", "price", "empty", "absent")),
    Ratios((("area", "price"), ("area", "absent"))),
    Repeats((("area", "price"), ("area", "absent"))),
    Dates(("day", "sold", "empty", "absent"), pairs=(("day", "sold"), ("day", "absent"))),
    Sets(("heating", "empty", "absent"), min_share=0.1),
    TextSvd(("text", "empty", "absent"), components=4, min_rows=2),
    TextPhrases(("text", "empty", "absent"), always=("garden",), min_share=0.05),
    TextNumbers(("text", "empty", "absent"), min_share=0.05),
    Frequency(("zip", ("zip", "kind"), "absent")),
    Categories(("kind", "zip", "empty", "absent"), min_rows=3),
]
TOGETHER = [
    Union([Logs(("area",)), TargetEncoding(("zip",)), Categories(("kind",))]),
    make_pipeline(Clip({"area": (None, None)}), Union([Numbers(("area",)), GroupMedian(("zip",))])),
]
EVERY = [*SUPERVISED, *UNSUPERVISED, *TOGETHER]
ABSTRACT = {"InnerFolds", "Unsupervised"}

every = pytest.mark.parametrize("transformer", EVERY, ids=lambda t: type(t).__name__)
supervised = pytest.mark.parametrize("transformer", SUPERVISED, ids=lambda t: type(t).__name__)


def houses(rows: int, seed: int, zips: int = 12) -> pd.DataFrame:
    """A table with every kind of column and some missing cells, on an index that is not 0, 1, 2 ..."""
    r = np.random.default_rng(seed)
    holes = r.random((rows, 8)) < 0.1
    area, floors = r.lognormal(7, 0.5, rows).round(), r.integers(1, 4, rows)
    table = pd.DataFrame(
        {
            "area": area,
            "price": r.lognormal(13, 1, rows),
            "rooms": r.integers(1, 6, rows).astype(float),
            "zip": r.integers(0, zips, rows) + 90000,
            "kind": r.choice(["house", "flat", "land"], rows),
            "rooms_text": r.choice(["3", "2", "Master Bedroom, Ground Floor Bedroom"], rows),
            "heating": r.choice(["Gas, Central", "gas", "None", "Wood; gas"], rows),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(r.integers(0, 400, rows), unit="D"),
            "sold": r.choice(["2019-05-06", "2021-01-02", "soon"], rows),
            "text": [
                f"{f} floors, near a {w} of {a:.0f} sqft."
                for f, w, a in zip(floors, r.choice(["park", "lake"], rows), area, strict=True)
            ],
            "empty": np.nan,
        },
        index=pd.Index(r.permutation(rows) * 3 + 7, name="row"),
    )
    for place, name in enumerate(("area", "price", "rooms", "kind", "heating", "day", "sold", "text")):
        table.loc[holes[:, place], name] = None
    return table


def prices(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(12, 1, rows)


def test_every_transformer_has_an_example_here() -> None:
    modules = [importlib.import_module(f"features.{module.name}") for module in pkgutil.iter_modules(features.__path__)]
    classes = {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
        and hasattr(kind, "fit")
        and hasattr(kind, "transform")
        and not hasattr(kind, "inverse")
    }
    assert classes - ABSTRACT == {type(t).__name__ for t in [*SUPERVISED, *UNSUPERVISED, TOGETHER[0]]}


@every
def test_new_rows_get_the_columns_and_types_of_the_training_rows(transformer) -> None:
    train, new = houses(120, 0), houses(40, 1)
    fitted = clone(transformer)
    made = fitted.fit_transform(train, prices(120, 0))
    again = fitted.transform(new)
    assert list(made.index) == list(train.index)
    assert list(again.index) == list(new.index)
    assert made.columns.is_unique
    assert len(made.columns) > 0
    assert_frame_equal(made.iloc[:0], again.iloc[:0], check_index_type=False)
    assert_frame_equal(fitted.transform(new.iloc[:0]).iloc[:0], again.iloc[:0], check_index_type=False)


@every
def test_features_have_names_that_the_model_libraries_accept(transformer) -> None:
    made = clone(transformer).fit_transform(houses(120, 0), prices(120, 0))
    assert not [name for name in made.columns if set(str(name)) & set('",:[]{}<>')]


@every
def test_the_input_is_not_changed(transformer) -> None:
    train, y = houses(120, 0), prices(120, 0)
    train_before, y_before = train.copy(deep=True), y.copy()
    clone(transformer).fit(train, y).transform(train)
    clone(transformer).fit_transform(train, y)
    assert_frame_equal(train, train_before)
    np.testing.assert_array_equal(y, y_before)


@every
def test_it_is_cloned_unfitted_and_pickled_fitted(transformer) -> None:
    train, new = houses(120, 0), houses(40, 1)
    fitted = clone(transformer).fit(train, prices(120, 0))
    assert_frame_equal(pickle.loads(pickle.dumps(fitted)).transform(new), fitted.transform(new))
    with pytest.raises(NotFittedError):
        clone(fitted).transform(new)


@every
def test_the_same_rows_give_the_same_features_twice(transformer) -> None:
    train, y = houses(120, 0), prices(120, 0)
    assert_frame_equal(clone(transformer).fit_transform(train, y), clone(transformer).fit_transform(train, y))


@every
def test_shuffled_rows_get_the_same_features(transformer) -> None:
    new = houses(60, 1)
    fitted = clone(transformer).fit(houses(120, 0), prices(120, 0))
    order = np.random.default_rng(2).permutation(60)
    assert_frame_equal(fitted.transform(new).iloc[order], fitted.transform(new.iloc[order]), rtol=1e-5, atol=1e-6)


@every
def test_one_row_gets_the_features_that_it_gets_among_others(transformer) -> None:
    new = houses(30, 1)
    fitted = clone(transformer).fit(houses(120, 0), prices(120, 0))
    assert_frame_equal(fitted.transform(new).iloc[[4]], fitted.transform(new.iloc[[4]]), rtol=1e-5, atol=1e-6)


@every
def test_one_training_row_is_enough_to_go_on(transformer) -> None:
    train, new = houses(1, 3), houses(10, 1)
    fitted = clone(transformer)
    made = fitted.fit_transform(train, prices(1, 0))
    assert list(fitted.transform(new).columns) == list(made.columns)


@every
def test_columns_that_are_missing_in_new_rows_are_missing_values_there(transformer) -> None:
    train, new = houses(120, 0), houses(20, 1)
    fitted = clone(transformer).fit(train, prices(120, 0))
    columns = [name for name in fitted.transform(new).columns if name not in new]
    emptied = fitted.transform(new.assign(**dict.fromkeys(new.columns, np.nan)))
    assert list(emptied.columns) == list(fitted.transform(new).columns)
    assert_frame_equal(fitted.transform(new[["empty"]])[columns], emptied[columns])


@every
def test_a_table_with_nothing_in_it_is_no_error(transformer) -> None:
    nothing = pd.DataFrame({"empty": [np.nan] * 5, "area": [None] * 5})
    fitted = clone(transformer)
    made = fitted.fit_transform(nothing, prices(5, 0))
    assert len(made) == 5
    assert list(fitted.transform(houses(10, 1)).index) == list(houses(10, 1).index)


@every
def test_unseen_categories_and_wild_cells_are_no_error(transformer) -> None:
    fitted = clone(transformer).fit(houses(120, 0), prices(120, 0))
    wild = houses(20, 1).assign(zip="moon", kind="castle", area=np.inf, heating="?!", text="###", sold="0000-00-00", price=-1e300)
    made = fitted.transform(wild)
    numbers = made.drop(columns=[c for c in made if c in wild]).select_dtypes("number")
    assert not np.isinf(numbers.to_numpy()).any()


@every
def test_features_are_float32_or_categories(transformer) -> None:
    train = houses(120, 0)
    made = clone(transformer).fit_transform(train, prices(120, 0))
    if list(made.columns) == list(train.columns):
        return  # a repair: the table comes back
    assert {str(kind) for kind in made.dtypes} <= {"float32", "category"}


@supervised
def test_a_row_is_encoded_without_its_own_target(transformer) -> None:
    train, y = houses(120, 0), prices(120, 0)
    before = clone(transformer).fit_transform(train, y)
    others_moved = False
    for row in (0, 17, 119):
        for factor in (1000, 0.001):
            changed = y.copy()
            changed[row] *= factor
            after = clone(transformer).fit_transform(train, changed)
            assert_frame_equal(before.iloc[[row]], after.iloc[[row]])
            others_moved |= not before.equals(after)
    assert others_moved


@every
def test_targets_of_rows_outside_the_fit_change_nothing(transformer) -> None:
    """The loop of a pipeline: fit on a part, transform the rest, whatever the rest's targets are."""
    table, y = houses(150, 0), prices(150, 0)
    shuffled = np.concatenate([y[:100], np.random.default_rng(1).permutation(y[100:])])
    first, second = clone(transformer), clone(transformer)
    assert_frame_equal(first.fit_transform(table[:100], y[:100]), second.fit_transform(table[:100], shuffled[:100]))
    assert_frame_equal(first.transform(table[100:]), second.transform(table[100:]))


@pytest.mark.parametrize("transformer", [*UNSUPERVISED], ids=lambda t: type(t).__name__)
def test_unsupervised_features_do_not_depend_on_the_target(transformer) -> None:
    table = houses(120, 0)
    assert_frame_equal(clone(transformer).fit_transform(table, prices(120, 0)), clone(transformer).fit_transform(table))


@supervised
def test_encodings_of_a_random_target_predict_nothing(transformer) -> None:
    """800 categories in 2,400 rows: the mean of a category's three targets would be a third of each row's own."""
    train, new = houses(2400, 0, zips=800), houses(2400, 1, zips=800)
    y, fresh = prices(2400, 2), prices(2400, 3)
    fitted = clone(transformer)
    made, later = (table.fillna(0.0) for table in (fitted.fit_transform(train, y), fitted.transform(new)))
    for column in made.columns[made.std() > 0]:
        # The value per area times the area follows y no more than the area does; 0.07 is 3.4 standard errors.
        assert abs(np.corrcoef(made[column], np.log(y))[0, 1]) < 0.07, column
    for model in (Ridge(), DecisionTreeRegressor(max_depth=5, min_samples_leaf=30, random_state=0)):
        model.fit(made, np.log(y))
        assert model.score(later, np.log(fresh)) < 0.05
        assert model.score(made, np.log(y)) < 0.12, "the training rows' encodings know their targets"


@pytest.mark.parametrize("transformer", SUPERVISED[:2], ids=lambda t: type(t).__name__)
def test_the_same_measure_finds_the_leak_of_encoding_training_rows_as_new_ones(transformer) -> None:
    train, y = houses(2400, 0, zips=800), prices(2400, 2)
    naive = clone(transformer).set_params(strength=1.0).fit(train, y).transform(train).fillna(0.0)
    assert max(abs(np.corrcoef(naive[column], np.log(y))[0, 1]) for column in naive) > 0.3
