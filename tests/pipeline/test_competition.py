import copy
import dataclasses
import inspect
import pickle
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

import competitions
from pipeline import identity
from pipeline.competition import SIGNATURES, Classification, Competition, Data, Detection, Model, Regression, check
from pipeline.errors import BadContract, BadData, UnknownName
from pipeline.folds import KFold

PRICE = Regression(id="id", target="price", metric="rmsle", low=0, high=1e9)
LEAF = Classification(id="image", target="label")


def no_models():
    return {}


def module(name="competitions.toy_prices", **changed):
    """A module that keeps the contract but for what is changed; None takes a name away."""
    made = ModuleType(name)
    parts = {
        "competition": Competition("toy-prices", "toy", PRICE, KFold()),
        "load": lambda root: Data(pd.DataFrame(), pd.DataFrame(), pd.DataFrame()),
        "features": lambda: None,
        "models": no_models,
        "practice": lambda root, rows, seed: None,
        **changed,
    }
    vars(made).update({name: part for name, part in parts.items() if part is not None})
    return made


# -------------------------------------------------------------------------------------------------------------------- contract


def test_an_entry_is_the_record_its_functions_and_where_they_stand():
    given = module(target=lambda: None)
    entry = check(given)
    assert entry.module == "competitions.toy_prices"
    for name in ("competition", *SIGNATURES):
        assert getattr(entry, name) is getattr(given, name)
    assert entry.competition.metric.name == "rmsle"


def test_a_competition_written_to_a_file_of_its_own_is_found_whole(toy):
    entry = competitions.find("toy")
    assert entry.module == "competitions.toy"
    assert entry.target is None
    assert isinstance(entry.models()["lightgbm"], Model)
    entry.practice(toy.parent, 10, 0)
    assert len(entry.load(toy.parent).test) == 10


def test_a_module_without_a_record_says_what_it_lacks():
    for record in (None, "toy", Competition):
        with pytest.raises(BadContract, match=r"competitions.toy_prices has no record `competition = Competition\(...\)`"):
            check(module(competition=record))


@pytest.mark.parametrize("name", sorted(SIGNATURES.keys() - {"target"}))
def test_a_missing_function_is_shown_as_it_should_stand(name):
    for absent in (None, {}, dict):
        with pytest.raises(BadContract) as caught:
            check(module(**{name: absent}))
        assert f"lacks `def {name}({', '.join(SIGNATURES[name])})`" in str(caught.value)


def starred(*root):
    return None


def by_name(*, root):
    return None


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("load", lambda: None),
        ("load", lambda path: None),
        ("load", starred),
        ("load", by_name),
        ("load", lambda root, cache=None: None),
        ("features", lambda seed: None),
        ("models", lambda *names: None),
        ("practice", lambda root, seed, rows: None),
        ("target", lambda y: None),
    ],
)
def test_a_wrong_signature_is_shown_beside_the_right_one(name, function):
    with pytest.raises(BadContract) as caught:
        check(module(**{name: function}))
    assert f"has `def {name}{inspect.signature(function)}`" in str(caught.value)
    assert f"the contract is `def {name}({', '.join(SIGNATURES[name])})`" in str(caught.value)


def test_a_record_with_another_name_than_its_file_is_refused():
    with pytest.raises(BadContract, match="calls itself 'toy-prices'; its file says 'toy'"):
        check(module("competitions.toy"))


def record(task):
    return Competition("toy-prices", "toy", task, KFold())


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"No metric is called 'rmsel'\. Did you mean rmse or rmsle"):
        check(module(competition=record(dataclasses.replace(PRICE, metric="rmsel"))))


@pytest.mark.parametrize("task", [Regression("id", "y", metric="accuracy"), Classification("id", "y", metric="rmse")])
def test_a_metric_of_another_kind_of_task_is_refused(task):
    with pytest.raises(BadContract, match=f"'{task.metric}' judges a (label|value); that does not go with {type(task).__name__}"):
        check(module(competition=record(task)))


def test_a_detection_competition_keeps_the_contract():
    assert check(module(competition=record(Detection()))).competition.task == Detection()


def test_boxes_have_no_scale_to_learn_on():
    with pytest.raises(BadContract, match="boxes have no scale to learn on"):
        check(module(competition=record(Detection()), target=lambda: None))


# ----------------------------------------------------------------------------------------------------------------------- tasks


def of(train):
    return Data(train, train, train)


def priced(*prices):
    return of(pd.DataFrame({"id": [f"h{i}" for i in range(len(prices))], "price": pd.Series(prices, dtype=object)}))


def test_a_regressions_truth_is_numbers_and_its_column_the_target():
    y = PRICE.truth(priced(1, "2.5", 0.0))
    assert y.dtype == np.float64
    assert y.tolist() == [1, 2.5, 0]
    assert PRICE.columns(priced(1)) == ("price",)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("cheap", "'price' is not a number in 2 train rows, first at id h1: 'cheap'"),
        (None, "is not a number in 2 train rows, first at id h1: None"),
        (np.nan, "is not a number in 2 train rows, first at id h1: nan"),
        (np.inf, "is not a number in 2 train rows, first at id h1: inf"),
        (-5.0, r"is below 0 in 2 train rows, first at id h1: -5\.0"),
        (2e9, r"is above 1e\+09 in 2 train rows, first at id h1: 2000000000\.0"),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_its_row(bad, says):
    with pytest.raises(BadData, match=says):
        PRICE.truth(priced(1, bad, 3, bad))


def test_a_number_is_quoted_as_a_person_writes_it():
    with pytest.raises(BadData, match=r"h0: -5\.0\. Mend"):
        PRICE.truth(of(priced(-5.0).train.astype({"price": float})))


@pytest.mark.parametrize(("task", "has"), [(PRICE, "price"), (LEAF, "label")])
def test_a_train_table_without_its_target_is_refused(task, has):
    with pytest.raises(BadData, match=f"train has no target column '{has}'; it has id, x"):
        task.truth(of(pd.DataFrame({"id": ["1"], "x": [1]})))


def test_a_classs_truth_is_the_index_of_its_column():
    train = pd.DataFrame({"image": list("abcd"), "label": ["oak", "elm", "oak", "ash"]})
    assert LEAF.columns(of(train)) == ("ash", "elm", "oak")
    assert LEAF.truth(of(train)).tolist() == [2, 1, 2, 0]
    numbered = of(train.assign(label=[10, 9, 10, 2]))
    assert [LEAF.columns(numbered)[i] for i in LEAF.truth(numbered)] == ["10", "9", "10", "2"]


def test_a_missing_label_is_refused_with_its_row():
    with pytest.raises(BadData, match="'label' is missing in 1 train rows, first at image b"):
        LEAF.truth(of(pd.DataFrame({"image": ["a", "b"], "label": ["oak", None]})))


def test_the_truth_of_boxes_has_train_s_images_and_the_categories_in_their_order():
    ids = [str(2**64 - 2), str(2**64 - 1), "7"]
    boxes = pd.DataFrame(
        [[ids[1], "9", 1, 2, 3, 4, False]], columns=["image_id", "category_id", "left", "top", "width", "height", "crowd"]
    )
    categories = pd.DataFrame({"id": ["9", "10"], "name": ["hat", "belt"]})
    data = dataclasses.replace(of(pd.DataFrame({"image_id": ids})), boxes=boxes, categories=categories)
    assert Detection().columns(data) == ("9", "10")
    truth = Detection().truth(data)
    assert truth.images.tolist() == ids
    assert truth.image.tolist() == [ids[1]]
    assert truth.presence.tolist() == [[False, False], [True, False], [False, False]]


@pytest.mark.parametrize(("lacking", "says"), [("boxes", "table 'boxes'"), ("categories", "table 'categories'")])
def test_detection_without_its_tables_is_refused(lacking, says):
    data = dataclasses.replace(of(pd.DataFrame({"image_id": ["1"]})), categories=pd.DataFrame({"id": ["9"], "name": ["hat"]}))
    with pytest.raises(BadData, match=says):
        Detection().truth(data if lacking == "boxes" else dataclasses.replace(data, categories=None))


# --------------------------------------------------------------------------------------------------------------------- recipes


def test_a_recipe_cannot_be_changed_and_keeps_its_own_copy():
    params = {"alpha": 1.0}
    model = Model("ridge", params)
    params["alpha"] = 2.0
    assert model.params == {"alpha": 1.0}
    with pytest.raises(TypeError):
        model.params["alpha"] = 3.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.family = "lasso"


def test_a_recipe_crosses_processes_as_it_is():
    model = Model("ridge", {"alpha": 1.0, "nested": {"a": [1]}})
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again == model
        assert identity.describe(again) == identity.describe(model)


def test_records_are_frozen():
    for frozen in (record(PRICE), PRICE, LEAF, Detection(), check(module()), Data(*[pd.DataFrame()] * 3)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, dataclasses.fields(frozen)[0].name, DummyRegressor())
