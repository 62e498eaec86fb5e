import json

import numpy as np
import pandas as pd
import pytest

from competitions.house_prices.files import COLUMNS, ID, NUMBERS, TARGET, load
from pipeline.competition import Data, Regression
from pipeline.errors import BadData
from pipeline.run import unique_ids
from pipeline.tables import TEXT

NAMES = ("train", "test", "sample_submission")


@pytest.fixture
def small(tmp_path):
    """A whole, tiny set of the three files; a test spoils one and loads."""
    filled = {column: "1" if column in NUMBERS else "x" for column in COLUMNS}
    filled |= {"Listed On": "2020-01-02", "Last Sold On": "2010-03-04", "Bedrooms": "Walk-in Closet, 3", "Zip": "00501"}
    train = pd.DataFrame([{**filled, ID: str(i), TARGET: str(100_000 + i)} for i in range(4)])
    test = pd.DataFrame([{**filled, ID: str(i)} for i in range(4, 7)]).drop(columns=TARGET)
    tables = dict(zip(NAMES, (train, test, test[[ID]].assign(**{TARGET: "0"})), strict=True))

    def write(**changed):
        for name, table in {**tables, **changed}.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        return tmp_path

    return write, tables


# ------------------------------------------------------------------------------------------------------------------- real data


def test_the_columns_are_the_real_ones_in_their_order(shared):
    profile = json.loads((shared / "california-house-prices" / "column_profile.json").read_text())["columns"]
    assert list(COLUMNS) == [column["column"] for column in profile]
    assert {c["column"] for c in profile if c["dtype_pandas"] != "object"} - {ID, TARGET, "Zip"} == set(NUMBERS)


def test_king_county_is_read_whole(shared):
    data = load(shared / "house-prices-king-county")
    assert (len(data.train), len(data.test), len(data.sample)) == (11_743, 9_854, 9_854)
    assert list(data.train.columns) == list(COLUMNS)
    assert list(data.test.columns) == [column for column in COLUMNS if column != TARGET]
    for table in (data.train, data.test):
        assert (table[list(NUMBERS)].dtypes == np.float64).all()
        assert set(table.drop(columns=[*NUMBERS, TARGET], errors="ignore").dtypes) == {TEXT}
    assert len(unique_ids(data, ID)) == 11_743
    assert (Regression(ID, TARGET, low=0).truth(data) > 0).all()
    assert data.notes == ()


def test_ten_real_rows_are_read(shared, small):
    write, _ = small
    root = write()
    real = (shared / "california-house-prices" / "real_rows_from_notebooks_train.csv").read_bytes()
    (root / "train.csv").write_bytes(real)
    train = load(root).train
    assert len(train) == 10
    assert list(train.columns) == list(COLUMNS)
    assert train[TARGET].notna().all()


def test_another_competitions_file_is_named_as_such(shared, small):
    write, _ = small
    root = write()
    (root / "train.csv").write_bytes((shared / "leaf-classification" / "train.csv").read_bytes())
    with pytest.raises(
        BadData, match=r"train.csv lacks 'Id', 'Sold Price' and has unexpected columns 'image', 'label'. Is it another"
    ):
        load(root)


# --------------------------------------------------------------------------------------------------------------------- a few rows


def test_ids_dates_zips_and_bedrooms_stay_text(small):
    write, _ = small
    data = load(write())
    assert data.train.loc[0, [ID, "Listed On", "Bedrooms", "Zip"]].tolist() == ["0", "2020-01-02", "Walk-in Closet, 3", "00501"]
    assert data.notes == ()


def test_absent_columns_are_taken_as_empty_with_a_note(small):
    write, tables = small
    data = load(write(train=tables["train"].drop(columns=["Lot", "Summary"]), test=tables["test"].drop(columns=["Lot", "City"])))
    assert data.notes == ("Absent columns, taken as empty: City, Lot, Summary.",)
    assert list(data.train.columns) == list(COLUMNS)
    assert data.train[["Lot", "Summary"]].isna().all().all()
    assert data.test["City"].isna().all()


@pytest.mark.parametrize(("name", "column"), [("train", ID), ("train", TARGET), ("test", ID)])
def test_the_id_and_the_price_may_not_be_absent(small, name, column):
    write, tables = small
    with pytest.raises(BadData, match=f"{name}.csv lacks '{column}'"):
        load(write(**{name: tables[name].drop(columns=column)}))


def test_a_test_file_that_knows_the_answer_is_refused(small):
    write, tables = small
    with pytest.raises(BadData, match=f"test.csv has unexpected columns '{TARGET}'"):
        load(write(test=tables["test"].assign(**{TARGET: "1"})))


def test_a_price_that_is_text_is_refused_with_its_row(small):
    write, tables = small
    train = tables["train"].copy()
    train.loc[2, TARGET] = "$100,002"
    with pytest.raises(BadData, match=r"'Sold Price' is a column of numbers but 1 rows .* first '\$100,002' in row 3 \(Id 2\)"):
        load(write(train=train))


@pytest.mark.parametrize(("price", "says"), [("-1", "is below 0"), ("", "is not a number")])
def test_a_price_that_cannot_be_is_refused_by_the_task(small, price, says):
    write, tables = small
    train = tables["train"].copy()
    train.loc[2, TARGET] = price
    with pytest.raises(BadData, match=f"'Sold Price' {says} in 1 train rows, first at Id 2"):
        Regression(ID, TARGET, low=0).truth(load(write(train=train)))


def test_a_test_file_cut_between_two_rows_is_refused(small):
    write, tables = small
    with pytest.raises(BadData, match=r"1 ids are only in the sample and 0 only in test \(such as '6'\)"):
        load(write(test=tables["test"][:-1]))


def test_a_sample_cut_between_two_rows_is_refused(small):
    write, tables = small
    with pytest.raises(BadData, match=r"0 ids are only in the sample and 2 only in test \(such as '5'\)"):
        load(write(sample_submission=tables["sample_submission"][:1]))


def test_a_sample_of_other_columns_is_refused(small):
    write, tables = small
    with pytest.raises(
        BadData, match=r"sample_submission.csv has columns \['Id', 'Price'\]; it should have \['Id', 'Sold Price'\]"
    ):
        load(write(sample_submission=tables["sample_submission"].rename(columns={TARGET: "Price"})))


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(small, name):
    root = small[0]()
    (root / f"{name}.csv").unlink()
    with pytest.raises(BadData, match=f"{name}.csv is missing. The folder has"):
        load(root)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_anywhere_is_refused_but_for_whole_rows_of_train(small, name):
    """Only train can lose whole rows unseen: nothing else in the folder says how many it had."""
    write, tables = small
    root = write()
    whole = (root / f"{name}.csv").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole[:-1]) if byte == ord("\n")]
    for length in sorted({*range(0, len(whole), 17), *ends}):
        (root / f"{name}.csv").write_bytes(whole[:length])
        try:
            read = load(root)
        except BadData:
            continue
        assert name == "train"
        assert whole[:length].endswith(b"\n")
        assert len(read.train) < len(tables["train"])


def test_dates_that_cannot_be_read_are_noted(small):
    write, tables = small
    train = tables["train"].copy()
    train["Listed On"] = ["2020-13-01", "2020-01-01", "soon", ""]
    notes = load(write(train=train)).notes
    assert notes == ("train: 2 dates in 'Listed On' cannot be read and count as missing, first '2020-13-01'.",)


# ------------------------------------------------------------------------------------------------------------------------- ids


def data(train, test=("9",)):
    return Data(
        pd.DataFrame({ID: pd.Series(train, dtype=object)}), pd.DataFrame({ID: pd.Series(test, dtype=object)}), pd.DataFrame()
    )


def test_ids_that_stand_twice_are_refused(small):
    write, tables = small
    twice = pd.concat([tables["train"], tables["train"][1:3]])
    with pytest.raises(BadData, match="train has 2 ids twice, first Id 1"):
        unique_ids(load(write(train=twice)), ID)
    with pytest.raises(BadData, match="test has 1 ids twice, first Id 9"):
        unique_ids(data(["1"], ["9", "9"]), ID)
    with pytest.raises(BadData, match="train has 1 ids twice, first Id 1"):
        unique_ids(data(["1", 1]), ID)


@pytest.mark.parametrize("nothing", [None, np.nan, "", "  "])
def test_rows_without_an_id_are_refused(nothing):
    with pytest.raises(BadData, match="train has 1 rows without Id, first row 2"):
        unique_ids(data(["1", nothing]), ID)


def test_a_table_without_the_id_column_is_refused():
    with pytest.raises(BadData, match="test has no column 'Id'; it has x"):
        unique_ids(Data(pd.DataFrame({ID: ["1"]}), pd.DataFrame({"x": [1]}), pd.DataFrame()), ID)


def test_large_ids_stay_whole():
    assert unique_ids(data([str(2**64 - 1), "7"]), ID).tolist() == [str(2**64 - 1), "7"]
