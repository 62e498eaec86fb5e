"""What is known of credentials is taken out of texts and environments, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.credentials import hidden, without


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KAGGLE_CONFIG_DIR", raising=False)
    (tmp_path / ".kaggle").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "name", ["KAGGLE_KEY", "KAGGLE_API_TOKEN", "HF_TOKEN", "aws_secret_access_key", "PGPASSWORD_OF_X_PASSWORD"]
)
def test_a_variable_that_is_named_like_a_credential_is_hidden(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0123456789abcdef")
    assert hidden("key=0123456789abcdef, 0123456789abcde") == f"key=<{name}>, 0123456789abcde"
    assert name not in without({name: "x", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["PATH", "HOME", "MONKEY", "KEYBOARD", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES"])
def test_other_variables_stay(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0123456789abcdef")
    assert hidden("0123456789abcdef") == "0123456789abcdef"
    assert without({name: "x"}) == {name: "x"}


def test_the_files_of_the_official_client_are_known_wherever_they_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": "somebody", "key": "fedcba9876543210"}))
    (home / ".kaggle" / "access_token").write_text("KGAT_0123456789\n")
    assert hidden("fedcba9876543210 of somebody, KGAT_0123456789") == "<kaggle.json> of somebody, <access_token>"
    (home / ".kaggle").rename(home / "elsewhere")
    assert hidden("fedcba9876543210") == "fedcba9876543210"
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / "elsewhere"))
    assert hidden("fedcba9876543210") == "<kaggle.json>"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"key": null}', b"\xff\xfe", b'{"key": "short"}'])
def test_a_file_that_is_none_hides_nothing(home: Path, content: bytes) -> None:
    (home / ".kaggle" / "kaggle.json").write_bytes(content)
    assert hidden("any text, short, None") == "any text, short, None"


def test_a_credential_that_is_part_of_another_leaves_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "01234567")
    monkeypatch.setenv("B_TOKEN", "0123456789")
    assert hidden("0123456789 01234567") == "<B_TOKEN> <A_TOKEN>"


def test_the_account_s_name_is_for_no_other_library() -> None:
    assert without({"KAGGLE_USERNAME": "somebody", "KAGGLE_CONFIG_DIR": "x"}) == {}
