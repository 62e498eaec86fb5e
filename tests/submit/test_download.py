"""A download is whole or not there, goes on from where it was stopped, and is what Kaggle lists."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadData, DownloadInterrupted, NoCredentials, PodiumError
from submit import kaggle
from submit.download import RECORD, download, git_hash, size
from tests.submit.kaggle_server import TOKEN, Fault, Held, KaggleServer

pytestmark = pytest.mark.xdist_group("kaggle")
ROOT = Path(__file__).resolve().parents[2]
NOISE = np.random.default_rng(0).bytes(300_000)  # does not get smaller when it is packed
FILES = {"train.csv": b"id,a\n1,2\n", "images/1.jpg": NOISE, "images/2.jpg": b"", "sample_submission.csv": b"id,y\n"}


@pytest.fixture
def held(server: KaggleServer) -> Held:
    server.held["toy"] = Held(dict(FILES))
    return server.held["toy"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "toy"


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("[!.]*") if path.is_file()}


def beside(root: Path) -> list[str]:
    return sorted(path.name for path in root.parent.iterdir() if path != root and not path.name.endswith(".lock"))


def test_what_is_listed_comes_and_a_second_call_asks_nothing(held: Held, server: KaggleServer, root: Path) -> None:
    said: list[str] = []
    download("toy", root, said.append)
    assert files(root) == FILES
    assert beside(root) == []
    assert "4 files" in said[0]
    assert "sizes as listed" in said[-1]
    asked = len(server.seen)
    download("toy", root, said.append)
    assert len(server.seen) == asked


def test_a_download_that_is_cut_goes_on_by_range(held: Held, server: KaggleServer, root: Path) -> None:
    server.faults["blob"] += [
        Fault(cut=100_000),
        Fault(),
        Fault(cut=100_000),
        Fault(),
        Fault(cut=0),
    ]  # a range is asked for second
    download("toy", root, print)
    assert files(root) == FILES
    assert server.ranges == ["bytes=100000-", "bytes=200000-", "bytes=200000-"]


def test_what_came_before_an_end_is_kept_for_the_next_call(held: Held, server: KaggleServer, root: Path) -> None:
    server.faults["blob"] += [Fault(cut=150_000), *[Fault(cut=0)] * 20]
    with pytest.raises(DownloadInterrupted, match=r"150\.0 kB are kept .* goes on from there"):
        download("toy", root, print)
    assert not root.exists()
    assert (root.parent / ".toy.zip").stat().st_size == 150_000
    server.faults["blob"].clear()
    server.ranges.clear()
    download("toy", root, print)
    assert files(root) == FILES
    assert server.ranges == ["bytes=150000-"]


def test_an_archive_that_is_another_by_now_is_fetched_from_its_beginning(held: Held, server: KaggleServer, root: Path) -> None:
    server.faults["blob"] += [Fault(cut=150_000), *[Fault(cut=0)] * 20]
    with pytest.raises(DownloadInterrupted):
        download("toy", root, print)
    server.faults["blob"].clear()
    server.ranges.clear()
    held.files["train.csv"] = b"id,a\n1,3\n2,4\n"
    download("toy", root, print)
    assert files(root) == held.files
    assert server.ranges == []


def test_a_server_that_knows_no_ranges_or_goes_silent_gives_the_same_files(
    held: Held, server: KaggleServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle, "PATIENCE", 0.3)
    monkeypatch.setattr("tests.submit.kaggle_server.ETAG", "")
    server.faults["blob"] += [Fault(cut=150_000), Fault(slow=0.9)]
    download("toy", root, print)
    assert files(root) == FILES


def test_ctrl_c_keeps_what_came_and_the_next_call_goes_on(held: Held, server: KaggleServer, root: Path, person: Path) -> None:
    server.faults["blob"].append(Fault(slow=30))
    words = "from submit.download import download; from pathlib import Path; import sys; "
    process = subprocess.Popen(
        [sys.executable, "-c", f"{words}download('toy', Path(sys.argv[1]), print)", str(root)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    part = root.parent / ".toy.zip"
    while not part.exists() or part.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in err
    assert not root.exists()
    had = part.stat().st_size
    download("toy", root, print)
    assert files(root) == FILES
    assert server.ranges == [f"bytes={had}-"]


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ({"train.csv": 8}, "train.csv has 9 bytes, not 8|at most"),
        ({"train.csv": 400_000}, "train.csv has 9 bytes, not 400,000"),
        ({**{name: len(content) for name, content in FILES.items()}, "more.csv": 0}, "more.csv is not there"),
        ({"train.csv": 1}, "are expected"),
    ],
)
def test_sizes_other_than_the_listed_ones_are_refused_and_nothing_is_left(
    held: Held, root: Path, listed: dict[str, int], says: str
) -> None:
    held.listed = listed
    with pytest.raises(BadData, match=says):
        download("toy", root, print)
    assert not root.exists()
    assert beside(root) == []


def test_a_damaged_archive_is_refused_and_fetched_anew(held: Held, server: KaggleServer, root: Path) -> None:
    spoilt = bytearray(held.archive())
    spoilt[5000] ^= 1
    server.faults["blob"].append(Fault(body=bytes(spoilt)))
    with pytest.raises(BadData, match="no whole zip"):
        download("toy", root, print)
    assert beside(root) == []
    download("toy", root, print)
    assert files(root) == FILES


def test_a_folder_that_changed_since_is_told_and_a_person_s_own_is_taken(held: Held, server: KaggleServer, root: Path) -> None:
    download("toy", root, print)
    (root / "train.csv").write_text("id")
    with pytest.raises(BadData, match=r"train\.csv has 2 bytes, not 9\. Remove"):
        download("toy", root, print)
    (root / RECORD).write_text("{")
    with pytest.raises(BadData, match="cannot be read"):
        download("toy", root, print)
    (root / RECORD).unlink()
    download("toy", root, print)


def test_two_calls_at_once_fetch_one_archive(held: Held, server: KaggleServer, root: Path) -> None:
    failed: list[PodiumError] = []

    def call() -> None:
        try:
            download("toy", root, lambda message: None)
        except PodiumError as error:
            failed.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, server.count("blob")) == ([], 1)
    assert files(root) == FILES


def test_known_hashes_are_compared_and_another_file_is_said(held: Held, root: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(FILES["train.csv"])
    known = {"train.csv": git_hash(tmp_path / "x"), "sample_submission.csv": "0" * 40}
    said: list[str] = []
    download("toy", root, said.append, known)
    assert "sample_submission.csv is whole, but not the one that podium knows" in said[-2]
    assert "train.csv the ones that podium knows" in said[-1]


def test_the_hash_is_git_s(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    assert git_hash(tmp_path / "x") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_the_sample_submission_of_house_prices_is_the_one_that_is_known(shared: Path) -> None:
    from competitions import house_prices

    file = shared / "california-house-prices" / "sample_submission.csv"
    assert house_prices.competition.git_hashes[file.name] == git_hash(file)


def test_without_credentials_there_are_other_ways_and_nothing_is_begun(stranger: Path, root: Path) -> None:
    with pytest.raises(NoCredentials) as caught:
        download("toy", root, print)
    told = str(caught.value)
    assert "https://www.kaggle.com/competitions/toy/data" in told
    assert "--data DIR" in told
    assert not root.parent.exists()


def test_a_competition_that_is_not_on_kaggle_says_where_its_files_belong(root: Path, person: Path) -> None:
    with pytest.raises(BadData, match=f"toy names no competition on Kaggle. Put its files into {root}, or say"):
        download("", root, print)


def test_nothing_that_is_kept_beside_a_download_has_a_credential_in_it(held: Held, server: KaggleServer, root: Path) -> None:
    said: list[str] = []
    server.faults["blob"] += [Fault(cut=150_000), *[Fault(cut=0)] * 20]
    with pytest.raises(DownloadInterrupted) as caught:
        download("toy", root, said.append)
    note = json.loads((root.parent / ".toy.json").read_text())
    assert set(note) == {"mark", "bytes"}
    kept = b"".join(path.read_bytes() for path in root.parent.iterdir() if path.is_file())
    for text in (kept, " ".join(said).encode(), str(caught.value).encode()):
        assert TOKEN.encode() not in text
        assert b"signed" not in text


def test_sizes_are_told_as_people_read_them() -> None:
    assert [size(count) for count in (9, 1234, 5_600_000, 7_890_000_000)] == ["9 bytes", "1.2 kB", "5.6 MB", "7.9 GB"]
