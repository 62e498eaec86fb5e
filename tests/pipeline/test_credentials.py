"""What is known of credentials is taken out of texts and environments, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.credentials import hidden, kaggle, kaggle_folder, without


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


def test_what_a_variable_s_file_a_login_and_a_request_s_header_hold_is_hidden(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "mine").write_text("a-token-in-a-file\n")
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(home / "mine"))
    (home / ".kaggle" / "access_token.txt").write_text("a-token-in-a-text-file")
    (home / ".kaggle" / "credentials.json").write_text(
        json.dumps({"refresh_token": "to-refresh", "access_token": "to-access", "n": 1})
    )
    for value in ("a-token-in-a-file", "a-token-in-a-text-file", "to-refresh", "to-access"):
        assert value not in hidden(f"Bearer {value}.")
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (home / ".kaggle" / "access_token.txt").unlink()
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "0123456789abcdef")
    assert hidden("Basic c29tZWJvZHk6MDEyMzQ1Njc4OWFiY2RlZg==") == "Basic <Authorization>"


def test_credentials_are_taken_in_the_client_s_order_and_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    assert kaggle() is None
    (home / ".kaggle" / "credentials.json").write_text(json.dumps({"refresh_token": "0123456789"}))
    found = [kaggle()]
    (home / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": "somebody", "key": "fedcba9876543210"}))
    found.append(kaggle())
    monkeypatch.setenv("KAGGLE_USERNAME", "other")
    monkeypatch.setenv("KAGGLE_KEY", "0123456789abcdef")
    found.append(kaggle())
    (home / ".kaggle" / "access_token").write_text("KGAT_0123456789\n")
    found.append(kaggle())
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_of_a_variable")
    found.append(kaggle())
    (home / "given").write_text("of-the-notebook")
    for name, value in {"KERNEL_RUN_TYPE": "Batch", "DATA_PROXY_URL": "https://", "API_V1_TOKEN": str(home / "given")}.items():
        monkeypatch.setenv(f"KAGGLE_{name}", value)
    found.append(kaggle())
    assert [one.source.split()[0] for one in found if one] == [
        *("credentials.json", "kaggle.json", "KAGGLE_USERNAME", "access_token", "KAGGLE_API_TOKEN", "the")
    ]
    assert [one.token or one.account for one in found if one] == [
        *(None, "somebody", "other", "KGAT_0123456789", "KGAT_of_a_variable", "of-the-notebook")
    ]
    assert not any(value in repr(found) for value in ("0123456789", "fedcba", "KGAT", "of-the"))


def test_the_folder_is_the_client_s(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert kaggle_folder() == home / ".kaggle"
    (home / ".config" / "kaggle").mkdir(parents=True)
    assert kaggle_folder() == home / ".kaggle"
    (home / ".kaggle").rmdir()
    assert kaggle_folder() == home / ".config" / "kaggle"
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / "named"))
    assert kaggle_folder() == home / "named"
