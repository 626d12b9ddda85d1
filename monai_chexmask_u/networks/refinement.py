"""Refinement of contours: each node looks at the image around itself, talks to its neighbors, and moves a little."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.networks.graph import ChebyshevConvolution
from monai_chexmask_u.networks.sampling import sample_window

__all__ = ["PYRAMID_CHANNELS", "ContourRefinement"]

PYRAMID_CHANNELS, FEATURES = 48, 64


class ContourRefinement(nn.Module):
    """One step of refinement: reads a 3x3 window of the fine map at each node, and gives an offset for the node.

    HybridGNet reads the image at two coarse levels and then states the positions; what it states is as exact as these
    levels allow. This step adds an offset to given positions, so that it starts from them and can only become finer.

    Args:
        node_features: features of a node before the step.
        basis: Chebyshev polynomials of the graph of 120 nodes, from `chebyshev_basis`.
        spacing: distance between the points of the window, in pixels of the fine map.
    """

    def __init__(self, node_features: int, basis: Tensor, spacing: float) -> None:
        """Start with offsets of zero."""
        super().__init__()
        self.spacing = spacing
        self.features = FEATURES  # TorchScript reads no global numbers
        self.identity = nn.Parameter(torch.zeros(NODE_COUNT, FEATURES))
        self.look = nn.Linear(node_features + 9 * PYRAMID_CHANNELS + 2, FEATURES)
        self.exchange1 = ChebyshevConvolution(FEATURES, FEATURES, basis)
        self.exchange2 = ChebyshevConvolution(FEATURES, FEATURES, basis)
        self.offset = nn.Linear(FEATURES, 2)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor, positions: Tensor, fine_map: Tensor) -> tuple[Tensor, Tensor]:
        """Move the nodes once.

        Args:
            x: node features ``(batch * sample, 120, node_features)``, samples of one image beside each other.
            positions: ``(batch * sample, 120, 2)`` in the network frame; no gradient flows through them.
            fine_map: ``(batch, channel, side, side)``, once per image.

        Returns:
            Node features ``(batch * sample, 120, 64)`` and the new positions.
        """
        positions = positions.detach()
        window = sample_window(fine_map, positions.reshape(fine_map.shape[0], -1, 2), self.spacing)
        window = window.reshape(x.shape[0], x.shape[1], -1)
        # One product per part is faster on a CPU than to join the parts, which copies the large window.
        own, around, place = self.look.weight.split([x.shape[-1], window.shape[-1], 2], dim=1)
        seen = F.linear(window, around, self.look.bias) + F.linear(x, own) + F.linear(positions, place)
        y = F.relu(F.layer_norm(seen + self.identity, [self.features]))
        y = y + F.relu(F.layer_norm(self.exchange1(y), [self.features]))
        y = y + F.relu(F.layer_norm(self.exchange2(y), [self.features]))
        return y, positions + self.offset(y) / fine_map.shape[-1]
