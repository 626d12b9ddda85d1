"""What weights carry with them: how, on what and with what result they were trained."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch
from ignite.engine import Engine, Events

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.provenance import commit, software

__all__ = ["TrainingRecord"]

# What a resumed training cannot change: its optimizer, its schedule and the length of its epochs were saved with it.
FIXED: Final = ("training_images", "batch_size", "learning_rate", "latent_learning_rate", "image_size")


class TrainingRecord:
    """Writes ``training_record.json`` after every epoch, so that a training that was killed has left one too.

    A resumed training continues the record that it finds: its time is added up, and it is counted as a session.

    Args:
        output_dir: where the record goes, beside the checkpoints.
        validator: engine that keeps the best validation metric.
        settings: what was chosen: data, sizes, learning rates, seed.
        resume: continue the record in the folder.

    Raises:
        ValueError: if a training is to be resumed with another batch size, learning rate, image size or data set.
    """

    def __init__(self, output_dir: str, validator: Engine, settings: Mapping[str, Any], resume: bool = False) -> None:
        """Keep the settings."""
        self.path = Path(output_dir) / "training_record.json"
        self.validator = validator
        self.settings = dict(settings)
        earlier = json.loads(self.path.read_text(encoding="utf-8")) if resume and self.path.is_file() else {}
        self.seconds_before = float(earlier.get("seconds", 0))
        for name in FIXED:
            before, now = (values.get(name) for values in (earlier.get("settings", {}), self.settings))
            if before is not None and before != now:
                raise ValueError(
                    f"{self.path}: the training to resume has {name} {before}, not {now}; give the same, or start a "
                    "new training from its best.pt (initial_weights)"
                )
        self.sessions = int(earlier.get("sessions", 0)) + 1
        self.best = earlier.get("best")
        self.commit = commit()  # of the code that is running, whatever happens to the checkout meanwhile
        self.started = time.monotonic()

    def attach(self, engine: Any) -> None:
        """Attach to a trainer, as MONAI's handlers do."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _start(self, engine: Engine) -> None:
        self.started = time.monotonic()

    def __call__(self, engine: Engine) -> None:
        """Write the record of the epoch that ends."""
        metric = getattr(self.validator.state, "best_metric", -1)
        epoch = getattr(self.validator.state, "best_metric_epoch", -1)
        if epoch > 0 and math.isfinite(metric) and (self.best is None or metric < self.best["value"]):
            self.best = {"metric": self.validator.state.key_metric_name, "value": float(metric), "epoch": epoch}
        record = {
            "software": software(self.commit),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name()
            if torch.cuda.is_available()
            else f"CPU, {torch.get_num_threads()} threads",
            "settings": self.settings,
            "epochs": engine.state.epoch,
            "steps": engine.state.iteration,
            "seconds": round(self.seconds_before + time.monotonic() - self.started),
            "sessions": self.sessions,
            "best": self.best,
        }
        prepare_folder(self.path.parent)
        with atomic_path(self.path) as path:
            path.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
