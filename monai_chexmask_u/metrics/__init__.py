"""Metrics of landmarks that MONAI does not have; overlap and distance of masks are MONAI's own."""

from monai_chexmask_u.metrics.anatomical import CardiothoracicRatioErrorMetric, RelativeAreaErrorMetric
from monai_chexmask_u.metrics.landmark_error import LandmarkErrorMetric

__all__ = ["CardiothoracicRatioErrorMetric", "LandmarkErrorMetric", "RelativeAreaErrorMetric"]
