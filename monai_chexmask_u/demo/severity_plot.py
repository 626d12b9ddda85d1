"""The plot of uncertainty against the severity of an alteration."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.demo.alterations import SEVERITIES
from monai_chexmask_u.demo.figure import MEASURES, Measure

__all__ = ["draw_plot"]

_MARKERS: Final = ("o", "s", "^")  # for those who cannot distinguish the colors
_GRAY: Final = "#555555"


def draw_plot(points: Mapping[str, Sequence[tuple[float, float]]], kind: str, measure: Measure) -> str:
    """Return the plot as HTML.

    Args:
        points: of each organ, or of the whole radiograph for the latent uncertainty: severity and uncertainty, in
            order.
        kind: of `SEVERITIES`.
        measure: what the uncertainty is.
    """
    severity = SEVERITIES[kind]
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, values), marker in zip(points.items(), _MARKERS, strict=False):
        color = next((tuple(part / 255 for part in organ.color) for organ in ORGANS if organ.title == name), _GRAY)
        (line,) = axes.plot(*zip(*values, strict=True), color=color, marker=marker, label=name)
        line.set_gid(f"points-{name.lower().replace(' ', '-')}")
    axes.set_xlim(-0.02 * severity.largest, 1.02 * severity.largest)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(severity.title)
    axes.set_ylabel("latent uncertainty" if measure == "latent" else "mean over the organ, px")
    axes.grid(alpha=0.3)
    if points:
        axes.legend(fontsize="small", loc="best")
    return f'<div class="plot" role="img" aria-label="{escape(_words(points, kind, measure))}">{_svg(figure)}</div>'


def _words(points: Mapping[str, Sequence[tuple[float, float]]], kind: str, measure: Measure) -> str:
    """Say what the plot shows to those who do not see it."""
    parts = [f"{name} {', '.join(f'{y:.2f} at {x:.3g}' for x, y in values)}" for name, values in points.items()]
    return f"{MEASURES[measure]} against {SEVERITIES[kind].title}: {'; '.join(parts) or 'no points yet'}"


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "plot"}):
        figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]
