"""How large a pixel is, or what shape it has, from the best source in the header that holds plausible numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from monai_chexmask_u.dicom.reading.attributes import number, numbers, text, texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["aspect_ratio", "pixel_aspect", "pixel_spacing"]

# Detectors have 0.1 to 0.2 mm, reduced images up to 1; with other values or sides a measurement would be wrong.
SPACING_RANGE_MM: Final = (0.02, 2.0)
LARGEST_SPACING_RATIO: Final = 2
# Nothing lies behind the detector, and nobody stands halfway to the tube for a radiograph of the chest.
LARGEST_MAGNIFICATION: Final = 2
LARGEST_CALIBRATION: Final = 1.5
SAME_SPACING: Final = 0.001  # what rounding does


def pixel_spacing(header: Dataset) -> tuple[tuple[float, float] | None, list[str]]:
    """Return height and width of a pixel in mm, or None, and notes that name their source.

    PixelSpacing counts as measured at the patient where a calibration is named, or where it differs from
    ImagerPixelSpacing as sizes at the patient can. ImagerPixelSpacing is measured at the detector, and shrinks by the
    magnification where that is known and possible.

    Args:
        header: a data set.

    References:
        DICOM PS3.3, 10.7.1.1 and 10.7.1.3, Pixel Spacing and its calibration
    """
    pixel, imager = _pair(header, "PixelSpacing"), _pair(header, "ImagerPixelSpacing")
    if pixel and text(header, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL"):
        return pixel, ["spacing_from_calibrated_pixel_spacing"]
    if pixel and imager and any(abs(at - out) > SAME_SPACING * out for at, out in zip(pixel, imager, strict=True)):
        ratios = [out / at for at, out in zip(pixel, imager, strict=True)]
        if min(ratios) >= 1 - SAME_SPACING and max(ratios) <= LARGEST_CALIBRATION:
            return pixel, ["spacing_differs_from_imager"]
        spacing, notes = _at_patient(header, imager)
        return spacing, [*notes, "pixel_spacing_ignored"]
    if imager:
        return _at_patient(header, imager)
    if pixel:
        return pixel, ["spacing_uncalibrated"]
    is_there = texts(header, "PixelSpacing") or texts(header, "ImagerPixelSpacing")
    return None, ["spacing_invalid" if is_there else "spacing_unknown"]


def _at_patient(header: Dataset, imager: tuple[float, float]) -> tuple[tuple[float, float], list[str]]:
    """Return the detector's spacing, divided by the magnification if there is a possible one, and notes."""
    factor = number(header, "EstimatedRadiographicMagnificationFactor")
    if not factor or factor == 1:  # 0 is what some write for unknown
        return imager, ["spacing_from_imager"]
    if not 1 < factor <= LARGEST_MAGNIFICATION:
        return imager, ["spacing_from_imager", "magnification_ignored"]
    return (imager[0] / factor, imager[1] / factor), ["spacing_from_imager", "magnification_corrected"]


def pixel_aspect(header: Dataset) -> tuple[float | None, list[str]]:
    """Return height over width of a pixel, or None for a square or where nothing plausible is said, and notes.

    Args:
        header: a data set without a spacing, which would say more.

    References:
        DICOM PS3.3, C.7.6.3.1.7 Pixel Aspect Ratio
    """
    if len(set(texts(header, "PixelAspectRatio"))) < 2:
        return None, []  # two equal numbers mean a square
    values = numbers(header, "PixelAspectRatio")
    if len(values) != 2 or not 0 < min(values) <= max(values) <= LARGEST_SPACING_RATIO * min(values):
        return None, ["pixel_aspect_ignored"]
    return values[0] / values[1], ["pixel_aspect_applied"]


def aspect_ratio(aspect: float) -> list[int]:
    """Return height over width of a pixel as DICOM states it, in two integers.

    Example:
        >>> aspect_ratio(0.75)
        [3, 4]
    """
    ratio = Fraction(aspect).limit_denominator(1000)
    return [ratio.numerator, ratio.denominator]


def _pair(header: Dataset, keyword: str) -> tuple[float, float] | None:
    """Return two spacings that a radiograph may have, or None for anything else."""
    values = numbers(header, keyword)
    if len(values) != 2:
        return None
    short, long = sorted(values)
    is_plausible = SPACING_RANGE_MM[0] <= short and long <= min(SPACING_RANGE_MM[1], LARGEST_SPACING_RATIO * short)
    return (values[0], values[1]) if is_plausible else None
