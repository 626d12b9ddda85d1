"""The shape of a landmark's uncertainty: its ellipse, and its parts along and across the organ's contour.

A landmark may slide along a smooth contour without harm to the outline; what counts for the outline is the part across
it, along the contour's normal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS

__all__ = ["confidence_ellipse", "contour_normals", "normal_std", "tangential_std"]

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
    matrix = _checked_covariance(covariance)
    if not 0 <= probability < 1:
        raise ValueError(f"probability must be in 0..1, without 1, got {probability}")
    xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    variances = np.stack([middle + half, middle - half], axis=-1)  # the eigenvalues
    # The squared distance has a chi-square distribution with two degrees of freedom.
    squared_radius = -2 * np.log1p(-probability)
    return np.sqrt(squared_radius * np.maximum(variances, 0)), np.asarray(np.arctan2(2 * xy, xx - yy) / 2)


def contour_normals(landmarks: ArrayLike) -> Floats:
    """Return the direction at each landmark that leads straight out of its organ.

    It is perpendicular to the line between the two neighbors on the organ's closed contour; where these coincide, to
    the line between the next two, and so on.

    Args:
        landmarks: ``(..., 120, 2)``, (x, y) in any unit.

    Returns:
        Unit vectors ``(..., 120, 2)``, (x, y); (1, 0) where a contour gives no direction because it has shrunk to a
        point, and NaN where the neighbors are unknown.

    Raises:
        ValueError: if the shape does not fit.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim < 2 or points.shape[-2:] != (NODE_COUNT, 2):
        raise ValueError(f"landmarks must be (..., {NODE_COUNT}, 2), got shape {points.shape}")
    return np.concatenate([_ring_normals(points[..., organ.nodes, :]) for organ in ORGANS], axis=-2)


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
    return _std_along(contour_normals(landmarks), covariance)


def tangential_std(covariance: ArrayLike, landmarks: ArrayLike) -> Floats:
    """Return the standard deviation of each landmark along its contour; arguments and result as in `normal_std`."""
    normals = contour_normals(landmarks)
    return _std_along(np.stack([-normals[..., 1], normals[..., 0]], axis=-1), covariance)


def _std_along(directions: Floats, covariance: ArrayLike) -> Floats:
    matrix = _checked_covariance(covariance)
    variance = np.einsum("...i,...ij,...j->...", directions, matrix, directions)
    deviation: Floats = np.sqrt(np.maximum(variance, 0))  # rounding may go below
    return deviation


def _checked_covariance(covariance: ArrayLike) -> Floats:
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.ndim < 2 or matrix.shape[-2:] != (2, 2):
        raise ValueError(f"covariance must be (..., 2, 2), got shape {matrix.shape}")
    return matrix


def _ring_normals(ring: Floats) -> Floats:
    tangents = _tangents(ring)
    length = np.hypot(tangents[..., 0], tangents[..., 1])[..., None]
    x, y = tangents[..., 0], tangents[..., 1]
    normals = np.stack([y, -x], axis=-1) * _turn(ring)[..., None, None]
    unit: Floats = np.divide(normals, length, out=np.zeros_like(normals), where=length != 0)
    unit[(length == 0)[..., 0]] = (1, 0)
    return unit


def _tangents(ring: Floats) -> Floats:
    """Return central differences along the ring, over more neighbors where the nearest ones coincide."""
    tangents = np.zeros_like(ring)
    for step in range(1, ring.shape[-2] // 2 + 1):
        missing = (tangents == 0).all(axis=-1)
        if not missing.any():
            break
        differences = np.roll(ring, -step, axis=-2) - np.roll(ring, step, axis=-2)
        tangents[missing] = differences[missing]
    return tangents


def _turn(ring: Floats) -> Floats:
    """Return 1 where the ring turns from x to y, clockwise as seen, or -1: which side of it is outside."""
    x, y = np.moveaxis(ring, -1, 0)
    doubled_area = (x * np.roll(y, -1, axis=-1) - y * np.roll(x, -1, axis=-1)).sum(axis=-1)
    return np.where(doubled_area < 0, -1.0, 1.0)
