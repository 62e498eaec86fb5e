"""The step from trained models to one answer: blend what they predicted out of fold, apply it to the test rows, keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import identity
from pipeline.answers import inside
from pipeline.ensemble.blend import Blend
from pipeline.ensemble.boxes import BoxBlend
from pipeline.errors import NothingUsable
from pipeline.foreign.imports import Foreign
from pipeline.predictions import Boxes, Table
from pipeline.run import Run
from pipeline.store import pack, to_json
from pipeline.train import Member


@dataclass(frozen=True, eq=False)
class Assembled:
    """blend: the ensemble with its honest score. test: its predictions for the test rows. members: the models it is made of."""

    blend: Blend | BoxBlend
    test: Table | Boxes
    members: Mapping[str, Member]
    key: str

    def about(self, run: Run) -> dict[str, object]:
        """What the submission's manifest says: from what data, by what models, with what scores, made up or real."""
        blended = self.blend
        return {
            "competition": run.name,
            "practice": run.practice,
            "data": {"fingerprint": run.fingerprint, "train rows": len(run.ids), "test rows": len(run.test_ids)},
            "folds": {"plan": repr(run.plan), "hash": run.folds.hash, "number": len(run.folds)},
            "metric": blended.metric.name,
            "ensemble": {
                "key": self.key,
                "method": blended.method,
                "weights": dict(blended.weights),
                "honest": _told(blended.honest),
                "interval": [_told(bound) for bound in blended.interval],
                "optimistic": _told(blended.optimistic),
            },
            "models": {
                name: {
                    "score": _told(member.score),
                    "trimmed": _told(member.trimmed),
                    "seconds": member.seconds,
                    "units": list(member.keys),
                    **({"imported": member.time, "suspicious": list(member.flags)} if isinstance(member, Foreign) else {}),
                }
                for name, member in sorted(self.members.items())
            },
        }


def _told(score: float) -> float | None:
    """NaN, where there is no such score, is no JSON."""
    return None if np.isnan(score) else score


def assemble(run: Run, members: Mapping[str, Member], method: str | None = None) -> Assembled:
    """Blend the members and keep the result in the run folder, under a key of what it was made from.

    method: of `run.answers.methods`; without, the one that their `blend` takes. Raises NothingUsable without members, or where one has no
    test predictions; UnknownName.
    """
    if not members:
        raise NothingUsable(
            "No model is complete, so there is nothing to blend. The failures are listed by: podium board " + run.name
        )
    without = [name for name, member in members.items() if member.test is None]
    if without:
        raise NothingUsable(
            f"{', '.join(without)} came without test predictions, so no blend with them could answer the test rows."
        )
    oof: dict[str, Any] = {name: member.oof for name, member in members.items()}
    test: dict[str, Any] = {name: member.test for name, member in members.items()}
    blended = run.answers.blend(oof, run.folds.fold_of, method, run.folds.ordered)
    answer = blended.apply(test)
    if isinstance(answer, Boxes) and run.gallery is not None:  # calibrated boxes may reach beyond the edges
        answer = inside(answer, run.test_ids, run.columns, *run.sizes(run.data.test))
    code = [identity.module_hash(f"pipeline.ensemble.{module}") for module in ("blend", "boxes")]
    key = identity.key({"units": [member.keys for _, member in sorted(members.items())], "method": method, "code": code})
    assembled = Assembled(blended, answer, members, key)
    if run.store.whole("ensembles", key) is None:
        files = {
            "oof.npz": pack(blended.oof.arrays()),
            "test.npz": pack(answer.arrays()),
            "ensemble.json": to_json(assembled.about(run)),
        }
        run.store.write("ensembles", key, files=files)
    return assembled
