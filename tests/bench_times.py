"""How long podium takes, beside a peer that is timed in the same run, turn by turn."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline.executor import ONE_THREAD
from tests.bench_ensemble import hill_climbing
from tests.bench_setting import NAME, PODIUM, ROOT, Setting, Times, cores, limit, table, timed

OVERHEAD = 1.15  # podium's time by that of a loop written by hand
RESUME_SECONDS, HELP_SECONDS = 3.0, 0.5
HELP_REPEATS = 7
CLIMB_RATIO = 1.0


def loop(setting: Setting) -> Iterator[str]:
    """Five folds of LightGBM from raw files: podium against the same loop written by hand, in one process, without a store."""
    data = setting.king_county if setting.king_county.is_dir() else setting.practice()
    runs, scores = setting.scratch / "loop", setting.scratch / "by-hand.json"

    def podium(*more: str) -> float:
        shutil.rmtree(runs, ignore_errors=True)
        command = [PODIUM, "train", NAME, "lightgbm", "--fresh", "--data", str(data), "--runs", str(runs), *more]
        return timed(command, setting.scratch)

    def by_hand(threads: int) -> float:
        command = [sys.executable, "-m", "tests.bench_peers", str(data), str(scores), str(threads)]
        return timed(command, ROOT, env=dict.fromkeys(ONE_THREAD, str(threads)))

    times = alternated(
        {
            "by hand, all threads": lambda: by_hand(cores()),
            "podium": podium,
            "by hand, one thread": lambda: by_hand(1),
            "podium --workers 1": lambda: podium("--workers", "1"),
        },
        setting.repeats,
    )
    fastest = min(("by hand, all threads", "by hand, one thread"), key=lambda name: times[name].median)
    pairs = {"podium": fastest, "podium --workers 1": "by hand, one thread"}
    yield table(
        ("five folds of LightGBM", "seconds (information)", "ratio", "pair by pair"),
        [(name, time, *(compared(time, times[pairs[name]]) if name in pairs else ("", ""))) for name, time in times.items()],
    )
    yield f"From the files in {data.name}; the peer of `podium` is the faster loop, that of --workers 1 has one thread. The scores of the folds differ by {disagreement(scores, runs):.1e} at most."
    worst = max(times[name].median / times[peer].median for name, peer in pairs.items())
    yield limit(f"ratio {OVERHEAD}", worst <= OVERHEAD)


def disagreement(scores: Path, runs: Path) -> float:
    """The greatest relative difference between the scores of a fold: is it the same work?"""
    by_hand = json.loads(scores.read_text(encoding="utf-8"))
    ours = [json.loads(path.read_text(encoding="utf-8")) for path in runs.glob(f"{NAME}/units/lightgbm/*/unit.json")]
    return max(abs(unit["score"] / by_hand[unit["fold"]] - 1) for unit in ours)


def resume(setting: Setting) -> Iterator[str]:
    """`podium run` when everything is in the store, beyond the start-up that `podium list` needs as well."""
    again = [PODIUM, "run", NAME, *setting.models, "--rows", str(setting.rows), "--runs", str(setting.scratch / "practice-runs")]
    timed(again, setting.scratch)  # everything is in the store after it
    times = alternated(
        {
            "podium list": lambda: timed([PODIUM, "list"], setting.scratch),
            "podium run, resumed": lambda: timed(again, setting.scratch),
        },
        setting.repeats,
    )
    start, whole = times.values()
    yield table(("command", "seconds"), times.items())
    beyond = whole.median - start.median
    yield f"Beyond start-up: {beyond:.2f} s, with {setting.rows} practice rows."
    yield limit(f"{RESUME_SECONDS:g} s beyond start-up", beyond <= RESUME_SECONDS)


def climbing(setting: Setting) -> Iterator[str]:
    """Hill climbing over 100 models and 100,000 rows, beside the loop that asks the metric about every blend."""
    size = (100, 100_000) if setting.rows >= 4_000 else (3, setting.rows)
    found = hill_climbing(*size)
    rows = [("podium", f"{found['seconds']:.2f}", "1"), ("naive loop", "", f"{found['naive_ratio']:.1f}")]
    yield table((f"{size[0]} models x {size[1]:,} rows", "seconds (information)", "times as long"), rows)
    yield limit("faster than the naive loop", found["naive_ratio"] > CLIMB_RATIO)


def help_text(setting: Setting) -> Iterator[str]:
    """`podium --help`, beside a Python that only imports what draws it."""
    times = alternated(
        {
            "python -c 'import typer'": lambda: timed([sys.executable, "-c", "import typer"], setting.scratch),
            "podium --help": lambda: timed([PODIUM, "--help"], setting.scratch),
        },
        max(HELP_REPEATS, setting.repeats) if setting.repeats > 1 else 1,
    )
    peer, ours = times.values()
    yield table(
        ("command", "seconds", "ratio", "pair by pair"),
        [("python -c 'import typer'", peer, "", ""), ("podium --help", ours, *compared(ours, peer))],
    )
    yield limit(f"{HELP_SECONDS:g} s", ours.median <= HELP_SECONDS)


def alternated(works: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, Times]:
    """Seconds of each work, taken in turns, so that what else the machine does falls on all alike."""
    turns = [{name: work() for name, work in works.items()} for _ in range(repeats)]
    return {name: Times(tuple(turn[name] for turn in turns)) for name in works}


def compared(ours: Times, peer: Times) -> tuple[str, str]:
    """The ratio of the medians, and the range of the ratios of each turn."""
    ratios = [a / b for a, b in zip(ours.seconds, peer.seconds, strict=True)]
    return f"{ours.median / peer.median:.3f}", f"{min(ratios):.3f} - {max(ratios):.3f}"
