"""The graph decoder of HybridGNet, with or without the connections from the image's feature maps to the graph."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import COARSE_NODE_COUNT, ring_adjacency, unpooling_matrix
from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.graph import ChebyshevConvolution, chebyshev_basis
from monai_chexmask_u.networks.refinement import FEATURES, ContourRefinement
from monai_chexmask_u.networks.sampling import sample_features

__all__ = ["REFINEMENT_SPACINGS", "GraphDecoder", "ImageToGraphConnection"]

ORDER = 6
COARSE_FEATURES, FINE_FEATURES = 16, 32
# Distance between the points of each refinement's window, in pixels of the fine map: from wide to narrow.
REFINEMENT_SPACINGS = (2.0, 1.0, 0.5)


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

    Args:
        latent_size: dimensions of the latent space.
        skip_connections: join feature maps of the image to the graph at two levels.
        refinements: number of refinement steps after the full graph, at most 3.

    References:
        HybridGNet, https://arxiv.org/abs/2203.10977
    """

    unpool: Tensor

    def __init__(self, latent_size: int, *, skip_connections: bool, refinements: int = 0) -> None:
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
        self.refinements = nn.ModuleList(
            ContourRefinement(FINE_FEATURES if step == 0 else FEATURES, fine, spacing)
            for step, spacing in enumerate(REFINEMENT_SPACINGS[:refinements])
        )
        self.register_buffer("unpool", torch.from_numpy(unpooling_matrix()).float(), persistent=False)

    def forward(self, z: Tensor, features: list[Tensor]) -> list[Tensor]:
        """Decode latent vectors.

        Args:
            z: ``(batch, sample, latent)``.
            features: the encoder's two coarsest maps, then the fine map if there are refinements; once per image.

        Returns:
            Landmarks ``(batch, sample, 120, 2)``; with skip connections also the positions at which the coarse
            ``(batch, sample, 60, 2)`` and the full graph ``(batch, sample, 120, 2)`` looked at the image; with
            refinements also the landmarks before each of them.
        """
        finer, coarser = features[0], features[1]
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
        landmarks = self.to_landmarks(x)
        # All steps read the same map: in this memory format, none of them has to rearrange it.
        fine_map = features[-1].contiguous(memory_format=torch.channels_last)
        for refinement in self.refinements:
            levels.append(landmarks)
            x, landmarks = refinement(x, landmarks, fine_map)
        levels.insert(0, landmarks)
        return [level.reshape(batch, samples, -1, 2) for level in levels]
