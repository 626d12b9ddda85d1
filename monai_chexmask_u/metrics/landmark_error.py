"""How far landmarks lie from the true ones."""

from __future__ import annotations

from typing import Any, Literal

import torch
from monai.metrics import CumulativeIterationMetric, do_metric_reduction
from torch import Tensor

from monai_chexmask_u.anatomy import ORGANS

__all__ = ["LandmarkErrorMetric"]


class LandmarkErrorMetric(CumulativeIterationMetric):
    """Error of all landmarks, and if wanted of those of each organ.

    Landmarks whose truth is NaN are unknown and left out; a channel without any known one is NaN, which the reduction
    leaves out in turn, and NaN after it if no image knows one. Where only the prediction is NaN, because the network
    diverged, the error is infinite.

    Args:
        measure: ``mse``, mean over nodes and both coordinates of the squared error, as published; ``rmse``, its root,
            reduced over images as the root of the mean squared error; ``distance``, mean distance of a node.
        per_organ: four channels, all, right lung, left lung and heart, instead of one.
        reduction: over images, of MONAI's kinds.

    Raises:
        ValueError: if there is no such measure.

    References:
        Gaggion et al., HybridGNet, https://arxiv.org/abs/2203.10977
    """

    def __init__(
        self,
        measure: Literal["mse", "rmse", "distance"] = "mse",
        *,
        per_organ: bool = False,
        reduction: str = "mean_batch",
    ) -> None:
        """Keep the settings."""
        super().__init__()
        if measure not in ("mse", "rmse", "distance"):
            raise ValueError(f"measure must be mse, rmse or distance, got {measure!r}")
        self.measure = measure
        self.per_organ = per_organ
        self.reduction = reduction

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Compare landmarks ``(batch, 120, 2)`` in any unit; return ``(batch, channel)``."""
        if y is None or y_pred.shape != y.shape or y.ndim != 3:
            raise ValueError("predicted and true landmarks must both be (batch, node, 2)")
        squared = (y_pred.double() - y.double()).square()
        errors = squared.sum(dim=-1).sqrt() if self.measure == "distance" else squared.mean(dim=-1)
        known = y.isfinite().all(dim=-1)
        errors = torch.where(known, errors.nan_to_num(nan=torch.inf), torch.nan)
        groups = [errors, *(errors[:, organ.nodes] for organ in ORGANS if self.per_organ)]
        channels = torch.stack([group.nanmean(dim=1) for group in groups], dim=1)
        return channels.sqrt() if self.measure == "rmse" else channels

    def aggregate(self, reduction: str | None = None) -> Tensor:
        """Reduce over the images seen since the last reset: one value per channel with ``mean_batch``."""
        data = self.get_buffer()
        is_root = self.measure == "rmse"
        values, counts = do_metric_reduction(data.square() if is_root else data, reduction or self.reduction)
        known = torch.where(counts > 0, values, torch.nan)  # MONAI gives 0, as if there were no error
        return known.sqrt() if is_root else known
