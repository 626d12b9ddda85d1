"""Fine-tuning of the model on what annotators submitted."""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock, Timeout
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from label.tasks.model_versions import ModelStore
from label.tasks.training_radiographs import (
    TrainingRadiograph,
    collect_radiographs,
    hold_out,
    replay_radiographs,
    write_radiographs,
)
from label.tasks.training_settings import TrainingSettings
from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.model import weights_file
from monai_chexmask_u.networks.checkpoints import read_checkpoint, write_checkpoint
from monai_chexmask_u.workflows import evaluate, train

__all__ = ["FineTune"]

logger = logging.getLogger(__name__)

FEWEST_LABELS: Final = 4
DECIDES: Final = "distance_px1024"
METRICS: Final = (DECIDES, "dice_lungs", "dice_right_lung", "dice_left_lung", "dice_heart")


class TrainingRefused(ValueError):
    """A training cannot start or continue; the message says why and what to do."""


class FineTune(TrainTask):
    """Trains the model in use further on submitted labels, and takes the result into use if it is no worse.

    A part of the labeled radiographs is held out (`hold_out`). The weights of the last epoch, averaged over steps, are
    compared with the model in use on them, once: nothing else is chosen on the held-out radiographs. The mean distance
    of the landmarks, in pixels of the radiograph fitted into 1024, decides: it must not be larger. Dice is reported.

    A training that is killed leaves the model in use and a work folder, which the next training removes.

    Args:
        store: of the models.
        replay: data set with landmarks of which radiographs are mixed in, so that what they taught is not forgotten.
    """

    def __init__(self, store: ModelStore, replay: Path | None = None) -> None:
        """Keep where models and radiographs are."""
        super().__init__("Fine-tune the landmark model on submitted labels")
        self.store = store
        self.replay = replay

    def config(self) -> dict[str, Any]:
        """Return the settings that a client may change, with their defaults."""
        return TrainingSettings().as_config()

    def stats(self) -> dict[str, Any]:
        """Return how the training goes or how the last one went, under the names that clients show, and all versions.

        ``model`` says which version is in use, and why if it is not the one that should be.
        ``best_metric`` is the Dice of the lungs on the held-out radiographs, of the model that was in use after the
        training.
        """
        version, problems = self.store.current(), self.store.problems()
        model = {"number": version.number, "sha256": version.sha256, "problems": problems}
        stats: dict[str, Any] = {"history": self.store.history(), "model": model}
        last = _read_json(self.store.folder / "last_training.json")
        if last:
            kept = last["after"] if last["published"] else last["before"]
            stats |= {"last": last, "epoch": last["epochs"], "total_epochs": last["epochs"]}
            stats |= {"total_time": f"{last['seconds']} s", "best_metric": (kept or {}).get("dice_lungs") or 0.0}
        running = next(iter(sorted(self.store.folder.glob(".training-*"))), None)
        if running is not None and self._is_locked():
            asked = _read_json(running / "settings.json").get("max_epochs", 1)
            done = _read_json(running / "run" / "training_record.json").get("epochs", 0)
            stats |= {"epoch": done, "total_epochs": asked, "running": True}
            stats.pop("total_time", None)
        return stats

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train, compare, and publish or not.

        Args:
            request: settings, see `config`.
            datastore: of radiographs and labels.

        Returns:
            What was done: ``published``, ``message``, counts, ``left_out`` (unusable labels, with the reason),
            ``before`` and ``after`` (metrics on the held-out radiographs), ``version``.
        """
        started = time.monotonic()
        result: dict[str, Any] = {"published": False, "epochs": 0, "before": None, "after": None, "decided_by": DECIDES}
        try:
            settings = TrainingSettings.of(request)
            with self._work_folder() as work:
                (work / "settings.json").write_text(json.dumps(settings.as_config()), encoding="utf-8")
                self._train(settings, datastore, work, result)
        except (ValueError, OSError) as error:  # a person can mend these; TrainingRefused and EngineError among them
            result["message"] = str(error)
        result["seconds"] = round(time.monotonic() - started)
        if self.store.folder.is_dir():
            with atomic_path(self.store.folder / "last_training.json") as path:
                path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (logger.info if result["published"] else logger.error)("Training: %s", result["message"])
        return result

    def _train(self, settings: TrainingSettings, datastore: Datastore, work: Path, result: dict[str, Any]) -> None:
        """Train in a work folder, and note in the result what is found on the way."""
        before = self.store.current()
        learn, held_out, replayed = self._radiographs(settings, datastore, work, result)
        baseline = _measure(work, "before", weights_file(before.path))
        result["before"] = baseline
        start = before.path if settings.start_from == "current" else self.store.shipped
        candidate = _fine_tune(settings, work, weights_file(start), bool(replayed))
        result["epochs"] = settings.max_epochs
        result["after"] = after = _measure(work, "after", candidate)
        old, new = _deciding(baseline), _deciding(after)
        change = f"{old:.2f} to {new:.2f} px of 1024 on {len(held_out)} held-out radiographs"
        if new > old:
            result["message"] = f"nothing is published: the mean landmark error would go from {change}"
            return
        record = {
            "start": settings.start_from,
            "settings": settings.as_config(),
            "learned_films": [radiograph.digest for radiograph in learn],
            "held_out_films": [radiograph.digest for radiograph in held_out],
            "replayed_films": len(replayed),
            "before": baseline,
            "after": after,
            "decided_by": DECIDES,
            "training": _read_json(work / "run" / "training_record.json"),
        }
        version = self.store.publish(candidate, record)
        result |= {"published": True, "version": version.number, "model_sha256": version.sha256}
        result["message"] = f"version {version.number} is published: the mean landmark error went from {change}"

    def _radiographs(
        self, settings: TrainingSettings, datastore: Datastore, work: Path, result: dict[str, Any]
    ) -> tuple[list[TrainingRadiograph], list[TrainingRadiograph], list[TrainingRadiograph]]:
        """Lay out the radiographs in the work folder; returns those to learn from, held out and replayed."""
        radiographs, result["left_out"] = collect_radiographs(datastore, settings.label_tag)
        for image_id, reason in result["left_out"].items():
            logger.warning("The label of %s is left out: %s", image_id, reason)
        result["films"] = len(radiographs)
        if len(radiographs) < FEWEST_LABELS:
            unusable = f" ({len(result['left_out'])} labels cannot be used)" if result["left_out"] else ""
            raise TrainingRefused(
                f"there are {len(radiographs)} usable labels{unusable}, and a training needs {FEWEST_LABELS}: "
                "annotate and submit more images"
            )
        learn, held_out = hold_out(radiographs, settings.val_split, self._learned())
        if not held_out:
            raise TrainingRefused(
                "the model has learned from all labels already, and none is left to validate on: submit one more"
            )
        replayed = (
            replay_radiographs(self.replay, settings.replay_films) if self.replay and settings.replay_films else []
        )
        write_radiographs(learn, work / "data" / "train", "radiograph")
        write_radiographs(held_out, work / "data" / "val", "held-out")
        if replayed:
            write_radiographs(replayed, work / "replay" / "train", "replay")
        result |= {"learned": len(learn), "held_out": len(held_out), "replayed": len(replayed)}
        logger.info("Training on %d radiographs and %d others; %d held out", len(learn), len(replayed), len(held_out))
        return learn, held_out, replayed

    def _learned(self) -> set[str]:
        """Return digests of the radiographs that the model in use, or one it was trained from, has learned from."""
        lineage = self.store.lineage(self.store.current().number)
        return {digest for record in lineage for digest in record.get("learned_films", [])}

    @contextmanager
    def _work_folder(self) -> Iterator[Path]:
        """Make a folder for one training, and remove what a training that was killed has left."""
        prepare_folder(self.store.folder)
        try:
            with FileLock(str(self.store.folder / ".training.lock"), timeout=5):
                for stale in self.store.folder.glob(".training-*"):
                    shutil.rmtree(stale, ignore_errors=True)
                work = Path(tempfile.mkdtemp(prefix=".training-", dir=self.store.folder))
                try:
                    yield work
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        except Timeout as error:
            raise TrainingRefused(f"{self.store.folder}: another training is running on these models") from error

    def _is_locked(self) -> bool:
        try:
            with FileLock(str(self.store.folder / ".training.lock"), timeout=0):
                return False
        except Timeout:
            return True


def _fine_tune(settings: TrainingSettings, work: Path, weights: Path, replayed: bool) -> Path:
    """Train; returns the file of the averaged weights of the last epoch, in half precision as they are published."""
    network = read_checkpoint(weights)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    folders: Sequence[Path] = [work / "data", *([work / "replay"] if replayed else [])]
    train(
        folders,
        work / "run",
        initial_weights=str(weights),
        device=device,
        epochs=settings.max_epochs,
        val_interval=settings.max_epochs,
        early_stopping=0,
        batch_size=settings.train_batch_size,
        learning_rate=settings.learning_rate,
        latent_learning_rate=settings.learning_rate / 5,
        kl_start=1e-3,  # the divergence's weight is where the model's own training ended
        num_workers=0,  # no process is left behind when this one is killed
        amp=device.type == "cuda",
        image_size=network.image_size,
        **{"network_def#skip_connections": network.skip_connections, "network_def#refinements": network.refinements},
    )
    candidate = work / "candidate.pt"
    write_checkpoint(read_checkpoint(work / "run" / "final.pt"), candidate, half_precision=True)
    return candidate


def _measure(work: Path, name: str, weights: Path) -> dict[str, float | None]:
    """Return the metrics of weights on the held-out radiographs, means over the radiographs."""
    evaluate(work / "data" / "val", work / name, weights)
    metrics = _read_json(work / name / "summary.json")["metrics"]
    return {metric: metrics[metric]["mean"] for metric in METRICS}


def _deciding(metrics: Mapping[str, float | None]) -> float:
    value = metrics[DECIDES]
    if value is None or not math.isfinite(value):
        raise TrainingRefused(
            "the landmark error on the held-out radiographs is not a number, and nothing is published"
        )
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
