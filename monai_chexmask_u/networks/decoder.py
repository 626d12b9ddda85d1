"""The graph decoder of HybridGNet, with or without the connections from the image's feature maps to the graph."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import COARSE_NODE_COUNT, ring_adjacency, unpooling_matrix
from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.graph import ChebyshevConvolution, chebyshev_basis

__all__ = ["GraphDecoder", "ImageToGraphConnection", "sample_features"]

ORDER = 6
COARSE_FEATURES, FINE_FEATURES = 16, 32


def sample_features(features: Tensor, positions: Tensor) -> Tensor:
    """Sample a feature map around positions: the mean of a 3x3 neighborhood, bilinear, one feature pixel apart.

    It is torchvision's ``roi_align`` of a 3x3 box with a 1x1 output and a fixed 3x3 sampling grid: a sample more than
    one pixel outside the map counts as zero, others are clamped to its border. No gradient reaches the positions.

    Args:
        features: ``(batch, channel, h, h)``.
        positions: ``(batch, point, 2)``, (x, y) in 0..1 of the map.

    Returns:
        ``(batch, point, channel)``.
    """
    side = features.shape[-1]
    step = torch.tensor([-1.0, 0.0, 1.0], device=positions.device, dtype=positions.dtype)
    offsets = torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=-1).reshape(1, 1, 9, 2)
    points = (positions.detach() * side).unsqueeze(2) + offsets
    inside = ((points >= -1) & (points <= side)).all(dim=-1)
    # Far positions and NaN (a network that diverges) must not reach grid_sample, whose gradient would crash on them.
    points = torch.nan_to_num(points, nan=-2.0).clamp(-2.0, side + 1.0)
    grid = (2 * points + 1) / side - 1
    values = F.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)
    weights = inside.to(values.dtype) / 9
    return (values * weights.unsqueeze(1)).sum(dim=-1).transpose(1, 2)


class ImageToGraphConnection(nn.Module):
    """Places the nodes on a feature map and joins what lies there to the nodes' own features."""

    def __init__(self, features: int) -> None:
        """Read the position from a node's features by one linear map."""
        super().__init__()
        self.position = nn.Linear(features, 2, bias=False)

    def forward(self, x: Tensor, image_features: Tensor) -> tuple[Tensor, Tensor]:
        """Join image features to node features.

        Args:
            x: ``(batch * sample, node, features)``, samples of one image beside each other.
            image_features: ``(batch, channel, h, h)``; not copied per sample.

        Returns:
            ``(batch * sample, node, features + channel + 2)`` and the positions ``(batch * sample, node, 2)``.
        """
        batch, rows, nodes = image_features.shape[0], x.shape[0], x.shape[1]
        positions = self.position(x)
        sampled = sample_features(image_features, positions.reshape(batch, -1, 2)).reshape(rows, nodes, -1)
        return torch.cat([x, sampled, positions], dim=-1), positions


def _normalized(x: Tensor) -> Tensor:
    """Normalize each node over its features, as upstream's ``InstanceNorm1d`` on (batch, node, feature) does."""
    return F.relu(F.layer_norm(x, [x.shape[-1]]))


class GraphDecoder(nn.Module):
    """Decodes latent vectors to landmarks: coarse graph of 60 nodes first, full graph of 120 after.

    References:
        HybridGNet, https://arxiv.org/abs/2203.10977
    """

    unpool: Tensor

    def __init__(self, latent_size: int, *, skip_connections: bool) -> None:
        """Build the graph from the anatomy."""
        super().__init__()
        self.features = COARSE_FEATURES
        coarse = chebyshev_basis(ring_adjacency(coarse=True), ORDER)
        fine = chebyshev_basis(ring_adjacency(), ORDER)
        joined = CHANNELS[-1] + 2 if skip_connections else 0
        self.from_latent = nn.Linear(latent_size, COARSE_NODE_COUNT * COARSE_FEATURES)
        nn.init.normal_(self.from_latent.weight, 0, 0.1)
        self.coarse1 = ChebyshevConvolution(COARSE_FEATURES, COARSE_FEATURES, coarse)
        self.coarse2 = ChebyshevConvolution(COARSE_FEATURES, COARSE_FEATURES, coarse)
        self.coarse_connection = ImageToGraphConnection(COARSE_FEATURES) if skip_connections else None
        self.coarse3 = ChebyshevConvolution(COARSE_FEATURES + joined, FINE_FEATURES, coarse)
        self.fine1 = ChebyshevConvolution(FINE_FEATURES, FINE_FEATURES, fine)
        self.fine_connection = ImageToGraphConnection(FINE_FEATURES) if skip_connections else None
        self.fine2 = ChebyshevConvolution(FINE_FEATURES + joined, FINE_FEATURES, fine)
        self.to_landmarks = nn.Linear(FINE_FEATURES, 2, bias=False)
        for connection in (self.coarse_connection, self.fine_connection):
            if connection is not None:
                nn.init.normal_(connection.position.weight, 0, 0.1)
        nn.init.normal_(self.to_landmarks.weight, 0, 0.1)
        self.register_buffer("unpool", torch.from_numpy(unpooling_matrix()).float(), persistent=False)

    def forward(self, z: Tensor, features: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Decode latent vectors.

        Args:
            z: ``(batch, sample, latent)``.
            features: the encoder's two feature maps, once per image.

        Returns:
            Landmarks ``(batch, sample, 120, 2)``; with skip connections also the positions at which the coarse
            ``(batch, sample, 60, 2)`` and the full graph ``(batch, sample, 120, 2)`` looked at the image.
        """
        finer, coarser = features
        batch, samples = z.shape[0], z.shape[1]
        x = F.relu(self.from_latent(z.reshape(batch * samples, -1)))
        x = x.reshape(batch * samples, -1, self.features)
        x = _normalized(self.coarse1(x))
        x = _normalized(self.coarse2(x))
        levels: list[Tensor] = []
        if self.coarse_connection is not None:
            x, coarse_positions = self.coarse_connection(x, coarser)
            levels.append(coarse_positions)
        x = _normalized(self.coarse3(x))
        x = _normalized(self.fine1(self.unpool @ x))
        if self.fine_connection is not None:
            x, fine_positions = self.fine_connection(x, finer)
            levels.append(fine_positions)
        x = _normalized(self.fine2(x))
        levels.insert(0, self.to_landmarks(x))
        return [level.reshape(batch, samples, -1, 2) for level in levels]
