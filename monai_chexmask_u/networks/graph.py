"""Chebyshev graph convolution on a small fixed graph, as weighted sums over neighbors."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monai_chexmask_u.networks.rows import sum_rows

__all__ = ["ChebyshevConvolution", "chebyshev_basis"]

# The polynomials' entries are multiples of 1/2 on a ring; what is smaller than this was zero before it was computed.
ROUNDING = 1e-6


def chebyshev_basis(adjacency: NDArray[np.float64], order: int) -> Tensor:
    """Return the Chebyshev polynomials of a graph's scaled Laplacian.

    The Laplacian is the symmetrically normalized one, scaled with a largest eigenvalue of 2, which is torch-geometric's
    default for ``ChebConv``.

    Args:
        adjacency: ``(node, node)``, symmetric; each node has a neighbor.
        order: number of polynomials, starting with the identity.

    Returns:
        ``(order, node, node)`` float32.

    References:
        Defferrard et al., https://arxiv.org/abs/1606.09375
    """
    identity = torch.eye(len(adjacency), dtype=torch.float64)
    norm = torch.from_numpy(adjacency).sum(dim=1).rsqrt()
    scaled = -norm[:, None] * torch.from_numpy(adjacency) * norm  # the Laplacian is this and the identity
    basis = [identity, scaled]
    while len(basis) < order:
        basis.append(2 * scaled @ basis[-1] - basis[-2])
    return torch.stack(basis[:order]).float()


class ChebyshevConvolution(nn.Module):
    """Graph convolution with Chebyshev polynomials, equal to torch-geometric's ``ChebConv`` on a fixed graph.

    Features are projected once for every polynomial. What is left is, for each node, a sum over the few entries of the
    polynomials that are not zero: on a ring, polynomial k reaches two nodes, those k steps away.

    Args:
        in_features: features of a node before.
        out_features: features of a node after.
        basis: ``(order, node, node)`` from `chebyshev_basis`.
    """

    rows: Tensor
    coefficients: Tensor

    def __init__(self, in_features: int, out_features: int, basis: Tensor) -> None:
        """Draw weights and bias from N(0, 0.1), as HybridGNet does."""
        super().__init__()
        order, nodes, _ = basis.shape
        self.weight = nn.Parameter(torch.empty(order, out_features, in_features).normal_(0, 0.1))
        self.bias = nn.Parameter(torch.empty(out_features).normal_(0, 0.1))
        # Row node * order + k of the projected features is what polynomial k takes from a node.
        mixing = basis.permute(1, 2, 0).reshape(nodes, nodes * order)
        mixing = mixing.where(mixing.abs() > ROUNDING, 0.0)
        terms = int((mixing != 0).sum(dim=1).max())
        rows = mixing.abs().topk(terms, dim=1).indices
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("coefficients", mixing.gather(1, rows), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve node features ``(batch, node, in_features)`` to ``(batch, node, out_features)``."""
        order, out_features, in_features = self.weight.shape
        batch, nodes = x.shape[0], x.shape[1]
        projected = x @ self.weight.reshape(order * out_features, in_features).t()
        table = projected.reshape(batch * nodes * order, out_features)
        first = torch.arange(batch, device=x.device).reshape(-1, 1, 1) * (nodes * order)
        rows = (self.rows + first).flatten(0, 1)
        summed = sum_rows(table, rows, self.coefficients.repeat(batch, 1))
        return summed.reshape(batch, nodes, out_features) + self.bias
