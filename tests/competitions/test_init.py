import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import competitions
from pipeline.errors import BadContract, UnknownName

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"pandas", "numpy", "sklearn", "torch"}


def fresh(code, **environment):
    """What a fresh interpreter prints, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_listing_names_and_purposes_imports_no_competition_and_nothing_heavy():
    loaded = fresh(
        "import competitions, json, sys; [competitions.purpose(name) for name in competitions.names()]; print(json.dumps(sorted(sys.modules)))"
    )
    assert not HEAVY & set(loaded)
    assert [name for name in loaded if name.startswith("competitions")] == ["competitions"]


def test_every_competition_of_the_folder_is_found_and_says_its_purpose():
    folder = Path(competitions.__file__).parent
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(competitions.names()) == {name.replace("_", "-") for name in packages | modules}
    for name in competitions.names():
        assert competitions.purpose(name)
        assert competitions.find(name).competition.name == name


def test_folders_named_in_the_environment_belong_to_the_registry(toy, tmp_path):
    (tmp_path / "other" / "bar_baz").mkdir(parents=True)
    (tmp_path / "other" / "bar_baz" / "__init__.py").write_text('"""Is it a package?"""\n')
    given = os.pathsep.join([str(toy.parent), str(tmp_path / "nowhere"), "", str(tmp_path / "other")])
    code = "import competitions as c, json\nprint(json.dumps([c.names(), c.purpose('toy'), c.purpose('bar-baz')]))"
    names, toys, packages = fresh(code, PODIUM_COMPETITIONS=given)
    assert {"toy", "bar-baz"} <= set(names)
    assert (toys, packages) == ("A toy: does one file make a competition?", "Is it a package?")


def test_the_working_folders_competitions_belong_to_the_registry_unless_they_are_a_package(tmp_path):
    here = tmp_path / "competitions"
    here.mkdir()
    (here / "bar.py").write_text('"""Is it here?"""\n')
    (here / "house_prices.py").write_text('"""Is it another?"""\n')
    (here / "odd.py").write_bytes(b"\xff\x00")
    code = f"import os, sys; os.chdir({str(tmp_path)!r}); sys.path.insert(0, {str(ROOT)!r})\nimport competitions as c, json\n"
    code += "print(json.dumps([c.names(), c.__file__, c.purpose('house-prices'), 'odd' in c.names() and c.purpose('odd')]))"
    names, file, houses, odd = fresh(code, PODIUM_COMPETITIONS="")
    assert Path(file) == ROOT / "competitions" / "__init__.py"
    assert "bar" in names
    assert houses == "California house prices: what did it sell for?"
    assert odd.startswith("cannot be read")
    (here / "__init__.py").touch()
    assert "bar" not in fresh(code, PODIUM_COMPETITIONS="")[0]


def test_what_is_no_module_is_no_competition(toy):
    for name in ("_draft.py", ".hidden.py", "my-toy.py", "notes.txt", "old.toy.py", "__init__.py"):
        (toy.parent / name).write_text('"""A file."""\n')
    for name in ("data", "_draft", "__pycache__"):
        (toy.parent / name).mkdir()
    (toy.parent / "_draft" / "__init__.py").touch()
    listed = {path.stem for path in competitions._files().values() if path.parent == toy.parent}
    assert listed == {"toy"}


def test_an_unknown_name_is_answered_with_the_nearest(toy):
    with pytest.raises(UnknownName, match=r"No competition is called 'toys'\. Did you mean toy"):
        competitions.find("toys")


def test_a_competition_is_not_called_by_its_modules_name(toy):
    toy.with_name("two_words.py").write_text('"""Two words."""\n')
    with pytest.raises(UnknownName, match="Did you mean two-words"):
        competitions.find("two_words")


def test_a_file_that_breaks_the_contract_is_found_and_refused(toy):
    toy.with_name("bare.py").write_text('"""Nothing but a purpose."""\n')
    assert competitions.purpose("bare") == "Nothing but a purpose."
    try:
        with pytest.raises(BadContract, match=r"competitions\.bare has no record"):
            competitions.find("bare")
    finally:
        sys.modules.pop("competitions.bare", None)


def test_a_competition_without_a_docstring_has_no_purpose(toy):
    toy.with_name("silent.py").write_text("x = 1\n")
    assert competitions.purpose("silent") == ""
