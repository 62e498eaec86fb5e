"""Epoch checkpoints: a training that was killed goes on from its last whole epoch.

Each is a folder of a store: renamed into place when it is whole, checked by its sums when it is read, set aside if damaged.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline import identity
from pipeline.store import Store

FILE = "state.pt"
KEPT = 2  # the last one, and the one before in case that is damaged


def key_of(net: nn.Module, facts: Mapping[str, Any]) -> str:
    """Of all that decides a training, its first weights too: a checkpoint of anything else is none of ours."""
    start = hashlib.sha256()
    for value in net.state_dict().values():
        start.update(value.cpu().numpy().tobytes())
    return identity.key({**facts, "start": start.hexdigest()})


def save(folder: Path, key: str, epoch: int, state: dict[str, Any]) -> None:
    """Keep the state after this epoch: tensors and plain values in dicts and lists. Only once it stands do older ones go, and
    those of other keys, which say what is trained on what. Raises StoreError."""
    store = Store(folder)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    store.write(key, _name(epoch), files={FILE: buffer.getvalue()})
    for old in list(store.list(key))[:-KEPT]:
        store.remove(key, old)
    for other in store.list():
        if other != key:
            store.remove(other)


def load(folder: Path, key: str, say: Callable[[str], None] = lambda message: None) -> dict[str, Any] | None:
    """The state after the last whole epoch under this key, on the CPU; None if there is none. Nothing pickled is ever run; what is no
    checkpoint, though its sums are right, is passed over."""
    store = Store(folder)
    store.sweep()
    for epoch in reversed(list(store.list(key))):
        files = store.whole(key, epoch, damaged=say)
        if files is not None:
            try:
                state: dict[str, Any] = torch.load(io.BytesIO(files[FILE]), map_location="cpu", weights_only=True)
            except Exception as error:  # whatever a broken or hostile file can cause
                say(f"{folder / key / epoch} is no checkpoint ({type(error).__name__}); the training begins before it.")
                continue
            return state
    return None


def _name(epoch: int) -> str:
    return f"epoch-{epoch:05}"
