"""The outline of a mask: one closed polygon around one region."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

__all__ = ["outline_of_mask"]

_BORDER: Final = 4  # pixels around the mask, so that an outline closes outside the image
_SMOOTHING: Final = 1.0  # pixels; takes the stairs off, whose length depends on the direction
_SMALLEST: Final = 64  # pixels; 120 landmarks cannot be told apart on less
_SPECK: Final = 0.02  # of the largest region: smaller ones are slips of the brush


def outline_of_mask(mask: NDArray[np.bool_], name: str) -> NDArray[np.float64]:
    """Trace the outline of a mask.

    Holes are filled, and specks beside the region are left out. The outline runs between the outermost pixels of the
    region and their neighbors, so that filling it gives the mask again but for single pixels at corners.

    Args:
        mask: ``(row, column)``.
        name: of what it shows, for errors.

    Returns:
        A closed polygon ``(point, 2)`` without its repeated first point, (x, y) in pixels of the mask.

    Raises:
        ValueError: if the region is too small, or there is a second one that is no speck.
        ImportError: if scikit-image is not installed.
    """
    from skimage.measure import find_contours  # part of the extras: training on masks is not everybody's

    region = _one_region(mask, name)
    padded = np.pad(binary_fill_holes(region), _BORDER).astype(np.float64)
    contours = find_contours(gaussian_filter(padded, _SMOOTHING), 0.5)
    longest = max(contours, key=len)[:-1]
    outline: NDArray[np.float64] = longest[:, ::-1] - _BORDER
    return outline


def _one_region(mask: NDArray[np.bool_], name: str) -> NDArray[np.bool_]:
    regions, count = label(mask)
    sizes = np.bincount(regions.ravel())[1:]
    if count == 0 or sizes.max() < _SMALLEST:
        found = 0 if count == 0 else int(sizes.max())
        raise ValueError(f"the mask of the {name} has {found} pixels; at least {_SMALLEST} are needed")
    order = np.argsort(sizes)[::-1]
    if count > 1 and sizes[order[1]] > _SPECK * sizes[order[0]]:
        raise ValueError(
            f"the mask of the {name} is in pieces of {sizes[order[0]]} and {sizes[order[1]]} pixels; "
            "an outline needs one piece: join them, or erase what does not belong to it"
        )
    return np.asarray(regions == order[0] + 1)
