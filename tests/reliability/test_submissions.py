"""A submission with one thing wrong is refused with the rule's name; a thousand valid ones are accepted."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.competition import Classification, Regression, Task
from pipeline.errors import BadSubmission
from pipeline.run import open_run
from submit import boxes, check, require
from tests.conftest import Said
from tests.reliability.small import answer, opened
from tests.reliability.spoiling import submissions
from tests.submit.test_check import Grid, as_bytes, sample_of

Podium = Callable[..., Said]
Change = Callable[[Grid, np.random.Generator], Grid | bytes]
CLASSES = ("acer", "ilex", "nan", "quercus, red")
VALID = 340  # files of each shape: a thousand and more in all
PRICES = Regression(id="Id", target="Sold Price", metric="rmsle", low=0.0)
LEAVES = Classification(id="image", target="label")


# -------------------------------------------------------------------------------------------------------------------- operators


def cell(column: int, value: str | Callable[[str], str], count: int = 1) -> Change:
    """So many cells of a column, counted from the last where it is below 0, replaced."""

    def change(rows: Grid, rng: np.random.Generator) -> Grid:
        for row in rng.choice(np.arange(1, len(rows)), count, replace=False).tolist():
            rows[row][column] = value(rows[row][column]) if callable(value) else value
        return rows

    return change


def column(at: int, change: Callable[[str], str]) -> Change:
    def spoil(rows: Grid, rng: np.random.Generator) -> Grid:
        for row in rows[1:]:
            row[at] = change(row[at])
        return rows

    return spoil


def raw(change: Callable[[bytes], bytes]) -> Change:
    return lambda rows, rng: change(as_bytes(rows))


def swapped(rows: Grid, rng: np.random.Generator) -> Grid:
    one, other = rng.choice(np.arange(1, len(rows)), 2, replace=False).tolist()
    rows[one], rows[other] = rows[other], rows[one]
    return rows


def copied_id(rows: Grid, rng: np.random.Generator) -> Grid:
    one, other = rng.choice(np.arange(1, len(rows)), 2, replace=False).tolist()
    rows[one][0] = rows[other][0]
    return rows


def at(rows: Grid, rng: np.random.Generator) -> int:
    return int(rng.integers(1, len(rows)))


ANY: dict[str, tuple[Change, str]] = {
    # of the file
    "empty": (raw(lambda content: b""), "file-empty"),
    "blank lines": (raw(lambda content: b"\n \n"), "file-empty"),
    "a byte-order mark": (raw(lambda content: b"\xef\xbb\xbf" + content), "not-text"),
    "UTF-16": (raw(lambda content: content.decode().encode("utf-16")), "not-text"),
    "a NUL": (raw(lambda content: content[:9] + b"\0" + content[9:]), "not-text"),
    "Latin-1": (raw(lambda content: content + b"\xe9,\xe9\n"), "not-text"),
    "zipped": (raw(lambda content: b"PK\x03\x04\0\0" + content), "not-text"),
    "cut inside its last row": (raw(lambda content: content[:-2]), "cut-short"),
    "a quote left open": (raw(lambda content: content.replace(b"\n", b'\n"', 1)), "not-csv"),
    "text behind a quote": (raw(lambda content: content + b'"a"b,1\n'), "not-csv"),
    "a line left empty": (raw(lambda content: content.replace(b"\n", b"\n\n", 1)), "ragged-row"),
    "a cell too many": (lambda rows, rng: [*rows[:3], [*rows[3], "x"], *rows[4:]], "ragged-row"),
    "a cell too few": (lambda rows, rng: [*rows[:3], rows[3][:-1], *rows[4:]], "ragged-row"),
    # of the columns
    "no header": (lambda rows, rng: rows[1:], "columns"),
    "a column renamed": (lambda rows, rng: [[*rows[0][:-1], rows[0][-1] + "_"], *rows[1:]], "columns"),
    "the id in another case": (lambda rows, rng: [[rows[0][0].swapcase(), *rows[0][1:]], *rows[1:]], "columns"),
    "an index in front": (lambda rows, rng: [[str(number), *row] for number, row in enumerate(rows)], "columns"),
    "a column twice": (lambda rows, rng: [[*row, row[-1]] for row in rows], "columns"),
    "a column left out": (lambda rows, rng: [row[:-1] for row in rows], "columns"),
    "columns turned round": (lambda rows, rng: [row[::-1] for row in rows], "column-order"),
    # of the rows
    "a row left out": (lambda rows, rng: [row for number, row in enumerate(rows) if number != 5], "row-count"),
    "half of the rows": (lambda rows, rng: rows[: len(rows) // 2], "row-count"),
    "no rows": (lambda rows, rng: rows[:1], "row-count"),
    "a row twice": (lambda rows, rng: [*rows, rows[at(rows, rng)]], "row-count"),
    "a row of nobody": (lambda rows, rng: [*rows, ["nobody", *rows[1][1:]]], "row-count"),
    "the file twice": (lambda rows, rng: rows + rows[1:], "row-count"),
    "an id twice": (copied_id, "duplicate-id"),
    "an id of nobody": (cell(0, "nobody"), "unknown-id"),
    "an id with a blank": (cell(0, lambda one: f" {one}"), "id-text"),
    "an id with a blank behind": (cell(0, lambda one: f"{one} "), "id-text"),
    "no id": (cell(0, ""), "missing-id"),
    "two rows swapped": (swapped, "id-order"),
    "rows upside down": (lambda rows, rng: [rows[0], *rows[:0:-1]], "id-order"),
    # of the answers
    "no answer": (cell(-1, ""), "blank"),
    "an answer of blanks": (cell(-1, "   "), "blank"),
}
NUMERIC: dict[str, tuple[Change, str]] = {
    **{f"the answer {word!r}": (cell(-1, word), "nan") for word in ("nan", "NaN", "NA", "null", "None", "<NA>", "#N/A")},
    **{f"the answer {word!r}": (cell(-1, word), "infinite") for word in ("inf", "-inf", "Infinity", "1e999", "∞")},
    **{
        f"the answer {word!r}": (cell(-1, word), "not-a-number")
        for word in ("0,5", "$1", "1 000", "0x1F", "1_0", "٣", "50%", "=1+1", "True", "[1.0]", "one", "1e", "--1")
    },
    "all answers alike": (column(-1, lambda one: "0.25"), "constant"),
}
OF_IDS: dict[str, tuple[Change, str]] = {
    "semicolons": (raw(lambda content: content.replace(b",", b";")), "columns"),
    "tabs": (raw(lambda content: content.replace(b",", b"\t")), "columns"),
    "ids as floats": (column(0, lambda one: f"{one}.0"), "id-text"),
    "ids with a zero in front": (column(0, lambda one: f"0{one}"), "id-text"),
    "ids as powers of ten": (column(0, lambda one: f"{float(one):.9e}"), "id-text"),
}
SHAPES: dict[str, tuple[Task, tuple[str, ...], dict[str, tuple[Change, str]]]] = {
    "prices": (
        PRICES,
        ("Sold Price",),
        {**ANY, **NUMERIC, **OF_IDS, "a price below 0": (cell(-1, "-0.5"), "range"), "the sample": (column(-1, lambda one: "0"), "constant")},
    ),
    "labels": (
        LEAVES,
        CLASSES,
        {
            **ANY,
            "a label of no class": (cell(-1, "oak"), "unknown-class"),
            "a label in capitals": (cell(-1, str.upper), "unknown-class"),
            "the number of a class": (column(-1, lambda one: str(CLASSES.index(one))), "unknown-class"),
            "a probability for a label": (cell(-1, "0.5"), "unknown-class"),
            "all labels alike": (column(-1, lambda one: "ilex"), "constant"),
            "ids in capitals": (column(0, str.upper), "id-text"),
            "ids without their ending": (column(0, lambda one: one.rpartition(".")[0]), "unknown-id"),
        },
    ),
    "chances": (
        LEAVES,
        CLASSES,
        {
            **{name: each for name, each in {**ANY, **NUMERIC}.items() if name != "all answers alike"},
            "a chance below 0": (cell(1, "-0.01"), "probability"),
            "a chance above 1": (cell(2, "1.01"), "probability"),
            "percent": (column(1, lambda one: str(100 * float(one) + 2)), "probability"),
            "a row that is all 0": (lambda rows, rng: [*rows[:4], [rows[4][0], *["0"] * len(CLASSES)], *rows[5:]], "probability-sum"),
            "a row that is all 1": (lambda rows, rng: [*rows[:4], [rows[4][0], *["1"] * len(CLASSES)], *rows[5:]], "probability-sum"),
            "all rows alike": (lambda rows, rng: [rows[0], *[[row[0], *rows[1][1:]] for row in rows[1:]]], "constant"),
        },
    ),
}  # fmt: skip


def valid(shape: str, rng: np.random.Generator) -> Grid:
    """A file that keeps every rule, in one of the many ways to write one."""
    n = int(rng.integers(check.TELLING, 45))
    if shape == "prices":
        scale = rng.choice([1e-12, 1.0, 1e6, 1e300])
        how: Callable[[float], str] = [repr, lambda x: f"{x:.3e}", lambda x: f"+{x:.6g}", lambda x: f"{x:.17g}", lambda x: f"{x:E}"][int(rng.integers(5))]  # fmt: skip
        ids = rng.choice(10**9, n, replace=False).astype(str).tolist()
        return [["Id", "Sold Price"], *[[one, how(float(scale * x))] for one, x in zip(ids, rng.lognormal(0, 1, n), strict=True)]]
    names = [f"images/{one}, {word}.jpg" for one, word in zip(rng.choice(10**6, n, replace=False), rng.choice(["a", "é", '"q"', "x y"], n), strict=True)]  # fmt: skip
    if shape == "labels":
        labels = [*CLASSES[:2], *rng.choice(CLASSES, n - 2).tolist()]
        return [["image", "label"], *[list(pair) for pair in zip(names, labels, strict=True)]]
    digits = int(rng.integers(4, 17))
    chances = np.round(rng.dirichlet(np.ones(len(CLASSES)) * rng.choice([0.01, 1, 100]), n), digits)
    chances[0], chances[1] = np.eye(len(CLASSES))[:2]
    return [["image", *CLASSES], *[[name, *map(repr, row)] for name, row in zip(names, chances.tolist(), strict=True)]]


def written(rows: Grid, rng: np.random.Generator) -> bytes:
    """With either line end, and quotes where they are needed or everywhere."""
    out = io.StringIO()
    end, quoting = (("\n", "\r\n")[int(rng.integers(2))], (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)[int(rng.integers(2))])
    csv.writer(out, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_operator_is_refused_by_its_rule_and_valid_files_are_accepted(shape: str, tmp_path: Path, proof: Any) -> None:
    task, classes, operators = SHAPES[shape]
    rng, file, names, refused = np.random.default_rng(0), tmp_path / "submission.csv", list(operators), Counter[str]()
    for number in range(VALID):
        rows = valid(shape, rng)
        sample = sample_of(rows, {"prices": "0", "labels": "acer", "chances": "0"}[shape])
        file.write_bytes(written(rows, rng))
        assert check.check(file, sample, task, classes) == []
        name = names[number % len(names)]
        change, rule = operators[name]
        spoilt = change([list(row) for row in rows], rng)
        file.write_bytes(spoilt if isinstance(spoilt, bytes) else as_bytes(spoilt))
        with pytest.raises(BadSubmission) as caught:
            check.require(file, sample, task, classes)
        assert caught.value.rule == rule, name
        refused[name] += 1
    assert set(refused) == set(names)
    assert len(names) >= 30
    figures = {"operators": len(names), "mutations refused by their rule": refused.total(), "valid files accepted": VALID}
    proof(15, f"a table of {shape}", figures, kind="images" if shape != "prices" else "tables")


# ------------------------------------------------------------------------------------------------------------------------ boxes

BIG = 2**63 + 2**40 + 1  # no float64 has it
SIZES: boxes.Sizes = {str(BIG + number): (200, 100) for number in range(24)}
CATEGORIES = {"87", "1034", "131"}
Results = list[dict[str, Any]]


def found(rng: np.random.Generator) -> Results:
    """Results that keep every rule."""
    made, images = [], rng.permutation([int(one) for one in SIZES]).tolist()
    for image in images[: int(rng.integers(20, 25))]:
        for _ in range(int(rng.integers(1, 5))):
            left, top = rng.uniform(-0.9, 150), rng.uniform(-0.9, 60)
            size = [rng.uniform(0.01, 200.9 - left), rng.uniform(0.01, 100.9 - top)]
            box = [round(float(one), int(rng.integers(3, 16))) for one in (left, top, *size)]
            made.append(
                {"image_id": image, "category_id": int(rng.choice([87, 1034, 131])), "bbox": box, "score": float(rng.random())}
            )
    return made


def one(**change: Any) -> Callable[[Results], Results]:
    """The first result changed; a function is asked for the new value."""

    def spoil(results: Results) -> Results:
        made = {name: value(results[0][name]) if callable(value) else value for name, value in change.items()}
        return [{**results[0], **made}, *results[1:]]

    return spoil


def side(place: int, value: Any) -> Callable[[Results], Results]:
    return one(bbox=lambda box: [*box[:place], value, *box[place + 1 :]])


def every(**change: Any) -> Callable[[Results], Results]:
    return lambda results: [one(**change)([each])[0] for each in results]


OF_BOXES: dict[str, tuple[Callable[[Results], Any], str]] = {
    "no results": (lambda results: [], "no-boxes"),
    "a file of annotations": (lambda results: {"images": [], "annotations": results, "categories": []}, "not-a-list"),
    "lists in place of objects": (lambda results: [list(each.values()) for each in results], "not-a-list"),
    "a key too many": (one(area=5.0), "keys"),
    "a key too few": (lambda results: [{k: v for k, v in results[0].items() if k != "score"}, *results[1:]], "keys"),
    "a key misspelt": (lambda results: [{**{k: v for k, v in each.items() if k != "bbox"}, "box": each["bbox"]} for each in results], "keys"),
    "an id as a float": (one(image_id=float), "id-type"),
    "ids through float64": (every(image_id=lambda image: int(float(image))), "unknown-image"),
    "ids wrapped to a sign": (every(image_id=lambda image: image - 2**64), "id-type"),
    "an id as text": (one(image_id=str), "id-type"),
    "an id that is null": (one(image_id=None), "id-type"),
    "an id that is true": (one(image_id=True), "id-type"),
    "an id of 10,000 digits": (lambda results: json.dumps(results).replace(str(results[0]["image_id"]), "9" * 10_000, 1), "not-json"),
    "an image of another phase": (one(image_id=7), "unknown-image"),
    "a file name for an id": (one(image_id="000.jpg"), "unknown-image"),
    "a category counted from 0": (every(category_id=0), "unknown-category"),
    "a category as a float": (one(category_id=87.0), "id-type"),
    "a category by its name": (one(category_id="belt"), "unknown-category"),
    "NaN in a box": (lambda results: json.dumps(side(0, float("nan"))(results)), "not-json"),
    "NaN for a score": (lambda results: json.dumps(one(score=float("nan"))(results)), "not-json"),
    "infinity in a box": (lambda results: json.dumps(side(2, float("inf"))(results)), "not-json"),
    "a number beyond float64": (lambda results: json.dumps(one(score="S")(results)).replace('"S"', "1e999"), "score"),
    "three numbers": (one(bbox=lambda box: box[:3]), "box"),
    "five numbers": (one(bbox=lambda box: [*box, 1.0]), "box"),
    "a number as text": (side(1, "5"), "box"),
    "null in a box": (side(3, None), "box"),
    "true in a box": (side(3, True), "box"),
    "a box of a whole number too large": (side(2, 10**400), "box"),
    "no width": (side(2, 0), "no-area"),
    "a height below 0": (side(3, -4.0), "no-area"),
    "beyond the picture": (side(0, 250.0), "outside"),
    "left of the picture": (side(0, -3.0), "outside"),
    "corners in place of sides": (every(bbox=lambda box: [60.0 + box[0] % 40, 50.0 + box[1] % 9, 190.0, 90.0 + box[3] % 5]), "corners"),
    "shares of the picture's sides times 1,000": (every(bbox=lambda box: [300.0 + box[0], 1.0, 2.0, 3.0]), "corners"),
    "a score above 1": (one(score=1.0001), "score"),
    "a score below 0": (one(score=-1e-9), "score"),
    "percent": (every(score=lambda score: 2 + 98 * score), "score"),
    "a score as text": (one(score="0.5"), "score"),
    "a score that is true": (one(score=True), "score"),
    "a box twice": (lambda results: [*results, results[0]], "duplicate"),
    "a box twice with another score": (lambda results: [*results, {**results[0], "score": 0.123}], "duplicate"),
    "101 boxes in an image": (lambda results: [*results, *({**results[0], "bbox": [1.0, 1.0, 2.0 + k / 9, 3.0], "score": k / 200} for k in range(101))], "too-many"),
    "a few of the images": (lambda results: [{**each, "image_id": results[k % 5]["image_id"], "bbox": [1.0, 1.0, 2.0 + k / 9, 3.0]} for k, each in enumerate(results)], "few-images"),
    "scores that are all alike": (every(score=0.5), "constant"),
    "a key twice": (lambda results: json.dumps(results).replace('"score"', '"score": 0.1, "score"', 1), "not-json"),
    "cut short": (lambda results: json.dumps(results)[:-1], "not-json"),
    "one result a line": (lambda results: "\n".join(map(json.dumps, results)), "not-json"),
    "Latin-1": (lambda results: json.dumps(results).encode() + b"\xe9", "not-json"),
    "a byte-order mark": (lambda results: b"\xef\xbb\xbf" + json.dumps(results).encode(), "not-json"),
    "deeper than anybody reads": (lambda results: "[" * 200_000, "not-json"),
}  # fmt: skip


def put(file: Path, content: Any) -> None:
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(boxes.FILE, text)


def test_every_operator_of_boxes_is_refused_by_its_rule_and_valid_zips_are_accepted(tmp_path: Path, proof: Any) -> None:
    rng, file, names, refused = np.random.default_rng(0), tmp_path / "answer.zip", list(OF_BOXES), Counter[str]()
    for number in range(VALID):
        results = found(rng)
        put(file, results)
        assert boxes.check(file, SIZES, CATEGORIES) == []
        name = names[number % len(names)]
        change, rule = OF_BOXES[name]
        put(file, change(results))
        told = boxes.check(file, SIZES, CATEGORIES)
        assert rule in [broken.rule for broken in told], name
        with pytest.raises(BadSubmission):
            check.refuse(told)
        refused[name] += 1
    assert set(refused) == set(names)
    figures = {"operators": len(names), "mutations refused by their rule": refused.total(), "valid files accepted": VALID}
    proof(15, "a zip of boxes", figures, kind="boxes")


# ------------------------------------------------------------------------------------------------------------- the real command


def operators_of(kind: str, good: bytes) -> Iterator[tuple[str, Any, str]]:
    """Every operator on a file that the command itself has written."""
    rng = np.random.default_rng(0)
    if kind == "boxes":
        of_many = ("a few of the images", "scores that are all alike", "corners in place of sides")
        for name, (change, rule) in OF_BOXES.items():
            if name not in of_many:
                yield name, change(json.loads(good)), rule
        return
    rows = list(csv.reader(io.StringIO(good.decode())))
    for name, (change, rule) in (ANY | (NUMERIC if kind == "tables" else {})).items():
        yield name, change([list(row) for row in rows], rng), rule


@pytest.mark.parametrize("kind", ["tables", "images", "boxes"])
def test_what_the_command_writes_it_accepts_and_no_mutation_of_it(kind: str, podium: Podium, tmp_path: Path, proof: Any) -> None:
    with opened(kind, tmp_path) as small:
        assert podium(*small.words("run", small.quick[1])).code == 0
        (whole,) = submissions("runs")
        assert podium("submit", small.name, "--data", small.data, "--check", whole).code == 0
        run, file, tried = open_run(small.name, small.data, "runs"), tmp_path / f"mutated{whole.suffix}", 0
        for name, content, rule in operators_of(kind, answer(whole)):
            if kind == "boxes":
                put(file, content)
            else:
                file.write_bytes(content if isinstance(content, bytes) else as_bytes(content))
            with pytest.raises(BadSubmission) as caught:
                require(run, file)
            assert f"{rule}" in str(caught.value), name
            tried += 1
        said = podium("submit", small.name, "--data", small.data, "--check", file)
        assert (said.code, said.err.startswith(f"Error: [{caught.value.rule}]")) == (2, True)
    proof(15, "what the command wrote, mutated", {"operators": tried, "refused by their rule": tried}, kind=kind)
