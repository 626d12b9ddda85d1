"""The shape of a landmark's uncertainty: its ellipse, and its parts along and across the organ's contour.

A landmark may slide along a smooth contour without harm to the outline; what counts for the outline is the part across
it, along the contour's normal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monai_chexmask_u.geometry import checked_covariance, contour_normals, std_along

__all__ = ["confidence_ellipse", "normal_std", "tangential_std"]

Floats = NDArray[np.float64]


def confidence_ellipse(covariance: ArrayLike, probability: float = 0.9) -> tuple[Floats, Floats]:
    """Return the ellipse around a landmark that holds a normally distributed point with a given probability.

    Args:
        covariance: ``(..., 2, 2)`` of x and y, symmetric, in squared units.
        probability: in 0..1, without 1.

    Returns:
        Semi-axes ``(..., 2)``, the major one first, in the unit of x and y, and the angle ``(...)`` of the major axis
        in radians in -pi/2..pi/2, from x (to the right) to y (down); 0 for a circle.

    Raises:
        ValueError: if the shape or the probability does not fit.

    Example:
        >>> axes, angle = confidence_ellipse([[4, 0], [0, 9]], probability=1 - np.exp(-0.5))
        >>> axes.round(6), float(angle.round(6))
        (array([3., 2.]), 1.570796)
    """
    matrix = checked_covariance(covariance)
    if not 0 <= probability < 1:
        raise ValueError(f"probability must be in 0..1, without 1, got {probability}")
    xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    variances = np.stack([middle + half, middle - half], axis=-1)  # the eigenvalues
    # The squared distance has a chi-square distribution with two degrees of freedom.
    squared_radius = -2 * np.log1p(-probability)
    return np.sqrt(squared_radius * np.maximum(variances, 0)), np.asarray(np.arctan2(2 * xy, xx - yy) / 2)


def normal_std(covariance: ArrayLike, landmarks: ArrayLike) -> Floats:
    """Return the standard deviation of each landmark across its contour.

    Args:
        covariance: ``(..., 120, 2, 2)`` of x and y, in squared units.
        landmarks: ``(..., 120, 2)``, (x, y), whose contours tell the directions.

    Returns:
        Standard deviation along `contour_normals`, ``(..., 120)``, in the unit of x and y.

    Raises:
        ValueError: if a shape does not fit.
    """
    return std_along(contour_normals(landmarks), covariance)


def tangential_std(covariance: ArrayLike, landmarks: ArrayLike) -> Floats:
    """Return the standard deviation of each landmark along its contour; arguments and result as in `normal_std`."""
    normals = contour_normals(landmarks)
    return std_along(np.stack([-normals[..., 1], normals[..., 0]], axis=-1), covariance)
