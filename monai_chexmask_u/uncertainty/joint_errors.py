"""Joint distribution of the landmarks' errors: how those of one image hang together, and draws of the true landmarks.

An expected error of each landmark by itself says nothing of an area or a ratio, for which it matters whether a contour
is shifted as a whole or each landmark by itself. How errors hang together is learned from known outlines, once for all
images, of errors that are measured by what was expected of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.geometry import contour_directions, moved_along_contours

__all__ = ["FACTORS", "ErrorCorrelation", "draw_landmarks", "fit_correlation", "interval90", "standardized_errors"]

Floats = NDArray[np.float64]

FACTORS: Final = 48
"""Greatest number of factors: as many directions hold nine tenths of the landmarks' errors."""
# A correlation that was seen on some hundred outlines is a little too strong on others.
SHRINKAGE: Final = 0.1
_SMALLEST: Final = 1e-16  # of a variance: a hundred-millionth of the image's side


@dataclass(frozen=True, eq=False)
class ErrorCorrelation:
    """Correlation of the errors across and along the contour at all landmarks: common factors, and what is independent.

    Attributes:
        loadings: ``(240, factor)``, of the errors across and along at landmark 0, landmark 1 ...; the squares of each
            row sum up to at most 1, and what is missing to 1 is the independent part.
    """

    loadings: Floats

    def draw(self, count: int, seed: int) -> Floats:
        """Draw errors ``(count, 120, 2)``, across and along, each of mean 0 and variance 1."""
        random = np.random.default_rng(seed)
        independent = np.sqrt(np.maximum(1 - np.square(self.loadings).sum(axis=1), 0))
        drawn = random.standard_normal((count, self.loadings.shape[1])) @ self.loadings.T
        drawn += independent * random.standard_normal((count, len(self.loadings)))
        return drawn.reshape(count, NODE_COUNT, 2)


def standardized_errors(errors: ArrayLike, covariance: ArrayLike, landmarks: ArrayLike) -> Floats:
    """Measure errors by what was expected of them.

    Args:
        errors: truth minus landmarks, ``(..., 120, 2)``, (x, y).
        covariance: expected, ``(..., 120, 2, 2)`` of x and y.
        landmarks: ``(..., 120, 2)``, (x, y), whose contours tell the directions.

    Returns:
        ``(..., 120, 2)``: across the contour, and along it as far as what is across does not tell it; of variance 1 and
        without correlation where the covariance is right.
    """
    axes = contour_directions(landmarks)
    local = np.einsum("...ij,...j->...i", axes, np.asarray(errors, dtype=np.float64))
    standardized: Floats = np.linalg.solve(_root(covariance, axes), local[..., None])[..., 0]
    return standardized


def fit_correlation(standardized: ArrayLike) -> ErrorCorrelation:
    """Fit the correlation of errors that were measured by what was expected of them.

    Args:
        standardized: ``(image, 120, 2)`` from `standardized_errors`; NaN where a landmark is unknown, which takes
            correlation away.

    Raises:
        ValueError: if a landmark is known in no image.
    """
    errors = np.asarray(standardized, dtype=np.float64).reshape(-1, 2 * NODE_COUNT)
    scale = np.sqrt(np.square(np.nan_to_num(errors)).mean(axis=0))
    if not (scale > 0).all():
        raise ValueError("each landmark must be known in at least one image")
    scaled = np.nan_to_num(errors) / scale
    _, values, directions = np.linalg.svd(scaled / np.sqrt(len(scaled)), full_matrices=False)
    loadings = (directions[:FACTORS] * values[:FACTORS, None]).T
    return ErrorCorrelation(np.sqrt(1 - SHRINKAGE) * loadings)


def draw_landmarks(
    landmarks: ArrayLike, covariance: ArrayLike, correlation: ErrorCorrelation, *, count: int, seed: int
) -> Floats:
    """Draw where the true landmarks of an image may be.

    Args:
        landmarks: ``(120, 2)``, (x, y).
        covariance: of the errors, ``(120, 2, 2)`` of x and y.
        correlation: of errors at different landmarks.
        count: of draws.
        seed: of the draws.

    Returns:
        ``(count, 120, 2)``. What lies along the contour moves landmarks along the contour as it is, and not straight
        on: else every draw would make round outlines larger.
    """
    drawn = correlation.draw(count, seed)
    local = np.einsum("nij,snj->sni", _root(covariance, contour_directions(landmarks)), drawn)
    return moved_along_contours(landmarks, local[..., 0], local[..., 1])


def interval90(values: ArrayLike) -> tuple[float, float]:
    """Return the middle nine tenths of drawn values: the interval that holds the true one with 90 % probability.

    Both ends are NaN where a value is.
    """
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [0.05, 0.95])
    return float(low), float(high)


def _root(covariance: ArrayLike, axes: Floats) -> Floats:
    """Return the lower triangular root ``(..., 120, 2, 2)`` of a covariance, across and along the contour."""
    local = axes @ np.asarray(covariance, dtype=np.float64) @ np.swapaxes(axes, -1, -2)
    across = np.sqrt(np.maximum(local[..., 0, 0], _SMALLEST))
    shared = local[..., 1, 0] / across
    along = np.sqrt(np.maximum(local[..., 1, 1] - np.square(shared), _SMALLEST))
    return np.stack([np.stack([across, np.zeros_like(across)], -1), np.stack([shared, along], -1)], -2)
