"""What the network has to give during training: one latent sample per image, decoded at all levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monai_chexmask_u.networks.hybridgnet import HybridGNet

__all__ = ["VariationalTraining"]


class VariationalTraining(nn.Module):
    """Encodes a batch, draws one latent sample per image and decodes it.

    It is a module around the network, so that DistributedDataParallel, around this one, sees the pass that is trained.
    The random numbers come from torch's global generator, which MONAI's ``set_determinism`` seeds.

    Args:
        network: whose parameters are trained.
        mixed_precision: compute the feature maps in bfloat16 where that is safe. MONAI's trainer asks for it on a GPU
            alone; here it holds on a CPU as well.
    """

    def __init__(self, network: HybridGNet, mixed_precision: bool = False) -> None:
        """Keep the network and the precision."""
        super().__init__()
        self.network = network
        self.mixed_precision = mixed_precision

    def forward(self, image: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """Run the network on images ``(batch, 1, size, size)``.

        Returns:
            ``levels``: the published network's landmarks and the positions before them, ``(batch, node, 2)`` each;
            ``latent_mean`` and ``latent_log_var``, ``(batch, latent)``; and with refinements ``refined``, the
            landmarks after each of them, and ``organ_logits``, ``(batch, 3, size / 4, size / 4)``.
        """
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.mixed_precision):
            latent_mean, latent_log_var, features = self.network.encode(image)
        z = latent_mean + torch.randn_like(latent_mean) * torch.exp(0.5 * latent_log_var)
        levels = [level.squeeze(1) for level in self.network.decode_levels(z.unsqueeze(1), features)]
        result: dict[str, Tensor | list[Tensor]] = {
            "levels": levels,
            "latent_mean": latent_mean,
            "latent_log_var": latent_log_var,
        }
        if self.network.refinements:
            # The last refinement's landmarks come first; after the two positions, those before each refinement follow.
            result["levels"] = [levels[3], levels[1], levels[2]]
            result["refined"] = [*levels[4:], levels[0]]
            result["organ_logits"] = self.network.organ_logits(features).float()
        return result
