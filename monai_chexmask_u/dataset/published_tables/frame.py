"""The published square of 1024 pixels: how radiographs were fitted into it, and the way back to their pixels.

The published preprocessing cuts off the black border (for some sources), adds black rows or columns until the rest is
square, the smaller half above and on the left, and resizes that to 1024 x 1024 so that its outer edges stay its outer
edges. All of this is one affine map.

The script that made CheXmask-U's tables in original resolution went back by another formula, which forgets the border
that had been cut off. Undoing it puts right what it misplaced.

References:
    CheXmask, https://arxiv.org/abs/2307.03293; CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monai_chexmask_u.geometry import Box

__all__ = ["PUBLISHED_SIDE", "PublishedFrame", "undo_chexmask_u"]

PUBLISHED_SIDE: Final = 1024
"""Rows and columns of the images that the published network sees."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PublishedFrame:
    """Where a radiograph lies in the published square.

    Attributes:
        shape: rows and columns of the radiograph.
        crop: the part of it that was shown: the whole radiograph, or the radiograph without its black border.
    """

    shape: tuple[int, int]
    crop: Box

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> PublishedFrame:
        """Return the frame of a radiograph whose border was not cut off."""
        return cls(shape, Box(0, 0, *shape))

    @property
    def side(self) -> int:
        """Rows and columns of the part once it was made square."""
        return max(self.crop.height, self.crop.width)

    @property
    def scale(self) -> float:
        """Pixels of the square per pixel of the radiograph."""
        return PUBLISHED_SIDE / self.side

    @property
    def _offset(self) -> Floats:
        """Column and row of the radiograph at which the square begins; negative where black was added."""
        added = np.array([self.side - self.crop.width, self.side - self.crop.height]) // 2
        offset: Floats = np.array([self.crop.left, self.crop.top], dtype=np.float64) - added
        return offset

    def to_preprocessed(self, points: ArrayLike) -> Floats:
        """Map points ``(..., 2)``, (x, y), from pixels of the radiograph to those of the square.

        Example:
            >>> PublishedFrame.whole((2048, 1024)).to_preprocessed([(0.5, 0.5)]).tolist()
            [[256.0, 0.0]]
        """
        return (np.asarray(points, dtype=np.float64) - self._offset + 0.5) * self.scale - 0.5

    def to_image(self, points: ArrayLike) -> Floats:
        """Map points ``(..., 2)``, (x, y), from pixels of the square to those of the radiograph."""
        return (np.asarray(points, dtype=np.float64) + 0.5) / self.scale - 0.5 + self._offset


def undo_chexmask_u(points: ArrayLike, shape: tuple[int, int]) -> Floats:
    """Return the pixels of the square that points of CheXmask-U's tables in original resolution came from.

    Their way back forgot the border that had been cut off: where there was one, the points are shifted by it and too
    far apart. The tables hold them rounded, and clipped to the image, which cannot be undone.

    Args:
        points: ``(..., 2)``, (x, y) in pixels of the radiograph, as the tables have them.
        shape: rows and columns of the radiograph.
    """
    scale = PUBLISHED_SIDE / max(shape)
    added = [(PUBLISHED_SIDE - round(count * scale)) // 2 for count in (shape[1], shape[0])]
    return np.asarray(points, dtype=np.float64) * scale + np.array(added, dtype=np.float64)
