"""What is kept of trials: the out-of-fold predictions of every complete one, which cost little and make the honest score; whole units, with
predictions of the test rows, of the best alone, where `podium train` finds them by the name MODEL-tuned."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from pipeline import identity
from pipeline.run import Run
from pipeline.store import pack, to_json, unpack
from pipeline.tune import study as studies
from pipeline.tune.recipes import tuned_name, write
from pipeline.tune.study import UNITS, Where
from pipeline.tune.subject import FOLDER, UNTUNED, Subject

TRIALS = "trials"  # in the study's folder


def _place(subject: Subject, values: Mapping[str, Any]) -> tuple[str, ...]:
    """By what the recipe says: equal recipes have equal predictions, and no number of a trial says of which storage it is."""
    return FOLDER, subject.folder, TRIALS, identity.key({"values": values})


def keep(run: Run, subject: Subject, values: Mapping[str, Any], oof: Any) -> None:
    run.store.write(*_place(subject, values), files={"oof.npz": pack(oof.arrays())})


def oof(run: Run, subject: Subject, values: Mapping[str, Any]) -> Any:
    """The out-of-fold predictions of a complete trial with these values; None where there was none."""
    files = run.store.whole(*_place(subject, values))
    return None if files is None else run.answers.read(unpack(files["oof.npz"]))


def forget(run: Run, subject: Subject, keys: Iterable[str]) -> None:
    """Remove these units of MODEL-tuned."""
    name = tuned_name(subject.model)
    for key in keys:
        if run.store.has("units", name, key):
            run.store.remove("units", name, key)


def settle(run: Run, subject: Subject, where: Where, study: optuna.Study) -> None:
    """Write down the best recipe so far, and forget the units of every finished trial that is not it."""
    with studies.locked(where):
        best = studies.best(study)
        if best is None:
            return
        mine = set(best.user_attrs.get(UNITS, ()))
        for one in studies.finished(study):
            forget(run, subject, [key for key in one.user_attrs.get(UNITS, ()) if key not in mine])
        if best.user_attrs.get(UNTUNED):
            _copy(run, subject, mine)
        write(run.store, subject.model, subject.recipe, subject.values_of(best), _about(run, study, best))


def _copy(run: Run, subject: Subject, keys: Iterable[str]) -> None:
    """The untuned recipe's units are MODEL's; they are MODEL-tuned's too, if nothing is better."""
    name = tuned_name(subject.model)
    for key in keys:
        files = None if run.store.has("units", name, key) else run.store.whole("units", subject.model, key)
        if files is not None:
            about = to_json({**json.loads(files["unit.json"]), "model": name})
            run.store.write("units", name, key, files={**files, "unit.json": about})


def _about(run: Run, study: optuna.Study, best: FrozenTrial) -> dict[str, Any]:
    return {
        "data": run.fingerprint,
        "folds": run.folds.hash,
        "practice": run.practice,
        "metric": run.entry.competition.metric.name,
        "score": best.value,
        "trial": best.number,
        "study": study.study_name,
    }
