"""Where the pixels of an image lie in space; as the library's ImagePlane, which Slicer's Python does not have.

The server places markups where Slicer's reader of files puts an image. The same radiograph loaded by another way, or
moved by its user, lies elsewhere. So positions from the server are turned into pixels first, and pixels into the space
of the volume that is shown; the way back is the same in reverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PixelPlane"]

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PixelPlane:
    """The affine map from pixels to space.

    Attributes:
        origin: ``(3,)``, center of the top-left pixel.
        steps: ``(2, 3)``, to the next column and to the next row.
    """

    origin: Points
    steps: Points

    @classmethod
    def of_matrix(cls, ijk_to_ras: Points) -> PixelPlane:
        """Return the plane of a volume's first slice, from its 4 x 4 matrix."""
        return cls(ijk_to_ras[:3, 3], ijk_to_ras[:3, :2].T)

    @classmethod
    def fit(cls, pixels: Points, positions: Points) -> PixelPlane:
        """Return the plane on which points ``(n, 2)`` in pixels have these positions ``(n, 3)``.

        Raises:
            ValueError: if there is none, to a thousandth of a pixel.
        """
        columns = np.column_stack([np.ones(len(pixels)), pixels])
        found, _, rank, _ = np.linalg.lstsq(columns, positions, rcond=None)
        plane = cls(found[0].astype(np.float64), found[1:].astype(np.float64))
        if rank < 3 or np.abs(plane.to_pixels(positions) - pixels).max() > 1e-3:
            raise ValueError("the positions of the landmarks do not belong to their pixels")
        return plane

    def to_space(self, pixels: Points) -> Points:
        """Return positions ``(n, 3)`` of points ``(n, 2)``, (x, y) in pixels."""
        positions: Points = self.origin + pixels @ self.steps
        return positions

    def to_pixels(self, positions: Points) -> Points:
        """Return the pixels ``(n, 2)`` below positions ``(n, 3)``."""
        pixels: Points = (positions - self.origin) @ np.linalg.pinv(self.steps)
        return pixels
