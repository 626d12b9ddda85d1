"""What an evaluation leaves behind: one row of metrics per image, and a summary."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from ignite.engine import Engine, Events

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder

__all__ = ["EvaluationReport"]

FRAME: Final = 1024


class EvaluationReport:
    """Writes ``per_image.csv`` and ``summary.json`` from the details of MONAI's metric handlers.

    A column is called by its metric and, if the metric has several channels, by the channel, such as
    ``dice_right_lung``. Lengths, whose metric ends in ``_px1024``, get a second column in millimeters (``_mm``), which
    is empty where the image's spacing is unknown.

    Args:
        output_dir: where the two files go.
        channels: names of each metric's channels, by the name of the metric.
        root_mean: metrics whose mean over images is the root of the mean square.
        context: what was evaluated on what, such as the weights and the data; becomes part of the summary.
        spacing_mm: height and width of a pixel of the network image scaled to 1024 pixels, for images whose files do
            not tell it.
    """

    def __init__(
        self,
        output_dir: str,
        channels: Mapping[str, Sequence[str]],
        root_mean: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        spacing_mm: float | None = None,
    ) -> None:
        """Keep the settings."""
        self.folder = Path(output_dir)
        self.channels = channels
        self.root_mean = tuple(root_mean)
        self.context = dict(context or {})
        self.spacing_mm = spacing_mm
        self._images: list[tuple[str, float]] = []

    def attach(self, engine: Any) -> None:
        """Attach to an evaluator, as MONAI's handlers do."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self._images.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_images)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _note_images(self, engine: Engine) -> None:
        for item in engine.state.batch:
            meta = item["image"].meta
            side = float(meta.get("side_mm", math.nan))
            spacing = side / FRAME if math.isfinite(side) else (self.spacing_mm or math.nan)
            self._images.append((Path(str(meta["filename_or_obj"])).name, spacing))

    def __call__(self, engine: Engine) -> None:
        """Write both files.

        Raises:
            ValueError: if a metric has another number of images or channels than expected.
        """
        columns = self._columns(engine.state.metric_details)
        prepare_folder(self.folder)
        with (
            atomic_path(self.folder / "per_image.csv") as path,
            path.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(["image", *columns])
            for row, (name, _) in enumerate(self._images):
                values = [float(column[row]) for column in columns.values()]
                writer.writerow([name, *("" if math.isnan(value) else f"{value:.6g}" for value in values)])
        summary = {
            **self.context,
            "images": len(self._images),
            "metrics": {name: self._summary(name, values) for name, values in columns.items()},
        }
        with atomic_path(self.folder / "summary.json") as path:
            path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")

    def _columns(self, details: Mapping[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
        """Return a column of numbers per metric and channel."""
        spacings = np.array([spacing for _, spacing in self._images])
        columns = {}
        for metric, channels in self.channels.items():
            values = details[metric].double().cpu().numpy().reshape(len(details[metric]), -1)
            if values.shape != (len(self._images), len(channels)):
                raise ValueError(f"metric {metric}: expected {len(channels)} channels, got values {values.shape}")
            for channel, column in zip(channels, values.T, strict=True):
                columns["_".join(filter(None, (metric, channel)))] = column
                if metric.endswith("_px1024"):
                    columns["_".join(filter(None, (metric.removesuffix("_px1024") + "_mm", channel)))] = (
                        column * spacings
                    )
        return columns

    def _summary(self, name: str, values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float | int | None]:
        """Summarize one column over the images in which it is known; a distance to nothing is infinite, a failure."""
        failed = int(np.isinf(values).sum())
        known = values[np.isfinite(values)]
        if not known.size:
            return {"count": 0, "failed": failed, "mean": None, "std": None, "median": None, "min": None, "max": None}
        is_root = any(name.startswith(metric) for metric in self.root_mean)
        return {
            "count": known.size,
            "failed": failed,
            "mean": float(np.sqrt(np.square(known).mean()) if is_root else known.mean()),
            "std": float(known.std()),
            "median": float(np.median(known)),
            "min": float(known.min()),
            "max": float(known.max()),
        }
