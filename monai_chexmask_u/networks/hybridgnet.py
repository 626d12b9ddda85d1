"""HybridGNet: an image in, 120 landmarks out, through a variational latent space."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.networks.decoder import REFINEMENT_SPACINGS, GraphDecoder
from monai_chexmask_u.networks.encoder import CHANNELS, Encoder, FeaturePyramid
from monai_chexmask_u.networks.refinement import PYRAMID_CHANNELS

__all__ = ["HybridGNet"]


class HybridGNet(nn.Module):
    """Landmark network with a convolutional encoder, a Gaussian latent space and a graph decoder.

    The result for an image never depends on the rest of its batch. The latent space and the decoder always compute in
    float32, since bfloat16 could not tell landmarks closer than 4 pixels of 1024 apart; autocast speeds up the encoder.

    Args:
        image_size: side of the square network image in pixels; divisible by 32, at least 64.
        latent_size: dimensions of the latent space.
        skip_connections: join feature maps of the image to the graph at two levels.
        refinements: steps that move the landmarks by what the image shows around them, on a map of a quarter of the
            image's size; 0 is the published network.
        bounded_variance: keep the latent variances below 1, that of the prior: an image can only tell more about the
            chest than is known without it. The published network has no such bound.

    Raises:
        ValueError: if the image size or the number of refinements is not usable.

    References:
        [1] Gaggion et al., HybridGNet, https://arxiv.org/abs/2203.10977
        [2] Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
    """

    def __init__(
        self,
        image_size: int,
        latent_size: int = 64,
        skip_connections: bool = True,
        refinements: int = 0,
        bounded_variance: bool = False,
    ) -> None:
        """Build the network with random weights."""
        super().__init__()
        if image_size % 32 or image_size < 64:
            raise ValueError(f"image_size must be divisible by 32 and at least 64, got {image_size}")
        if not 0 <= refinements <= (len(REFINEMENT_SPACINGS) if skip_connections else 0):
            raise ValueError(
                f"refinements must be in 0..{len(REFINEMENT_SPACINGS)}, and 0 without skip connections, "
                f"got {refinements}"
            )
        self.image_size = image_size
        self.latent_size = latent_size
        self.skip_connections = skip_connections
        self.refinements = refinements
        self.bounded_variance = bounded_variance
        if bounded_variance:
            self.register_buffer("variance_bound", torch.ones(()))  # so that weights files tell the variant
        self.encoder = Encoder()
        flat = CHANNELS[-1] * (image_size // 32) ** 2
        self.latent_mean = nn.Linear(flat, latent_size)
        self.latent_log_var = nn.Linear(flat, latent_size)
        self.decoder = GraphDecoder(latent_size, skip_connections=skip_connections, refinements=refinements)
        self.pyramid = FeaturePyramid(PYRAMID_CHANNELS) if refinements else None
        self.to_organs = nn.Conv2d(PYRAMID_CHANNELS, len(ORGANS), 1) if refinements else None

    def forward(self, image: Tensor) -> Tensor:
        """Predict the landmarks decoded from the latent mean.

        Args:
            image: ``(batch, 1, size, size)`` in 0..1, 1 is bright and dense.

        Returns:
            ``(batch, 120, 2)``, (x, y) in the network frame: column and row over the image's side.
        """
        latent_mean, _, features = self.encode(image)
        return self.decode(latent_mean.unsqueeze(1), features).squeeze(1)

    @torch.jit.export
    def encode(self, image: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Encode images.

        Args:
            image: ``(batch, 1, size, size)`` in 0..1.

        Returns:
            Mean and log variance of the latent Gaussian, ``(batch, latent)`` each, and the feature maps for `decode`.

        Raises:
            ValueError: if the image has another shape.
        """
        if image.dim() != 4 or image.shape[1:] != (1, self.image_size, self.image_size):
            raise ValueError(f"image must be (batch, 1, {self.image_size}, {self.image_size}), got {image.shape}")
        maps = self.encoder(image)
        features = [maps[-2].float(), maps[-1].float()]
        if self.pyramid is not None:
            features.append(self.pyramid(maps).float())
        flat = features[1].flatten(1)
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return self.latent_mean(flat), self._log_variance(flat), features
        with torch.autocast(flat.device.type, enabled=False):
            return self.latent_mean(flat), self._log_variance(flat), features

    def _log_variance(self, flat: Tensor) -> Tensor:
        log_variance: Tensor = self.latent_log_var(flat)
        return -F.softplus(-log_variance) if self.bounded_variance else log_variance

    @torch.jit.export
    def decode(self, z: Tensor, features: list[Tensor]) -> Tensor:
        """Decode latent vectors.

        Args:
            z: ``(batch, sample, latent)``, any number of samples per image.
            features: feature maps from `encode`, once per image.

        Returns:
            ``(batch, sample, 120, 2)``, (x, y) in the network frame.
        """
        return self.decode_levels(z, features)[0]

    @torch.jit.export
    def decode_levels(self, z: Tensor, features: list[Tensor]) -> list[Tensor]:
        """Decode latent vectors to the landmarks and, with skip connections, to the two levels before them.

        Args:
            z: ``(batch, sample, latent)``.
            features: feature maps from `encode`, once per image.

        Returns:
            Landmarks ``(batch, sample, 120, 2)``, then the positions of the coarse graph ``(batch, sample, 60, 2)`` and
            of the full graph ``(batch, sample, 120, 2)`` where there are skip connections, then the landmarks before
            each refinement.
        """
        levels: list[Tensor] = []
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            levels = self.decoder(z, features)
            return levels
        with torch.autocast(z.device.type, enabled=False):
            levels = self.decoder(z, features)
            return levels

    @torch.jit.export
    def organ_logits(self, features: list[Tensor]) -> Tensor:
        """Segment the organs on the fine map: what the training supervises the map with.

        Args:
            features: feature maps from `encode`.

        Returns:
            Logits ``(batch, 3, size / 4, size / 4)`` of right lung, left lung and heart, which may overlap.

        Raises:
            ValueError: if the network has no refinements, and so no fine map.
        """
        if self.to_organs is None:
            raise ValueError("a network without refinements has no fine map to segment organs on")
        logits: Tensor = self.to_organs(features[2])
        return logits
