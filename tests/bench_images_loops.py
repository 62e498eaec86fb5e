"""Loops over pictures that are timed or watched, each in a process of its own: podium's, and those that one would write by hand.

`python -m tests.bench_images_loops LOOP JOB`, with a Job as JSON, prints what the loop found as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import competitions
from pipeline.competition import Model
from pipeline.models import devices
from pipeline.models.batches import Pictures
from pipeline.models.fine_tuning import FineTuning
from pipeline.models.image_recipe import ImageRecipe
from pipeline.models.labelled_pictures import LabelledPictures
from pipeline.models.nets import Net, create
from pipeline.models.recipe import LADDER
from pipeline.pictures.gallery import Gallery
from pipeline.pictures.index import make_index
from pipeline.predictions import Array
from pipeline.preparing import prepare
from pipeline.run import IMAGE, MOST_BYTES, Run, open_run
from pipeline.train import compute, units
from tests.bench_images import of_family, refuse_failed, silent
from tests.bench_setting import LEAF, cores

CLASSES = 176
CROP = 0.6  # the smallest share of a picture's area that a random crop keeps
STEP = {"epochs": 2, "smoothing": 0.0, "mixup": 0.0, "cutmix": 0.0, "clip": 0.0, "layer_decay": 1, "head_rate": 1}
RATE, DECAY = LADDER["adamw", False]["rate"], LADDER["adamw", False]["weight_decay"]
READ_AT_ONCE = 32
DECODED = 512  # pictures by PIL, which is slow
SHORT: Mapping[str, Mapping[str, Any]] = {"image": {"epochs": 1, "batch": 16}, "probe": {"size": 128, "views": ("plain",)}}
OFTEN = 0.05  # seconds between two looks at the memory
ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True)
class Job:
    """root: a folder of the leaf competition's files. kept: where pixels or a run stay. cores: that the process may use, 0 for all.

    pictures: that an epoch learns; where there are fewer, some of them several times. folds, family: of what is watched in `memory`.
    """

    root: str
    kept: str
    net: str = "tf_efficientnet_lite0"
    size: int = 128
    batch: int = 32
    pictures: int = 768
    device: str = "cpu"
    precision: str = "fp32"
    cores: int = 2
    folds: int = 1
    family: str = "image"

    @property
    def labels(self) -> Array:
        """(n,) int64: any will do, since nobody asks what is learned."""
        return np.arange(self.pictures) % CLASSES

    def settings(self) -> AbstractContextManager[torch.device]:
        """Podium's: its threads, algorithms, and memory that is kept from step to step."""
        return devices.settings(torch.device(self.device), cores())

    def create(self) -> Net:
        torch.manual_seed(0)
        return create(self.net, CLASSES, size=self.size).to(self.device)

    def names(self) -> list[str]:
        """As many of the train pictures as are asked for, or all: always the same ones, of all classes."""
        names = competitions.find(LEAF).load(Path(self.root)).train[IMAGE].to_numpy()
        chosen: list[str] = np.random.default_rng(0).permutation(names)[: self.pictures].tolist()
        return chosen

    def pixels(self) -> Array:
        index = make_index(Path(self.root), self.names(), Path(self.kept), cores(), silent)
        return Gallery(Path(self.root), index, Path(self.kept), MOST_BYTES).pixels(self.size)


# -------------------------------------------------------------------------------------------------------------------- training


def decoding(job: Job) -> dict[str, float]:
    """Make the index and the map of pixels, which podium does once for all epochs, folds and models."""
    begin = time.perf_counter()
    job.pixels()
    return {"seconds": time.perf_counter() - begin}


def podium(job: Job) -> dict[str, float]:
    """Seconds of an epoch of podium's loop: memory map, pictures changed ahead of the step, channels last."""
    pixels = job.pixels()
    rows = np.resize(np.arange(len(pixels)), job.pictures)
    augment = {"flips": "horizontal", "crop": CROP}
    with job.settings() as device, tempfile.TemporaryDirectory() as scratch:
        net = job.create()
        computing = devices.choose(device, job.precision, net)
        recipe = ImageRecipe(**{**LADDER["adamw", False], **STEP, "batch": job.batch, "augment": augment})
        training = FineTuning(net, recipe, computing, 0, silent)
        workers = cores() if computing.is_gpu else 0  # as the family "image" does
        lesson = LabelledPictures(Pictures(pixels, rows, job.labels, CLASSES), recipe, net, computing, 0)
        training.run(lesson, Path(scratch), "bench", workers)
    return later([job.pictures / epoch["speed"] for epoch in training.history])


def plain(job: Job) -> dict[str, float]:
    """Seconds of an epoch of a loop by hand, whose loader decodes with PIL in the loop's own process."""
    return by_hand(job, 0)


def plain_workers(job: Job) -> dict[str, float]:
    """Seconds of an epoch of a loop by hand, whose loader decodes with PIL in a worker process for each core."""
    return by_hand(job, cores())


def by_hand(job: Job, workers: int) -> dict[str, float]:
    """The loop of any tutorial: the same net, batch, optimizer and kinds of change; maps as torch lays them out by default."""
    torch.set_num_threads(cores())
    net = job.create().to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    loader = DataLoader(Decoded(job, net), job.batch, shuffle=True, num_workers=workers)
    seconds = []
    for _ in range(STEP["epochs"]):
        begin = time.perf_counter()
        for x, y in loader:
            optimizer.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - begin)
    return later(seconds)


class Decoded(Dataset):
    """Pictures from their files, changed and normalised by torchvision."""

    def __init__(self, job: Job, net: Net) -> None:
        self.paths = [Path(job.root) / name for name in np.resize(job.names(), job.pictures).tolist()]
        self.labels = job.labels
        self.change = transforms.Compose(
            [
                transforms.RandomResizedCrop(job.size, scale=(CROP, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((net.mean / 255).tolist(), (net.std / 255).tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[number]) as picture:
            return self.change(picture.convert("RGB")), int(self.labels[number])


def synthetic(job: Job) -> dict[str, float]:
    """Seconds of as many steps as an epoch has, on one batch that lies on the device: what a loop can reach at most."""
    with job.settings() as device:
        net = job.create()
        computing = devices.choose(device, job.precision, net)
        optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
        images = torch.randint(256, (job.batch, job.size, job.size, 3), dtype=torch.uint8, device=device)
        y = torch.from_numpy(np.resize(job.labels, job.batch)).to(device)
        seconds = []
        for _ in range(STEP["epochs"]):
            begin = time.perf_counter()
            for _ in range(-(-job.pictures // job.batch)):
                optimizer.zero_grad()
                with computing.autocast():
                    logits = net(computing.pictures(images, net))
                functional.cross_entropy(logits.float(), y).backward()
                optimizer.step()
            if computing.is_gpu:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
    return later(seconds)


def later(seconds: list[float]) -> dict[str, float]:
    """The epochs after the first one, in which libraries start."""
    return {"seconds": statistics.median(seconds[1:])}


# --------------------------------------------------------------------------------------------------------------------- reading


def reading(job: Job) -> dict[str, float]:
    """Pictures a second of one thread: read in random batches from the map, the first time and later, and decoded by PIL."""
    pixels = job.pixels()
    passes = [passed(pixels, epoch) for epoch in range(4)]
    paths = [Path(job.root) / name for name in job.names()[:DECODED]]
    begin = time.perf_counter()
    for path in paths:
        with Image.open(path) as picture:
            np.asarray(picture.convert("RGB"))
    decoded = len(paths) / (time.perf_counter() - begin)
    return {"first": passes[0], "later": statistics.median(passes[1:]), "decoded": decoded}


def passed(pixels: Array, seed: int) -> float:
    """Pictures a second of a pass over all, copied one by one into a batch as they are for training."""
    order = np.random.default_rng(seed).permutation(len(pixels)).tolist()
    begin = time.perf_counter()
    for start in range(0, len(order), READ_AT_ONCE):
        np.stack([pixels[row] for row in order[start : start + READ_AT_ONCE]])
    return len(order) / (time.perf_counter() - begin)


# ---------------------------------------------------------------------------------------------------------------------- memory


def memory(job: Job) -> dict[str, float]:
    """anonymous: the peak of bytes that no file backs, from opening the run to the last of so many folds trained, or to the
    features of all pictures. needed: bytes of ids and labels, those of the index of pictures among them."""
    with Peak() as peak:
        run = open_run(LEAF, job.root, job.kept, folds=4)
        name, recipe = next(iter(of_family(run.entry, job.family).items()))
        short = {name: Model(recipe.family, {**recipe.params, **SHORT[job.family]})}
        prepare(run, short, cores(), silent)
        if job.family == "image":
            for unit in units(run, short)[: job.folds]:
                refuse_failed(compute(run, unit, cores()))
    return {"anonymous": peak.bytes, "needed": needed(run)}


def needed(run: Run) -> int:
    index = run.gallery.index
    tables = sum(int(table.memory_usage(deep=True).sum()) for table in (run.data.train, run.data.test, run.data.sample))
    return tables + sum(getattr(index, field.name).nbytes for field in dataclasses.fields(index))


class Peak:
    """Within, the most anonymous memory of this process, looked at often. Shared pages of mapped files are not in it."""

    def __enter__(self) -> Peak:
        self.bytes, self.over = anonymous(), threading.Event()
        self.watching = threading.Thread(target=self.watch, daemon=True)
        self.watching.start()
        return self

    def watch(self) -> None:
        while not self.over.wait(OFTEN):
            self.bytes = max(self.bytes, anonymous())

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.watching.join()


def anonymous() -> int:
    """Bytes of this process that no file backs, as Linux counts them."""
    found = re.search(r"^Anonymous:\s+(\d+) kB$", ROLLUP.read_text(encoding="ascii"), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


LOOPS: Mapping[str, Callable[[Job], dict[str, float]]] = {
    loop.__name__: loop for loop in (decoding, podium, plain, plain_workers, synthetic, reading, memory)
}


def main(loop: str, given: str) -> None:
    job = Job(**json.loads(given))
    if job.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    print(json.dumps(LOOPS[loop](job)))


if __name__ == "__main__":
    main(*sys.argv[1:])
