"""Figures of an evaluation, per organ: overlap and landmark error of every image.

Usage: python scripts/plot_evaluation.py RESULTS/per_image.csv -o figure.png
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import typer

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.files.atomic import atomic_path

matplotlib.use("agg")
from matplotlib import pyplot

PANELS = {
    "dice": "Dice",
    "distance_px1024": "mean landmark error, px at 1024",
    "hd95_px1024": "Hausdorff distance, 95th percentile, px at 1024",
}


def main(
    table: Annotated[Path, typer.Argument(help="per_image.csv of `chexmask-u evaluate`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file.")],
) -> None:
    """Draw a box per organ, and every image as a dot."""
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(4 * len(PANELS), 3.6), layout="constrained")
    jitter = np.random.default_rng(0)
    for axis, (metric, title) in zip(axes, PANELS.items(), strict=True):
        for position, organ in enumerate(ORGANS):
            cells = [row[f"{metric}_{organ.name}"] for row in rows]
            values = np.array([float(cell) for cell in cells if cell])
            color = [band / 255 for band in organ.color]
            axis.boxplot(values, positions=[position], widths=0.6, showfliers=False, medianprops={"color": "black"})
            spread = position + jitter.uniform(-0.18, 0.18, len(values))
            axis.scatter(spread, values, s=14, color=color, edgecolors="none")
        axis.set_xticks(range(len(ORGANS)), [organ.title for organ in ORGANS])
        axis.set_title(title, fontsize=10)
        axis.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{len(rows)} images", fontsize=10)
    with atomic_path(output) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


if __name__ == "__main__":
    typer.run(main)
