"""Fusing, judging and tuning boxes, beside the libraries that do it: how fast, and whether the answers are equal."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.boxes.evaluation import evaluate
from pipeline.boxes.fusion import Pool, fuse
from pipeline.ensemble.boxes import TRIALS, blend, tune
from pipeline.predictions import Array, Boxes, Truth
from tests.bench_setting import Setting, limit, table
from tests.bench_times import alternated, compared

SIDE = 640.0
CATEGORIES = np.array(["87", "1034", "131", "318", "588"])
CASES = ((5, 100, 60, 40), (15, 300, 12, 60))  # models, boxes of each in an image, images, times faster
EQUAL = 1e-6
IMAGES, FOUND, FASTER, SAME = 3062, 100, 10, 1e-9  # to judge: images, boxes in each, times faster, difference
TUNED, SECONDS = 240, 60


def fusion(setting: Setting) -> Iterator[str]:
    """Weighted boxes fusion as compiled code beside ensemble-boxes, image by image, on the same boxes."""
    lines, met = [], True
    for models, count, images, faster in CASES:
        _, predictions = drawn(min(images, setting.rows), objects=20, models=models, boxes=count)
        theirs_in = prepared(predictions)
        fuse(Pool.of(predictions))  # compiled, or read from the cache, before it is timed
        times = alternated(
            {
                "podium": lambda predictions=predictions: seconds(lambda: fuse(Pool.of(predictions))),
                "theirs": lambda given=theirs_in: seconds(lambda: by_library(given)),
            },
            setting.repeats,
        )
        apart = difference(fuse(Pool.of(predictions)), by_library(theirs_in))
        ratio = times["theirs"].median / times["podium"].median
        met &= ratio >= faster and apart <= EQUAL
        ms = [1000 * one.median / len(predictions[0].images) for one in times.values()]
        lines.append(
            (f"{models} models x {count} boxes", *(f"{one:.3f}" for one in ms), f"{ratio:.0f}", f"{faster}", f"{apart:.1e}")
        )
    yield table(("an image", "podium, ms", "ensemble-boxes, ms", "times faster", "limit", "largest difference"), lines)
    yield "Boxes are compared as shares of the picture's side, and scores; of podium all is timed, also sorting and checking."
    yield limit(f"times faster, and equal to {EQUAL:g}", met)


def evaluation(setting: Setting) -> Iterator[str]:
    """Average precision of 3,062 images and 306,200 boxes with ids beyond 2^63, beside pycocotools on ids 1 to N."""
    images = min(IMAGES, setting.rows)
    truth, (found,) = drawn(images, objects=2, models=1, boxes=FOUND)
    given = dictionaries(truth, found)
    evaluate(truth, found)
    scores: dict[str, float] = {}

    def ours() -> None:
        scores["podium"] = evaluate(truth, found).ap

    def theirs() -> None:
        scores["pycocotools"] = by_pycocotools(*given)

    times = alternated({"podium": lambda: seconds(ours), "pycocotools": lambda: seconds(theirs)}, setting.repeats)
    ratio, apart = times["pycocotools"].median / times["podium"].median, abs(scores["podium"] - scores["pycocotools"])
    yield table(
        (f"{images} images, {len(found)} boxes", "AP", "seconds (information)", "times slower", "pair by pair"),
        [
            ("podium, hotcoco inside", f"{scores['podium']:.9f}", times["podium"], "", ""),
            (
                "pycocotools",
                f"{scores['pycocotools']:.9f}",
                times["pycocotools"],
                *compared(times["pycocotools"], times["podium"]),
            ),
        ],
    )
    yield f"podium has image ids such as {truth.images[-1]} as text; pycocotools got 1 to {images}, since larger ones run together there."
    yield limit(f"{FASTER} times faster, AP equal to {SAME:g}", ratio >= FASTER and apart <= SAME)


def box_tuning(setting: Setting) -> Iterator[str]:
    """Tuning the fusion of three models over 240 images in 200 trials; and the honest score, for which it is tuned once more for each fold."""
    images = min(TUNED, setting.rows)
    truth, predictions = drawn(images, objects=12, models=3, boxes=100)
    fuse(Pool.of(predictions))
    took = seconds(lambda: tune(predictions, truth, TRIALS))
    begin = time.perf_counter()
    found = blend({f"model {at}": one for at, one in enumerate(predictions, 1)}, truth, np.arange(images) % 5, trials=TRIALS)
    whole = time.perf_counter() - begin
    yield table(
        ("boxes", "average precision", "95 %"),
        [
            *((name, f"{score:.4f}", interval(found.member_intervals[name])) for name, score in found.member_scores.items()),
            ("fusion, honest", f"{found.honest:.4f}", interval(found.interval)),
            ("fusion, optimistic", f"{found.optimistic:.4f}", ""),
        ],
    )
    yield f"Tuning: {took:.1f} s for at most {TRIALS} trials. With five folds for the honest score, and 1,000 draws: {whole:.1f} s."
    yield limit(f"{SECONDS} s for {TRIALS} trials", took <= SECONDS)


def drawn(images: int, objects: int, models: int, boxes: int, seed: int = 0) -> tuple[Truth, list[Boxes]]:
    """Objects in images, with ids beyond 2^63; and models that find them, not exactly and several times, and other things too."""
    random = np.random.default_rng(seed)
    ids = np.array([str(2**64 - images + number) for number in range(images)])
    image = np.repeat(ids, objects)
    box = np.column_stack([random.uniform(0, 400, (len(image), 2)), random.uniform(30, 160, (len(image), 2))])
    truth = Truth(ids, CATEGORIES, image, random.choice(CATEGORIES, len(image)), box, np.zeros(len(image), dtype=bool))
    predictions = []
    for _ in range(models):
        near = (np.arange(images)[:, None] * objects + random.integers(objects, size=(images, boxes))).ravel()
        off = np.clip(truth.box[near] + random.normal(0, 8, (len(near), 4)) * [1, 1, 0.5, 0.5], 1, SIDE / 2)
        wrong = random.random(len(near)) < 0.5
        off[wrong] = np.column_stack([random.uniform(0, 400, (wrong.sum(), 2)), random.uniform(30, 160, (wrong.sum(), 2))])
        score = np.where(wrong, random.beta(2, 6, len(near)), random.beta(4, 3, len(near)))
        predictions.append(Boxes(ids, truth.image[near], truth.category[near], off, score))
    return truth, predictions


def prepared(predictions: Sequence[Boxes]) -> list[tuple[str, list[Array], list[Array], list[Array]]]:
    """What ensemble-boxes wants of each image: corners as shares of the side, scores, numbers of categories."""
    given = []
    for image in predictions[0].images.tolist():
        mine = [one.image == image for one in predictions]
        parts = [(one.box[at], one.score[at], one.category[at]) for one, at in zip(predictions, mine, strict=True)]
        corners = [np.column_stack([box[:, :2], box[:, :2] + box[:, 2:]]) / SIDE for box, _, _ in parts]
        numbers = [np.argmax(category[:, None] == CATEGORIES, axis=1) for _, _, category in parts]
        given.append((image, corners, [score for _, score, _ in parts], numbers))
    return given


def by_library(given: Sequence[tuple[str, list[Array], list[Array], list[Array]]]) -> list[tuple[Any, ...]]:
    """Rows (image, category, corners, score) from ensemble-boxes."""
    from ensemble_boxes import weighted_boxes_fusion

    found: list[tuple[Any, ...]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for image, corners, scores, numbers in given:
            box, score, number = weighted_boxes_fusion(corners, scores, numbers, iou_thr=0.55)
            found += [(image, str(CATEGORIES[int(n)]), *b, s) for b, s, n in zip(box.tolist(), score, number, strict=True)]
    return found


def difference(ours: Boxes, theirs: Sequence[tuple[Any, ...]]) -> float:
    """The largest difference of a side or a score, as shares; infinite where one has boxes that the other lacks."""
    box = np.column_stack([ours.box[:, :2], ours.box[:, :2] + ours.box[:, 2:]]) / SIDE
    columns = (ours.image.tolist(), ours.category.tolist(), *box.T.tolist(), np.minimum(ours.score, 1).tolist())
    one, two = (sorted(rows, key=lambda row: (*row[:2], row[-1])) for rows in (list(zip(*columns, strict=True)), theirs))
    if [row[:2] for row in one] != [row[:2] for row in two]:
        return float("inf")
    a, b = (np.array([row[2:] for row in rows]) for rows in (one, two))
    return float(np.abs(a - np.column_stack([b[:, :4], np.minimum(b[:, 4], 1)])).max())


def dictionaries(truth: Truth, found: Boxes) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """The same in COCO's form, with ids 1 to N."""
    image = {name: at for at, name in enumerate(truth.images.tolist(), 1)}
    category = {name: at for at, name in enumerate(truth.categories.tolist(), 1)}

    def entries(of: Truth | Boxes) -> list[dict[str, Any]]:
        return [
            {"id": at, "image_id": image[i], "category_id": category[c], "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for at, (i, c, box) in enumerate(zip(of.image.tolist(), of.category.tolist(), of.box.tolist(), strict=True), 1)
        ]

    known = {
        "images": [{"id": at} for at in image.values()],
        "categories": [{"id": at, "name": name} for name, at in category.items()],
        "annotations": entries(truth),
    }
    return known, [{**entry, "score": score} for entry, score in zip(entries(found), found.score.tolist(), strict=True)]


def by_pycocotools(known: dict[str, list[dict[str, Any]]], found: list[dict[str, Any]]) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = known
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes([dict(entry) for entry in found]), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return float(judged.stats[0])


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f} - {bounds[1]:.4f}"
