import functools
import importlib
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

import pipeline.models
from pipeline import identity
from pipeline.competition import Model
from pipeline.folds import KFold

ROOT = Path(__file__).resolve().parents[2]


class Own(BaseEstimator):
    def __init__(self, alpha=1.0, names=("a",)):
        self.alpha, self.names = alpha, names


@dataclass(frozen=True)
class Recipe:
    rate: float = 0.1


class Slotted:
    __slots__ = ("size",)

    def __init__(self, size):
        self.size = size


def scaled(factor):
    def times(x):
        return x * factor

    return times


def counting():
    def down(n):
        return n and down(n - 1)

    return down


def same(*things):
    return len({identity.key({"thing": thing}) for thing in things}) == 1


def different(*things):
    return len({identity.key({"thing": thing}) for thing in things}) == len(things)


def fresh(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ------------------------------------------------------------------------------------------------------------------------ keys


def test_a_key_is_the_same_in_every_process_and_for_every_hash_seed():
    code = """
import json, math
import numpy as np, pandas as pd
from pipeline import identity
from pipeline.competition import Model
from pipeline.folds import KFold
things = [{"b": 1, "a": 2.5}, {"x", "y", "z"}, Model("ridge", {"alpha": 1.0}), np.random.RandomState(3), pd.DataFrame.filter,
          KFold(groups=("a",)), np.arange(3), np.array(["a", None], dtype=object), math.log, np.log1p, pd.Series(["a", None]), pd.Index(["p", "q"]), np.random.default_rng(5), slice(1, 2), str.lower]
print(json.dumps([identity.key({"thing": thing}) for thing in things]))
"""
    first, second = (fresh(code, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second
    assert len(set(first)) == len(first)


def test_a_key_is_sixteen_hex_digits_and_the_order_of_parts_does_not_matter():
    assert identity.key({"a": 1, "b": 2}) == identity.key({"b": 2, "a": 1})
    assert len(identity.key({})) == 16
    int(identity.key({}), 16)


@pytest.mark.parametrize(
    "things",
    [
        (1, 1.0, True, "1", None),
        ("a", ["a"], {"a": "a"}, {"a"}),
        (0.1, 0.1 + 1e-17 + 1e-16, math.nan, math.inf),
        (Model("ridge"), Model("ridge", {"alpha": 1}), Model("linear"), Model("ridge", {"alpha": 1.0})),
        (Ridge(), Ridge(alpha=2), Own(), Own(alpha=2), Own(names=("b",)), Own(names=("a", "b"))),
        (Recipe(), Recipe(0.2), KFold(), KFold(seed=1)),
        (Slotted(1), Slotted(2)),
        (np.arange(3), np.arange(3.0), np.arange(3).reshape(1, 3), np.array([0, 1, 3])),
        (np.array(["a", None], dtype=object), np.array(["a", "b"], dtype=object)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (functools.partial(max, 1), functools.partial(max, 2), functools.partial(min, 1)),
        (lambda x: x.a, lambda x: x.b),
        tuple([lambda x, c=c: x[c] for c in "abc"]),
        (scaled(2), scaled(3)),
        (Own(1.0).get_params, Own(2.0).get_params, Own(1.0).set_params),
        (np.log, np.log1p, math.log),
        (Path("a"), Path("b"), "a"),
        (pd.Index(["a"]), pd.Index(["b"])),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (0.5, (0.5).hex()),
        ({1: "a"}, {"1": "a"}, {True: "a"}, [[1, "a"]]),
        ({"a"}, ["a"], ["set", '"a"']),
        (Path("a"), ["path", "a"]),
        (np.log, ["ufunc", "log"]),
    ],
    ids=lambda things: type(things[0]).__name__,
)
def test_what_differs_has_another_key(things):
    assert different(*things)


def test_what_is_equal_has_the_same_key():
    assert same(Own(2), Own(alpha=np.int64(2)))
    assert same(FunctionTransformer(pd.DataFrame.filter), FunctionTransformer(pd.DataFrame.filter))
    assert same(np.random.RandomState(7), np.random.RandomState(7))
    assert same(np.float64(0.5), 0.5)
    assert same(("a", 1), ["a", 1])
    assert same(Slotted(1), Slotted(1))
    assert same(scaled(2), scaled(2))
    assert same(counting(), counting())  # a function that calls itself is bound to itself
    assert same(np.asfortranarray(np.ones((2, 3))), np.ones((2, 3)))


TABLE = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, np.nan, 1]})


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(a=[1, 2, 4]),
        lambda t: t.assign(b=["x", None, "y"]),
        lambda t: t.assign(b=["x", "None", "z"]),
        lambda t: t.assign(b=["x", "nan", "z"]),
        lambda t: t.assign(c=[0.5, 0, 1]),
        lambda t: t.assign(a=t.a.astype(float)),
        lambda t: t.assign(a=t.a.astype("int32")),
        lambda t: t.assign(b=t.b.astype("category")),
        lambda t: t.assign(b=pd.Categorical(t.b, categories=["z", "x"])),
        lambda t: t.assign(b=pd.Categorical(t.b, categories=["x", "z", "nobody's"])),
        lambda t: t.assign(b=pd.Categorical(t.b, categories=["x", "z"], ordered=True)),
        lambda t: t.assign(a=pd.Series([1, "2", 3], dtype=object)),
        lambda t: t.assign(a=pd.Series([1, 2, 3], dtype=object)),
        lambda t: t.rename(columns={"a": 1}),
        lambda t: t.rename(columns={"a": "1"}),
        lambda t: t.rename(columns={"a": "A"}),
        lambda t: t[["b", "a", "c"]],
        lambda t: t[::-1],
        lambda t: t[:2],
        lambda t: t.assign(d=1),
    ],
)
def test_a_changed_cell_type_name_or_order_of_a_table_is_another_key(change):
    assert different(TABLE, change(TABLE.copy()))


def test_a_copy_of_a_table_has_the_same_key_whatever_its_row_labels():
    assert same(TABLE, TABLE.copy(), TABLE.set_axis([7, 8, 9]))


def test_named_arrays_are_hashed_by_content():
    arrays = {"a": np.arange(3), "b": np.array(["x"])}
    assert identity.content(arrays) == identity.content(dict(reversed(arrays.items())))
    assert identity.content(arrays) != identity.content({**arrays, "b": np.array(["y"])})


# --------------------------------------------------------------------------------------------------------------------- sources


def test_installed_code_is_told_by_its_version():
    assert identity.source(Ridge) == identity.library("sklearn") == f"scikit-learn {importlib.metadata.version('scikit-learn')}"
    assert identity.source(pd.DataFrame.filter).startswith("pandas ")
    assert identity.source(functools.partial) == "functools of the standard library"
    assert identity.versions(["scikit-learn", "numpy"]) == {
        "numpy": np.__version__,
        "scikit-learn": identity.source(Ridge).split()[1],
    }


def test_versions_of_what_is_absent_or_elsewhere(tmp_path, monkeypatch):
    """An optional package may be absent, or have an environment of its own; then that one's versions decide."""
    assert identity.versions(["numpy", "no-such-package"]) == {"no-such-package": identity.ABSENT, "numpy": np.__version__}
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nshift 3; for name in "$@"; do echo "1.2 of $name"; done\n')
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODIUM_NO_SUCH_PACKAGE_PYTHON", "bin/python")
    assert identity.interpreter("no-such-package") == str(python)
    found = identity.versions(["numpy", "no-such-package"])
    assert found == {"no-such-package": "1.2 of no-such-package", "numpy": "1.2 of numpy"}
    monkeypatch.setenv("PODIUM_NO_SUCH_PACKAGE_PYTHON", str(tmp_path / "absent"))
    assert set(identity.versions(["numpy", "no-such-package"]).values()) == {identity.ABSENT}
    monkeypatch.setenv("PODIUM_NO_SUCH_PACKAGE_PYTHON", sys.executable)
    assert identity.versions(["numpy"]) == {"numpy": np.__version__}


def test_own_code_is_told_by_the_text_of_its_module():
    assert identity.source(Own) == identity.source(Recipe) == identity.source(scaled)
    assert identity.source(Own).startswith("text ")
    assert identity.source(KFold) == "text " + identity.module_hash("pipeline.folds")


def test_builtins_have_a_source_too():
    assert identity.source(len) == identity.source(len) != identity.source(max)
    assert identity.source(dict).startswith("code ")


def test_a_module_that_is_not_there_has_no_hash():
    with pytest.raises(ModuleNotFoundError, match=r"pipeline\.models\.nonsense"):
        identity.module_hash("pipeline.models.nonsense")


@pytest.mark.parametrize("family", ["detector", "outside"])
def test_the_hash_of_a_family_of_boxes_covers_resampling_and_its_own_fusion(family, monkeypatch, tmp_path):
    texts: dict[str, str] = {}
    identity._gather(f"pipeline.models.{family}", identity._file(f"pipeline.models.{family}"), texts)
    wanted = {"pipeline.resample.often"} | ({"pipeline.boxes.fusion", "pipeline.boxes.names"} if family == "detector" else set())
    assert wanted <= texts.keys()


ESTIMATOR = """
class Mine:
    def __init__(self, alpha=1): self.alpha = alpha
"""
REPORT = "import json\nfrom pipeline import identity\nprint(json.dumps(identity.key({'model': Mine()})))\n"


def test_an_estimator_of_a_script_has_the_key_of_its_text(tmp_path):
    script = tmp_path / "script.py"

    def key():
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    script.write_text(ESTIMATOR + REPORT)
    before, again = key(), key()
    script.write_text(ESTIMATOR + "FACTOR = 2\n" + REPORT)
    assert before == again != key()


@pytest.fixture
def package(toy):
    """Texts of a competition that is a package: what an estimator of it would be made of."""
    folder = toy.parent / "parcel"
    folder.mkdir()
    texts = {
        "__init__": '"""A parcel."""\nfrom . import near\nfrom .below import thing\nimport features.words\n',
        "near": "from competitions.parcel.far import x\n",
        "far": "x = 1\nimport typing\nif typing.TYPE_CHECKING:\n    from competitions.parcel.typed import z\nfrom competitions.parcel import near  # they import each other\n",
        "below": "from .deep import y as thing\n",
        "deep": "y = 1\n",
        "apart": "z = 1\n",
        "typed": "z = 1\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    yield folder
    identity.module_hash.cache_clear()


def parcel_hash():
    identity.module_hash.cache_clear()  # one process reads a module's text once, as it imports it once
    return identity.module_hash("competitions.parcel")


@pytest.mark.parametrize(
    ("name", "counts"), [("near", True), ("far", True), ("below", True), ("deep", True), ("apart", False), ("typed", False)]
)
def test_a_modules_hash_follows_its_imports_relative_ones_too(package, name, counts):
    before = parcel_hash()
    with (package / f"{name}.py").open("a") as file:
        file.write("# another word\n")
    assert (parcel_hash() != before) == counts
    assert not any(module.startswith("competitions.parcel") for module in sys.modules)


def test_a_change_in_a_features_module_changes_the_competition_that_imports_it(package, monkeypatch):
    before = parcel_hash()
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, **how: read(path, **how) + "#" * (path.parts[-2:] == ("features", "words.py"))
    )
    assert parcel_hash() != before


def test_hashing_a_model_family_imports_neither_it_nor_its_library():
    families = sorted(path.stem for path in Path(pipeline.models.__file__).parent.glob("*.py") if path.stem != "__init__")
    code = f"""
import json, sys
from pipeline import identity
hashes = [identity.module_hash("pipeline.models." + name) for name in {families}]
heavy = [name for name in ("torch", "lightgbm", "xgboost", "catboost", "sklearn", "pytabkit", "pipeline.models") if name in sys.modules]
print(json.dumps([hashes, heavy]))
"""
    hashes, heavy = fresh(code)
    assert heavy == []
    assert len(set(hashes)) == len(families)
