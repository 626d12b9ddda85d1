"""The radiograph as the page shows it: contours, and nodes colored by uncertainty that show their numbers."""

from __future__ import annotations

import io
import math
from html import escape
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS, organ_of_node
from monai_chexmask_u.demo.alterations import IMAGE_SIDE
from monai_chexmask_u.demo.sessions import Shown
from monai_chexmask_u.drawing import round_up, uncertainty_color
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.uncertainty.ellipses import confidence_ellipse

__all__ = ["MEASURES", "Measure", "color_bar", "draw_figure", "node_values", "radiograph_image", "scale_end"]

Measure = Literal["radius", "predictive", "latent"]

MEASURES: Final[dict[Measure, str]] = {
    "radius": "Radius that holds the true point with 90 % probability (calibrated)",
    "predictive": "Predictive: spread of the samples",
    "latent": "Latent: one number for the whole radiograph",
}


def node_values(result: LandmarkSegmentation, measure: Measure) -> NDArray[np.float64] | None:
    """Return what colors the nodes, ``(120,)`` in pixels of the image, or None where there is no value per node."""
    if measure == "radius":
        return result.radius90
    return result.node_uncertainty if measure == "predictive" else None


def scale_end(shown: list[Shown], measure: Measure) -> float:
    """Return the end of the color bar that several radiographs share, in pixels of the image."""
    values = [node_values(one.result, measure) for one in shown]
    return round_up(max((float(value.max()) for value in values if value is not None), default=0.0))


def radiograph_image(radiograph: Radiograph) -> bytes:
    """Return the radiograph as a JPEG, its longer side at most `IMAGE_SIDE`."""
    image = Image.fromarray((radiograph.pixels * 255).round().astype(np.uint8))
    scale = min(1.0, IMAGE_SIDE / max(image.size))
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def draw_figure(shown: Shown, title: str, measure: Measure, end: float, *, images: str, ellipses: bool = False) -> str:
    """Return a radiograph with contours and nodes as HTML.

    Args:
        shown: radiograph and result.
        title: above the radiograph.
        measure: what colors the nodes.
        end: of the color bar, in pixels of the image.
        images: address of the session's images.
        ellipses: draw the ellipse of each node that holds 90 % of the samples.
    """
    rows, columns = shown.radiograph.shape
    unit = max(rows, columns) / IMAGE_SIDE
    parts = [f'<image href="{images}/{shown.image}" width="{columns}" height="{rows}"/>']
    parts += _contours(shown.result, unit)
    if ellipses:
        parts += _ellipses(shown.result, unit)
    parts += _nodes(shown.result, measure, end, unit)
    words = f"{title}: outlines of lungs and heart, {_summary(shown.result)}"
    return (
        f'<figure class="radiograph"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {columns} {rows}" role="img" tabindex="0" aria-label="{escape(words)}">'
        f"{''.join(parts)}</svg>"
        '<output class="readout" aria-live="polite">'
        "Point at a node, or choose the radiograph and press the arrow keys.</output></figure>"
    )


def color_bar(measure: Measure, end: float, result: LandmarkSegmentation) -> str:
    """Return what the colors mean: of the outlines, and of the nodes in pixels and, with a spacing, millimeters."""
    organs = "".join(f'<span style="border-color: rgb{organ.color}">{organ.title}</span>' for organ in ORGANS)
    return f'<p class="organs">{organs}</p>{_bar(measure, end, result)}'


def _bar(measure: Measure, end: float, result: LandmarkSegmentation) -> str:
    if measure == "latent":
        return (
            f'<p class="legend">{MEASURES["latent"]}: <strong>{result.latent_uncertainty:.3f}</strong>; '
            "the nodes have no color of their own.</p>"
        )
    if node_values(result, measure) is None:
        return '<p class="legend">This model is not calibrated: there is no radius. Choose another uncertainty.</p>'
    colors = ", ".join(f"rgb{uncertainty_color(step / 10)}" for step in range(11))
    ticks = "".join(f"<span>{_length(end * step / 4, result.spacing_mm)}</span>" for step in range(5))
    return (
        f'<div class="legend"><span>{escape(MEASURES[measure])}</span>'
        f'<div class="bar" style="background: linear-gradient(to right, {colors})"></div>'
        f'<div class="ticks">{ticks}</div></div>'
    )


def _summary(result: LandmarkSegmentation) -> str:
    return ", ".join(
        f"{organ.title.lower()} uncertain by {result.organ_uncertainty_px(organ):.1f} px" for organ in ORGANS
    )


def _length(pixels: float, spacing_mm: tuple[float, float] | None) -> str:
    words = f"{pixels:.3g} px"
    return words if spacing_mm is None else f"{words}<br>{pixels * math.sqrt(math.prod(spacing_mm)):.2g} mm"


def _contours(result: LandmarkSegmentation, unit: float) -> list[str]:
    paths = []
    for organ in ORGANS:
        points = " ".join(f"{x + 0.5:.1f},{y + 0.5:.1f}" for x, y in result.contour(organ))
        paths.append(
            f'<polygon class="contour" points="{points}" fill="none" stroke="rgb{organ.color}" '
            f'stroke-width="{3 * unit:.2f}"><title>{organ.title}</title></polygon>'
        )
    return paths


def _ellipses(result: LandmarkSegmentation, unit: float) -> list[str]:
    axes, angles = confidence_ellipse(result.covariance)
    return [
        f'<ellipse class="ellipse" rx="{major:.2f}" ry="{minor:.2f}" fill="none" stroke="white" '
        f'stroke-width="{1.2 * unit:.2f}" transform="translate({x + 0.5:.2f} {y + 0.5:.2f}) '
        f'rotate({math.degrees(angle):.1f})"/>'
        for (major, minor), angle, (x, y) in zip(axes, angles, result.landmarks, strict=True)
    ]


def _nodes(result: LandmarkSegmentation, measure: Measure, end: float, unit: float) -> list[str]:
    values = node_values(result, measure)
    nodes = []
    for index, (x, y) in enumerate(result.landmarks):
        color = (255, 255, 255) if values is None else uncertainty_color(float(values[index]) / end)
        nodes.append(
            f'<circle class="node" data-tip="{_tip(result, index)}" cx="{x + 0.5:.2f}" cy="{y + 0.5:.2f}" '
            f'r="{7 * unit:.2f}" fill="rgb{color}" stroke="black" stroke-width="{1.5 * unit:.2f}"/>'
        )
    return nodes


def _tip(result: LandmarkSegmentation, index: int) -> str:
    """Say all of a node: id, organ, position, spread."""
    x, y = result.landmarks[index]
    words = [
        f"{NODE_IDS[index]}, {organ_of_node(index).title.lower()}: x {x:.1f}, y {y:.1f} px",
        f"spread {result.std[index, 0]:.2f} x {result.std[index, 1]:.2f} px",
    ]
    if result.distance_mm is not None:
        words.append(f"{result.distance_mm[index]:.2f} mm")
    if result.radius90 is not None:
        words.append(f"90 % radius {result.radius90[index]:.1f} px")
    return escape("; ".join(words))
