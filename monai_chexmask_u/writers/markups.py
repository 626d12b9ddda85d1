"""3D Slicer markups: one closed curve per organ and one list of all landmarks, which lie on the image in Slicer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS, Organ
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.geometry import ImagePlane
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.record import segmentation_record

__all__ = ["MARKUPS_SCHEMA", "POINT_LIST", "markups_document", "write_markups"]

# Slicer compares this text with what it knows; it is not fetched.
MARKUPS_SCHEMA: Final = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
POINT_LIST: Final = "Landmarks"
POINT_COLOR: Final = (255, 255, 255)
# Of the view's size, in percent: neighboring landmarks on a radiograph that fills the view stay apart.
CURVE_GLYPH: Final = 1.5
POINT_GLYPH: Final = 1.0


def markups_document(segmentation: LandmarkSegmentation, radiograph: Radiograph, plane: ImagePlane) -> dict[str, Any]:
    """Return the markups of one result as JSON types, positions in LPS, mm.

    Args:
        segmentation: the result.
        radiograph: its image.
        plane: where Slicer puts the image (`slicer_plane`).
    """
    curves = [_curve(segmentation, organ, plane) for organ in ORGANS]
    document: dict[str, Any] = {"@schema": MARKUPS_SCHEMA, "markups": [*curves, _point_list(segmentation, plane)]}
    # What programs read beside the markups. Slicer passes over it; its own copy of the verdict is a measurement.
    record = segmentation_record(segmentation, radiograph)
    del record["image"]["path"], record["landmarks"]
    return document | {"chexmask_u": record}


def write_markups(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write a file that 3D Slicer loads onto the radiograph.

    References:
        https://slicer.readthedocs.io/en/latest/developer_guide/modules/markups.html
    """
    document = markups_document(segmentation, radiograph, slicer_plane(radiograph))
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _curve(segmentation: LandmarkSegmentation, organ: Organ, plane: ImagePlane) -> dict[str, Any]:
    """Return an organ's outline; its points may be moved, deleted and added."""
    area_mm2 = segmentation.area_mm2(organ)
    in_mm2 = "; the pixel size is unknown" if area_mm2 is None else f"; {area_mm2:.0f} mm2 by the radiograph's spacing"
    area = {
        "name": f"{organ.name} area",
        "enabled": False,
        "value": segmentation.area_px(organ),
        "units": "px2",
        "description": f"area inside the model's outline in squared pixels{in_mm2}",
    }
    return {
        "type": "ClosedCurve",
        "name": organ.title,
        **_frame(locked=False, fixed=False),
        "labelFormat": f"{organ.prefix}+%d",
        "lastUsedControlPointNumber": 0,
        "controlPoints": _control_points(segmentation, organ.nodes, plane),
        "measurements": [*_point_measurements(segmentation, organ.nodes), area, _reliability(segmentation)],
        "display": _display(organ.color, glyph="Circle2D", size=CURVE_GLYPH),
    }


def _point_list(segmentation: LandmarkSegmentation, plane: ImagePlane) -> dict[str, Any]:
    """Return all landmarks, to look at: they cannot be moved, since the curves are what people edit."""
    every = slice(0, len(NODE_IDS))
    return {
        "type": "Fiducial",
        "name": POINT_LIST,
        **_frame(locked=True, fixed=True),
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(NODE_IDS),
        "controlPoints": _control_points(segmentation, every, plane),
        "measurements": [*_point_measurements(segmentation, every), _reliability(segmentation)],
        "display": _display(POINT_COLOR, glyph="CrossDot2D", size=POINT_GLYPH),
    }


def _frame(*, locked: bool, fixed: bool) -> dict[str, Any]:
    return {
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": locked,
        "fixedNumberOfControlPoints": fixed,
    }


def _control_points(segmentation: LandmarkSegmentation, nodes: slice, plane: ImagePlane) -> list[dict[str, Any]]:
    """Return one control point per landmark, its id the label."""
    positions = plane.to_space(segmentation.landmarks)
    return [
        {
            "id": NODE_IDS[node],
            "label": NODE_IDS[node],
            "description": _point_description(segmentation, node),
            "position": positions[node].tolist(),
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined",
        }
        for node in range(nodes.start, nodes.stop)
    ]


def _point_description(segmentation: LandmarkSegmentation, node: int) -> str:
    std_x, std_y = segmentation.std[node]
    radius = None if segmentation.radius90 is None else float(segmentation.radius90[node])
    known = radius is not None and np.isfinite(radius)
    return f"std x {std_x:.2f} px, std y {std_y:.2f} px, radius90 {f'{radius:.2f} px' if known else 'unknown'}"


def _point_measurements(segmentation: LandmarkSegmentation, nodes: slice) -> list[dict[str, Any]]:
    """Return what Slicer can color the points of a markup by: one value per control point."""
    samples = f"over {segmentation.sample_count} latent samples"
    total = segmentation.total_uncertainty
    arrays: list[tuple[str, NDArray[np.float64] | None, str]] = [
        ("total uncertainty", total, "expected error of the landmark, standard deviation, mean of x and y"),
        (
            "predictive uncertainty",
            segmentation.node_uncertainty,
            f"population standard deviation {samples}, mean of x and y",
        ),
        ("std x", segmentation.std[:, 0], f"population standard deviation of x {samples}"),
        ("std y", segmentation.std[:, 1], f"population standard deviation of y {samples}"),
        ("radius90", segmentation.radius90, "radius that holds the true landmark with a probability of 90 %"),
    ]
    return [
        {
            "name": name,
            "enabled": True,
            "value": float(values[nodes].mean()),
            "units": "px",
            "description": f"{meaning}; in pixels of the stored image, the value is the mean over the points",
            "controlPointValues": values[nodes].tolist(),
        }
        for name, values, meaning in arrays
        if values is not None and np.isfinite(values[nodes]).all()
    ]


def _reliability(segmentation: LandmarkSegmentation) -> dict[str, Any]:
    """Return the verdict as a measurement: Slicer keeps their descriptions when it writes a markup again."""
    reliability, model = segmentation.reliability, segmentation.model
    reasons = ", ".join(reliability.reasons) or "no reasons"
    spacing = segmentation.spacing_mm
    size = "pixel size unknown" if spacing is None else f"pixels of {spacing[0]:g} x {spacing[1]:g} mm (height, width)"
    return {
        "name": "reliability",
        "enabled": False,
        "value": segmentation.score,
        "units": "px",
        "description": (
            f"verdict {reliability.verdict} ({reasons}); the value is the score, the mean "
            f"{'predictive' if segmentation.total_px1024 is None else 'total'} uncertainty in pixels of a 1024-pixel "
            f"image; model {model.name} {model.version}, weights SHA-256 {model.sha256}; {size}"
        ),
    }


def _display(color: tuple[int, int, int], *, glyph: str, size: float) -> dict[str, Any]:
    shares = [part / 255 for part in color]
    return {
        "visibility": True,
        "opacity": 1.0,
        "color": shares,
        "selectedColor": shares,
        "propertiesLabelVisibility": False,
        "pointLabelsVisibility": False,
        "textScale": 2.0,
        "glyphType": glyph,
        "glyphScale": size,
        "useGlyphScale": True,
        "sliceProjection": False,
        "lineThickness": 0.3,
        "handlesInteractive": False,
    }
