"""The comparison as a table: what was measured here, and what was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.baselines.runner import Result

__all__ = ["PUBLISHED", "Row", "markdown", "measured_row"]

# Published Hausdorff distances are in millimeters, of 0.35 mm a pixel at 1024.
PUBLISHED_SPACING_MM: Final = 0.35
COLUMNS: Final = (
    ("parameters", "{:,}"),
    ("steps", "{:,}"),
    ("seconds", "{:,}"),
    ("mse", "{:.1f}"),
    ("dice_lungs", "{:.3f}"),
    ("dice_heart", "{:.3f}"),
    ("hd_lungs", "{:.1f}"),
    ("hd_heart", "{:.1f}"),
    ("distance", "{:.2f}"),
)
HEADER: Final = (
    "model",
    "parameters",
    "steps",
    "training, s",
    "MSE, px²",
    "Dice lungs",
    "Dice heart",
    "HD lungs, px",
    "HD heart, px",
    "mean landmark error, px",
)


@dataclass(frozen=True)
class Row:
    """One model's figures, means over images; None where there is none.

    Attributes:
        model: title.
        parameters: trained numbers.
        steps: of the optimizer.
        seconds: of training.
        mse: over nodes and both coordinates, squared pixels of 1024.
        dice_lungs: of both lungs without the heart.
        dice_heart: of the heart.
        hd_lungs: Hausdorff distance of both lungs without the heart, pixels of 1024.
        hd_heart: Hausdorff distance of the heart, pixels of 1024.
        distance: of a landmark from its true place, pixels of 1024.
    """

    model: str
    parameters: int | None = None
    steps: int | None = None
    seconds: int | None = None
    mse: float | None = None
    dice_lungs: float | None = None
    dice_heart: float | None = None
    hd_lungs: float | None = None
    hd_heart: float | None = None
    distance: float | None = None


def _published(model: str, mse: float | None, dice: tuple[float, float], hd_mm: tuple[float, float]) -> Row:
    lungs, heart = (distance / PUBLISHED_SPACING_MM for distance in hd_mm)
    return Row(model, mse=mse, dice_lungs=dice[0], dice_heart=dice[1], hd_lungs=lungs, hd_heart=heart)


# Gaggion et al. 2022, https://arxiv.org/abs/2203.10977: lungs and heart, JSRT's 51 test images at 1024 pixels.
PUBLISHED: Final = (
    _published("PCA", 340.0, (0.945, 0.906), (17.4, 14.6)),
    _published("FC", 332.2, (0.945, 0.910), (17.5, 15.0)),
    _published("HybridGNet, no skip connections", 294.6, (0.952, 0.913), (15.6, 13.7)),
    _published("HybridGNet, two skip connections (2-IGSC)", 200.8, (0.974, 0.933), (12.1, 11.6)),
    _published("U-Net", None, (0.981, 0.942), (21.8, 25.2)),
)


def measured_row(title: str, result: Result) -> Row:
    """Take a model's figures from the records of its run."""
    record, metrics = result.training, result.evaluation["metrics"]
    return Row(
        title,
        parameters=record["settings"]["parameters"],
        steps=record["steps"],
        seconds=record["seconds"],
        mse=_mean(metrics, "mse"),
        dice_lungs=_mean(metrics, "dice_lungs"),
        dice_heart=_mean(metrics, "dice_heart"),
        hd_lungs=_mean(metrics, "hd_px1024_lungs"),
        hd_heart=_mean(metrics, "hd_px1024_heart"),
        distance=_mean(metrics, "distance_px1024"),
    )


def markdown(measured: list[Row], images: int) -> str:
    """Return one Markdown table: measured rows, then the published ones under a line that says what they are.

    Args:
        measured: from `measured_row`.
        images: number of images they were measured on.
    """
    empty = [""] * (len(HEADER) - 1)
    rows = [
        list(HEADER),
        ["---", *["---:"] * (len(HEADER) - 1)],
        [f"**measured here, {images} validation images**", *empty],
        *(_cells(row) for row in measured),
        ["**published (TMI 2022), another part of JSRT: 51 test images**", *empty],
        *(_cells(row) for row in PUBLISHED),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cells(row: Row) -> list[str]:
    values = ((getattr(row, name), form) for name, form in COLUMNS)
    return [row.model, *("" if value is None else form.format(value) for value, form in values)]


def _mean(metrics: Mapping[str, Any], name: str) -> float | None:
    mean: float | None = metrics.get(name, {}).get("mean")
    return mean
