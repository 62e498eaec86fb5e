import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadData
from pipeline.tables import MISSING, TEXT, read_table, read_text

SMALL = 'id,words,y\n1,"one, two\nthree ""four""",1.5\n2,größer,\n3,"",-2e3\n'
COLUMNS = ["id", "words", "y"]


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "train.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def table_of(path, required=("id",), columns=COLUMNS):
    return read_table(path, columns, {"y"}, set(required))


# ------------------------------------------------------------------------------------------------------------------------ text


@pytest.mark.parametrize(
    "written", [SMALL.encode(), SMALL.encode("utf-8-sig"), SMALL.replace("\n", "\r\n").encode()], ids=["plain", "BOM", "CRLF"]
)
def test_cells_are_read_as_they_stand(file, written):
    text = read_text(file(written))
    assert list(text.columns) == COLUMNS
    assert text["id"].tolist() == ["1", "2", "3"]
    assert text["words"].str.replace("\r", "").tolist() == ['one, two\nthree "four"', "größer", ""]
    assert text["y"].tolist() == ["1.5", "", "-2e3"]
    assert set(text.dtypes) == {TEXT}


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_whatever_pandas_writes_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(path, index=False, quoting=1)
    assert list(read_text(path).itertuples(index=False, name=None)) == rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_cut_at_any_byte_is_refused_but_at_the_end_of_a_row(file, end):
    """A file that ends with a row is whole as far as it can say itself; the sample submission says which rows are lacking."""
    content = SMALL.replace("\n", end).encode()
    ends_of_rows = {len(content[: content.index(b"\n2,") + 1]), len(content[: content.index(b"\n3,") + 1]), len(content)}
    if end == "\r\n":
        ends_of_rows |= {at - 1 for at in ends_of_rows}  # the row is whole, its line end is not
    for length in range(len(content) + 1):
        path = file(content[:length])
        if length in ends_of_rows:
            assert 1 <= len(read_text(path)) <= 3
        else:
            with pytest.raises(BadData, match=r"train\.csv"):
                read_text(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (b"\xef\xbb", "no UTF-8 text"),
        ("id,y\n", "a header and no rows"),
        ("id,y\n\n\n", "a header and no rows"),
        ("id,y\n1,2", "no line end after its last row"),
        ('id,y\n1,"2\n', "cut short or no CSV: unexpected end of data"),
        ('id,y\n1,"2"3\n', "cut short or no CSV"),
        ("id,y\n1,2\n3\n", "row 2 has 1 cells, the header has 2"),
        ("id,y\n1,2\n3,4,5\n", "row 2 has 3 cells, the header has 2"),
        ("id,y,y\n1,2,3\n", "has the column 'y' twice"),
        ("id,größe\n1,2\n".encode("latin-1"), "byte 5 is 0xf6"),
        ("id,y\n1,2\n".encode("utf-16"), "no UTF-8 text: byte 0 is 0xff"),
        (b"PK\x03\x04\x8f\x00", "Is it a zip"),
    ],
)
def test_what_is_no_whole_table_is_refused(file, content, says):
    with pytest.raises(BadData, match=says):
        read_text(file(content))


def test_a_missing_file_says_what_the_folder_has(file):
    path = file(SMALL)
    with pytest.raises(BadData, match=r"test.csv is missing. The folder has 'train.csv'"):
        read_text(path.with_name("test.csv"))
    with pytest.raises(BadData, match=r"is missing\. The folder has nothing"):
        read_text(path.parent / "nowhere" / "test.csv")


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(BadData, match="cannot be read: Is a directory"):
        read_text(tmp_path)


# ---------------------------------------------------------------------------------------------------------------------- tables


def test_columns_come_in_the_order_asked_for_with_their_types(file):
    table, absent = table_of(file("y,id,words\n1,007,a\n"))
    assert list(table.columns) == COLUMNS
    assert table.iloc[0].tolist() == ["007", "a", 1.0]
    assert table["y"].dtype == np.float64
    assert absent == []


@pytest.mark.parametrize("spelling", sorted(MISSING - {""}))
def test_every_spelling_of_nothing_is_missing(file, spelling):
    table, _ = table_of(file(f"id,words,y\n1,{spelling},{spelling}\n2,,\n3,x,1\n"))
    assert table["words"].isna().tolist() == table["y"].isna().tolist() == [True, True, False]


def test_a_column_without_a_number_is_a_column_of_numbers_all_the_same(file):
    table, _ = table_of(file("id,words,y\n1,,\n"))
    assert table["y"].dtype == np.float64
    assert table["words"].dtype == TEXT


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_numbers_are_read_to_the_last_bit(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_text("y\n" + "".join(f"{number!r}\n" for number in numbers))
    assert read_table(path, ["y"], {"y"}, set())[0]["y"].tolist() == numbers


@pytest.mark.parametrize("cell", ["many", "1,5", "1_000", "0x10", " ", "True", "inf", "-Infinity", "1e999", "$5", "-nan"])
def test_text_and_infinity_in_a_column_of_numbers_are_refused_with_their_place(file, cell):
    with pytest.raises(BadData) as caught:
        table_of(file(f'id,words,y\na,,1\nb,,"{cell}"\nc,,"{cell}"\n'))
    message = str(caught.value)
    for said in ("'y'", "2 rows", repr(cell), "row 2", "id b"):
        assert said in message


def test_columns_that_may_be_absent_come_as_missing(file):
    table, absent = table_of(file("id\n1\n2\n"))
    assert absent == ["words", "y"]
    assert table["y"].isna().all()
    assert table["words"].isna().all()
    assert table.dtypes.tolist() == [TEXT, TEXT, np.float64]


def test_unexpected_and_lacking_columns_are_named_together(file):
    with pytest.raises(
        BadData, match=r"lacks 'id' and has unexpected columns 'image', 'label'. Is it another competition's file\?"
    ):
        table_of(file("image,label,y\n1,2,3\n"))
    with pytest.raises(BadData, match=r"lacks 'y'\. Is it"):
        table_of(file("id,words\n1,2\n"), required=("id", "y"))


def test_of_many_unexpected_columns_the_first_are_named(file):
    names = [f"x{i}" for i in range(20)]
    with pytest.raises(BadData, match=r"'x7', ... \(20 in all\)"):
        table_of(file(",".join(["id", *names]) + "\n" + ",".join("1" * 21) + "\n"))


# --------------------------------------------------------------------------------------------------------------------- packed


def zipped(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["train.csv.zip", "train.zip", "train.csv.gz"])
def test_a_packed_table_is_read_as_the_plain_one_which_goes_first(tmp_path, name):
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(SMALL.encode()))
    else:
        zipped(tmp_path / name, **{"train.csv": SMALL, "__MACOSX/._train.csv": "x"})
    assert read_text(tmp_path / "train.csv")["id"].tolist() == ["1", "2", "3"]
    (tmp_path / "train.csv").write_text("id\n9\n")
    assert read_text(tmp_path / "train.csv")["id"].tolist() == ["9"]


@pytest.mark.parametrize("cut", [0.3, 0.8, 0.99])
@pytest.mark.parametrize("name", ["train.csv.zip", "train.csv.gz"])
def test_a_packed_table_that_was_cut_is_refused(tmp_path, name, cut):
    path = tmp_path / name
    path.write_bytes(gzip.compress(SMALL.encode())) if name.endswith("gz") else zipped(path, **{"train.csv": SMALL})
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(BadData, match=rf"{name} cannot be unpacked"):
        read_text(tmp_path / "train.csv")


def test_a_bomb_and_a_zip_of_several_files_are_refused(tmp_path):
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(b"0" * 20_000_000))
    with pytest.raises(BadData, match="would unpack to more than"):
        read_text(tmp_path / "train.csv")
    zipped(tmp_path / "test.csv.zip", **{"a.csv": SMALL, "b.csv": SMALL})
    with pytest.raises(BadData, match=r"holds 'a\.csv', 'b\.csv'; one table is needed"):
        read_text(tmp_path / "test.csv")
