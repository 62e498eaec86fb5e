"""Drift: what a level over time is taken to be, with little history and with much."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.drift import Drift
from features.target import LogRatio
from pipeline.predictions import Array


def sales(years: float, growth: float, season: float, rows: int = 4000, peak: float = 150.0) -> tuple[pd.DataFrame, Array]:
    random = np.random.default_rng(0)
    days = random.uniform(0, 365.25 * years, rows).round()
    area = random.lognormal(7, 0.4, rows)
    level = growth * days / 365.25 + season * np.cos(2 * np.pi * (days - peak) / 365.25)
    price = np.exp(5 + np.log(area) + level + 0.1 * random.normal(size=rows))
    listed = (pd.Timestamp("2000-01-01") + pd.to_timedelta(days, unit="D")).strftime("%Y-%m-%d")
    return pd.DataFrame({"Listed": listed, "area": area, "list price": price * np.exp(0.05 * random.normal(size=rows))}), price


def drift(**changes: object) -> Drift:
    given = {"growth": (0.05, 0.03), "season": (0.02, 0.01), "peak": 150.0} | changes
    return Drift(LogRatio(), "Listed", ("area",), **given)  # type: ignore[arg-type]


def at(date: str) -> pd.DataFrame:
    return pd.DataFrame({"Listed": [date], "area": [1000.0], "list price": [np.nan]})


def test_years_of_rows_overrule_the_prior() -> None:
    X, y = sales(years=4, growth=0.20, season=0.05)
    fitted = drift().fit(X, y)
    _, growth, season = fitted.coefficients_
    assert growth == pytest.approx(0.20, abs=0.02)
    assert season == pytest.approx(0.05, abs=0.012)
    ahead = fitted.level(at("2005-01-01")) - fitted.level(at("2004-01-01"))
    assert ahead == pytest.approx(growth, rel=0.01)


def test_a_flat_summer_and_autumn_under_the_prior_mean_a_dearer_spring() -> None:
    # From the peak on, half a year without a trend: a fall of the season that growth made up for.
    X, y = sales(years=0.5, growth=0.0, season=0.0)
    days = pd.to_datetime(X["Listed"]) + pd.Timedelta(days=135)
    fitted = drift(peak=135.0).fit(X.assign(Listed=days.dt.strftime("%Y-%m-%d")), y)
    spring = fitted.level(at("2001-04-01")) - fitted.level(at("2000-08-15"))
    assert 0.02 < float(spring[0]) < 0.08


def test_of_ratios_to_a_reference_the_prior_expects_nothing() -> None:
    X, y = sales(years=0.5, growth=0.0, season=0.0)
    fitted = Drift(LogRatio("list price"), "Listed", ("area",), growth=(0.05, 0.03), season=(0.02, 0.01)).fit(X, y)
    assert abs(float(fitted.level(at("2001-04-01"))[0])) < 0.02


def test_the_way_back_restores_the_target() -> None:
    X, y = sales(years=1, growth=0.1, season=0.02, rows=500)
    fitted = drift().fit(X, y)
    np.testing.assert_allclose(fitted.inverse(X, fitted.transform(X, y)), y, rtol=1e-9)


@pytest.mark.parametrize("dates", [None, "", "2000-05-01"])
def test_without_a_clock_or_on_one_day_it_is_the_scale_alone(dates: str | None) -> None:
    X, y = sales(years=1, growth=0.1, season=0.0, rows=60)
    fitted = drift().fit(X.assign(Listed=dates), y)
    np.testing.assert_allclose(fitted.transform(X.assign(Listed=dates), y), np.log1p(y))


def test_a_row_without_a_date_stands_at_the_middle_of_the_training_rows() -> None:
    X, y = sales(years=1, growth=0.1, season=0.0, rows=300)
    fitted = drift().fit(X, y)
    middle = pd.to_datetime(X["Listed"]).median().strftime("%Y-%m-%d")
    np.testing.assert_allclose(fitted.level(at("no date")), fitted.level(at(middle)), atol=1e-3)


def test_columns_that_are_empty_or_absent_are_no_obstacle() -> None:
    X, y = sales(years=1, growth=0.1, season=0.0, rows=200)
    empty = X.assign(area=np.nan)
    assert np.isfinite(Drift(LogRatio(), "Listed", ("area", "absent"), ("no category",)).fit(empty, y).level(empty)).all()
