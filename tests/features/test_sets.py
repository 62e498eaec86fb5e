"""Sets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.sets import Sets

PARKING = pd.DataFrame({"Parking": ["Garage, Garage - Attached", "garage; Carport", "Boat house", None, "Garage,garage"]})


def test_frequent_items_are_flags_and_the_rest_is_counted() -> None:
    made = Sets(("Parking",), min_share=0.4).fit_transform(PARKING)
    assert list(made.columns) == ["has__Parking__garage", "count__Parking", "rare__Parking", "missing__Parking"]
    np.testing.assert_array_equal(made["has__Parking__garage"], [1, 1, 0, np.nan, 1])
    np.testing.assert_array_equal(made["count__Parking"], [2, 2, 1, np.nan, 1])
    np.testing.assert_array_equal(made["rare__Parking"], [1, 1, 1, np.nan, 0])
    np.testing.assert_array_equal(made["missing__Parking"], [0, 0, 0, 1, 0])


def test_the_most_frequent_items_come_first_up_to_the_limit() -> None:
    assert Sets(("Parking",), min_share=0, max_items=2).fit(PARKING).items_ == {"Parking": ["garage", "boat house"]}


def test_spelling_of_an_item_does_not_matter_and_new_items_are_rare() -> None:
    fitted = Sets(("Parking",), min_share=0).fit(PARKING)
    made = fitted.transform(pd.DataFrame({"Parking": ["GARAGE-ATTACHED , Helipad", " , ;"]}))
    assert made["has__Parking__garage attached"].iloc[0] == 1
    assert made["rare__Parking"].iloc[0] == 1
    assert made["missing__Parking"].tolist() == [0, 1]


def test_another_separator() -> None:
    X = pd.DataFrame({"a": ["x/y", "x"]})
    assert Sets(("a",), separator="/").fit(X).items_ == {"a": ["x", "y"]}
