"""The posterior sampler: encode once, decode many latent samples, summarize them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from monai_chexmask_u.networks.examiner import Examiner
from monai_chexmask_u.networks.hybridgnet import HybridGNet
from monai_chexmask_u.posterior import LandmarkPosterior

__all__ = ["PosteriorSampler"]


class PosteriorSampler:
    """Samples the landmarks' posterior as CheXmask-U does: z ~ N(mean, std), decoded with the same feature maps.

    Every call draws the same standard normal numbers from a generator of its own, and uses them for each image of the
    batch: the same image and seed give the same result, but for how sums are rounded, at any batch size, on any device
    and with any number of threads, whatever ran before.

    Args:
        num_samples: latent samples per image; at least 2.
        seed: of the generator.
        chunk_size: samples decoded at a time, which bounds the memory.
        examiner: of the network's calibration; without one, the posterior has neither expected errors nor scores. It is
            moved to the network's device.

    Raises:
        ValueError: if a number is too small.

    References:
        Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
    """

    def __init__(
        self, num_samples: int = 50, seed: int = 0, chunk_size: int = 25, examiner: Examiner | None = None
    ) -> None:
        """Keep the settings."""
        if num_samples < 2 or chunk_size < 1:
            raise ValueError(f"num_samples must be >= 2 and chunk_size >= 1, got {num_samples} and {chunk_size}")
        self.num_samples = num_samples
        self.seed = seed
        self.chunk_size = chunk_size
        self.examiner = examiner.eval() if examiner is not None else None

    def infer(
        self, inputs: Tensor, network: HybridGNet, seeds: Sequence[int] | None = None
    ) -> tuple[LandmarkPosterior, list[Tensor]]:
        """Infer the posterior of a batch; return the network's feature maps too.

        Args:
            inputs: images ``(batch, 1, size, size)`` in 0..1.
            network: in evaluation mode or not; it makes no difference.
            seeds: one per image, in place of the inferer's own seed for all of them.
        """
        with torch.no_grad():
            image = torch.as_tensor(inputs).as_subclass(Tensor)
            latent_mean, latent_log_var, features = network.encode(image)
            latent_std = torch.exp(0.5 * latent_log_var)
            noise = torch.stack([self._noise(seed, latent_mean.shape[1]) for seed in seeds or [self.seed]])
            z = latent_mean.unsqueeze(1) + noise.to(latent_mean) * latent_std.unsqueeze(1)
            chunks = [network.decode(chunk, features) for chunk in torch.split(z, self.chunk_size, dim=1)]
            posterior = LandmarkPosterior.from_samples(torch.cat(chunks, dim=1), latent_mean, latent_std)
            if self.examiner is None:
                return posterior, features
            examiner = self.examiner.to(latent_mean.device)
            error_covariance, scores = examiner(
                image, features, posterior.mean, posterior.covariance, posterior.latent_mean, posterior.latent_std
            )
            return replace(posterior, error_covariance=error_covariance, scores=scores), features

    def _noise(self, seed: int, latent_size: int) -> Tensor:
        """Draw the standard normal numbers ``(sample, latent)`` of a seed, on the CPU: a GPU gets the same ones."""
        return torch.randn(self.num_samples, latent_size, generator=torch.Generator().manual_seed(seed))
