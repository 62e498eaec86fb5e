import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadPredictions
from pipeline.predictions import Boxes, Table, Truth, as_ids, join
from pipeline.store import pack, unpack

ids = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6), unique=True)
LARGE = [2**64 - 1, 2**63 + 1, 2**53 + 1, 1]


def boxes(**changed):
    parts = {
        "images": ["a", "b"],
        "image": ["a", "a"],
        "category": ["1", "2"],
        "box": [[0, 0, 2, 3], [1, 1, 1, 1]],
        "score": [0.5, 1],
    }
    return Boxes(**{**parts, **changed})


# ------------------------------------------------------------------------------------------------------------------------ ids


@pytest.mark.parametrize(
    "given", [LARGE, np.array(LARGE, dtype=np.uint64), pd.Series(LARGE, dtype=object), [str(i) for i in LARGE]]
)
def test_ids_beyond_64_bits_keep_every_digit(given):
    assert as_ids(given).tolist() == [str(i) for i in LARGE]


@pytest.mark.parametrize("given", [np.array([1.0]), [1.5], ["a", np.nan], pd.Series(["a", np.float32(2)], dtype=object)])
def test_ids_that_were_floats_are_refused(given):
    with pytest.raises(BadPredictions, match=r"floating-point numbers \((1\.0|1\.5|nan|2\.0)\)"):
        as_ids(given)


def test_ids_of_two_dimensions_are_refused():
    with pytest.raises(BadPredictions, match=r"shape \(2, 1\)"):
        as_ids(np.array([["a"], ["b"]]))


def test_no_ids_are_text_too():
    assert as_ids([]).dtype.kind == "U"


# ---------------------------------------------------------------------------------------------------------------------- tables


@given(ids.filter(bool), st.randoms(use_true_random=False))
def test_values_are_found_by_id_in_any_order_and_absent_ids_are_nan(names, random):
    table = Table(names, np.arange(len(names)), ("y",))
    asked = [*names, *(f"{name} and no more" for name in names)]
    random.shuffle(asked)
    place = {name: float(i) for i, name in enumerate(names)}
    np.testing.assert_array_equal(table.at(asked)[:, 0], [place.get(name, np.nan) for name in asked])


@given(ids, st.integers(1, 3), st.randoms(use_true_random=False))
def test_parts_joined_in_any_order_are_the_whole(names, k, random):
    values = np.random.default_rng(0).normal(size=(len(names), k))
    columns = tuple("xyz"[:k])
    folds = np.array([random.randrange(3) for _ in names], dtype=int)
    parts = [
        Table([n for n, f in zip(names, folds, strict=True) if f == fold], values[folds == fold], columns) for fold in range(3)
    ]
    random.shuffle(parts)
    whole = join(parts)
    assert len(whole) == len(names)
    np.testing.assert_array_equal(whole.at(names), values)


def test_an_empty_table_has_no_prediction_for_anybody():
    assert np.isnan(Table([], np.zeros((0, 2)), ("a", "b")).at(["x", "y"])).all()


def test_at_takes_ids_of_any_type():
    assert Table(LARGE, [1, 2, 3, 4], ("y",)).at(np.array(LARGE[::-1], dtype=np.uint64))[:, 0].tolist() == [4, 3, 2, 1]


@given(ids)
def test_a_table_comes_back_from_its_file_as_it_was(names):
    table = Table(names, np.random.default_rng(1).normal(size=(len(names), 2)), ("no", "yes"))
    again = Table.from_arrays(unpack(pack(table.arrays())))
    assert again.ids.tolist() == names
    assert again.columns == ("no", "yes")
    np.testing.assert_array_equal(again.values, table.values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_table_refuses_what_is_no_number_and_names_the_row(bad):
    with pytest.raises(BadPredictions, match=r"1 of 2 predictions are NaN or infinite, first at id b"):
        Table(["a", "b"], [[1, 2], [3, bad]], ("x", "y"))


@pytest.mark.parametrize(
    ("values", "columns"), [([1.0], ("y",)), (np.ones((2, 2)), ("y",)), (np.ones((2, 1, 1)), ("y",)), (5.0, ("y",))]
)
def test_a_table_refuses_another_shape(values, columns):
    with pytest.raises(BadPredictions, match="shape"):
        Table(["a", "b"], values, columns)


def test_a_table_refuses_an_id_that_stands_twice():
    with pytest.raises(BadPredictions, match=r"1 ids stand more than once, first a"):
        Table(["a", "b", "a"], [1, 2, 3], ("y",))


def test_joining_refuses_rows_in_two_parts_other_columns_and_nothing():
    with pytest.raises(BadPredictions, match="more than once"):
        join([Table(["a"], [1], ("y",)), Table(["a"], [1], ("y",))])
    with pytest.raises(BadPredictions, match="different columns"):
        join([Table(["a"], [1], ("y",)), Table(["b"], [1], ("z",))])
    with pytest.raises(BadPredictions, match="different columns"):
        join([])


# ----------------------------------------------------------------------------------------------------------------------- boxes


def test_boxes_come_back_from_their_file_with_their_large_ids():
    given = boxes(images=LARGE, image=LARGE[:2])
    again = Boxes.from_arrays(unpack(pack(given.arrays())))
    assert again.images.tolist() == [str(i) for i in LARGE]
    assert again.image.tolist() == [str(i) for i in LARGE[:2]]
    for name in ("box", "score", "category"):
        np.testing.assert_array_equal(getattr(again, name), getattr(given, name))


def test_images_may_all_be_without_a_box():
    empty = boxes(image=[], category=[], box=[], score=[])
    assert len(empty) == 0
    assert empty.box.shape == (0, 4)
    assert len(Boxes.from_arrays(unpack(pack(empty.arrays()))).images) == 2


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"score": [0.5]}, r"'score': \(1,\)"),
        ({"score": [[0.5], [1]]}, r"'score': \(2, 1\)"),
        ({"category": ["1"]}, r"'category': \(1,\)"),
        ({"box": [[0, 0, 1, 1]]}, r"'box': \(1, 4\)"),
        ({"box": [0, 0, 1, 1, 0, 0, 1, 1]}, r"'box': \(8,\)"),
        ({"box": [[0, 0], [1, 1], [0, 0], [1, 1]]}, r"'box': \(4, 2\)"),
        ({"images": ["a", "a"]}, "Images: 1 ids stand more than once, first a"),
        ({"images": ["b"]}, "1 images have boxes but are not in the list of images, first a"),
        ({"box": [[0, 0, 2, 3], [1, np.nan, 1, 1]]}, r"1 boxes .* first in image a: \[1.0, nan, 1.0, 1.0\]"),
        ({"box": [[0, 0, 2, np.inf], [1, 1, 1, 1]]}, "1 boxes are NaN, infinite"),
        ({"box": [[0, 0, 0, 3], [1, 1, 1, -1]]}, "2 boxes are NaN, infinite, or without width or height"),
        ({"score": [0.5, 1.5]}, "1 scores are NaN or outside 0 to 1, first in image a: 1.5"),
        ({"score": [-0.1, 1]}, "1 scores"),
        ({"score": [np.nan, 1]}, "1 scores"),
    ],
)
def test_boxes_that_cannot_be_are_refused(changed, says):
    with pytest.raises(BadPredictions, match=says):
        boxes(**changed)


def by_number(**changed):
    parts = {
        "images": ["b", "a"],
        "categories": ["87", "9"],
        "image": np.array([1, 1, 0]),
        "category": np.array([0, 1, 1]),
        "box": np.array([[0, 0, 2, 3], [1, 1, 1, 1], [0, 0, 4, 4]]),
        "score": np.array([0.5, 1, 0]),
    }
    return Boxes.of_numbers(**{**parts, **changed})


def test_numbers_of_names_give_the_same_boxes_as_names():
    found, named = (
        by_number(),
        boxes(
            images=["b", "a"],
            image=["a", "a", "b"],
            category=["87", "9", "9"],
            box=[[0, 0, 2, 3], [1, 1, 1, 1], [0, 0, 4, 4]],
            score=[0.5, 1, 0],
        ),
    )
    for name, values in named.arrays().items():
        assert found.arrays()[name].dtype == values.dtype
        np.testing.assert_array_equal(found.arrays()[name], values)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": ["a", "a"]}, "Images: 1 ids stand more than once, first a"),
        ({"image": np.array([0, 1, 2])}, "Numbers of images go from 0 to 2; there are 2, from 0"),
        ({"image": np.array([-1, 1, 0])}, "Numbers of images go from -1 to 1"),
        ({"category": np.array([0, 1, 2])}, "Numbers of categories go from 0 to 2"),
        ({"category": np.array([0, 1])}, r"'category': \(2,\)"),
        ({"box": np.zeros((3, 4))}, "3 boxes are NaN, infinite, or without width or height, first in image a"),
        ({"score": np.array([0.5, 1, np.nan])}, "1 scores are NaN or outside 0 to 1, first in image b: nan"),
    ],
)
def test_numbers_of_names_that_cannot_be_are_refused(changed, says):
    with pytest.raises(BadPredictions, match=says):
        by_number(**changed)


def test_boxes_at_rows_stay_in_their_order_and_all_images_looked_at():
    whole = by_number()
    some, none = whole.at(np.array([2, 0])), whole.at(np.zeros(3, dtype=bool))
    assert (some.image.tolist(), some.category.tolist(), some.score.tolist()) == (["b", "a"], ["9", "87"], [0, 0.5])
    assert some.box.tolist() == [[0, 0, 4, 4], [0, 0, 2, 3]]
    assert some.images.tolist() == none.images.tolist() == ["b", "a"]
    assert none.box.shape == (0, 4)


# ----------------------------------------------------------------------------------------------------------------------- truth


def truth(**changed):
    parts = {
        "images": ["b", "a", "c"],
        "categories": ["87", "9"],
        "image": ["a", "a", "b"],
        "category": ["9", "9", "87"],
        "box": np.array([[0, 0, 2, 3], [1, 1, 1, 1], [0, 0, 4, 4]]),
        "crowd": np.array([False, True, False]),
    }
    return Truth(**{**parts, **changed})


def test_the_truth_is_indexed_by_image_and_knows_which_categories_are_in_which():
    known = truth()
    assert len(known) == 3
    assert known.presence.tolist() == [[True, False], [False, True], [False, False]]
    part = known[np.array([1, 2])]
    assert part.images.tolist() == ["a", "c"]
    assert part.box.tolist() == [[0, 0, 2, 3], [1, 1, 1, 1]]
    assert part.presence.tolist() == [[False, True], [False, False]]
    assert known[np.array([True, False, False])].image.tolist() == ["b"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": ["b", "a", "a"]}, "Images: 1 ids stand more than once, first a"),
        ({"images": ["b", "c", "d"]}, "There are boxes of 1 images that are not listed, first a"),
        ({"categories": ["87"]}, "There are boxes of 1 categories that are not listed, first 9"),
    ],
)
def test_a_truth_that_cannot_be_is_refused(changed, says):
    with pytest.raises(BadPredictions, match=says):
        truth(**changed)


def test_boxes_of_some_images_are_those_alone():
    found = boxes(image=["b", "a"])
    assert found.of(np.array(["b"])).category.tolist() == ["1"]
    assert found.of(np.array(["b", "a"])).arrays().keys() == found.arrays().keys()
    with pytest.raises(BadPredictions, match="1 images were not looked at, first c"):
        found.of(np.array(["a", "c"]))


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [0, 0, 5, -1], [np.nan, 0, 5, 5], [0, 0, np.inf, 5]])
def test_true_boxes_that_cannot_be_are_refused(box):
    with pytest.raises(BadPredictions, match="1 true boxes are NaN, infinite, or without width or height, first in image 7"):
        Truth(["7"], ["87"], ["7"], ["87"], np.array([box], dtype=float), np.zeros(1, dtype=bool))


def test_images_of_the_truth_are_known_by_their_text():
    truth = Truth(["7", "8"], ["87"], ["7"], ["87"], np.array([[0, 0, 5, 5.0]]), np.zeros(1, dtype=bool))
    assert len(truth.of(np.array([7])).image) == 1
    with pytest.raises(BadPredictions, match="1 images are not in the truth, first 9"):
        truth.of(np.array(["7", "9"]))


def test_a_table_of_some_ids_has_those_that_are_predicted():
    table = Table(["a", "b"], np.array([1.0, 2]), ("y",))
    assert table.of(np.array(["b", "c"])).arrays()["ids"].tolist() == ["b"]
