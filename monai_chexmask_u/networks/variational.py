"""What the network has to give during training: latent samples of each image, decoded at all levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monai_chexmask_u.networks.hybridgnet import HybridGNet

__all__ = ["VariationalTraining"]


class VariationalTraining(nn.Module):
    """Encodes a batch, draws latent samples of each image and decodes them together.

    It is a module around the network, so that DistributedDataParallel, around this one, sees the pass that is trained.
    The random numbers come from torch's global generator, which MONAI's ``set_determinism`` seeds.

    Args:
        network: whose parameters are trained.
        mixed_precision: compute the feature maps in bfloat16 where that is safe. MONAI's trainer asks for it on a GPU
            alone; here it holds on a CPU as well.
        samples: per image; a loss that rewards the right spread needs at least two.
    """

    def __init__(self, network: HybridGNet, mixed_precision: bool = False, samples: int = 1) -> None:
        """Keep the network, the precision and the number of samples."""
        super().__init__()
        self.network = network
        self.mixed_precision = mixed_precision
        self.samples = samples

    def forward(self, image: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """Run the network on images ``(batch, 1, size, size)``.

        Returns:
            ``levels``: the published network's landmarks and the positions before them, ``(batch, sample, node, 2)``
            each, or ``(batch, node, 2)`` where one sample is drawn, as in the published training;
            ``latent_mean`` and ``latent_log_var``, ``(batch, latent)``; and with refinements ``refined``, the
            landmarks after each of them, and ``organ_logits``, ``(batch, 3, size / 4, size / 4)``.
        """
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.mixed_precision):
            latent_mean, latent_log_var, features = self.network.encode(image)
        mean, std = latent_mean.unsqueeze(1), torch.exp(0.5 * latent_log_var).unsqueeze(1)
        noise = torch.randn(len(image), self.samples, mean.shape[-1], device=mean.device)
        levels = self.network.decode_levels(mean + noise * std, features)
        if self.samples == 1:
            levels = [level.squeeze(1) for level in levels]
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
