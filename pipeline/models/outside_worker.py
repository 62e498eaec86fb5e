"""A detector of another library, trained or asked in a process of its own: `python -P outside_worker.py JOB.json PARENT`.

This file is the boundary. It is run by its path, perhaps by another interpreter, and imports nothing of podium; podium imports
neither library. Between the two lie files alone: job.json and pictures on the way in, weights and boxes on the way out. So a
library under another licence (ultralytics is AGPL-3.0) or with other requirements (both bring an opencv-python that stands in the
way of opencv-python-headless) stays out of the core.

Lines that begin with "podium: " are for a person to read. What is wrong with the recipe goes to failed.json as {kind, message}.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Job = dict[str, Any]

LEAST, MOST = 0.001, 100  # score of a box, and boxes of a picture, that are worth keeping: average precision counts them
ALIKE = 0.8  # share of a net's tensors that must come from a file of its weights: all but a head for other classes
SECONDS = 4.0  # to wait for a hub's first answer
HEADS = ("Detect", "v10Detect", "RTDETRDecoder")  # ultralytics' last layers of nets that find boxes


class Refused(Exception):
    """What the parent tells of: kind is "weights", "memory" or "data"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


# libreyolo


def libreyolo_nets() -> list[str]:
    """FAMILY-SIZE of every detector that can be trained."""
    return [f"{name}-{size}" for name, family in _libreyolo_families().items() for size in family.INPUT_SIZES]


def _libreyolo_families() -> dict[str, Any]:
    from libreyolo.models import BaseModel

    return {
        family.FAMILY: family
        for family in BaseModel._registry
        if family.FAMILY and family.DEFAULT_TASK == "detect" and "imgsz" in inspect.signature(family.train).parameters
    }


def libreyolo_train(job: Job) -> None:
    name, _, size = job["net"].rpartition("-")
    family = _libreyolo_families()[name]

    def started() -> Any:
        _seed(job["seed"], 0)
        return _libreyolo_started(family, name, size, job)

    def train(model: Any, resume: str | bool) -> None:
        start = _libreyolo_epochs(Path(job["checkpoint"])) if resume else 0
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Unknown training config keys")  # it would only ignore them
            model.train(**_libreyolo_settings(job), callbacks=_Epochs(job, start), resume=resume)

    _train(job, started, train, started, _libreyolo_epochs)


def _libreyolo_started(family: Any, name: str, size: str, job: Job) -> Any:
    """The net with the weights that the job names."""
    if job["weights"] is None:  # a plain call would download weights of some nets' backbones, and freeze layers of others
        return family._from_scratch(size=size, nb_classes=job["classes"], device=job["device"], seed=job["seed"])
    path = Path(job["weights"])
    try:
        if job["hub"]:
            from libreyolo.utils.download import download_weights

            path = path / f"{family.FILENAME_PREFIX}{size}.pt"
            _refuse_unreached("https://huggingface.co", path)
            download_weights(str(path), size)
        from libreyolo.models import LibreYOLO

        model = LibreYOLO(str(path), device=job["device"])
    except Exception as error:  # a network, a disk, a file of anything
        raise Refused("weights", _first_line(error)) from error
    if (model.FAMILY, model.size) != (name, size):
        raise Refused("weights", f"it holds {model.FAMILY}-{model.size}")
    from libreyolo.models import _unwrap_state_dict
    from libreyolo.utils.serialization import load_untrusted_torch_file

    there = _unwrap_state_dict(load_untrusted_torch_file(str(path), map_location="cpu", context="weights"))
    _refuse_others(model.model.state_dict(), there)
    return model


def _both(job: Job) -> dict[str, Any]:
    """Settings that the two libraries have by the same names."""
    return {
        "data": job["data"],
        "epochs": job["epochs"],
        "batch": job["batch"],
        "imgsz": job["size"],
        "device": job["device"],
        "seed": job["seed"],
        "workers": _loaders(job),
        "project": job["folder"],
        "name": "training",
        "exist_ok": True,
        "val": False,
        "patience": 0,
    }


def _libreyolo_settings(job: Job) -> dict[str, Any]:
    settings = {
        **_both(job),
        "no_aug_epochs": job["close_mosaic"],
        "save_period": 0,
        **_libreyolo_precision(job),
    }
    if job["rate"] is not None:
        settings["lr0"] = job["rate"]
    if job["mosaic"] is not None:
        settings["mosaic_prob"] = job["mosaic"]
        if not job["mosaic"]:
            settings["mixup_prob"] = 0.0  # it mixes mosaics only
    return settings


def _libreyolo_precision(job: Job) -> dict[str, Any]:
    import torch

    if job["device"] == "cpu":
        return {"amp": False}
    return {"amp": True, "amp_dtype": "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"}


def _libreyolo_epochs(checkpoint: Path) -> int:
    """How many epochs it has behind it."""
    import torch

    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1


class _Epochs:
    """What libreyolo calls at the start, after the epochs of which a training goes on, and after each epoch, whose checkpoint it has
    just written."""

    def __init__(self, job: Job, start: int) -> None:
        self.job, self.start = job, start

    def on_train_start(self, _event: Any) -> None:
        _seed(self.job["seed"], self.start)

    def on_train_epoch_end(self, event: Any) -> None:
        _keep(Path(event.save_dir, "weights", "last.pt"), self.job, event.epoch, event.train_loss)
        _seed(self.job["seed"], event.epoch)

    def on_train_end(self, _event: Any) -> None:
        """Nothing is left to do."""

    def on_train_exception(self, _event: Any) -> None:
        """It is raised too."""


def libreyolo_predict(job: Job) -> None:
    name, _, size = job["net"].rpartition("-")
    model = _libreyolo_families()[name](job["weights"], size=size, nb_classes=job["classes"], device=job["device"])

    def found(pictures: list[Any]) -> Iterator[Any]:
        told = model.predict(pictures, conf=LEAST, iou=0.65, imgsz=job["size"], max_det=MOST, batch=len(pictures))
        return (result.boxes for result in told)

    _predict(job, found)


# ultralytics


def ultralytics_nets() -> list[str]:
    """Names of the detectors of which the package has a plan, as its own files of weights are called (yolov5nu) or its plans are."""
    import yaml

    package = importlib.util.find_spec("ultralytics")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("ultralytics")
    found = []
    for plan in sorted(Path(package.origin).parent.glob("cfg/models/*/*.yaml")):
        content = yaml.safe_load(plan.read_text(encoding="utf-8"))
        if content["head"][-1][2] not in HEADS:
            continue
        sizes = content.get("scales") or {}
        family = re.match(r"yolov?\d+(?![a-z])", plan.stem)
        stems = [plan.stem.replace(family[0], family[0] + size, 1) for size in sizes] if family and sizes else [plan.stem]
        found += stems + [f"{stem}u" for stem in stems if re.match(r"yolov[35]", stem)]
    return found


def _ultralytics_class(job: Job) -> Any:
    from ultralytics import RTDETR, YOLO, settings
    from ultralytics.utils import torch_utils

    torch_utils.NUM_THREADS = job["threads"]  # it sets torch to its own number

    off = dict.fromkeys(("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb"), False)
    settings.update({name: value for name, value in off.items() if name in settings})
    return RTDETR if "rtdetr" in job["net"] else YOLO


def _plan(net: str) -> str:
    """The package's plan of a net; its weights of YOLOv3 and v5 are called yolov5nu, their plans yolov5n."""
    return re.sub(r"^(yolov[35].*)u$", r"\1", net) + ".yaml"


def ultralytics_train(job: Job) -> None:
    kind = _ultralytics_class(job)

    def fresh() -> Any:
        _seed(job["seed"], 0)
        model = kind(_plan(job["net"]))
        return _ultralytics_loaded(model, job) if job["weights"] is not None else model

    def train(model: Any, resume: str | bool) -> None:
        model.add_callback("on_train_start", lambda trainer: _refuse_fewer(len(trainer.train_loader.dataset), job))
        model.add_callback("on_train_epoch_start", lambda trainer: _seed(job["seed"], trainer.epoch))
        model.add_callback("on_model_save", _ultralytics_keep(job))
        model.train(**_ultralytics_settings(job), resume=resume)

    _train(job, fresh, train, lambda: kind(job["checkpoint"]), _ultralytics_epochs)


def _ultralytics_loaded(model: Any, job: Job) -> Any:
    path = Path(job["weights"])
    try:
        if job["hub"]:
            from ultralytics.utils.downloads import attempt_download_asset

            path = path / (_plan(job["net"]).removesuffix(".yaml") + ("u" if re.match(r"yolov[35]", job["net"]) else "") + ".pt")
            _refuse_unreached("https://github.com", path)
            path = Path(attempt_download_asset(path))
        from ultralytics.nn import tasks
        from ultralytics.nn.tasks import load_checkpoint

        if not getattr(tasks, "SAFE_LOAD", False):
            raise RuntimeError("this version of ultralytics would run what is in a file of weights; install 8.4.190 or later")
        there = load_checkpoint(str(path))[0].float().state_dict()
    except Exception as error:  # a network, a disk, a file of anything
        raise Refused("weights", _first_line(error)) from error
    _refuse_others(model.model.state_dict(), there)
    return model.load(str(path))


def _ultralytics_settings(job: Job) -> dict[str, Any]:
    settings = {
        **_both(job),
        "close_mosaic": job["close_mosaic"],
        "plots": False,
        "verbose": False,
        "amp": _ultralytics_precision(job),
    }
    if job["weights"] is None:
        settings["pretrained"] = False
    if job["rate"] is not None:  # "auto", its default, would not listen to a rate
        settings |= {"optimizer": "AdamW" if "rtdetr" in job["net"] else "SGD", "lr0": job["rate"]}
    if job["mosaic"] is not None:
        settings["mosaic"] = job["mosaic"]
    settings["augmentations"] = []  # else it would use albumentations where that happens to be installed
    return settings


def _ultralytics_precision(job: Job) -> bool | str:
    """Its check of half precision downloads a net, so only what needs no check is used."""
    import torch

    return "bf16" if job["device"] != "cpu" and torch.cuda.is_bf16_supported(including_emulation=False) else False


def _ultralytics_keep(job: Job) -> Callable[[Any], None]:
    def keep(trainer: Any) -> None:
        _keep(trainer.last, job, trainer.epoch + 1, float(sum(trainer.tloss.values())))

    return keep


def _ultralytics_epochs(checkpoint: Path) -> int:
    """How many epochs it has behind it."""
    from ultralytics.nn.tasks import torch_safe_load

    return int(torch_safe_load(str(checkpoint))[0]["epoch"]) + 1


def ultralytics_predict(job: Job) -> None:
    import numpy as np

    model = _ultralytics_class(job)(job["weights"])
    settings = {"conf": LEAST, "iou": 0.7, "imgsz": job["size"], "max_det": MOST, "device": job["device"]}

    def found(pictures: list[Any]) -> Iterator[Any]:
        bgr = [np.ascontiguousarray(np.asarray(picture)[..., ::-1]) for picture in pictures]
        told = model.predict(bgr, **settings, batch=len(bgr), rect=False, verbose=False, save=False)
        return (result.boxes for result in told)

    _predict(job, found)


# Both


def _train(
    job: Job,
    fresh: Callable[[], Any],
    train: Callable[[Any, str | bool], None],
    stopped: Callable[[], Any],
    epochs: Callable[[Path], int],
) -> None:
    """Train, or go on after the last whole epoch of a training that was killed. A checkpoint that cannot serve is removed.

    What was `stopped` goes on with the library's own state of nets, their averages and the optimizer.
    """
    checkpoint = Path(job["checkpoint"])
    if checkpoint.is_file():
        try:
            done = epochs(checkpoint)
            _say(f"goes on after epoch {done} of {job['epochs']}")
            if done < job["epochs"]:
                train(stopped(), str(checkpoint))
        except Exception:
            traceback.print_exc()
            _say("the checkpoint of an earlier start cannot be used; training starts anew")
            checkpoint.unlink(missing_ok=True)
    if not checkpoint.is_file():
        train(fresh(), False)
    os.replace(checkpoint, job["trained"])
    shutil.rmtree(Path(job["folder"], "training"), ignore_errors=True)


def _keep(checkpoint: Path, job: Job, epoch: int, loss: float) -> None:
    """Libraries write into the file that they read; ours is renamed into place, so a kill leaves it whole."""
    if not loss - loss == 0:
        raise Refused("data", f"the loss is {loss} in epoch {epoch}; give a smaller rate")
    new = Path(job["checkpoint"]).with_suffix(".new")
    shutil.copyfile(checkpoint, new)
    os.replace(new, job["checkpoint"])
    _say(f"epoch {epoch} of {job['epochs']}, loss {loss:.4f}")


def _predict(job: Job, found: Callable[[list[Any]], Iterator[Any]]) -> None:
    """Write the boxes: image, category (n,) numbers, box (n, 4) left, top, right, bottom in pixels of the picture, score (n,)."""
    import numpy as np
    from PIL import Image

    image, category, box, score = [np.zeros(0)], [np.zeros(0)], [np.zeros((0, 4))], [np.zeros(0)]
    for start in range(0, len(job["pictures"]), job["batch"]):
        few = job["pictures"][start : start + job["batch"]]
        opened = [Image.open(picture["file"]).convert("RGB") for picture in few]
        for picture, pixels, boxes in zip(few, opened, found(opened), strict=True):
            if pixels.size != (picture["width"], picture["height"]):
                raise Refused("data", f"{picture['file']} is {pixels.size}, not as in the index of the pictures")
            image.append(np.full(len(boxes), picture["number"]))
            category.append(boxes.cls.cpu().numpy())
            box.append(boxes.xyxy.cpu().numpy())
            score.append(boxes.conf.cpu().numpy())
    new = Path(job["boxes"]).with_suffix(".new.npz")
    np.savez(
        new,
        image=np.concatenate(image).astype(np.int64),
        category=np.concatenate(category).astype(np.int64),
        box=np.concatenate(box).astype(np.float64),
        score=np.concatenate(score).astype(np.float64),
    )
    os.replace(new, job["boxes"])


def _refuse_unreached(hub: str, file: Path) -> None:
    """Asked once, unless the file was downloaded before: the libraries' own retries take minutes."""
    if not file.is_file():
        try:
            with urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=SECONDS):  # noqa: S310
                pass
        except urllib.error.HTTPError:  # it answers, if only that it does not like to be asked so
            pass


def _refuse_others(own: dict[str, Any], there: dict[str, Any]) -> None:
    """Both libraries take of a file what fits and say nothing of the rest."""
    fit = sum(name in there and there[name].shape == tensor.shape for name, tensor in own.items())
    if fit < ALIKE * len(own):
        raise Refused("weights", f"{fit} of the net's {len(own)} tensors are in it; it is of another net")


def _refuse_fewer(seen: int, job: Job) -> None:
    """ultralytics leaves out a picture or a label that it does not like, with a word in its log only."""
    if seen != job["rows"]:
        raise Refused("data", f"the library took {seen} of {job['rows']} pictures for training; its log says why")


def _seed(seed: int, epoch: int) -> None:
    """Each epoch's own, so that a training that goes on meets the pictures that it would have met."""
    import numpy as np
    import torch

    random.seed(1000 * seed + epoch)
    np.random.seed((1000 * seed + epoch) % 2**32)  # noqa: NPY002 - the libraries draw from it
    torch.manual_seed(1000 * seed + epoch)


def _loaders(job: Job) -> int:
    """Processes that prepare pictures: none on a CPU, whose threads are all computing."""
    return 0 if job["device"] == "cpu" else min(8, int(job["threads"]))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def _say(message: str) -> None:
    print(f"podium: {message}", flush=True)


def _without_network() -> None:
    """Whatever would call home raises at once, in this process and those it forks."""

    def refuse(event: str, about: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(about[1], tuple)):
            raise OSError("podium lets this process use no network")

    sys.addaudithook(refuse)


def _leave_with(parent: int) -> None:
    """A parent that was killed cannot stop us; we go by ourselves, with the processes that load pictures."""
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


def _located(device: str) -> str:
    import torch

    return ("cuda:0" if torch.cuda.is_available() else "cpu") if device == "auto" else "cuda:0" if device == "cuda" else device


def main(path: Path, parent: int) -> int:
    job = json.loads(path.read_text(encoding="utf-8"))
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    if not job["hub"]:
        _without_network()
    try:
        if job["do"] == "list":
            nets = globals()[f"{job['library']}_nets"]()
            Path(job["nets"]).write_text(json.dumps(nets), encoding="utf-8")
            return 0
        import torch

        job["device"] = _located(job["device"])
        work = globals()[f"{job['library']}_{job['do']}"]
        torch.set_num_threads(job["threads"])
        work(job)
    except Refused as error:
        traceback.print_exc()
        Path(job["failed"]).write_text(json.dumps({"kind": error.kind, "message": str(error)}), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
