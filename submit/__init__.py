"""From predictions to a file that may be sent: filled by id, checked by named rules, kept with a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.assemble import Assembled
    from pipeline.run import Run


def submit(run: Run, assembled: Assembled) -> Path:
    """Write, check and keep the submission of a blend; the path of its submission.csv. Raises BadSubmission, StoreError."""
    from submit.write import submission

    folder = run.store.path("submissions")
    return submission(folder, run.data.sample, assembled.test, run.entry.competition.task, assembled.about(run))
