"""The last whole checkpoint of this training is found, and nothing else."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import StoreError
from pipeline.models import checkpoints
from pipeline.store import Store


def state(epoch: int) -> dict[str, Any]:
    return {"weights": torch.full((1000,), float(epoch)), "history": [{"loss": 0.5}] * epoch, "best": None}


def saved(folder: Path, epochs: int) -> list[Path]:
    for epoch in range(epochs):
        checkpoints.save(folder, "key", epoch, state(epoch))
    return sorted(folder.glob("key/*/state.pt"))


def test_the_last_one_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    assert [path.parent.name for path in saved(tmp_path, 4)] == ["epoch-00002", "epoch-00003"]
    found = checkpoints.load(tmp_path, "key")
    assert found is not None
    assert torch.equal(found["weights"], state(3)["weights"])
    assert found["history"] == state(3)["history"]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_one_is_set_aside_and_said(tmp_path: Path, damage: str) -> None:
    for left, path in reversed(list(enumerate(saved(tmp_path, 3)))):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.unlink() if damage == "remove" else path.write_bytes(content if damage == "flip" else content[:-9])
        said: list[str] = []
        found = checkpoints.load(tmp_path, "key", said.append)
        assert found is None if left == 0 else torch.equal(found["weights"], state(1)["weights"])  # type: ignore[index]
        assert len(said) == 1
        assert "set aside" in said[0]


class Hostile:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('it ran')",)


@pytest.mark.parametrize(
    "content", [b"", b"no zip", pickle.dumps(Hostile()), "an object"], ids=["empty", "text", "pickle", "object"]
)
def test_what_is_no_checkpoint_is_passed_over_though_its_sums_are_right(tmp_path: Path, content: bytes | str) -> None:
    if isinstance(content, str):
        buffer = io.BytesIO()
        torch.save({"weights": Hostile()}, buffer)
        content = buffer.getvalue()
    saved(tmp_path, 2)
    Store(tmp_path).write("key", "epoch-00002", files={checkpoints.FILE: content})
    said: list[str] = []
    found = checkpoints.load(tmp_path, "key", said.append)
    assert found is not None
    assert torch.equal(found["weights"], state(1)["weights"])
    assert ["epoch-00002 is no checkpoint" in message for message in said] == [True]


def test_a_stray_of_a_kill_is_swept_away(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    (tmp_path / "key" / "epoch-00000").rename(tmp_path / "key" / ".tmp-nowhere")
    assert checkpoints.load(tmp_path, "key") is None


def test_another_trainings_is_ignored_and_replaced(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    assert checkpoints.load(tmp_path, "other") is None
    checkpoints.save(tmp_path, "other", 0, state(0))
    assert checkpoints.load(tmp_path, "key") is None


def test_no_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path / "nowhere", "key") is None


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot write"):
        checkpoints.save(tmp_path / "file", "key", 0, state(0))
