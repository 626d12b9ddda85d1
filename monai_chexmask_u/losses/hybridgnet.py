"""The training loss of HybridGNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import NODE_COUNT, pooling_matrix

__all__ = ["HybridGNetLoss"]


class HybridGNetLoss(nn.Module):
    """Mean squared landmark error at every level, plus the weighted divergence of the latent Gaussian from N(0, 1).

    Args:
        kl_weight: weight of the divergence; a training handler may change the attribute of this name.

    References:
        Gaggion et al., HybridGNet, https://arxiv.org/abs/2203.10977
    """

    pool: Tensor

    def __init__(self, kl_weight: float = 1e-5) -> None:
        """Keep the weight and the pooling map."""
        super().__init__()
        self.kl_weight = kl_weight
        self.register_buffer("pool", torch.from_numpy(pooling_matrix()).float())

    def forward(self, prediction: Mapping[str, Any], target: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            prediction: from `VariationalTrainingInferer`.
            target: true landmarks ``(batch, 120, 2)`` in the network frame.

        Returns:
            A scalar.
        """
        target = torch.as_tensor(target).as_subclass(Tensor).float()
        coarse = self.pool.to(target) @ target
        errors = [
            F.mse_loss(level, target if level.shape[1] == NODE_COUNT else coarse) for level in prediction["levels"]
        ]
        mean, log_var = prediction["latent_mean"], prediction["latent_log_var"]
        divergence = -0.5 * (1 + log_var - mean.square() - log_var.exp()).mean()
        loss: Tensor = torch.stack(errors).sum() + self.kl_weight * divergence
        return loss
