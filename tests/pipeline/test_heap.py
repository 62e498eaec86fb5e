"""Memory is kept from step to step where that is asked for, and given back otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import heap

PROGRAM = """
import resource, sys
import numpy as np
import psutil
from pipeline import heap

def faults_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**24)  # 128 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return psutil.Process().memory_info().rss

before = resident()
faults_of_a_step()
outside = faults_of_a_step()
with heap.keeping():
    faults_of_a_step()
    inside, kept = faults_of_a_step(), resident() - before
print(outside, inside, kept, resident() - before, faults_of_a_step())
"""


@pytest.mark.skipif(heap._glibc("mallopt") is None, reason="only glibc can be told what to do with freed memory")
def test_freed_blocks_are_kept_within_and_given_back_after() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    outside, inside, kept, after, again = map(int, done.stdout.split())
    assert inside < outside / 10
    assert kept > 2**26
    assert after < kept / 2
    assert again > 10 * inside


def test_an_older_library_that_refuses_a_high_threshold_gets_its_highest(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def mallopt(what: int, value: int) -> int:
        told.append((what, value))
        return int(what != heap.MMAP_THRESHOLD or value <= heap.MOST_ONCE)

    monkeypatch.setattr(heap, "_glibc", {"mallopt": mallopt}.get)
    with heap.keeping():
        assert told == [
            (heap.MMAP_THRESHOLD, heap.NEVER),
            (heap.MMAP_THRESHOLD, heap.MOST_ONCE),
            (heap.TRIM_THRESHOLD, heap.NEVER),
        ]
    assert told[3:] == [(heap.MMAP_THRESHOLD, heap.LARGE), (heap.TRIM_THRESHOLD, heap.TRIM)]


def test_where_there_is_no_such_library_there_is_no_such_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: None) -> None:
        raise TypeError("as on Windows")

    monkeypatch.setattr("ctypes.CDLL", none)
    assert heap._glibc("mallopt") is None


def test_where_the_library_has_no_such_functions_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_glibc", lambda name: None)
    with heap.keeping():
        heap.give_back()
