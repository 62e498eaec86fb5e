"""A folder of Kaggle's files becomes a competition that runs, checks and submits, and nobody edits a line."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import competitions
from pipeline.assemble import assemble
from pipeline.competition import Detection, Model, Regression
from pipeline.draft import Draft, Wishes, draft
from pipeline.errors import BadData
from pipeline.folds import KFold, TimeBlocks
from pipeline.run import PRACTICE_MARK, open_run, write_practice
from pipeline.train import train
from submit import require, submit
from tests.pipeline.draft import folders

ROOT = Path(__file__).resolve().parents[3]
NAMES = sorted(folders.ALL)
TINY = {  # of families of pictures: it need not find much
    "leaves": Model("probe", {"net": "test_efficientnet", "weights": None, "size": 64, "head": "lda"}),
    "things": Model("detector", {"net": "test_efficientnet", "weights": None, "size": 64, "epochs": 1, "plain": 0}),
}
METRICS = {"flats": "rmsle", "fraud": "auc", "states": "log_loss", "digits": "accuracy", "leaves": "accuracy", "things": "map"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {name: make(folder / name) for name, make in folders.ALL.items()}


@pytest.fixture(scope="module")
def drafts(data: dict[str, Path]) -> dict[str, Draft]:
    return {name: draft(name, root, wishes(name)) for name, root in data.items()}


def wishes(name: str) -> Wishes:
    return Wishes(name, metric="rmsle" if name == "flats" else None)


@pytest.fixture(scope="module")
def found(drafts: dict[str, Draft], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the files, where the registry finds them."""
    folder = tmp_path_factory.mktemp("drafts")
    for name, made in drafts.items():
        (folder / f"{name}.py").write_text(made.text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(competitions, "__path__", [*competitions.__path__, str(folder)])
        importlib.invalidate_caches()
        yield folder
    for name in drafts:
        sys.modules.pop(f"competitions.{name}", None)


@pytest.mark.parametrize("name", NAMES)
def test_real_files_lead_to_a_submission_that_keeps_every_rule(
    name: str, data: dict[str, Path], found: Path, tmp_path: Path
) -> None:
    run = open_run(name, data[name], tmp_path / "runs", folds=None if name == "flats" else 3)
    assert not run.practice
    assert run.entry.competition.metric.name == METRICS[name]
    recipes = {"tiny": TINY[name]} if name in TINY else {"ridge": run.entry.models()["ridge"]}
    members = train(run, recipes, workers=1)
    path = submit(run, assemble(run, members))
    require(run, path)
    if name == "fraud":
        assert pd.read_csv(path)["is_fraud"].between(0, 1).all()
        assert members["ridge"].score > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_practice_data_is_in_the_same_format_and_holds_no_row_of_the_real(
    name: str, data: dict[str, Path], found: Path, tmp_path: Path
) -> None:
    entry = competitions.find(name)
    write_practice(entry, tmp_path, 60, 0)
    assert (tmp_path / PRACTICE_MARK).is_file()
    made, real = entry.load(tmp_path), entry.load(data[name])
    assert len(made.train) == 60
    assert set(made.train.columns) == set(real.train.columns)
    assert list(made.sample.columns) == list(real.sample.columns)
    compared = [column for column in made.train if column in getattr(sys.modules[f"competitions.{name}"], "COLUMNS", {})]
    rows = [set(map(tuple, table[compared].astype(str).to_numpy().tolist())) for table in (made.train, real.train)]
    assert not compared or not rows[0] & rows[1]


def test_what_was_inferred_is_what_a_person_would_say(found: Path) -> None:
    of = {name: competitions.find(name).competition for name in NAMES}
    assert of["flats"].folds == TimeBlocks("sold_on", k=4)
    assert isinstance(of["flats"].task, Regression)
    assert of["flats"].task.low == 0
    assert of["fraud"].folds == KFold(k=5, strata=1)
    assert of["states"].folds == KFold(k=5, strata=1, groups=("patient_id",))
    assert of["leaves"].folds == KFold(k=5, strata=1, groups=("twins",))
    assert isinstance(of["things"].task, Detection)
    assert of["digits"].task.id == "ImageId"


def test_every_guess_is_a_sentence_that_stands_in_the_file_too(drafts: dict[str, Draft]) -> None:
    for made in drafts.values():
        document = " ".join((ast.get_docstring(ast.parse(made.text)) or "").split())
        for reason in made.reasons:
            assert " ".join(reason.replace("\\", "/").replace('"', "'").split()) in document
    said = " ".join(drafts["flats"].reasons)
    assert "'agent' is only in train" in said
    assert "'empty' is empty" in said
    assert "a default that nobody chose. If the competition's page says otherwise: --metric (accuracy, log_loss)." in " ".join(
        drafts["fraud"].reasons
    )


def test_the_files_are_as_a_formatter_leaves_them_and_short(found: Path) -> None:
    first = "lint.isort.known-first-party=['features', 'pipeline']"
    for words in (("format", "--check", "--diff"), ("check", "--config", first)):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--config", str(ROOT / "pyproject.toml"), str(found)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for file in found.glob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 140, file
        assert max(map(len, lines)) <= 130, file


# --------------------------------------------------------------------------------------------------- whatever the columns are called


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=12).filter(str.strip)
HOSTILE = st.sampled_from(
    ['"""', "'''", "\\", '\\"', "{x}", '"); import os; ("', "naïve 列", "a'b\"c", "${y}", "x\tb", "#", "None", "7"]
)
COLUMN = st.one_of(TEXT, HOSTILE)


@given(
    st.lists(COLUMN, min_size=5, max_size=9, unique_by=lambda name: name.strip()),
    st.lists(COLUMN, min_size=2, max_size=4, unique=True),
)
@settings(deadline=None, max_examples=30)
def test_no_name_and_no_cell_breaks_out_of_its_quotes(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], levels: list[str]
) -> None:
    root = tmp_path_factory.mktemp("any") / "data"
    one, target, *others = names
    rows = 40
    table = pd.DataFrame({one: [f"r{row}" for row in range(rows)]})
    for place, name in enumerate(others):
        table[name] = [levels[row % len(levels)] if place % 2 else row * 0.5 for row in range(rows)]
    table[target] = [levels[(row // 2) % len(levels)] for row in range(rows)]
    write = folders.write
    train_rows, test_rows = table[:30], table[30:].drop(columns=target)
    write(root, train_rows, test_rows, test_rows[[one]].assign(**{target: levels[0]}))
    try:
        made = draft("any", root, Wishes("any", metric="accuracy"))
    except BadData:  # levels that say that a cell is missing leave nothing to learn
        return
    tree = ast.parse(made.text)
    assert {type(node) for node in tree.body} <= {
        ast.Expr,
        ast.ImportFrom,
        ast.Import,
        ast.Assign,
        ast.AnnAssign,
        ast.FunctionDef,
    }
    [columns] = [node.value for node in tree.body if isinstance(node, ast.AnnAssign)]
    assert isinstance(columns, ast.Dict)
    assert {ast.literal_eval(key) for key in columns.keys if key is not None} <= set(others)
    [pair] = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)]
    assert ast.literal_eval(pair) == (one, target)


@given(st.randoms(use_true_random=False), st.sampled_from(["flats", "fraud", "states"]))
@settings(deadline=None, max_examples=6)
def test_the_order_of_rows_and_columns_changes_nothing(
    data: dict[str, Path], drafts: dict[str, Draft], tmp_path_factory: pytest.TempPathFactory, random: object, name: str
) -> None:
    root = tmp_path_factory.mktemp("other") / "data"
    seed = random.randrange(2**32)  # type: ignore[attr-defined]
    packed = {"train": "train.csv.gz", "test": "test.csv.zip"} if name == "states" else {"train": "train.csv", "test": "test.csv"}
    tables = {part: pd.read_csv(data[name] / file, dtype=str, keep_default_na=False) for part, file in packed.items()}
    sample = pd.read_csv(data[name] / "sample_submission.csv", dtype=str)
    train_rows, test_rows, asked = (
        table.sample(frac=1, random_state=seed).sample(frac=1, axis=1, random_state=seed) for table in (*tables.values(), sample)
    )
    folders.write(root, train_rows, test_rows, asked)
    again = draft(name, root, wishes(name))
    assert sorted(again.text.splitlines()) == sorted(drafts[name].text.splitlines())


# ------------------------------------------------------------------------------------------------------------------ slower proofs


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_universal_test_passes_over_a_draft(name: str, found: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/test_competitions.py",
            "-k",
            f"[{name}] or -{name}]",
        ],
        cwd=ROOT,
        env={**os.environ, "PODIUM_COMPETITIONS": str(found)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_own_recipes_run_on_practice_data(name: str, found: Path, tmp_path: Path) -> None:
    run = open_run(name, runs=tmp_path / "runs", rows=60, folds=2)
    members = train(run, workers=1)
    assert set(members) == set(run.entry.competition.practice_models)
    require(run, submit(run, assemble(run, members)))


@pytest.mark.slow
def test_the_type_checker_has_nothing_to_say(found: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *map(str, sorted(found.glob("*.py")))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
