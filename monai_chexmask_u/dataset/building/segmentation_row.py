"""From a segmentation to a row of the table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.schema import mask_column
from monai_chexmask_u.geometry import Frame, run_length_encode
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["segmentation_row"]


def segmentation_row(segmentation: LandmarkSegmentation, frame: Frame, *, masks: bool = True) -> dict[str, Any]:
    """Return all columns that follow from a segmentation; what is not known is None.

    Args:
        segmentation: in pixels of the image.
        frame: how the image was shown to the network.
        masks: fill the masks in, too.
    """
    ratio, error, radius = segmentation.cardiothoracic_ratio, segmentation.error_covariance, segmentation.radius90
    return {
        **_geometry(segmentation, frame),
        "landmarks": _flat(segmentation.landmarks),
        "landmarks_std": _flat(segmentation.std),
        "landmarks_cov_xy": _flat(segmentation.covariance[:, 0, 1]),
        "error_std": None if error is None else _flat(np.sqrt(np.diagonal(error, axis1=1, axis2=2))),
        "error_cov_xy": None if error is None else _flat(error[:, 0, 1]),
        "radius90": None if radius is None else _flat(radius),
        **_measures(segmentation),
        **(_masks(segmentation) if masks else {}),
        "cardiothoracic_ratio": _finite(ratio.value),
        "cardiothoracic_ratio_std": _finite(ratio.std),
        "cardiothoracic_ratio_interval90": _interval(ratio.interval90),
        **_area_intervals(segmentation),
        "latent_uncertainty": segmentation.latent_uncertainty,
        "predictive_px1024": segmentation.predictive_px1024,
        "total_px1024": segmentation.total_px1024,
        "score": segmentation.score,
        "verdict": segmentation.reliability.verdict,
        "reasons": list(segmentation.reliability.reasons),
        "scores": [(name, _finite(float(score))) for name, score in segmentation.scores.items()],
        "samples": segmentation.sample_count,
        **_model(segmentation),
    }


def _geometry(segmentation: LandmarkSegmentation, frame: Frame) -> dict[str, Any]:
    spacing, crop = segmentation.spacing_mm, frame.crop
    return {
        "frame": "image",
        "height": segmentation.shape[0],
        "width": segmentation.shape[1],
        "crop_top": crop.top,
        "crop_left": crop.left,
        "crop_height": crop.height,
        "crop_width": crop.width,
        "spacing_row_mm": spacing[0] if spacing else None,
        "spacing_column_mm": spacing[1] if spacing else None,
    }


def _model(segmentation: LandmarkSegmentation) -> dict[str, str | None]:
    model = segmentation.model
    return {
        "model_name": model.name,
        "model_version": model.version,
        "model_sha256": model.sha256,
        "calibration_sha256": model.calibration_sha256,
    }


def _measures(segmentation: LandmarkSegmentation) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for organ, area_std in zip(ORGANS, segmentation.area_std_px, strict=True):
        found |= {
            f"{organ.name}_area_px": segmentation.area_px(organ),
            f"{organ.name}_area_std_px": _finite(area_std),
            f"{organ.name}_area_mm2": segmentation.area_mm2(organ),
            f"{organ.name}_uncertainty_px": segmentation.organ_uncertainty_px(organ),
            f"{organ.name}_total_uncertainty_px": segmentation.organ_total_px(organ),
        }
    return found


def _area_intervals(segmentation: LandmarkSegmentation) -> dict[str, list[float] | None]:
    intervals = segmentation.area_interval90_px or (None,) * len(ORGANS)
    return {
        f"{organ.name}_area_interval90_px": _interval(interval)
        for organ, interval in zip(ORGANS, intervals, strict=True)
    }


def _masks(segmentation: LandmarkSegmentation) -> dict[str, str]:
    return {mask_column(organ.name): run_length_encode(segmentation.mask(organ)) for organ in ORGANS}


def _flat(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32).ravel()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(ends: tuple[float, float] | None) -> list[float] | None:
    return list(ends) if ends is not None and all(map(math.isfinite, ends)) else None
