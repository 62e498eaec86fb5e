"""Files with one thing wrong are refused with the rule's name; valid files are accepted."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import Classification, Detection, Regression, Task
from pipeline.errors import BadData, BadSubmission, StoreError
from submit.check import RULES, TELLING, check, require, shape

ROWS = 40
PRICES = Regression(id="Id", target="Sold Price", metric="rmsle", low=0, high=1e8)
LEAVES = Classification(id="image", target="label")
CLASSES = ("acer", "ilex", "quercus")
Grid = list[list[str]]


def text(rows: Grid) -> pd.DataFrame:
    return pd.DataFrame(rows[1:], columns=rows[0], dtype=object)


def as_bytes(rows: Grid) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def prices() -> Grid:
    rng = np.random.default_rng(1)
    return [["Id", "Sold Price"], *[[str(47439 + n), repr(float(rng.lognormal(13, 1)))] for n in range(ROWS)]]


def labels() -> Grid:
    return [["image", "label"], *[[f"images/{n}.jpg", CLASSES[n % 3]] for n in range(ROWS)]]


def chances() -> Grid:
    values = np.random.default_rng(1).dirichlet(np.ones(3), ROWS)
    return [["image", *CLASSES], *[[f"images/{n}.jpg", *map(repr, row)] for n, row in enumerate(values.tolist())]]


def sample_of(rows: Grid, answer: str) -> pd.DataFrame:
    return text([rows[0], *[[row[0], *[answer] * (len(row) - 1)] for row in rows[1:]]])


KINDS: dict[str, tuple[Callable[[], Grid], str, Task, tuple[str, ...]]] = {
    "prices": (prices, "0", PRICES, ("Sold Price",)),
    "labels": (labels, "acer", LEAVES, CLASSES),
    "chances": (chances, "0", LEAVES, CLASSES),
}


def put(row: int, column: int, value: str) -> Callable[[Grid], Grid]:
    """The rows with one cell changed; row 0 is the header."""

    def change(rows: Grid) -> Grid:
        rows[row][column] = value
        return rows

    return change


def column(number: int, change: Callable[[str], str]) -> Callable[[Grid], Grid]:
    """The rows with every cell of a column below the header changed."""
    return lambda rows: [rows[0], *[[change(c) if k == number else c for k, c in enumerate(row)] for row in rows[1:]]]


def swapped(rows: Grid) -> Grid:
    rows[3], rows[7] = rows[7], rows[3]
    return rows


NO_NUMBERS = ("abc", "1,234", "$5", "5 USD", "1.2.3", " 5", "0x1F", "1_000", "٥", "1e", "=1+1", "12%", "True", "[5.0]", "--5")
Change = Callable[[Grid], Grid | bytes]
CASES: list[tuple[str, str, Change, list[str]]] = [
    # The file.
    ("prices", "an empty file", lambda rows: b"", ["file-empty"]),
    ("prices", "line ends only", lambda rows: b"\n\r\n", ["file-empty"]),
    ("prices", "a byte-order mark", lambda rows: codecs.BOM_UTF8 + as_bytes(rows), ["not-text"]),
    ("prices", "UTF-16", lambda rows: as_bytes(rows).decode().encode("utf-16"), ["not-text"]),
    ("prices", "UTF-16 without a mark", lambda rows: as_bytes(rows).decode().encode("utf-16-le"), ["not-text"]),
    ("prices", "a block of NUL", lambda rows: as_bytes(rows)[:200] + b"\0" * 64 + as_bytes(rows)[264:], ["not-text"]),
    ("labels", "Latin-1", lambda rows: as_bytes(put(2, 1, "chêne")(rows)).decode().encode("latin-1"), ["not-text"]),
    ("prices", "cut inside the last number", lambda rows: as_bytes(rows)[:-4], ["cut-short"]),
    ("prices", "cut inside the last id", lambda rows: as_bytes(rows).rpartition(b",")[0][:-1], ["cut-short", "ragged-row"]),
    ("prices", "cut inside a line end", lambda rows: as_bytes(rows).replace(b"\n", b"\r\n")[:-1], ["cut-short"]),
    ("prices", "a quote left open", lambda rows: as_bytes(rows).replace(b"\n47440", b'\n"47440'), ["not-csv"]),
    ("prices", "text after a quote", lambda rows: as_bytes(rows).replace(b"47440,", b'"47440"0,'), ["not-csv"]),
    ("prices", "a cell too many", lambda rows: [*rows[:5], [*rows[5], ""], *rows[6:]], ["ragged-row"]),
    ("prices", "a cell too few", lambda rows: [*rows[:5], rows[5][:1], *rows[6:]], ["ragged-row"]),
    ("prices", "an empty line", lambda rows: as_bytes(rows) + b"\n", ["ragged-row"]),
    ("prices", "a comma for thousands", lambda rows: as_bytes(rows).replace(b"\n47440,", b"\n47440,1,"), ["ragged-row"]),
    # The columns.
    ("prices", "a renamed column", put(0, 1, "SalePrice"), ["columns"]),
    ("prices", "a space after a name", put(0, 1, "Sold Price "), ["columns"]),
    ("prices", "another case", put(0, 0, "ID"), ["columns"]),
    ("prices", "an index column", lambda rows: [["" if row is rows[0] else "5", *row] for row in rows], ["columns"]),
    ("prices", "a column twice", lambda rows: [[*row, row[1]] for row in rows], ["columns"]),
    ("prices", "ids only", lambda rows: [row[:1] for row in rows], ["columns"]),
    ("chances", "a class left out", lambda rows: [row[:-1] for row in rows], ["columns"]),
    ("prices", "semicolons", lambda rows: as_bytes(rows).replace(b",", b";"), ["columns"]),
    ("prices", "no header", lambda rows: rows[1:], ["columns", "row-count"]),
    ("prices", "columns swapped", lambda rows: [row[::-1] for row in rows], ["column-order"]),
    ("chances", "classes in another order", lambda rows: [[row[0], row[3], row[1], row[2]] for row in rows], ["column-order"]),
    # The rows and ids.
    ("prices", "a row lost", lambda rows: rows[:7] + rows[8:], ["row-count", "missing-id"]),
    ("prices", "the last rows lost", lambda rows: rows[:-9], ["row-count", "missing-id"]),
    ("prices", "a header and nothing else", lambda rows: rows[:1], ["row-count", "missing-id"]),
    ("prices", "a row more", lambda rows: [*rows, ["79065", "1.5"]], ["row-count", "unknown-id"]),
    ("prices", "a row twice", lambda rows: [*rows, rows[4]], ["row-count", "duplicate-id"]),
    ("prices", "an id in place of another", put(5, 0, "47439"), ["duplicate-id", "missing-id"]),
    ("prices", "an id of another table", put(5, 0, "12"), ["unknown-id", "missing-id"]),
    ("prices", "one file after another", lambda rows: rows + rows, ["row-count", "duplicate-id", "unknown-id", "not-a-number"]),
    ("prices", "two rows swapped", swapped, ["id-order"]),
    ("prices", "sorted by price", lambda rows: [rows[0], *sorted(rows[1:], key=lambda row: float(row[1]))], ["id-order"]),
    ("prices", "ids as floats", column(0, lambda cell: f"{cell}.0"), ["id-text"]),
    ("prices", "ids with zeros in front", column(0, lambda cell: f"00{cell}"), ["id-text"]),
    ("prices", "ids as powers", column(0, lambda cell: f"{float(cell):.6e}"), ["id-text"]),
    ("prices", "a space before an id", put(5, 0, " 47443"), ["id-text"]),
    ("prices", "an id in other digits", put(5, 0, "４7443"), ["id-text"]),
    ("prices", "an id with a monstrous exponent", put(5, 0, "1e99999999999999999999"), ["unknown-id", "missing-id"]),
    ("labels", "ids in capitals", column(0, str.upper), ["id-text"]),
    ("labels", "ids without their folder", column(0, lambda cell: cell.partition("/")[2]), ["unknown-id", "missing-id"]),
    ("prices", "an empty id", put(5, 0, ""), ["missing-id", "blank"]),
    # The answers.
    ("prices", "an empty cell", put(5, 1, ""), ["blank"]),
    ("prices", "a cell of spaces", put(5, 1, "  "), ["blank"]),
    ("labels", "an empty label", put(5, 1, ""), ["blank"]),
    *[("prices", word, put(5, 1, word), ["nan"]) for word in ("nan", "NaN", "NA", "null", "None", "-nan", "<NA>")],
    *[("prices", word, put(5, 1, word), ["infinite"]) for word in ("inf", "-Infinity", "1e999", "∞")],
    *[("prices", word, put(5, 1, word), ["not-a-number"]) for word in NO_NUMBERS],
    ("prices", "a price below zero", put(5, 1, "-0.5"), ["range"]),
    ("prices", "a price beyond belief", put(5, 1, "1e9"), ["range"]),
    ("labels", "a misspelt class", put(5, 1, "Quercus"), ["unknown-class"]),
    ("labels", "the class's number", column(1, lambda cell: str(CLASSES.index(cell))), ["unknown-class"]),
    ("chances", "a negative probability", put(5, 1, "-0.1"), ["probability", "probability-sum"]),
    ("chances", "percent", column(1, lambda cell: str(float(cell) * 100 + 1.1)), ["probability", "probability-sum"]),
    ("chances", "a row that sums to less", put(5, 2, "0"), ["probability-sum"]),
    ("chances", "NaN in one class", put(5, 2, "nan"), ["nan"]),
    ("prices", "the same answer everywhere", column(1, lambda cell: "5.5"), ["constant"]),
    ("labels", "the same class everywhere", column(1, lambda cell: "ilex"), ["constant"]),
    ("prices", "the sample itself", column(1, lambda cell: "0.0"), ["constant", "unfilled"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "rules"), [pytest.param(k, c, r, id=f"{k}: {name}") for k, name, c, r in CASES])
def test_a_file_with_one_thing_wrong_is_refused_with_the_name_of_the_rule(
    kind: str, change: Change, rules: list[str], tmp_path: Path
) -> None:
    make, answer, task, classes = KINDS[kind]
    changed = change(make())
    file = tmp_path / "submission.csv"
    file.write_bytes(changed if isinstance(changed, bytes) else as_bytes(changed))
    sample = sample_of(make(), answer)
    broken = check(file, sample, task, classes)
    assert [one.rule for one in broken] == rules
    assert all(one.count >= 1 and one.message.endswith((".", "?")) for one in broken)
    with pytest.raises(BadSubmission) as caught:
        require(file, sample, task, classes)
    assert caught.value.rule == rules[0]
    assert all(rule in str(caught.value) for rule in rules)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unchanged_file_is_accepted_with_either_line_end(kind: str, tmp_path: Path) -> None:
    make, answer, task, classes = KINDS[kind]
    for name, raw in (("unix", as_bytes(make())), ("dos", as_bytes(make()).replace(b"\n", b"\r\n"))):
        (tmp_path / name).write_bytes(raw)
        require(tmp_path / name, sample_of(make(), answer), task, classes)
    require(text(make()), sample_of(make(), answer), task, classes)


def test_every_rule_has_a_case_that_breaks_it(tmp_path: Path) -> None:
    elsewhere = {"file-missing", "missing-prediction"}
    assert {rule for *_, rules in CASES for rule in rules} == set(RULES) - elsewhere
    missing = check(tmp_path / "none.csv", sample_of(prices(), "0"), PRICES)
    assert [one.rule for one in missing] == ["file-missing"]
    assert [one.rule for one in check(tmp_path, sample_of(prices(), "0"), PRICES)] == ["file-missing"]


def test_a_file_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    sample, raw, file = sample_of(prices(), "0"), as_bytes(prices()), tmp_path / "submission.csv"
    accepted = []
    for length in range(len(raw) + 1):
        file.write_bytes(raw[:length])
        if not check(file, sample, PRICES):
            accepted.append(length)
    assert accepted == [len(raw)]


def test_a_message_has_the_value_the_place_the_count_and_the_cure() -> None:
    rows = put(9, 1, "n/a")(put(5, 1, "nan")(prices()))
    (broken,) = check(text(rows), sample_of(prices(), "0"), PRICES)
    assert broken.count == 2
    for part in ("'nan'", "'Sold Price'", "Id '47443'", ": 2,", "Find the model"):
        assert part in broken.message


def test_a_misspelt_class_is_told_with_the_nearest_one() -> None:
    (broken,) = check(text(put(5, 1, "Quercus")(labels())), sample_of(labels(), "acer"), LEAVES, CLASSES)
    assert "Did you mean 'quercus'?" in broken.message
    (broken,) = check(text(put(5, 1, "zzz")(labels())), sample_of(labels(), "acer"), LEAVES, CLASSES)
    assert "'acer', 'ilex', 'quercus'" in broken.message


def test_all_broken_rules_are_told_and_the_first_is_raised() -> None:
    rows = put(9, 1, "-3")(put(5, 1, "nan")(prices()))[:-1]
    sample = sample_of(prices(), "0")
    assert [one.rule for one in check(text(rows), sample, PRICES)] == ["row-count", "missing-id", "nan", "range"]
    with pytest.raises(BadSubmission, match=r"^\[row-count\].* Also broken: missing-id \(1\), nan \(1\), range \(1\)\.$"):
        require(text(rows), sample, PRICES)


def test_a_table_of_numbers_is_refused_because_its_text_is_lost() -> None:
    numbers = text(prices()).astype({"Id": "int64", "Sold Price": "float64"})
    (broken,) = check(numbers, sample_of(prices(), "0"), PRICES)
    assert (broken.rule, broken.count) == ("not-text", 2 * ROWS)


def test_numbers_with_a_formula_s_sign_are_accepted() -> None:
    rows = put(5, 1, "+3e-07")(prices())
    assert check(text(rows), sample_of(prices(), "0"), PRICES) == []
    anything = Regression(id="Id", target="Sold Price")
    assert check(text(put(5, 1, "-3e-07")(prices())), sample_of(prices(), "0"), anything) == []


def test_the_ends_of_the_range_belong_to_it() -> None:
    rows = put(6, 1, "1e8")(put(5, 1, "0")(prices()))
    assert check(text(rows), sample_of(prices(), "0"), PRICES) == []


def test_the_word_nan_is_a_label_where_it_is_a_class() -> None:
    rows = put(5, 1, "nan")(labels())
    assert check(text(rows), sample_of(labels(), "acer"), LEAVES, (*CLASSES, "nan")) == []


def test_labels_without_known_classes_need_only_be_there() -> None:
    sample = sample_of(labels(), "acer")
    assert check(text(put(5, 1, "tilia")(labels())), sample, LEAVES) == []
    assert [one.rule for one in check(text(put(5, 1, "")(labels())), sample, LEAVES)] == ["blank"]


def test_probabilities_may_be_rounded_and_a_chance_alone_need_not_sum_to_1() -> None:
    rounded = [chances()[0], *[[row[0], *[f"{float(cell):.4f}" for cell in row[1:]]] for row in chances()[1:]]]
    assert check(text(rounded), sample_of(chances(), "0"), LEAVES, CLASSES) == []
    alone = [["image", "label"], *[[row[0], row[1]] for row in chances()[1:]]]
    assert check(text(alone), sample_of(alone, "0"), LEAVES, ("label",)) == []
    assert [one.rule for one in check(text(put(5, 1, "1.5")(alone)), sample_of(alone, "0"), LEAVES, ("label",))] == [
        "probability"
    ]


def test_probabilities_that_overflow_when_summed_are_told_without_a_warning() -> None:
    rows = put(5, 2, "1e308")(put(5, 1, "1.7e308")(chances()))
    broken = check(text(rows), sample_of(chances(), "0"), LEAVES, CLASSES)
    assert [one.rule for one in broken] == ["probability", "probability-sum"]


def test_few_rows_may_have_equal_answers() -> None:
    few = [prices()[0], *[[row[0], "5.5"] for row in prices()[1:TELLING]]]
    assert check(text(few), sample_of(few, "5.5"), PRICES) == []
    many = [prices()[0], *[[row[0], "5.5"] for row in prices()[1 : TELLING + 1]]]
    assert [one.rule for one in check(text(many), sample_of(many, "5.50"), PRICES)] == ["constant", "unfilled"]


def test_the_sample_decides_what_is_asked_for() -> None:
    assert shape(sample_of(prices(), "0"), PRICES) == "value"
    assert shape(sample_of(labels(), "acer"), LEAVES, CLASSES) == "label"
    assert shape(sample_of(labels(), "0.5"), LEAVES, ("label",)) == "probability"
    assert shape(sample_of(chances(), "0"), LEAVES, CLASSES[::-1]) == "probability"
    assert shape(sample_of(chances(), "0"), LEAVES) == "probability"


def test_a_metric_of_chances_and_one_column_ask_for_the_chance_of_the_second_of_two_classes() -> None:
    churn = Classification(id="image", target="label", metric="auc")
    sample = sample_of(labels(), "0")
    for names in (("no", "yes"), ("label",), None):
        assert shape(sample, churn, names) == "probability"
    with pytest.raises(BadData, match="not what a classification of 'label' asks for"):
        shape(sample, churn, CLASSES)
    said = [["image", "label"], *[[row[0], f"0.{n:03d}"] for n, row in enumerate(labels()[1:])]]
    assert check(text(said), sample, churn, ("no", "yes")) == []
    assert [one.rule for one in check(text(put(5, 1, "yes")(said)), sample, churn, ("no", "yes"))] == ["not-a-number"]


@pytest.mark.parametrize(
    ("sample", "task", "told"),
    [
        (sample_of(labels(), "acer"), Detection(id="image"), "boxes"),
        (sample_of(labels(), "acer"), PRICES, "needs each column once, 'Id' among them"),
        (text([["Id", "Id"], ["1", "2"]]), PRICES, "needs each column once"),
        (text([["Id", "Sold Price"]]), PRICES, "no rows"),
        (text([["Id", "Sold Price"], ["1", "0"], ["1", "0"]]), PRICES, "empty or stand twice, first '1'"),
        (text([["Id", "Sold Price"], [" ", "0"]]), PRICES, "empty or stand twice, first ' '"),
        (text([["Id", "Sold Price"], ["1", "0"]]).astype({"Id": int}), PRICES, "not text"),
        (text([["Id", "Price"], ["1", "0"]]), PRICES, "has 'Price', the predictions have 'Sold Price'"),
        (text([["image", "acer", "ilex"], ["1", "0", "0"]]), LEAVES, "'ilex', the predictions have 'acer', 'ilex', 'q"),
    ],
)  # fmt: skip
def test_a_sample_that_cannot_be_the_measure_is_bad_data(sample: pd.DataFrame, task: Task, told: str) -> None:
    with pytest.raises(BadData, match=told):
        shape(sample, task, ("Sold Price",) if task is PRICES else CLASSES)


def test_a_file_that_may_not_be_read_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "submission.csv"
    file.write_bytes(as_bytes(prices()))

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match=r"Permission denied.*readable"):
        check(file, sample_of(prices(), "0"), PRICES)
