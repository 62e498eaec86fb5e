"""The page docs/reliability.md, made from the figures that the tests of this folder record.

    PODIUM_RELIABILITY=build/reliability.json pytest tests/reliability
    python -m tests.reliability.report

What a test finds is kept by number, title and kind of competition; the same test run again replaces its own figures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
FIGURES, PAGE = ROOT / "build" / "reliability.json", ROOT / "docs" / "reliability.md"
KINDS = ("tables", "images", "boxes", "all")

TRIED = {
    1: "kill -9 at random moments, again and again until the command is done",
    2: "a kill at every write, sync and rename",
    3: "files cut short at every length",
    4: "flipped bits",
    5: "a full disk, a folder that is read-only",
    6: "the same run in fresh processes, with other numbers of threads and workers, with other hash seeds",
    7: "several processes on one run folder",
    8: "NaN and infinity in features, target, loss, predictions, weights",
    9: "memory that runs out in a step of training",
    10: "every model made to fail in every fold",
    11: "a target that is random",
    12: "planted leaks",
    13: "duplicate pictures",
    14: "what is predicted out of fold",
    15: "mutations of a submission",
    16: "test rows in another order",
    17: "hostile archives",
    18: "hostile pickles and pictures",
    19: "a canary credential",
    20: "properties, with made-up cases: metrics, splitters, weights, fusion of boxes, keys, readers",
}

HEAD = """\
# What has been tried to break it

Each of the twenty tests runs the real commands, or the real code beneath them, with a fault put in, and counts what came of it.
`make reliability` runs them all and makes this page; a test that does not hold stops it. Times of writing, sizes and scores
differ from machine to machine; that nothing is lost and nothing wrong is taken for right does not.

| | what is tried | competition of | figures |
|--:|---|---|---|
"""

LIMITS = """
## What these tests cannot show

- **A power cut.** A process that is killed leaves to the system what it has written; a machine that loses its power does not.
  The store syncs files and folders before and after the rename, and a kill at each of these calls is tried, but no disk was
  switched off, and a disk that says "written" before it is cannot be caught from here.
- **Network file systems.** That a rename is one step and that locks hold is true of local disks. On NFS, or on a folder that a
  desktop client keeps in a cloud, neither is tried.
- **Bits that flip in memory.** Sums are made of what a process holds; what was wrong before that is written down as if it were right.
- **What only people read.** The pages of pictures, logs and a submission's manifest are never read by podium, so their bits may
  flip unseen. Of decoded pictures (a cache) 64 are compared with their sums at each opening, chosen at random: with more pictures
  than that a flipped bit may be met later. A competition's own files, outside the run folder, have no sums that podium could know; cut
  at the end of a line, a CSV is a shorter whole file.
- **Whoever can write to the run folder.** The sums find accidents. Someone who changes a file and its sum with it is not found.
- **Code of one's own.** A competition's file and a model of one's own run with all rights of the person who starts them. Credentials are
  taken out of what they print, warn of and raise, by their exact text; one that is encoded, cut in two, or written to a file is not
  found. A process of another library gets none in its environment, but it may read the same home folder.
- **Archives that are downloaded.** Four doors open archives: the zip of a submission of boxes, files of weights, files of arrays, and
  Kaggle's own zip. The last has hostile ones among its own tests (tests/submit/test_unpack.py), which are not counted above.
- **Copies that nobody looks for.** A picture that was cropped, made brighter or darker, blurred, or turned by a few degrees is another
  picture; how many of these are found all the same stands above.
- **Gaps.** NaN in a feature is a gap, which models take; a feature that is wrong but a number is no fault that anybody sees.
- **Large models on a random target.** Detectors for pictures of 512 pixels take hours on two cores; there the small ones stand for them.
- **Kaggle's own reader.** What is refused here is what the sample submission and COCO's format say; the board may be stricter.
- **Other machines.** Bytes are the same on one kind of CPU with one set of library versions. Other CPUs round in another order;
  on a GPU some operations have no deterministic twin. A net on pictures computes with as many threads as `--workers` says, or as there
  are cores, and with another number it adds up in another order: its last digits are then others, and so may be a few of its answers.
- **Real memory.** Out of memory is an error that is thrown, with the words that the libraries use today. The system that kills a
  process outright is tried as a worker that dies, not with memory that is really gone.
- **Real data.** Where no real files lie beside the repository, competitions are small and made up. A fault that takes a million
  rows, or a picture that no encoder of ours could write, is not met.
- **Time.** A run takes minutes here. What goes wrong after a week - a disk that fills slowly, a clock that is set back - is tried
  only as what it leaves behind.
- **What was not thought of.** Random moments, lengths, bits and rows find what is likely, not what is rare; a figure of no failures in
  n tries says that, with a confidence of 95 %, fewer than about 3 in n fail.
"""


def record(file: Path, number: int, title: str, figures: Mapping[str, object], kind: str) -> None:
    """Keep a test's figures, in place of those it recorded before. Several processes may record at once."""
    if number not in TRIED or kind not in KINDS:
        raise ValueError(f"Test {number} of {kind!r}: the numbers are those of TRIED, the kinds {', '.join(KINDS)}.")
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        kept = [one for one in before if (one["number"], one["title"], one["kind"]) != (number, title, kind)]
        kept.append({"number": number, "title": title, "kind": kind, "figures": dict(figures)})
        kept.sort(key=lambda one: (one["number"], one["title"], KINDS.index(one["kind"])))
        beside = file.with_name(f".{file.name}.part")
        beside.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        beside.replace(file)


def page(entries: Iterable[Mapping[str, object]]) -> str:
    """The whole page. Of a number without figures it says so."""
    found: dict[int, list[Mapping[str, object]]] = {number: [] for number in TRIED}
    for entry in entries:
        found[int(str(entry["number"]))].append(entry)
    rows = [line for number, told in found.items() for line in (map(_row, told) if told else [_untold(number)])]
    return HEAD + "\n".join(rows) + "\n" + LIMITS


def _row(entry: Mapping[str, object]) -> str:
    figures = entry["figures"]
    told = ", ".join(f"{name} {_shown(value)}" for name, value in figures.items()) if isinstance(figures, Mapping) else ""
    return f"| {entry['number']} | {_cell(entry['title'])} | {entry['kind']} | {_cell(told)} |"


def _untold(number: int) -> str:
    return f"| {number} | {TRIED[number]} | | not run |"


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the page; give another file of figures as the only word."""
    figures = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURES
    PAGE.write_text(page(json.loads(figures.read_text(encoding="utf-8"))), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
