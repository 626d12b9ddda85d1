"""ImagePlane: where the pixels of a stored image lie in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImagePlane"]

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class ImagePlane:
    """The affine map from pixels of an image to a patient's coordinates.

    Attributes:
        origin: center of the top-left pixel, LPS (x to the patient's left, y to the back, z to the head), in mm.
        column_step: from one column to the next, in mm.
        row_step: from one row to the next, in mm.
    """

    origin: Vector = (0.0, 0.0, 0.0)
    column_step: Vector = (1.0, 0.0, 0.0)
    row_step: Vector = (0.0, 1.0, 0.0)

    def __post_init__(self) -> None:
        """Check that the map can be reversed.

        Raises:
            ValueError: if a number is not finite, or the steps do not span a plane.
        """
        if not np.isfinite([self.origin, self.column_step, self.row_step]).all():
            raise ValueError(f"an image's place must be finite, got {self}")
        if not np.linalg.norm(self._normal) > 0:
            raise ValueError(f"the steps of columns and rows must span a plane, got {self}")

    @classmethod
    def of_spacing(cls, column_mm: float, row_mm: float) -> ImagePlane:
        """Return the plane of an image at the origin, x to the left and y to the back, with this pixel size."""
        return cls(column_step=(column_mm, 0.0, 0.0), row_step=(0.0, row_mm, 0.0))

    def to_space(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return positions ``(n, 3)`` in LPS, mm, of points ``(n, 2)``, (x, y) in pixels.

        Example:
            >>> ImagePlane.of_spacing(0.5, 0.25).to_space(np.array([[10.0, 20.0]]))
            array([[5., 5., 0.]])
        """
        positions: NDArray[np.float64] = points @ np.array([self.column_step, self.row_step]) + np.array(self.origin)
        return positions

    def to_pixels(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points ``(n, 2)`` in pixels below positions ``(n, 3)`` in LPS, mm: the inverse of `to_space`."""
        inverse = np.linalg.pinv(np.array([self.column_step, self.row_step]))
        points: NDArray[np.float64] = (positions - np.array(self.origin)) @ inverse
        return points

    def heights(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distances ``(n,)`` in mm, not negative, of positions ``(n, 3)`` from the plane."""
        distances: NDArray[np.float64] = np.abs((positions - np.array(self.origin)) @ self._normal)
        return distances / np.linalg.norm(self._normal)

    @property
    def _normal(self) -> NDArray[np.float64]:
        normal: NDArray[np.float64] = np.cross(self.column_step, self.row_step)
        return normal
