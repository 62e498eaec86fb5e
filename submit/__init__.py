"""From predictions to a file that may be sent: filled by id, checked by named rules, kept with a manifest. From there to Kaggle, once, and into
the ledger with its scores; and from Kaggle, the competition's files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.assemble import Assembled
    from pipeline.run import Run
    from submit.boxes import Sizes


def submit(run: Run, assembled: Assembled, phase: str | None = None) -> Path:
    """Write, check and keep the submission of a blend; the path of its file. phase: of the test rows, where they have several; the
    last one without. Raises BadSubmission, StoreError, BadData or UnknownName for a phase that is not there.
    """
    from pipeline.predictions import Boxes

    rows = run.test_of(phase)
    told = rows["phase"].iloc[0] if "phase" in rows else None
    folder, about = run.store.path("submissions"), {**assembled.about(run), "phase": told}
    if isinstance(assembled.test, Boxes):
        from submit.boxes import submission as of_boxes

        sizes = _sizes(run, rows)
        return of_boxes(folder, assembled.test.of(np.array(list(sizes))), sizes, run.columns, about)
    from submit.write import submission

    return submission(folder, run.data.sample, assembled.test, run.entry.competition.task, about)


def require(run: Run, path: Path, phase: str | None = None) -> None:
    """Raise BadSubmission where a file breaks a rule of this competition; else as `submit`."""
    from pipeline.competition import Detection
    from submit import boxes, check

    task, rows = run.entry.competition.task, run.test_of(phase)
    if isinstance(task, Detection):
        check.refuse(boxes.check(path, _sizes(run, rows), run.columns))
    else:
        check.require(path, run.data.sample, task, run.columns if run.classes else None)


def _sizes(run: Run, rows: pd.DataFrame) -> Sizes:
    """Of the pictures of these rows, by id; None where there are no pictures to ask."""
    ids = rows[run.entry.competition.task.id].tolist()
    if run.gallery is None:
        return dict.fromkeys(ids)
    return dict(zip(ids, zip(*(sides.tolist() for sides in run.sizes(rows)), strict=True), strict=True))
