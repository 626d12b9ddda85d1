"""Errors of what is measured on the landmarks: areas and the cardiothoracic ratio."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from monai.metrics import CumulativeIterationMetric, do_metric_reduction
from numpy.typing import NDArray
from torch import Tensor

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.geometry import cardiothoracic_ratio, polygon_area

__all__ = ["CardiothoracicRatioErrorMetric", "RelativeAreaErrorMetric"]

Floats = NDArray[np.float64]


class _MeasurementError(CumulativeIterationMetric):
    """Compares a measurement on the predicted landmarks with that on the true ones; NaN where the truth is unknown."""

    def __init__(self, reduction: str = "mean_batch") -> None:
        """Keep the reduction over images, of MONAI's kinds."""
        super().__init__()
        self.reduction = reduction

    @abstractmethod
    def _error(self, predicted: Floats, true: Floats) -> Floats:
        """Compare landmarks ``(batch, 120, 2)``; return ``(batch, channel)``."""

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        if y is None or y_pred.shape != y.shape or y.ndim != 3:
            raise ValueError("predicted and true landmarks must both be (batch, node, 2)")
        return torch.from_numpy(self._error(*(points.detach().cpu().double().numpy() for points in (y_pred, y))))

    def aggregate(self, reduction: str | None = None) -> Tensor:
        """Reduce over the images seen since the last reset: one value per channel with ``mean_batch``."""
        values, counts = do_metric_reduction(self.get_buffer(), reduction or self.reduction)
        return torch.where(counts > 0, values, torch.nan)  # MONAI gives 0, as if there were no error


class RelativeAreaErrorMetric(_MeasurementError):
    """Difference of the areas inside the contours over the true area: three channels, right lung, left lung, heart.

    Args:
        reduction: over images, of MONAI's kinds.
    """

    def _error(self, predicted: Floats, true: Floats) -> Floats:
        areas = [np.stack([polygon_area(points[:, o.nodes]) for o in ORGANS], axis=1) for points in (predicted, true)]
        return np.abs(areas[0] - areas[1]) / areas[1]


class CardiothoracicRatioErrorMetric(_MeasurementError):
    """Absolute difference of the cardiothoracic ratios: one channel.

    Args:
        reduction: over images, of MONAI's kinds.
    """

    def _error(self, predicted: Floats, true: Floats) -> Floats:
        return np.abs(cardiothoracic_ratio(predicted) - cardiothoracic_ratio(true))[:, None]
