"""The JSON can be read by any program, and the pages by any browser."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audit.finding import Chart, Finding, Severity, graded, some
from pipeline.audit.report import counts, page, svg, write
from tests.pipeline.audit.made import run_of, tables

ODD = 'a "column" <b> & more'
FINDINGS = [
    Finding(
        "shift",
        Severity.WARNING,
        f"{ODD} differs.",
        "Drop it.",
        (ODD,),
        ("r1",),
        {"auc": np.float64(0.7), "none": float("nan"), "by": {ODD: 1}},
        (
            Chart(ODD, (ODD, "b" * 80), (0.7, 0.4), (0.6, 0.3), (0.8, 0.5), 0.5),
            Chart("time", ("1", "2"), (1.0, 1.0), ordered=True),
        ),
    ),
    Finding("rows", Severity.NOTE, "Two rows.", "Nothing."),
]


def test_json_and_page_are_written_into_the_run_folder(tmp_path: Path) -> None:
    run = run_of(tmp_path, *tables(0, 60, 60))
    path, pages = write(run, FINDINGS, ["one", "two"])
    assert path == run.store.path("audit.json")
    assert pages == [run.store.path("audit.html")]
    said = json.loads(path.read_text())
    assert said["counts"] == {"severe": 0, "warning": 1, "note": 1}
    assert [one["check"] for one in said["findings"]] == ["shift", "rows"]
    assert said["findings"][0]["numbers"] == {"auc": 0.7, "none": None, "by": {ODD: 1}}
    assert (said["train rows"], said["checked"], said["folds"]) == (60, ["one", "two"], run.folds.hash)
    assert write(run, FINDINGS, ["one", "two"])[0].read_bytes() == path.read_bytes()


@pytest.mark.parametrize("found", [FINDINGS, []])
def test_the_page_is_well_formed_and_loads_nothing(tmp_path: Path, found: list[Finding]) -> None:
    run = run_of(tmp_path, *tables(0, 60, 60))
    for practice in (False, True):
        text = page(dataclasses.replace(run, practice=practice), found)
        assert text.startswith("<!doctype html>")
        body = text.removeprefix("<!doctype html>\n").replace('<meta charset="utf-8">', "")
        tree = ElementTree.fromstring(body)
        assert len(tree.findall(".//article")) == len(found)
        assert not {"src", "href"} & {name for element in tree.iter() for name in element.attrib}
        assert ("PRACTICE DATA" in text) == practice


@settings(deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=15),
    st.sampled_from([None, 0.5]),
    st.booleans(),
    st.booleans(),
)
def test_any_chart_can_be_drawn_inside_its_frame(
    values: list[float], reference: float | None, ordered: bool, bounds: bool
) -> None:
    ends = tuple(values) if bounds else ()
    drawn = svg(Chart("any", tuple(f"<{at}>" for at in range(len(values))), tuple(values), ends, ends, reference, ordered))
    tree = ElementTree.fromstring(drawn)
    [picture] = tree.findall("svg")
    for rect in tree.iter("rect"):
        assert 0 <= float(rect.attrib["x"]) <= float(picture.attrib["width"])
        assert -3 <= float(rect.attrib["y"]) <= float(picture.attrib["height"])


def test_severities_have_an_order_and_thresholds() -> None:
    assert [one.rank for one in Severity] == [0, 1, 2]
    assert [graded(value, 0.5, 0.1) for value in (0.5, 0.1, 0.09)] == list(Severity)
    assert counts(FINDINGS) == {"severe": 0, "warning": 1, "note": 1}
    assert some("abcdefgh") == "a, b, c, d, e, f and 2 more"
