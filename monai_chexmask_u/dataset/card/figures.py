"""The figures of a data set's card."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.card.statistics import BINS_PX1024, CardStatistics
from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["draw_nodes", "draw_scores"]

_SIDE: Final = 1024
_LENGTH: Final = 3.0
"""Pixels of the mean shape per pixel of uncertainty, along the histogram of a node."""
_WIDTH: Final = 22.0
"""Width of a histogram at its mode."""
_VERDICT_COLORS: Final = {"accept": "#0072B2", "review": "#E69F00", "reject": "#D55E00", "": "#777777"}


def draw_nodes(statistics: CardStatistics, path: Path) -> None:
    """Draw the mean shape, and at each node the histogram of its uncertainty, standing outward on the outline.

    Args:
        statistics: of the data set.
        path: of the PNG file.
    """
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.add_subplot()
    medians = _medians(statistics.node_counts)
    norm = Normalize(0, max(float(np.nanmax(medians, initial=0.0)), 1.0))
    for organ in ORGANS:
        points = statistics.shape[organ.nodes]
        closed = np.vstack([points, points[:1]])
        axes.plot(closed[:, 0], closed[:, 1], color=np.array(organ.color) / 255, linewidth=1.5, label=organ.title)
        for point, normal, counts, median in zip(
            points, _normals(points), statistics.node_counts[organ.nodes], medians[organ.nodes], strict=True
        ):
            outline = _histogram(point, normal, counts)
            if outline is not None:
                axes.fill(outline[:, 0], outline[:, 1], color=colormaps["viridis"](norm(median)), linewidth=0)
    _scale(axes)
    axes.set(xlim=(0, _SIDE), ylim=(_SIDE, 0), aspect="equal", xticks=[], yticks=[])
    kind = "expected error" if statistics.uncertainty == "error_std" else "spread of the samples"
    axes.set_title(f"Uncertainty of each node ({kind}) over {statistics.rows:,} radiographs, on the mean shape")
    axes.legend(loc="lower right")
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, shrink=0.6, label="median, px of a 1024-pixel image")
    _save(figure, path)


def draw_scores(statistics: CardStatistics, path: Path) -> None:
    """Draw the histogram of the radiographs' scores, divided by verdict.

    Args:
        statistics: of the data set.
        path: of the PNG file.
    """
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    scores = statistics.scalars["score"]
    known = np.isfinite(scores)
    names = [name for name in _VERDICT_COLORS if (statistics.verdicts[known] == name).any()]
    if known.any():
        bins = np.geomspace(max(scores[known].min(), 0.1), max(scores[known].max(), 0.2), 50)
        parts = [scores[known & (statistics.verdicts == name)] for name in names]
        axes.hist(
            parts,
            bins.tolist(),
            stacked=True,
            color=[_VERDICT_COLORS[name] for name in names],
            label=[n or "none" for n in names],
        )
        axes.legend(title="verdict")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(ScalarFormatter())
    axes.set(
        xlabel="score, px of a 1024-pixel image",
        ylabel="radiographs",
        title=f"Uncertainty of {int(known.sum()):,} radiographs",
    )
    _save(figure, path)


def _medians(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of each node's histogram ``(node,)``; NaN where it is empty."""
    total = counts.sum(axis=1, keepdims=True)
    reached = np.argmax(np.cumsum(counts, axis=1) * 2 >= np.maximum(total, 1), axis=1)
    medians: NDArray[np.float64] = np.where(
        total[:, 0] > 0, (BINS_PX1024[reached] + BINS_PX1024[reached + 1].clip(max=_SIDE)) / 2, np.nan
    )
    return medians


def _normals(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the outward unit normals of a closed outline."""
    along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    normals = np.stack([along[:, 1], -along[:, 0]], axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    x, y = points.T
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    outward: NDArray[np.float64] = normals if area > 0 else -normals
    return outward


def _histogram(
    point: NDArray[np.float64], normal: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Return the outline of a node's histogram: uncertainty goes outward, its width is the share of the radiographs."""
    used = np.flatnonzero(counts)
    if not used.size:
        return None
    last = int(used[-1]) + 1
    steps = np.repeat(BINS_PX1024[: last + 1].clip(max=BINS_PX1024[-2]), 2)[1:-1] * _LENGTH
    widths = np.repeat(counts[:last] / counts.max() * _WIDTH / 2, 2)
    across = np.array([-normal[1], normal[0]])
    one_side = point + steps[:, None] * normal + widths[:, None] * across
    other_side = point + steps[:, None] * normal - widths[:, None] * across
    outline: NDArray[np.float64] = np.vstack([one_side, other_side[::-1]])
    return outline


def _scale(axes: Any) -> None:
    """Draw what 20 pixels of uncertainty look like."""
    x, y, length = 40, _SIDE - 40, 20 * _LENGTH
    axes.plot([x, x + length], [y, y], color="black", linewidth=2)
    axes.text(x + length + 10, y, "20 px of uncertainty", va="center", fontsize=9)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png", metadata={"Software": None})
