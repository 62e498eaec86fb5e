"""Practice data: does it look like the real tables, and is there in it what the pipeline has to cope with?"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from competitions.house_prices.practice import COLUMNS, FACTS, MARKER, practice, tables, write
from pipeline.errors import BadData

ROWS = 12_000
FILES = ("train.csv", "test.csv", "sample_submission.csv", MARKER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("practice") / "made" / "here"
    practice(root, rows=ROWS, seed=3)
    return root


@pytest.fixture(scope="module")
def train(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "train.csv", low_memory=False)


@pytest.fixture(scope="module")
def test(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "test.csv", low_memory=False)


@pytest.fixture(scope="module")
def everything(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([train, test], ignore_index=True)


@pytest.fixture
def profile(shared: Path) -> dict[str, dict[str, Any]]:
    """What was published of each real column, by its name."""
    facts = json.loads((shared / "california-house-prices" / "column_profile.json").read_text(encoding="utf-8"))
    return {column["column"]: {"share missing": column["missing"] / facts["rows_train"], **column} for column in facts["columns"]}


def read(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in FILES}


def logs(column: pd.Series) -> pd.Series:
    return np.log(column.where(column > 0))


def days(column: pd.Series) -> pd.Series:
    return pd.to_datetime(column, format="%Y-%m-%d")


def listings(frame: pd.DataFrame) -> pd.Series:
    """The rows' addresses with zips; equal ones are one house."""
    return frame["Address"] + " " + frame["Zip"].astype(str)


# ---------------------------------------------------------------------------------------------------------------- the files


def test_columns_are_the_competitions_in_its_order(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    assert tuple(train.columns) == COLUMNS
    assert tuple(test.columns) == tuple(name for name in COLUMNS if name != "Sold Price")
    assert (folder / "sample_submission.csv").read_text().startswith(f"Id,Sold Price\n{ROWS},0\n{ROWS + 1},0\n")


def test_ids_run_on_from_train_to_test_and_sample(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    assert len(test) == ROWS * 2 // 3
    assert train["Id"].tolist() == list(range(ROWS))
    assert test["Id"].tolist() == list(range(ROWS, ROWS + len(test)))
    assert pd.read_csv(folder / "sample_submission.csv")["Id"].tolist() == test["Id"].tolist()


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        practice(tmp_path / name, rows=400, seed=seed)
    one, same, other = (read(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert all(one[name] != other[name] for name in ("train.csv", "test.csv", MARKER))


def test_marker_says_what_the_data_is_and_how_it_was_made(folder: Path) -> None:
    text = (folder / "PRACTICE.md").read_text()
    assert "made up" in text
    assert f"rows={ROWS}, seed=3" in text
    assert "nothing in it is a real house" in text
    assert text.count("\n") == 1


def test_folder_holds_the_four_files_and_no_strays(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_practice_data_is_made_anew_over_older_practice_data(tmp_path: Path) -> None:
    practice(tmp_path, rows=60, seed=0)
    practice(tmp_path, rows=50, seed=0)
    assert len(pd.read_csv(tmp_path / "train.csv")) == 50


def test_a_train_table_without_the_marker_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("the real one")
    with pytest.raises(BadData, match=r"no PRACTICE\.md.*another folder"):
        practice(tmp_path, rows=50, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]
    assert (tmp_path / "train.csv").read_text() == "the real one"


@pytest.mark.parametrize("rows", [49, 1, 0, -4])
def test_too_few_rows_are_refused_with_the_reason_and_nothing_is_written(tmp_path: Path, rows: int) -> None:
    with pytest.raises(BadData, match=f"rows={rows} is too few.*relistings.*50 or more"):
        practice(tmp_path / "new", rows=rows, seed=0)
    assert not (tmp_path / "new").exists()


def test_a_failed_write_leaves_the_older_file_and_no_stray(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("older")
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "train.csv", "half a surrogate: \ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("train.csv", "older")]


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_tables_have_all_types_of_value(seed: int) -> None:
    train, test = tables(50, seed)
    assert (len(train), len(test)) == (50, 33)
    assert train["Sold Price"].between(100_500, 90e6).all()
    for part in (train, test):
        assert pd.to_numeric(part["Bedrooms"], errors="coerce").isna().sum() > part["Bedrooms"].isna().sum()


# -------------------------------------------------------------------------------------------------- like the real columns


def test_types_are_those_of_the_real_columns(train: pd.DataFrame, profile: dict[str, dict[str, Any]]) -> None:
    assert {name: str(kind) for name, kind in train.dtypes.items()} == {name: profile[name]["dtype_pandas"] for name in COLUMNS}


def test_missing_rates_are_within_three_points_of_the_real_ones(
    train: pd.DataFrame, test: pd.DataFrame, profile: dict[str, dict[str, Any]]
) -> None:
    for part in (train, test):
        for name in part.columns:
            assert part[name].isna().mean() == pytest.approx(profile[name]["share missing"], abs=0.03), name


def test_quartiles_are_within_a_fifth_of_the_real_ones_or_a_step_of_one(
    train: pd.DataFrame, profile: dict[str, dict[str, Any]]
) -> None:
    """Counts and scores may be off by one; prices, tax, sizes, years and zips by the factor 1.2 in either direction."""
    for name in train.select_dtypes("number").columns.drop("Id"):
        for quartile in ("25%", "50%", "75%"):
            real, ours = profile[name][quartile], train[name].quantile(float(quartile[:-1]) / 100)
            assert abs(ours - real) <= 1 or 1 / 1.2 <= ours / real <= 1.2, (name, quartile, ours, real)


def test_the_sold_prices_quartiles_are_met_closely(train: pd.DataFrame, profile: dict[str, dict[str, Any]]) -> None:
    real = [profile["Sold Price"][quartile] for quartile in ("25%", "50%", "75%")]
    np.testing.assert_allclose(train["Sold Price"].quantile([0.25, 0.5, 0.75]), real, rtol=0.05)


def test_no_value_lies_beyond_the_real_extremes(everything: pd.DataFrame, profile: dict[str, dict[str, Any]]) -> None:
    for name in everything.select_dtypes("number").columns.drop("Id"):
        low, high = profile[name]["min"], profile[name]["max"]
        assert everything[name].dropna().between(low, high).all(), (name, everything[name].min(), everything[name].max())


def test_a_table_of_the_real_size_reaches_the_real_extremes(profile: dict[str, dict[str, Any]]) -> None:
    whole = pd.concat(tables(profile["Id"]["non_null"], 0))
    for name in (
        "Year built",
        "Total interior livable area",
        "Lot",
        "Total spaces",
        "Garage spaces",
        "Bathrooms",
        "Full bathrooms",
    ):
        assert whole[name].max() == pytest.approx(profile[name]["max"], rel=1e-3), name
    for name in ("Listed Price", "Lot", "Year built", "Bathrooms", "Total interior livable area", "Zip", "Tax assessed value"):
        assert whole[name].min() == profile[name]["min"], name
    assert whole["Listed Price"].max() > 90e6
    assert whole["Total spaces"].min() < 0


def test_a_small_table_has_a_handful_of_gross_errors_too() -> None:
    both = pd.concat(tables(4000, 0))
    assert 1 <= (both["Listed Price"] == 0).sum() <= 20
    assert 1 <= ((logs(both["Listed Price"]) - logs(both["Sold Price"])).abs() > 2).sum() <= 20
    assert 1 <= (both["Total interior livable area"] > 30_000).sum() <= 20
    assert 1 <= (both["Lot"] > 2e6).sum() <= 60
    assert 1 <= (both["Year built"] == 9999).sum() <= 20
    assert 1 <= (both["Year built"] == 0).sum() <= 60
    assert 1 <= (both["Garage spaces"] < 0).sum() <= 20
    assert 1 <= (both["Garage spaces"] >= 20).sum() <= 20
    assert 1 <= (both["Zip"] < 90_001).sum() <= 20


def test_bedrooms_are_text_of_numbers_and_of_sets(train: pd.DataFrame, test: pd.DataFrame) -> None:
    for part in (train, test):
        filled = part["Bedrooms"].dropna()
        numbers = pd.to_numeric(filled, errors="coerce")
        assert part["Bedrooms"].dtype == object
        assert 0.02 < numbers.isna().mean() < 0.08
        assert numbers.dropna().between(0, 12).all()
        assert filled[numbers.isna()].str.contains("Ground Floor Bedroom").any()


def test_lots_mix_acres_and_square_feet(train: pd.DataFrame) -> None:
    lot = train["Lot"].dropna()
    assert 0.02 < ((lot > 0) & (lot < 50)).mean() < 0.08
    assert (lot.mod(43_560 / 100).round(1).isin([0, 435.6]) & (lot >= 10_890)).mean() > 0.03


def test_sets_are_words_joined_by_commas(train: pd.DataFrame) -> None:
    for name in ("Heating", "Cooling", "Flooring", "Appliances included", "Laundry features", "Parking", "Parking features"):
        counts = train[name].dropna().str.count(", ") + 1
        assert (counts.min(), counts.max() >= 3) == (1, True), name
        assert not train[name].dropna().str.contains(r"^,|,$|, ,|^\s*$").any(), name
    assert (train.loc[train["Parking"] == "0 spaces", "Parking features"]).isna().all()


def test_land_has_no_rooms_and_careless_agents_leave_out_several_fields(train: pd.DataFrame) -> None:
    land = train["Type"] == "VacantLand"
    house_fields = ["Year built", "Bedrooms", "Bathrooms", "Total interior livable area", "Heating", "Flooring"]
    assert 0.01 < land.mean() < 0.03
    assert train.loc[land, house_fields].isna().mean().min() > 0.95
    absent = train.loc[~land, ["Flooring", "Appliances included", "Heating", "Laundry features"]].isna()
    off_diagonal = absent.corr().to_numpy()[~np.eye(4, dtype=bool)]
    assert off_diagonal.min() > 0.05


def test_places_are_invented_californian_ones(train: pd.DataFrame) -> None:
    assert (train["State"] == "CA").all()
    assert train["City"].nunique() > 150
    usual = train[train["Zip"] >= 90_001]
    assert usual.groupby("Zip")["City"].nunique().max() == 1  # a zip is of one city; a city has several
    assert usual.groupby("City")["Zip"].nunique().max() > 3
    assert not train["City"].isin(["Los Angeles", "San Francisco", "San Diego", "Los Altos", "Sunnyvale"]).any()
    assert train["Address"].str.match(r"^\d+ [A-Z][a-z]+ (?:St|Ave|Dr|Ln|Rd|Ct|Way|Blvd|Pl|Cir)(?: #\d+| SPACE \d+)?$").all()


# -------------------------------------------------------------------------------------------------------- time and the target


def test_ids_follow_listed_on_roughly_and_train_comes_before_test(train: pd.DataFrame, test: pd.DataFrame) -> None:
    order = train["Id"].corr(days(train["Listed On"]).astype("int64"), method="spearman")
    assert 0.8 < order < 0.999
    half = len(test) // 2
    middles = [days(part["Listed On"]).quantile(0.5) for part in (train, test[:half], test[half:])]
    gaps = [(late - early).days for early, late in itertools.pairwise(middles)]
    assert 120 < gaps[0] < 240  # from the middle of nine months to that of the next three
    assert 60 < gaps[1] < 120


def test_prices_drift_upwards_from_train_to_the_end_of_test(train: pd.DataFrame, test: pd.DataFrame) -> None:
    level = logs(train["Listed Price"]).groupby(train["City"]).median()
    above = [(logs(part["Listed Price"]) - part["City"].map(level)).median() for part in (train, test[len(test) // 2 :])]
    assert 0.04 < above[1] - above[0] < 0.3


def test_listed_price_is_near_the_sold_price_with_heavy_tails(train: pd.DataFrame) -> None:
    ratio = (logs(train["Sold Price"]) - logs(train["Listed Price"])).dropna()
    usual = ratio[ratio.abs() < 1]
    middle = (ratio.quantile(0.75) - ratio.quantile(0.25)) / 1.349
    assert 0.05 < middle < 0.09 < ratio.std()
    assert 0.07 < usual.std() < 0.12
    assert (ratio.abs() > 5 * middle).mean() > 0.005  # of a normal distribution: 6 in ten million


def test_tax_value_equals_the_sold_price_now_and_then_and_more_often_in_some_zips(train: pd.DataFrame) -> None:
    equal = train["Tax assessed value"] == train["Sold Price"]
    by_zip = equal.groupby(train["Zip"]).agg(["mean", "size"])
    rates = by_zip.loc[by_zip["size"] >= 20, "mean"]
    assert 0.04 < equal.mean() < 0.2
    assert rates.quantile(0.9) > 4 * rates.quantile(0.3)
    assert equal[: ROWS // 2].mean() > 1.15 * equal[ROWS // 2 :].mean()


def test_last_sale_is_before_the_listing_or_is_this_very_sale(train: pd.DataFrame, test: pd.DataFrame) -> None:
    known = train["Last Sold On"].notna()
    after = days(train["Last Sold On"]) > days(train["Listed On"])
    equal = train["Last Sold Price"] == train["Sold Price"]
    assert 0.04 < after.mean() < 0.15
    assert equal[after].mean() > 0.97
    assert equal[known & ~after].mean() < 0.05
    late = days(test["Last Sold On"]) > days(test["Listed On"])
    assert 0 < late.mean() < after.mean()


def test_last_prices_and_tax_values_grow_stale_with_age(train: pd.DataFrame) -> None:
    held = (days(train["Listed On"]) - days(train["Last Sold On"])).dt.days / 365.25
    ratio = logs(train["Last Sold Price"] / train["Sold Price"])
    medians = [ratio[(held > low) & (held <= high)].median() for low, high in ((0, 2), (4, 8), (20, 40))]
    assert 0 > medians[0] > medians[1] > medians[2]
    assert medians[2] < -0.8


def test_some_houses_are_listed_again_weeks_later_within_train_and_across_to_test(
    train: pd.DataFrame, test: pd.DataFrame, everything: pd.DataFrame
) -> None:
    within, across = listings(train).duplicated().sum(), listings(test).isin(listings(train)).sum()
    assert within > 0.01 * ROWS
    assert across > 0.005 * ROWS
    again = everything[listings(everything).duplicated(keep=False)]
    pairs = again.groupby(listings(again)).agg(
        count=("Id", "size"), first=("Listed On", "first"), last=("Listed On", "last"), prices=("Listed Price", "nunique")
    )
    assert (pairs["count"] == 2).all()
    assert (days(pairs["last"]) - days(pairs["first"])).dt.days.min() >= 13
    assert (pairs["prices"] == 2).mean() > 0.9


def test_summaries_tell_facts_and_sizes_that_the_columns_lack_or_get_wrong(everything: pd.DataFrame) -> None:
    summary = everything["Summary"].fillna("")
    assert summary.str.contains(r"\d bed \d+ bath|\dBR/\d+BA").mean() > 0.6
    told = summary.str.extract(r"([\d,]+) sq ?ft")[0].str.replace(",", "").astype(float)
    column = everything["Total interior livable area"]
    both = told.notna() & column.between(2, 30_000)
    assert (told[both] == column[both]).mean() > 0.99
    assert (told.notna() & column.isna()).sum() > 50
    assert told[column > 30_000].dropna().max() < 30_000
    for fact in FACTS:
        rate = sum(summary.str.contains(phrase, regex=False) for phrase in fact.phrases).gt(0).mean()
        assert 0.5 * fact.share < rate < fact.share, fact.name


def features(frame: pd.DataFrame) -> pd.DataFrame:
    names = ["Zip", "Year built", "Lot", "Bathrooms", "Total interior livable area", "Elementary School Score"]
    return frame[names].assign(land=frame["Type"] == "VacantLand", mobile=frame["Type"] == "MobileManufactured").astype(float)


def errors(frame: pd.DataFrame, X: pd.DataFrame) -> np.ndarray:
    """Residuals (log) of the last quarter of `frame`, by a model of the first three."""
    cut, y = len(frame) * 3 // 4, np.log1p(frame["Sold Price"])
    model = HistGradientBoostingRegressor(max_iter=120, random_state=0).fit(X[:cut], y[:cut])
    return (y[cut:] - model.predict(X[cut:])).to_numpy()


def test_a_quick_model_of_a_few_columns_beats_the_median_clearly(train: pd.DataFrame) -> None:
    y = np.log1p(train["Sold Price"])
    baseline = np.sqrt(((y[ROWS * 3 // 4 :] - y[: ROWS * 3 // 4].median()) ** 2).mean())
    houses = np.sqrt((errors(train, features(train)) ** 2).mean())
    listed = np.sqrt((errors(train, features(train).assign(listed=train["Listed Price"])) ** 2).mean())
    assert houses < 0.5 * baseline
    assert listed < 0.25 * baseline


def test_facts_that_only_summary_tells_move_the_price(train: pd.DataFrame) -> None:
    """Beyond what the columns explain, a house is dearer with a view of the ocean and cheaper if it needs repair."""
    left = errors(train, features(train))
    summary = train["Summary"].fillna("").iloc[len(train) - len(left) :]
    facts = {fact.name: np.any([summary.str.contains(phrase, regex=False) for phrase in fact.phrases], axis=0) for fact in FACTS}
    assert np.median(left[facts["ocean"]]) - np.median(left) > 0.1
    assert np.median(left[facts["fixer"]]) - np.median(left) < -0.1
