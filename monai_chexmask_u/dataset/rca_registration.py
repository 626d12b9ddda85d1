"""The registration behind reverse classification accuracy: one film laid on another by an affine map, with ITK.

What was tried, and how well the ratings that come of it foretell the true Dice, stands in ``benchmarks/README.md``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["REGISTRATION_SETTINGS", "REGISTRATION_SIZE", "register", "require_itk"]

REGISTRATION_SIZE: Final = 128
"""Side in pixels of the films that are registered."""
SHRINK_FACTORS: Final = (4, 2, 1)
SMOOTHING_SIGMAS: Final = (3.0, 2.0, 1.0)
HISTOGRAM_BINS: Final = 32
ITERATIONS: Final = 100
MINIMUM_STEP: Final = 1e-3
LARGEST_STRETCH: Final = 2.0
"""Frontal films that fill their frame differ by less; a map that stretches or shrinks more has lost its way."""

REGISTRATION_SETTINGS: Final = {
    "transform": "affine",
    "metric": "Mattes mutual information",
    "size": REGISTRATION_SIZE,
    "shrink_factors": list(SHRINK_FACTORS),
    "smoothing_sigmas": list(SMOOTHING_SIGMAS),
    "histogram_bins": HISTOGRAM_BINS,
    "iterations": ITERATIONS,
    "minimum_step": MINIMUM_STEP,
    "largest_stretch": LARGEST_STRETCH,
}
"""All that a registration depends on beside its two films, as JSON types."""


def require_itk() -> Any:
    """Return the package ITK.

    Raises:
        ValueError: if it is not installed; it says how to install it.
    """
    try:
        import itk
    except ImportError as error:
        raise ValueError(
            "reverse classification accuracy needs the package itk: pip install 'monai-chexmask-u[rca]'"
        ) from error
    return itk


def register(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Find the affine map from one film to another that gives the most mutual information.

    All pixels are looked at, on one thread, so that the same two films give the same map in every process.

    Args:
        fixed: ``(size, size)`` in 0..1.
        moving: likewise, of the same side.

    Returns:
        ``(2, 3)``, from (x, y, 1) in pixels of the fixed film to (x, y) in pixels of the moving one; (0, 0) is the
        center of the top-left pixel. None if the films cannot be laid on each other: one of them is uniform, they
        lose each other on the way, or the map found stretches more than films of the chest differ.

    Raises:
        ValueError: if the package itk is missing.

    References:
        Mattes et al., Nonrigid multimodality image registration, SPIE 2001;4322:1609.
        Avants et al., The Insight ToolKit image registration framework, https://doi.org/10.3389/fninf.2014.00044
    """
    itk = require_itk()
    transform = itk.AffineTransform[itk.D, 2].New()
    transform.SetCenter([(fixed.shape[1] - 1) / 2, (fixed.shape[0] - 1) / 2])
    method = _method(itk, fixed, moving, transform)
    warns = itk.Object.GetGlobalWarningDisplay()
    itk.Object.SetGlobalWarningDisplay(False)  # ITK would write to the terminal what None says here
    try:
        method.Update()
    except RuntimeError:
        return None
    finally:
        itk.Object.SetGlobalWarningDisplay(warns)
    matrix = np.column_stack([itk.array_from_matrix(transform.GetMatrix()), np.array(transform.GetOffset())])
    return matrix if _is_plausible(matrix) else None


def _method(itk: Any, fixed: NDArray[np.float32], moving: NDArray[np.float32], transform: Any) -> Any:
    """Set up a registration that starts from a transform and moves it in place."""
    image = itk.Image[itk.F, 2]
    metric = itk.MattesMutualInformationImageToImageMetricv4[image, image].New()
    metric.SetNumberOfHistogramBins(HISTOGRAM_BINS)
    metric.SetMaximumNumberOfWorkUnits(1)  # sums over threads would depend on their number
    scales = itk.RegistrationParameterScalesFromPhysicalShift[type(metric)].New()
    scales.SetMetric(metric)
    optimizer = itk.RegularStepGradientDescentOptimizerv4[itk.D].New()
    optimizer.SetNumberOfIterations(ITERATIONS)
    optimizer.SetMinimumStepLength(MINIMUM_STEP)
    optimizer.SetRelaxationFactor(0.5)
    optimizer.SetGradientMagnitudeTolerance(1e-8)
    optimizer.SetScalesEstimator(scales)
    optimizer.SetNumberOfWorkUnits(1)
    method = itk.ImageRegistrationMethodv4[image, image].New()
    method.SetFixedImage(itk.image_from_array(np.ascontiguousarray(fixed, dtype=np.float32)))
    method.SetMovingImage(itk.image_from_array(np.ascontiguousarray(moving, dtype=np.float32)))
    method.SetMetric(metric)
    method.SetOptimizer(optimizer)
    method.SetInitialTransform(transform)
    method.InPlaceOn()
    method.SetNumberOfLevels(len(SHRINK_FACTORS))
    method.SetShrinkFactorsPerLevel(list(SHRINK_FACTORS))
    method.SetSmoothingSigmasPerLevel(list(SMOOTHING_SIGMAS))
    method.SetNumberOfWorkUnits(1)
    return method


def _is_plausible(matrix: NDArray[np.float64]) -> bool:
    """Tell whether a map is finite, does not mirror, and stretches no direction too much."""
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:, :2]) <= 0:
        return False
    stretches = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return bool(stretches[0] <= LARGEST_STRETCH and stretches[-1] >= 1 / LARGEST_STRETCH)
