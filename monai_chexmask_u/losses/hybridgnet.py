"""The training loss of HybridGNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS, pooling_matrix
from monai_chexmask_u.geometry import fill_polygon

__all__ = ["HybridGNetLoss"]

# Where the smooth L1 error turns from square to linear, of the image's side: 10 pixels at 1024.
SMOOTH = 0.01


class HybridGNetLoss(nn.Module):
    """Mean squared landmark error at every level, plus the weighted divergence of the latent Gaussian from N(0, 1).

    Refinements are judged by the smooth L1 error: a few landmarks far off must not decide on the last pixel of others.

    Labels may be partial: landmarks that are not finite (NaN) are unknown and count nowhere, so that images with
    outlined lungs alone train beside images with lungs and heart.

    Args:
        kl_weight: weight of the divergence; a training handler may change the attribute of this name.
        mask_weight: weight of the cross entropy of the organs on the fine map; only a network with refinements has one.

    References:
        Gaggion et al., HybridGNet, https://arxiv.org/abs/2203.10977
    """

    pool: Tensor

    def __init__(self, kl_weight: float = 1e-5, mask_weight: float = 0.0) -> None:
        """Keep the weights and the pooling map."""
        super().__init__()
        self.kl_weight = kl_weight
        self.mask_weight = mask_weight
        self.register_buffer("pool", torch.from_numpy(pooling_matrix()).float())

    def forward(self, prediction: Mapping[str, Any], target: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            prediction: from `VariationalTraining`.
            target: true landmarks ``(batch, 120, 2)`` in the network frame, NaN where unknown.

        Returns:
            A scalar.

        Raises:
            ValueError: if no landmark of the batch is known, or the loss is not finite.
        """
        target = torch.as_tensor(target).as_subclass(Tensor).float()
        # MONAI's trainer computes the loss under autocast, whose products would round the coarse target to 4 pixels.
        with torch.autocast(target.device.type, enabled=False):
            loss = self._loss(prediction, target)
        if not loss.isfinite():
            raise ValueError("the loss is not finite: the training has diverged; use a smaller learning rate")
        return loss

    def _loss(self, prediction: Mapping[str, Any], target: Tensor) -> Tensor:
        targets = level_targets(target, self.pool)
        filled, known = targets[NODE_COUNT]
        if not known.any():
            raise ValueError("no landmark of the batch is known: leave images without landmarks out of the training")
        errors = []
        for level in prediction["levels"]:
            truth, is_known = targets[level.shape[1]]
            errors.append(_mean((level - truth).square(), is_known))
        for level in prediction.get("refined", ()):
            errors.append(_mean(F.smooth_l1_loss(level, filled, beta=SMOOTH, reduction="none"), known))
        loss: Tensor = torch.stack(errors).sum()
        mean, log_var = prediction["latent_mean"], prediction["latent_log_var"]
        loss = loss - 0.5 * self.kl_weight * (1 + log_var - mean.square() - log_var.exp()).mean()
        if "organ_logits" in prediction:
            logits = prediction["organ_logits"]
            # Without a weight the logits still belong to the loss: DistributedDataParallel stops on unused parameters.
            entropy = organ_cross_entropy(logits, target) if self.mask_weight else logits.sum()
            loss = loss + self.mask_weight * entropy
        return loss


def level_targets(target: Tensor, pool: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
    """Return what the levels of the decoder are to give, by their number of nodes.

    Args:
        target: true landmarks ``(batch, 120, 2)``, NaN where unknown.
        pool: map to the coarse graph, ``(60, 120)``.

    Returns:
        For 120 and for 60 nodes: the positions ``(batch, node, 2)``, 0 where unknown, and which are known
        ``(batch, node)``. A coarse node is known if all nodes are that it is the mean of.
    """
    known = target.isfinite().all(dim=-1)
    filled = torch.where(known.unsqueeze(-1), target, 0.0)
    pool = pool.to(target)
    coarse_known = known.to(pool) @ (pool > 0).to(pool).t() == (pool > 0).sum(dim=1)
    return {NODE_COUNT: (filled, known), len(pool): (pool @ filled, coarse_known)}


def _mean(error: Tensor, known: Tensor) -> Tensor:
    """Average an error ``(batch, node, 2)`` over the coordinates of known nodes."""
    return torch.where(known, error.mean(dim=-1), 0.0).sum() / known.sum().clamp(min=1)


def organ_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Compare logits ``(batch, 3, side, side)`` with the true organs; unknown organs count nowhere."""
    side = logits.shape[-1]
    points = target.cpu().numpy() * side
    known = np.stack([np.isfinite(points[:, organ.nodes]).all(axis=(1, 2)) for organ in ORGANS], axis=1)
    masks = np.zeros(logits.shape, dtype=np.float32)
    for image, channel in np.argwhere(known):
        masks[image, channel] = fill_polygon(points[image, ORGANS[channel].nodes], (side, side))
    entropy = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(masks).to(logits), reduction="none")
    weights = torch.from_numpy(known).to(logits)
    return (entropy.mean(dim=(2, 3)) * weights).sum() / weights.sum().clamp(min=1)
