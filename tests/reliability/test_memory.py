"""Memory that runs out in a step of training: smaller parts are tried, these sizes exactly; any other error is no reason to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.run import open_run
from tests.reliability.conftest import Proof
from tests.reliability.small import Small

WORDS = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 68719476736 bytes."
FOLDS = 3
# By kind: the batch, what fits, how many pictures are tried in the first step, then in each; and the steps of all epochs of a fold.
FITS = {"images": (8, 3, [8, 4, 2, 2, 2, 2], [2] * 4, 6), "boxes": (4, 1, [4, 2, 1, 1, 1, 1], [1] * 4, 8)}


@pytest.fixture
def memory(small: Small, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], list[int]]:
    """Makes every step fail in which the net looks at more pictures than given; the sizes that it was asked for."""
    from pipeline.models.annotated_pictures import AnnotatedPictures
    from pipeline.models.labelled_pictures import LabelledPictures

    lesson: Any = {"images": LabelledPictures, "boxes": AnnotatedPictures}[small.kind]
    really = lesson.loss

    def holds(most: int, message: str) -> list[int]:
        tried: list[int] = []

        def loss(self: Any, net: Any, x: Any, y: Any) -> Any:
            tried.append(len(x))
            if len(x) > most:
                raise RuntimeError(message)
            return really(self, net, x, y)

        monkeypatch.setattr(lesson, "loss", loss)
        return tried

    return holds


@pytest.mark.slow
@pytest.mark.parametrize("small", FITS, indirect=True)
def test_out_of_memory_smaller_parts_are_tried(small: Small, podium: Any, memory: Any, proof: Proof) -> None:
    batch, fits, first, then, steps = FITS[small.kind]
    ids = open_run(small.name, small.data).ids
    Path("equal.csv").write_text("id,fold\n" + "".join(f"{one},{place % FOLDS}\n" for place, one in enumerate(ids)))
    tried = memory(fits, WORDS)
    said = podium(*small.words("train", "net"), "--folds", "equal.csv")
    assert said.code == 0, said.out
    assert tried == FOLDS * (first + then * (steps - 1))
    for most in (batch, batch // 2):
        message = (
            f"Out of memory with {most} pictures at a time: the step is repeated with {most // 2}, in batches of the same size."
        )
        assert said.out.count(message) == FOLDS
    figures = {"errors thrown": 2 * FOLDS, "steps tried": len(tried), "sizes other than expected": 0, "folds lost": 0}
    proof(9, "out of memory in a net's step", figures, small.kind)


@pytest.mark.parametrize(
    ("small", "message", "sizes"),
    [
        pytest.param("images", "shapes do not fit", [8], id="another error"),
        pytest.param("images", WORDS, [8, 4, 2, 1], id="too little for one"),
        pytest.param("boxes", "shapes do not fit", [4], id="another error, boxes", marks=pytest.mark.slow),
        pytest.param("boxes", WORDS, [4, 2, 1], id="too little for one, boxes", marks=pytest.mark.slow),
    ],
    indirect=["small"],
)
def test_what_does_not_fit_at_all_and_other_errors_fail_the_fold_alone(
    small: Small, podium: Any, memory: Any, message: str, sizes: list[int], proof: Proof
) -> None:
    tried = memory(0, message)
    said = podium(*small.words("run", "net", small.quick[0]))
    assert said.code == 3
    assert tried == FOLDS * sizes
    assert f"FAILED net in 3 of 3 folds, first in fold 1: RuntimeError: {message}" in said.out
    assert Path(said.last).is_file()
    what = "out of memory with a single picture" if len(sizes) > 1 else "another error in a net's step"
    proof(9, what, {"errors thrown": len(tried), "tried again": len(tried) - FOLDS, "others submitted": "yes"}, small.kind)
