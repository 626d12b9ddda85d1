"""Radiograph: what a reader hands on, and the error it raises when a file is of no use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Radiograph", "RadiographError"]


class RadiographError(ValueError):
    """A file cannot be used as a frontal chest radiograph.

    Args:
        code: machine-readable reason, such as ``not_frontal``.
        message: one sentence with the cause and the way out; never holds patient data.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Radiograph:
    """A frontal chest radiograph as it was stored, in floating point.

    Attributes:
        pixels: ``(row, column)`` float32 in 0..1 where 1 is bright and dense (bone is white), whatever the file's
            photometric interpretation was. Rows and columns are those of the file: nothing is flipped or cropped.
        path: the file it came from.
        spacing_mm: height and width of a pixel, or None where the file does not say. At the patient where a calibration
            or a magnification factor tells (notes ``spacing_from_calibrated_pixel_spacing``,
            ``magnification_corrected``). With the note ``spacing_from_imager`` alone it is in the plane of the
            detector, where the patient appears larger than they are.
        pixel_aspect: height over width of a pixel, where the file says this but no spacing; else None.
        view: ``PA``, ``AP`` or None where the file does not say.
        mirrored: the patient's right is on the right of the stored image, so that columns must be reversed to see the
            patient in the usual way.
        upside_down: the head is at the bottom of the stored image.
        notes: what was decided on the way, as codes such as ``photometric_inverted``; they are written to every output.
        header: the source's DICOM data set without its pixels, or None for a picture file.
        sha256: of the file's bytes, those that were read; None where there is no file.
    """

    pixels: NDArray[np.float32]
    path: Path
    spacing_mm: tuple[float, float] | None = None
    view: str | None = None
    mirrored: bool = False
    upside_down: bool = False
    notes: tuple[str, ...] = ()
    header: Any = None
    pixel_aspect: float | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Check what every later step relies on.

        Raises:
            ValueError: if the pixels are no 2-D float32 array in 0..1, or the size or shape of a pixel is not positive.
        """
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32 or self.pixels.size == 0:
            raise ValueError(f"pixels must be a 2-D float32 array, got {self.pixels.dtype} {self.pixels.shape}")
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0 and high <= 1):  # also false for NaN
            raise ValueError(f"pixels must lie in 0..1, got {low}..{high}")
        if self.spacing_mm is not None and not all(0 < value < np.inf for value in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive, got {self.spacing_mm}")
        if self.pixel_aspect is not None and not 0 < self.pixel_aspect < np.inf:
            raise ValueError(f"pixel_aspect must be positive, got {self.pixel_aspect}")

    @property
    def height_over_width(self) -> float:
        """Of a pixel: by the spacing, else by the pixel aspect, else that of a square."""
        if self.spacing_mm is not None:
            return self.spacing_mm[0] / self.spacing_mm[1]
        return 1.0 if self.pixel_aspect is None else self.pixel_aspect

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Type of the pixels; MONAI Label logs shape and type of whatever a pipeline carries."""
        return self.pixels.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.pixels.shape
        return rows, columns
