"""What the summary page says, as text: verdict, measures, a table of the organs, and who made the result."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u import __version__
from monai_chexmask_u.anatomy import NODE_IDS, ORGANS, Organ
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = [
    "EXPLANATIONS",
    "ORGAN_COLUMNS",
    "VERDICT_SENTENCES",
    "identity_rows",
    "measure_rows",
    "organ_rows",
]

VERDICT_SENTENCES: Final = {
    "accept": "Image, outlines and uncertainty are within all limits of the calibration.",
    "review": "A person must check outlines and numbers before any use.",
    "reject": "Neither outlines nor numbers on this page are to be used.",
}
ORGAN_COLUMNS: Final = (
    "Organ",
    "Area, px",
    "Area, mm²",
    "Node uncertainty, mean",
    "Node uncertainty, largest",
    "Total uncertainty, mean",
    "Total uncertainty, largest",
)
EXPLANATIONS: Final = (
    "Node uncertainty: mean of the standard deviations of a landmark's x and y over the samples.",
    "Total uncertainty: the same of the error that the calibration expects; a dash if there is no calibration.",
    "At 1024: in pixels of an image of 1024 pixels. In brackets: holds the true value with 90 % probability.",
)
_UNKNOWN: Final = "-"


def measure_rows(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> list[tuple[str, str]]:
    """Return measures of the whole image and what is known of it, as pairs of name and value."""
    height, width = segmentation.shape
    spacing = segmentation.spacing_mm
    total = segmentation.total_px1024
    return [
        ("Total uncertainty at 1024", _UNKNOWN if total is None else f"{total:.1f} px"),
        ("Predictive uncertainty at 1024", f"{segmentation.predictive_px1024:.1f} px"),
        ("Latent uncertainty", f"{segmentation.latent_uncertainty:.2f}"),
        ("Samples", str(segmentation.sample_count)),
        ("Rows x columns", f"{height} x {width}"),
        ("Pixel spacing, mm", f"{spacing[0]:.4g} x {spacing[1]:.4g}" if spacing else "unknown"),
        ("View", radiograph.view or "unknown"),
    ]


def organ_rows(segmentation: LandmarkSegmentation) -> list[tuple[str, ...]]:
    """Return one row of `ORGAN_COLUMNS` per organ; what is not known is a dash.

    Areas have the interval that holds the true one with 90 % probability. Uncertainties are means of the standard
    deviations of x and y, in pixels and, where the spacing is known, in mm; the largest one with the id of its node.
    """
    return [
        (
            organ.title,
            _area(segmentation.area_px(organ), segmentation.area_interval90(organ)),
            _area(segmentation.area_mm2(organ), segmentation.area_interval90(organ, square_mm=True)),
            *_uncertainty(segmentation.covariance, organ, segmentation.spacing_mm),
            *_uncertainty(segmentation.error_covariance, organ, segmentation.spacing_mm),
        )
        for organ in ORGANS
    ]


def identity_rows(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> list[tuple[str, str]]:
    """Return what image it is and what made the result, as pairs of name and value.

    The image's path is left out: names of files and folders may be those of patients.
    """
    model, uid = segmentation.model, radiograph.sop_instance_uid
    return [
        ("SOP Instance UID of the image", uid or f"none, {radiograph.why_no_dicom}"),
        ("Model", f"{model.name} {model.version}, by monai-chexmask-u {__version__}"),
        ("SHA-256 of the weights", model.sha256),
        ("SHA-256 of the calibration", model.calibration_sha256 or "none, not calibrated"),
    ]


def _area(value: float | None, interval90: tuple[float, float] | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value:,.0f}" if interval90 is None else f"{value:,.0f} ({interval90[0]:,.0f} to {interval90[1]:,.0f})"


def _uncertainty(
    covariance: NDArray[np.float64] | None, organ: Organ, spacing_mm: tuple[float, float] | None
) -> tuple[str, str]:
    """Return mean and largest uncertainty of an organ's nodes."""
    if covariance is None:
        return _UNKNOWN, _UNKNOWN
    std = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))[organ.nodes]
    pixels, row_column_mm = std.mean(axis=1), spacing_mm or (math.nan, math.nan)
    millimeters = (std * row_column_mm[::-1]).mean(axis=1)
    largest = int(pixels.argmax())
    node = NODE_IDS[organ.first_node + largest]
    return (
        _length(float(pixels.mean()), float(millimeters.mean())),
        f"{_length(float(pixels[largest]), float(millimeters[largest]))} ({node})",
    )


def _length(pixels: float, millimeters: float) -> str:
    return f"{pixels:.1f} px, {millimeters:.1f} mm" if math.isfinite(millimeters) else f"{pixels:.1f} px"
