"""The registration behind reverse classification accuracy, with ITK: an affine map, then a smooth displacement.

How well the ratings predict the true Dice, and what else was tried, stands in ``benchmarks/README.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["REGISTRATION_SETTINGS", "REGISTRATION_SIZE", "Alignment", "register", "require_itk"]

REGISTRATION_SIZE: Final = 128
"""Side in pixels of the radiographs that are registered."""
SHRINK_FACTORS: Final = (4, 2)
SMOOTHING_SIGMAS: Final = (3.0, 2.0)
HISTOGRAM_BINS: Final = 32
AFFINE_ITERATIONS: Final = 100
MINIMUM_STEP: Final = 1e-3
LARGEST_STRETCH: Final = 2.0
"""Frontal radiographs that fill their frame differ by less; a map that stretches or shrinks more has lost its way."""
MATCHED_LEVELS: Final = 128
MATCHED_POINTS: Final = 15
DEMONS_ITERATIONS: Final = 30
DEMONS_SIGMA: Final = 4.0
"""Smoothness of the displacement in pixels."""

REGISTRATION_SETTINGS: Final = {
    "size": REGISTRATION_SIZE,
    "affine": {
        "metric": "Mattes mutual information",
        "shrink_factors": list(SHRINK_FACTORS),
        "smoothing_sigmas": list(SMOOTHING_SIGMAS),
        "histogram_bins": HISTOGRAM_BINS,
        "iterations": AFFINE_ITERATIONS,
        "minimum_step": MINIMUM_STEP,
        "largest_stretch": LARGEST_STRETCH,
    },
    "demons": {
        "kind": "diffeomorphic",
        "matched_levels": MATCHED_LEVELS,
        "matched_points": MATCHED_POINTS,
        "iterations": DEMONS_ITERATIONS,
        "sigma": DEMONS_SIGMA,
    },
}
"""All that a registration depends on beside its two radiographs, as JSON types."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """How one radiograph lies on another, in pixels of both; (0, 0) is the center of the top-left pixel.

    Attributes:
        matrix: ``(2, 3)``, the affine part, from (x, y, 1) of the fixed radiograph to (x, y) of the moving one.
        displacement: ``(row, column, 2)``, what is added to (x, y) of the fixed radiograph before.
    """

    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32]

    def move(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Take points ``(..., 2)`` from the fixed radiograph to the moving one.

        Outside the fixed radiograph, the displacement is that of the border.
        """
        from scipy.ndimage import map_coordinates

        given = np.asarray(points, dtype=np.float64)
        places = [given[..., 1], given[..., 0]]
        added = [map_coordinates(self.displacement[..., axis], places, order=1, mode="nearest") for axis in (0, 1)]
        moved: NDArray[np.float64] = (given + np.stack(added, axis=-1)) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved


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


def register(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> Alignment | None:
    """Lay one radiograph on another.

    An affine map is sought that gives the most mutual information, then diffeomorphic demons find what is left, on
    gray levels matched to each other. All pixels are looked at, and sums are made on one thread, so that the same two
    radiographs give the same alignment in every process.

    Args:
        fixed: ``(size, size)`` in 0..1.
        moving: likewise, of the same side.

    Returns:
        The alignment, or None if there is none: one of the radiographs is uniform, they lose each other on the way, or
        the map found stretches more than radiographs of the chest differ.

    Raises:
        ValueError: if the package itk is missing.

    References:
        Mattes et al., Nonrigid multimodality image registration, SPIE 2001;4322:1609.
        Avants et al., The Insight ToolKit image registration framework, https://doi.org/10.3389/fninf.2014.00044
        Vercauteren et al., Diffeomorphic demons, https://doi.org/10.1016/j.neuroimage.2008.10.040
    """
    itk = require_itk()
    warns = itk.Object.GetGlobalWarningDisplay()
    itk.Object.SetGlobalWarningDisplay(False)  # ITK would write to the terminal what None says here
    try:
        images = [itk.image_from_array(np.ascontiguousarray(each, dtype=np.float32)) for each in (fixed, moving)]
        transform = itk.AffineTransform[itk.D, 2].New()
        transform.SetCenter([(fixed.shape[1] - 1) / 2, (fixed.shape[0] - 1) / 2])
        _affine(itk, images[0], images[1], transform).Update()
        matrix = np.column_stack([itk.array_from_matrix(transform.GetMatrix()), np.array(transform.GetOffset())])
        displacement = _demons(itk, images[0], images[1], transform) if _is_plausible(matrix) else None
    except RuntimeError:
        return None
    finally:
        itk.Object.SetGlobalWarningDisplay(warns)
    if displacement is None or not np.isfinite(displacement).all():
        return None
    return Alignment(matrix, displacement)


def _affine(itk: Any, fixed: Any, moving: Any, transform: Any) -> Any:
    """Set up a registration that starts from a transform and changes it in place."""
    image = itk.Image[itk.F, 2]
    metric = itk.MattesMutualInformationImageToImageMetricv4[image, image].New()
    metric.SetNumberOfHistogramBins(HISTOGRAM_BINS)
    metric.SetMaximumNumberOfWorkUnits(1)  # sums over threads would depend on their number
    scales = itk.RegistrationParameterScalesFromPhysicalShift[type(metric)].New()
    scales.SetMetric(metric)
    optimizer = itk.RegularStepGradientDescentOptimizerv4[itk.D].New()
    optimizer.SetNumberOfIterations(AFFINE_ITERATIONS)
    optimizer.SetMinimumStepLength(MINIMUM_STEP)
    optimizer.SetRelaxationFactor(0.5)
    optimizer.SetGradientMagnitudeTolerance(1e-8)
    optimizer.SetScalesEstimator(scales)
    optimizer.SetNumberOfWorkUnits(1)
    method = itk.ImageRegistrationMethodv4[image, image].New()
    method.SetFixedImage(fixed)
    method.SetMovingImage(moving)
    method.SetMetric(metric)
    method.SetOptimizer(optimizer)
    method.SetInitialTransform(transform)
    method.InPlaceOn()
    method.SetNumberOfLevels(len(SHRINK_FACTORS))
    method.SetShrinkFactorsPerLevel(list(SHRINK_FACTORS))
    method.SetSmoothingSigmasPerLevel(list(SMOOTHING_SIGMAS))
    method.SetNumberOfWorkUnits(1)
    return method


def _demons(itk: Any, fixed: Any, moving: Any, transform: Any) -> NDArray[np.float32]:
    """Return the displacement ``(row, column, 2)`` that is left after the affine map."""
    image = itk.Image[itk.F, 2]
    resampled = itk.resample_image_filter(moving, transform=transform, reference_image=fixed, use_reference_image=True)
    matching = itk.HistogramMatchingImageFilter[image, image].New()
    matching.SetInput(resampled)
    matching.SetReferenceImage(fixed)
    matching.SetNumberOfHistogramLevels(MATCHED_LEVELS)
    matching.SetNumberOfMatchPoints(MATCHED_POINTS)
    matching.ThresholdAtMeanIntensityOff()
    matching.Update()
    demons = itk.DiffeomorphicDemonsRegistrationFilter[image, image, itk.Image[itk.Vector[itk.F, 2], 2]].New()
    demons.SetFixedImage(fixed)
    demons.SetMovingImage(matching.GetOutput())
    demons.SetNumberOfIterations(DEMONS_ITERATIONS)
    demons.SetStandardDeviations(DEMONS_SIGMA)
    demons.SetMaximumUpdateStepLength(2.0)
    demons.SetNumberOfWorkUnits(1)  # sums over threads would depend on their number
    demons.Update()
    displacement: NDArray[np.float32] = itk.array_from_image(demons.GetOutput())
    return displacement


def _is_plausible(matrix: NDArray[np.float64]) -> bool:
    """Tell whether a map is finite, does not mirror, and stretches no direction too much."""
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:, :2]) <= 0:
        return False
    stretches = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return bool(stretches[0] <= LARGEST_STRETCH and stretches[-1] >= 1 / LARGEST_STRETCH)
