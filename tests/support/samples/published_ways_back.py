"""How the published tables in original resolution were made from the square: to be compared with the right way back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monai_chexmask_u.dataset.published.frame import PublishedFrame

__all__ = ["chexmask_u_way_back", "chexmask_way_back"]

SIDE = 1024


def chexmask_way_back(points: ArrayLike, frame: PublishedFrame) -> NDArray[np.float64]:
    """Go back as CheXmask did: with the border, without the half of a pixel."""
    crop, longer = frame.crop, max(frame.crop.height, frame.crop.width)
    added = np.array([(longer - crop.width) // 2, (longer - crop.height) // 2])
    back: NDArray[np.float64] = np.asarray(points) / SIDE * longer - added + np.array([crop.left, crop.top])
    return back


def chexmask_u_way_back(points: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Go back as CheXmask-U did: as if no border had been cut off."""
    scale = SIDE / max(shape)
    added = np.array([(SIDE - round(shape[1] * scale)) // 2, (SIDE - round(shape[0] * scale)) // 2])
    back: NDArray[np.float64] = (np.asarray(points) - added) / scale
    return back
