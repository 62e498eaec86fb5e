"""Dates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.dates import Dates


def test_a_date_gives_days_year_month_weekday_and_season() -> None:
    X = pd.DataFrame({"d": ["2000-01-02", "2019-10-24T23:59:00+00:00"]})
    made = Dates(("d",)).fit(X).transform(X)
    assert made["days__d"].tolist() == [1, 7236]
    assert made["year__d"].tolist() == [2000, 2019]
    assert made["month__d"].tolist() == [1, 10]
    assert made["weekday__d"].tolist() == [6, 3]
    np.testing.assert_allclose(made["season_sin__d"] ** 2 + made["season_cos__d"] ** 2, 1, rtol=1e-5)


def test_bad_dates_are_missing_and_numbers_are_no_dates_of_1970() -> None:
    X = pd.DataFrame({"d": ["2019-02-30", "soon", "3", "0001-01-01", "2019-02-28"]})
    assert Dates(("d",)).fit(X).transform(X)["days__d"].notna().tolist() == [False, False, False, False, True]
    numeric = pd.DataFrame({"d": [20190228.0, 12.0]})
    np.testing.assert_array_equal(Dates(("d",)).fit(numeric).transform(numeric)["year__d"], [2019, np.nan])


def test_a_pair_gives_the_days_between_and_which_is_later() -> None:
    X = pd.DataFrame({"sold": ["2020-01-31", "2019-12-31", "2020-01-01", None], "listed": ["2020-01-01"] * 4})
    made = Dates((), pairs=(("sold", "listed"),)).fit(X).transform(X)
    np.testing.assert_array_equal(made["days__sold__listed"], [30, -1, 0, np.nan])
    np.testing.assert_array_equal(made["after__sold__listed"], [1, 0, 0, np.nan])


def test_dates_of_every_type_are_the_same_dates() -> None:
    days = pd.to_datetime(["2020-05-01", "2020-06-01"])
    expected = Dates(("d",)).fit_transform(pd.DataFrame({"d": ["2020-05-01", "2020-06-01"]}))
    for cells in (days, days.tz_localize("UTC"), days.date, pd.Categorical(["2020-05-01", "2020-06-01"])):
        pd.testing.assert_frame_equal(Dates(("d",)).fit_transform(pd.DataFrame({"d": cells})), expected)


def test_another_format_can_be_named() -> None:
    X = pd.DataFrame({"d": ["01/02/2020"]})
    assert Dates(("d",), format="%d/%m/%Y").fit_transform(X)["month__d"].tolist() == [2]
