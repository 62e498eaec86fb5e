"""The house keeps its plan: who imports whom, what loads when, and how large a room may grow."""

import ast
import json
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from sklearn.linear_model import Ridge

from pipeline import models

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("competitions", "features", "pipeline", "submit")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
LONGEST = 720

MAY_IMPORT = {  # the first pattern that fits a module counts
    "competitions": ("pipeline.competition", "pipeline.errors"),
    "competitions.*": (
        "competitions",
        "features",
        *(f"pipeline.{room}" for room in ("competition", "errors", "folds", "models", "practice", "predictions", "tables")),
        *("pipeline.boxes.coco", "pipeline.pictures.names"),
    ),
    "features*": ("features", "pipeline.errors", "pipeline.predictions"),
    "submit*": (
        "submit",
        *(
            f"pipeline.{room}"
            for room in ("answers", "boxes", "competition", "credentials", "errors", "metrics", "predictions", "store", "tables")
        ),
    ),
    "pipeline.models*": (
        "pipeline.models",
        *(
            f"pipeline.{room}"
            for room in ("boxes", "competition", "credentials", "errors", "heap", "identity", "pictures", "predictions", "store")
        ),
        "pipeline.resample",
    ),
    "pipeline.boxes*": ("pipeline.boxes", *(f"pipeline.{room}" for room in ("errors", "predictions"))),
    "pipeline.pictures*": ("pipeline.pictures", *(f"pipeline.{room}" for room in ("cores", "errors", "predictions", "store"))),
    "pipeline.cli*": ("competitions", "pipeline", "submit"),
    "pipeline*": ("competitions", "pipeline"),
}


def imports(module, types_too=False):
    """Names of our own modules that a module imports anywhere in it; blocks under TYPE_CHECKING are left out."""
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found, waiting = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types_too:
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            inner = {f"{origin}.{alias.name}" for alias in node.names}
            found |= inner & FILES.keys() or {origin}
        waiting += ast.iter_child_nodes(node)
    return {name for name in found if name.partition(".")[0] in PACKAGES}


def within(name, rooms):
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def test_the_reader_of_imports_sees_what_it_should():
    assert imports("competitions") == {"pipeline.competition", "pipeline.errors"}
    assert "pipeline.models.views" in imports("pipeline.models.forest")
    assert imports("pipeline.errors") == set()
    assert "pipeline.run" in imports("submit", types_too=True) - imports("submit")


@pytest.mark.parametrize("module", FILES)
def test_a_room_imports_only_what_lies_before_it(module):
    allowed = next(rooms for pattern, rooms in MAY_IMPORT.items() if fnmatch(module, pattern))
    assert {name for name in imports(module) if not within(name, allowed)} == set()


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("pipeline")])
def test_the_pipeline_knows_no_competition_by_name(module):
    assert {name for name in imports(module, types_too=True) if name.startswith("competitions.")} == set()


FAMILIES = {f"pipeline.models.{family.module}" for family in [*models.FAMILIES.values(), models.family(Ridge())]}


@pytest.mark.parametrize("module", sorted(FAMILIES))
def test_no_model_family_imports_another(module):
    assert imports(module, types_too=True) & FAMILIES == set()


@pytest.mark.parametrize("module", [module for module in FILES if not module.startswith("competitions.")])
def test_no_competition_imports_another_and_nobody_else_one(module):
    assert {name for name in imports(module) if name.startswith("competitions.")} == set()


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("competitions.")])
def test_a_competition_imports_of_competitions_only_itself(module):
    itself = ".".join(module.split(".")[:2])
    assert {name for name in imports(module) if name.startswith("competitions") and not within(name, [itself])} == set()


def test_the_packages_are_listed_by_name():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted({".".join(path.relative_to(ROOT).parent.parts) for path in FILES.values()})


def test_every_package_says_what_room_it_is():
    assert {path.parent for path in FILES.values()} <= {path.parent for path in FILES.values() if path.name == "__init__.py"}
    for path in FILES.values():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


@pytest.mark.parametrize("module", FILES)
def test_no_module_grows_beyond_what_one_reads_at_a_sitting(module):
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", FILES)
def test_no_room_is_a_lumber_room(module):
    assert not {"utils", "helpers", "base", "common", "misc", "manager", "handler"} & set(module.split("."))


def test_the_command_line_loads_nothing_heavy():
    code = "import json, sys, pipeline.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"pandas", "numpy", "scipy", "torch", "sklearn", "lightgbm", "pyarrow", "optuna"} & set(json.loads(done.stdout))


def test_the_core_imports_none_of_the_libraries_that_run_in_processes_of_their_own():
    """A licence's boundary: one file calls them, which imports nothing of ours and is run by its path."""
    outside, worker = {"ultralytics", "libreyolo"}, "pipeline.models.outside_worker"
    for module, path in FILES.items():
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
        if module == worker:
            assert not imports(module)
            assert outside <= {name.partition(".")[0] for name in names}
        else:
            assert not outside & {name.partition(".")[0] for name in names}, module
            assert worker not in imports(module) or module == "pipeline.models.outside_process"  # for its path and its text
