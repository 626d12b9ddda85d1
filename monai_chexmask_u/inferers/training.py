"""What the network has to give during training: one latent sample per image, decoded at all levels."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from monai_chexmask_u.networks import HybridGNet

__all__ = ["VariationalTrainingInferer"]


class VariationalTrainingInferer(Inferer):
    """Encodes a batch, draws one latent sample per image and decodes it.

    The random numbers come from torch's global generator, which MONAI's ``set_determinism`` seeds.
    """

    def __call__(self, inputs: Tensor, network: HybridGNet, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run the network on images ``(batch, 1, size, size)``.

        Returns:
            ``levels``: landmarks and the positions before them, ``(batch, node, 2)`` each (see
            `HybridGNet.decode_levels`); ``latent_mean`` and ``latent_log_var``, ``(batch, latent)``.
        """
        # Under DistributedDataParallel the network itself is one attribute deeper.
        module: HybridGNet = getattr(network, "module", network)
        latent_mean, latent_log_var, features = module.encode(inputs)
        z = latent_mean + torch.randn_like(latent_mean) * torch.exp(0.5 * latent_log_var)
        levels = [level.squeeze(1) for level in module.decode_levels(z.unsqueeze(1), features)]
        return {"levels": levels, "latent_mean": latent_mean, "latent_log_var": latent_log_var}
