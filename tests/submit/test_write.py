"""Predictions become a file by id, exactly; only whole and valid submissions are kept."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.competition import Classification, Regression
from pipeline.errors import BadData, BadSubmission, StoreError
from pipeline.predictions import Table
from pipeline.store import STRAY
from submit.check import RULES, check
from submit.write import fill, kept, submission, write

PRICES = Regression(id="Id", target="Sold Price", metric="rmsle", low=0)
LEAVES = Classification(id="image", target="label")
CLASSES = ("acer", "ilex", "quercus")
ODD_IDS = [
    "007",
    "7",
    " 7",
    "7.0",
    "7e0",
    "９",
    "é",
    "e\u0301",
    "日本.jpg",
    "a,b",
    'say "7"',
    "two\nlines",
    "=1+1",
    "18446744073709551617",
    "nan",
]


def price_sample(ids: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"Id": ids, "Sold Price": "0"}, dtype=object)


def price_table(ids: list[str], seed: int = 0) -> Table:
    return Table(np.array(ids), np.random.default_rng(seed).lognormal(13, 1, len(ids)), ("Sold Price",))


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_ids_stay_as_they_are_byte_for_byte(tmp_path: Path) -> None:
    sample = price_sample(ODD_IDS)
    table = fill(sample, price_table(ODD_IDS), PRICES)
    write(tmp_path / "s.csv", table)
    assert check(tmp_path / "s.csv", sample, PRICES) == []
    raw = (tmp_path / "s.csv").read_bytes()
    assert b"\r" not in raw
    for line in ("007,", " 7,", "e\u0301,", '"a,b",', '"say ""7""",', '"two\nlines",', "=1+1,"):
        assert f"\n{line}".encode() in raw
    assert read(tmp_path / "s.csv")["Id"].tolist() == ODD_IDS


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8).filter(str.strip)
NUMBERS = st.floats(min_value=0, allow_infinity=False)


@given(st.lists(st.tuples(TEXT, NUMBERS), min_size=1, max_size=15, unique_by=lambda pair: pair[0]))
def test_whatever_the_ids_and_numbers_are_the_file_gives_them_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, float]]
) -> None:
    ids, values = [one for one, _ in pairs], np.array([value for _, value in pairs])
    path = tmp_path_factory.mktemp("any") / "s.csv"
    sample = price_sample(ids)
    write(path, fill(sample, Table(np.array(ids), values, ("Sold Price",)), PRICES))
    assert check(path, sample, PRICES) == []
    again = read(path)
    assert again["Id"].tolist() == ids
    assert np.array([float(cell) for cell in again["Sold Price"]]).tobytes() == values.tobytes()


def test_a_thousand_valid_submissions_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # two thousand of them would test the disk's patience
    rng = np.random.default_rng(7)
    path = tmp_path / "s.csv"
    for seed in range(1000):
        count, k = int(rng.integers(1, 60)), int(rng.integers(2, 6))
        ids = [f"{ODD_IDS[int(rng.integers(len(ODD_IDS)))]}{n}" for n in rng.permutation(count)]
        classes = tuple(f"class {letter}" for letter in "abcdef"[:k])
        if seed % 3 == 0:
            sample, table, task = price_sample(ids), price_table(ids, seed), PRICES
        else:
            probabilities = rng.dirichlet(np.ones(k), count)
            probabilities[:k] = np.eye(k)[:count]  # certain ones, of every class
            answers = {"label": "class a"} if seed % 3 == 1 else dict.fromkeys(classes, "0")
            sample = pd.DataFrame({"image": ids, **answers}, dtype=object)
            table, task = Table(np.array(ids), probabilities, classes), LEAVES
        write(path, fill(sample, table, task))
        assert check(path, sample, task, table.columns) == []


def test_shuffled_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    ids = [str(n) for n in range(100)]
    table, order = price_table(ids), np.random.default_rng(3).permutation(100)
    shuffled = Table(table.ids[order], table.at(table.ids[order]), table.columns)
    one = submission(tmp_path, price_sample(ids), table, PRICES, {})
    other = submission(tmp_path, price_sample(ids), shuffled, PRICES, {})
    assert one.read_bytes() == other.read_bytes()
    assert one.parent.name[-8:] == other.parent.name[-8:] == hashlib.sha256(one.read_bytes()).hexdigest()[:8]


def test_numbers_are_the_shortest_text_that_reads_back_exactly() -> None:
    values = [1234567.25, 0.1 + 0.2, 1e-5, 0.0, 1e16, 123456789012345.6]
    ids = [str(n) for n in range(len(values))]
    filled = fill(price_sample(ids), Table(np.array(ids), np.array(values), ("Sold Price",)), PRICES)
    assert filled["Sold Price"].tolist() == ["1234567.25", "0.30000000000000004", "1e-05", "0.0", "1e+16", "123456789012345.6"]


def test_a_label_is_the_name_of_the_most_probable_class_the_first_on_a_tie() -> None:
    sample = pd.DataFrame({"image": ["b", "a", "c"], "label": "acer"}, dtype=object)
    table = Table(np.array(["a", "b", "c"]), np.array([[0.1, 0.7, 0.2], [0.1, 0.2, 0.7], [0.2, 0.4, 0.4]]), CLASSES)
    assert fill(sample, table, LEAVES)["label"].tolist() == ["quercus", "ilex", "ilex"]


def test_probabilities_go_to_the_columns_of_their_names() -> None:
    sample = pd.DataFrame({"quercus": ["0"], "image": ["a"], "acer": ["0"], "ilex": ["0"]}, dtype=object)
    filled = fill(sample, Table(np.array(["a"]), np.array([[0.1, 0.7, 0.2]]), CLASSES), LEAVES)
    assert list(filled.columns) == ["quercus", "image", "acer", "ilex"]
    assert filled.iloc[0].tolist() == ["0.2", "a", "0.1", "0.7"]


def test_the_chance_of_one_class_fills_the_target_s_column() -> None:
    sample = pd.DataFrame({"image": ["a", "b"], "label": "0.5"}, dtype=object)
    filled = fill(sample, Table(np.array(["b", "a"]), np.array([0.25, 0.75]), ("label",)), LEAVES)
    assert filled["label"].tolist() == ["0.75", "0.25"]


def test_the_sample_itself_is_not_changed() -> None:
    sample = price_sample(["1", "2"])
    fill(sample, price_table(["1", "2", "3"]), PRICES)
    assert sample["Sold Price"].tolist() == ["0", "0"]


def test_an_id_without_a_prediction_is_named() -> None:
    assert "missing-prediction" in RULES
    with pytest.raises(BadSubmission, match=r"^\[missing-prediction\] 2 of the sample's 4 ids .* first '3', '07'") as caught:
        fill(price_sample(["1", "3", "7", "07"]), price_table(["1", "7"]), PRICES)
    assert caught.value.rule == "missing-prediction"


def test_predictions_of_other_columns_than_the_sample_s_are_bad_data() -> None:
    with pytest.raises(BadData, match="'Sold Price', the predictions have 'price'"):
        fill(price_sample(["1"]), Table(np.array(["1"]), np.array([1.0]), ("price",)), PRICES)


def test_a_kept_submission_tells_what_it_is(tmp_path: Path) -> None:
    ids = [str(n) for n in range(30)]
    about = {
        "practice": True,
        "models": {"gbdt": np.float32(0.5), "mlp": float("nan")},
        "weights": np.array([0.25, np.inf]),
        "interval": (0.1, np.float64(0.2)),
        "data": Path("data"),
        "rows": np.int64(3),
        "ensemble": None,
    }
    file = submission(tmp_path / "new" / "submissions", price_sample(ids), price_table(ids), PRICES, about)
    manifest = json.loads((file.parent / "manifest.json").read_text())
    assert manifest["file"] == {
        "name": "submission.csv",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "rows": 30,
        "columns": ["Id", "Sold Price"],
    }
    assert manifest["about"] == {
        "practice": True,
        "models": {"gbdt": 0.5, "mlp": None},
        "weights": [0.25, None],
        "interval": [0.1, 0.2],
        "data": "data",
        "rows": 3,
        "ensemble": None,
    }
    assert manifest["check"] == {"rules": list(RULES), "broken": []}
    assert pd.Timestamp(manifest["created"]).tzname() == "UTC"
    assert sorted(path.name for path in file.parent.iterdir()) == ["manifest.json", "submission.csv"]


def test_kept_submissions_are_listed_oldest_first_and_only_whole_ones(tmp_path: Path) -> None:
    ids = ["1", "2"]
    files = [submission(tmp_path, price_sample(ids), price_table(ids, seed), PRICES, {}) for seed in range(4)]
    assert kept(tmp_path) == files
    files[0].write_bytes(files[0].read_bytes().replace(b"1,", b"1,1", 1))
    files[1].unlink()
    (files[2].parent / "manifest.json").write_text("{")
    assert kept(tmp_path) == files[3:]
    assert kept(tmp_path / "none") == []


def test_what_breaks_a_rule_is_not_kept(tmp_path: Path) -> None:
    ids = [str(n) for n in range(30)]
    low = Table(np.array(ids), np.arange(30) - 1.0, ("Sold Price",))
    with pytest.raises(BadSubmission, match=r"^\[range\].*'-1.0'"):
        submission(tmp_path, price_sample(ids), low, PRICES, {})
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_as_it_is_is_not_kept(tmp_path: Path) -> None:
    for odd in ("a\rb", "a\0"):  # read back as a line end, and as no text
        with pytest.raises(BadSubmission):
            submission(tmp_path, price_sample([f"{odd}c"]), price_table([f"{odd}c"]), PRICES, {})
    with pytest.raises(BadSubmission, match=r"not-text.*UTF-8"):
        submission(tmp_path, price_sample(["\ud800"]), price_table(["\ud800"]), PRICES, {})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    ids = [str(n) for n in range(500)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StoreError, match="Free space"):
            submission(tmp_path, price_sample(ids), price_table(ids), PRICES, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "Free space"),
        (errno.EROFS, "may write to"),
        (errno.EACCES, "may write to"),
        (errno.EIO, "Look after that disk"),
    ],
)
def test_an_error_of_the_disk_is_told_with_its_cure(
    number: int, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=f"{os.strerror(number)}.*{cure}"):
        submission(tmp_path, price_sample(["1"]), price_table(["1"]), PRICES, {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folder_s_place_is_told_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "submissions").write_text("not a folder")
    for folder in (tmp_path / "submissions", tmp_path / "submissions" / "deeper"):
        with pytest.raises(StoreError, match="move it away"):
            submission(folder, price_sample(["1"]), price_table(["1"]), PRICES, {})
    with pytest.raises(StoreError, match="move it away"):
        write(tmp_path / "submissions" / "s.csv", price_sample(["1"]))
    assert (tmp_path / "submissions").read_text() == "not a folder"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.csv"
    write(path, price_sample(["1"]))
    before = path.read_bytes()
    write(path, price_sample(["2"]))
    assert path.read_bytes() == before.replace(b"1,", b"2,")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError):
        write(path, price_sample(["3"]))
    assert path.read_bytes() == before.replace(b"1,", b"2,")
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_processes_left_is_swept_and_what_others_write_is_not(tmp_path: Path) -> None:
    dead, alive = (tmp_path / f"{STRAY}{socket.gethostname()}-{process}-0" for process in (2**40, os.getpid()))
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "submission.csv").write_text("Id")
    submission(tmp_path, price_sample(["1"]), price_table(["1"]), PRICES, {})
    assert not dead.exists()
    assert alive.exists()


# Forks a process for each moment and kills it there, before the system call that would come next.
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np, pandas as pd
from pipeline.competition import Regression
from pipeline.predictions import Table
from submit.write import submission

sample = pd.DataFrame({"Id": ["1", "2"], "Sold Price": "0"}, dtype=object)
table = Table(np.array(["1", "2"]), np.array([3.5, 4.5]), ("Sold Price",))

def before(call, moment, passed=[]):
    def step(*args, **kwargs):
        passed.append(call)
        if len(passed) > moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return step

for moment in range(100):
    child = os.fork()
    if child == 0:
        for name in ("open", "mkdir", "fsync", "rename", "replace"):
            setattr(os, name, before(getattr(os, name), moment))
        submission(Path(sys.argv[1], str(moment)), sample, table, Regression("Id", "Sold Price"), {})
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
print(moment)
"""


def test_a_kill_at_any_moment_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    last = int(ran.stdout)
    assert 8 <= last < 99
    finished = []
    for moment in range(last + 1):
        folder = tmp_path / str(moment)
        named = [path for path in folder.glob("*") if not path.name.startswith(".")]
        assert [path.parent for path in kept(folder)] == named
        if named:
            finished.append(moment)
            assert check(kept(folder)[0], price_sample(["1", "2"]), PRICES) == []
    assert finished == list(range(finished[0], last + 1))
    assert len(finished) <= 3  # the finished run, and those killed after the rename


@pytest.mark.parametrize("name", ["california-house-prices", "house-prices-king-county", "leaf-classification"])
def test_a_real_sample_is_filled_with_its_ids_untouched(name: str, shared: Path, tmp_path: Path) -> None:
    source = shared / name / "sample_submission.csv"
    sample = read(source)
    ids, rng = sample.iloc[:, 0].tolist(), np.random.default_rng(0)
    if "label" in sample.columns:
        task, table = LEAVES, Table(np.array(ids), rng.dirichlet(np.ones(3), len(ids)), CLASSES)
    else:
        task, table = PRICES, price_table(ids)
    file = submission(tmp_path, sample, table, task, {})
    first = [[line.partition(b",")[0] for line in path.read_bytes().split(b"\n")] for path in (source, file)]
    assert first[0] == first[1]


def test_the_chance_of_the_second_class_fills_a_column_alone(tmp_path: Path) -> None:
    churn = Classification(id="Id", target="churned", metric="log_loss")
    sample = pd.DataFrame({"Id": ["b", "a"], "churned": "0"}, dtype=object)
    chances = Table(np.array(["a", "b"]), np.array([[0.25, 0.75], [0.875, 0.125]]), ("no", "yes"))
    assert fill(sample, chances, churn)["churned"].tolist() == ["0.125", "0.75"]
    path = submission(tmp_path, sample, chances, churn, {})
    assert json.loads((path.parent / "manifest.json").read_text())["file"]["chance of"] == "yes"
    labels = fill(sample, chances, Classification(id="Id", target="churned", metric="accuracy"))
    assert labels["churned"].tolist() == ["no", "yes"]
