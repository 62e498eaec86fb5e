"""What becomes of memory that is freed: the C library of most Linux systems (glibc) can be told; elsewhere nothing here has an effect."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # as malloc.h numbers what `mallopt` sets
LARGE = 2**23  # a block of more bytes is asked of the system by itself, and goes back as soon as it is freed
TRIM = 2**17  # glibc's own: so much free memory at the heap's end goes back too
NEVER = 2**30
MOST_ONCE = 2**25  # that an older glibc lets the threshold be

# For worker processes. One arena of memory for each of a few threads: glibc's default of eight per core keeps what is freed in all of
# them. And large arrays go back to the system when they are freed: by default glibc learns to keep them, and peaks add up.
LEAN = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(LARGE)}


def give_back() -> None:
    """What was freed goes back to the system: glibc would keep it, and the next family of models comes on top."""
    gc.collect()
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def keeping() -> Iterator[None]:
    """Within, freed blocks of any size stay with the process; at the end they go back.

    A net's layers ask for the same large blocks at every step. Fresh from the system each page of them comes with a fault and has to
    be filled with zeros.
    """
    tell = _glibc("mallopt")
    if tell is None:
        yield
        return
    tell(MMAP_THRESHOLD, NEVER) or tell(MMAP_THRESHOLD, MOST_ONCE)
    tell(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        tell(MMAP_THRESHOLD, LARGE)
        tell(TRIM_THRESHOLD, TRIM)
        give_back()


def _glibc(name: str) -> Any:
    """A function of the C library, or None where it has none of that name."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # no library to be found that way, as on Windows
        return None
