"""What a calibrated model promises beside what is true: intervals of ratio and areas, radii, membership, energy score.

Usage: python -m benchmarks.intervals --data JSRT/val [--model BUNDLE]

All figures are those of `Segmenter`, as users get them; lengths are in pixels of a 1024-pixel image. Say with them what
the radiographs of ``--data`` have decided before: radii and factors of the shipped calibration were set by JSRT/val.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.data.radiograph_sets import read_sets
from monai_chexmask_u.geometry import cardiothoracic_ratio, fill_polygon, polygon_area
from monai_chexmask_u.losses import energy_score
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter

SIDE: Final = 1024
NEAR: Final = 0.05  # shares of the draws between this and 1 minus this lie near a contour
BINS: Final = 10

Floats = NDArray[np.float64]
Pair = tuple[LandmarkSegmentation, Floats]


def main(
    data: Annotated[Path, typer.Option(help="Outlined radiographs.")],
    model: Annotated[Path | None, typer.Option(help="Bundle folder or weights; the shipped ones by default.")] = None,
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    segmenter = Segmenter(load_model(model), device="cpu")
    items = [item for each in read_sets([data]) for item in each.radiographs]
    pairs = [(segmenter.segment(read_radiograph(item.path)), np.asarray(item.landmarks)) for item in items]
    table = Table(title=f"{segmenter.identity.version}: {len(pairs)} radiographs of {data.parent.name}/{data.name}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in _rows(pairs):
        table.add_row(name, value)
    Console().print(table)


def _rows(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    ratios = [(result.cardiothoracic_ratio.interval90, float(cardiothoracic_ratio(truth))) for result, truth in pairs]
    yield "ratio: true one in its 90 % interval, width", _held(ratios, 1.0)
    for organ in ORGANS:
        areas = [(result.area_interval90(organ), float(polygon_area(truth[organ.nodes]))) for result, truth in pairs]
        yield f"{organ.title}: true area in its 90 % interval, width over area", _held(areas)
    inside, radii = [], []
    for result, truth in pairs:
        radius = np.asarray(result.radius90)
        inside.append(np.linalg.norm(result.landmarks - truth, axis=1) <= radius)
        radii.append(radius * SIDE / max(result.shape))
    yield "radius90: true landmarks within, mean radius, px", f"{np.mean(inside):.3f} {np.mean(radii):.1f}"
    scores = []
    for result, truth in pairs:
        draws, true = (torch.from_numpy(np.asarray(each, float)) for each in (result.samples, truth))
        scores.append(energy_score(draws.flatten(1)[None], true.flatten()[None]).item() * SIDE / max(result.shape))
    yield "energy score of the draws (240 numbers), px", f"{np.mean(scores):.1f}"
    yield "membership near the contour: calibration error", f"{_membership_error(pairs):.3f}"
    verdicts = [result.reliability.verdict for result, _ in pairs]
    yield "accept, review, reject", " ".join(str(verdicts.count(each)) for each in ("accept", "review", "reject"))


def _held(intervals: Sequence[tuple[tuple[float, float] | None, float]], unit: float | None = None) -> str:
    """Return how many intervals hold the true value, and their mean width in a unit, by default the value itself."""
    inside, widths = [], []
    for interval, true in intervals:
        low, high = interval or (np.nan, np.nan)
        inside.append(low <= true <= high)
        widths.append((high - low) / (unit or true))
    return f"{np.mean(inside):.2f} {np.mean(widths):.3f}"


def _membership_error(pairs: Sequence[Pair]) -> float:
    """Return the mean difference of probability and share of true pixels, over ten classes of probability."""
    probabilities, truths = [], []
    for result, truth in pairs:
        for organ in ORGANS:
            share, true = result.membership(organ), fill_polygon(truth[organ.nodes], result.shape)
            near = (share > NEAR) & (share < 1 - NEAR)
            probabilities.append(share[near])
            truths.append(true[near])
    probability, true = np.concatenate(probabilities), np.concatenate(truths)
    classes = np.minimum((probability * BINS).astype(int), BINS - 1)
    counts = np.bincount(classes, minlength=BINS)
    means = [np.bincount(classes, weights=each, minlength=BINS) / np.maximum(counts, 1) for each in (probability, true)]
    return float((np.abs(means[0] - means[1]) * counts).sum() / counts.sum())


if __name__ == "__main__":
    typer.run(main)
