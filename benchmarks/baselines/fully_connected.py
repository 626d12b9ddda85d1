"""The fully connected baseline: HybridGNet's encoder and latent space, decoded without a graph."""

from __future__ import annotations

from torch import Tensor, nn

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.networks import HybridGNet

__all__ = ["FullyConnectedDecoder", "FullyConnectedNet"]


class FullyConnectedNet(HybridGNet):
    """HybridGNet without skip connections, with a fully connected decoder in the place of the graph decoder.

    Args:
        image_size: side of the square network image in pixels; divisible by 32, at least 64.
        latent_size: dimensions of the latent space.
        hidden: width of the decoder's two hidden layers; 160 give about as many parameters (75 thousand) as the graph
            decoder without skip connections has (81 thousand).

    References:
        Gaggion et al., HybridGNet, https://arxiv.org/abs/2203.10977, which compares with the same kind of model
    """

    def __init__(self, image_size: int, latent_size: int = 64, hidden: int = 160) -> None:
        """Build the network with random weights."""
        super().__init__(image_size, latent_size, skip_connections=False)
        self.register_module("decoder", FullyConnectedDecoder(latent_size, hidden))


class FullyConnectedDecoder(nn.Module):
    """Two hidden layers from a latent vector to all coordinates.

    Args:
        latent_size: dimensions of the latent space.
        hidden: width of the hidden layers.
    """

    def __init__(self, latent_size: int, hidden: int) -> None:
        """Build the layers with random weights."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, NODE_COUNT * 2),
        )

    def forward(self, z: Tensor, features: list[Tensor]) -> list[Tensor]:
        """Decode latent vectors.

        Args:
            z: ``(batch, sample, latent)``.
            features: the encoder's maps, which this decoder does not look at.

        Returns:
            One level, the landmarks ``(batch, sample, 120, 2)`` in the network frame.
        """
        return [self.layers(z).unflatten(-1, (NODE_COUNT, 2))]
