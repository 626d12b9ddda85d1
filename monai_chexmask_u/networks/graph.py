"""Chebyshev graph convolution on a small fixed graph, as dense matrix products."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.utils import dense_to_sparse, get_laplacian, to_dense_adj

__all__ = ["ChebyshevConvolution", "chebyshev_basis"]


def chebyshev_basis(adjacency: NDArray[np.float64], order: int) -> Tensor:
    """Return the Chebyshev polynomials of a graph's scaled Laplacian.

    The Laplacian is the symmetrically normalized one, scaled with a largest eigenvalue of 2, which is torch-geometric's
    default for ``ChebConv``.

    Args:
        adjacency: ``(node, node)``, symmetric.
        order: number of polynomials, starting with the identity.

    Returns:
        ``(order, node, node)`` float32.

    References:
        Defferrard et al., https://arxiv.org/abs/1606.09375
    """
    edges, weights = dense_to_sparse(torch.from_numpy(adjacency))
    edges, weights = get_laplacian(edges, weights, normalization="sym")
    identity = torch.eye(len(adjacency), dtype=torch.float64)
    scaled = to_dense_adj(edges, edge_attr=weights, max_num_nodes=len(adjacency))[0] - identity
    basis = [identity, scaled]
    while len(basis) < order:
        basis.append(2 * scaled @ basis[-1] - basis[-2])
    return torch.stack(basis[:order]).float()


class ChebyshevConvolution(nn.Module):
    """Graph convolution with Chebyshev polynomials, equal to torch-geometric's ``ChebConv`` on a fixed graph.

    A dense product is faster than message passing here: the graphs have 60 and 120 nodes.

    Args:
        in_features: features of a node before.
        out_features: features of a node after.
        basis: ``(order, node, node)`` from `chebyshev_basis`.
    """

    basis: Tensor

    def __init__(self, in_features: int, out_features: int, basis: Tensor) -> None:
        """Draw weights and bias from N(0, 0.1), as HybridGNet does."""
        super().__init__()
        order, nodes, _ = basis.shape
        self.weight = nn.Parameter(torch.empty(order, out_features, in_features).normal_(0, 0.1))
        self.bias = nn.Parameter(torch.empty(out_features).normal_(0, 0.1))
        # (node, order * node): one product sums over neighbors and polynomials.
        mixing = basis.permute(1, 0, 2).reshape(nodes, order * nodes).contiguous()
        self.register_buffer("basis", mixing, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve node features ``(batch, node, in_features)`` to ``(batch, node, out_features)``."""
        order, out_features, in_features = self.weight.shape
        batch, nodes = x.shape[0], x.shape[1]
        projected = x @ self.weight.reshape(order * out_features, in_features).t()
        projected = projected.reshape(batch, nodes, order, out_features).transpose(1, 2)
        return self.basis @ projected.reshape(batch, order * nodes, out_features) + self.bias
