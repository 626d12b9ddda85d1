from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import ChebConv
from torch_geometric.utils import dense_to_sparse

from monai_chexmask_u.anatomy import ring_adjacency
from monai_chexmask_u.networks.graph import ChebyshevConvolution, chebyshev_basis


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("order", [1, 2, 6])
def test_convolution_equals_torch_geometrics(coarse: bool, order: int) -> None:
    torch.manual_seed(0)
    adjacency = ring_adjacency(coarse=coarse)
    ours = ChebyshevConvolution(16, 32, chebyshev_basis(adjacency, order))
    theirs = ChebConv(16, 32, K=order, normalization="sym")
    for weight, linear in zip(ours.weight, theirs.lins, strict=True):
        linear.weight.data = weight.data
    theirs.bias.data = ours.bias.data
    x = torch.randn(3, len(adjacency), 16)
    edges, _ = dense_to_sparse(torch.from_numpy(adjacency))
    torch.testing.assert_close(ours(x), theirs(x, edges), rtol=0, atol=1e-5)


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("order", [1, 4, 6])
def test_terms_of_the_sums_are_the_entries_of_the_polynomials(coarse: bool, order: int) -> None:
    basis = chebyshev_basis(ring_adjacency(coarse=coarse), order)
    convolution = ChebyshevConvolution(2, 2, basis)
    nodes = basis.shape[1]
    assert convolution.rows.shape == (nodes, 2 * order - 1)  # a node itself, then two nodes per polynomial
    dense = torch.zeros(nodes, nodes * order).scatter_(1, convolution.rows, convolution.coefficients)
    torch.testing.assert_close(dense.reshape(nodes, nodes, order), basis.permute(1, 2, 0), rtol=0, atol=1e-6)


def test_convolution_takes_any_graph() -> None:
    """Nodes with fewer neighbors than others sum terms without weight."""
    torch.manual_seed(0)
    star = torch.zeros(5, 5, dtype=torch.float64)
    star[0, 1:] = star[1:, 0] = 1
    basis = chebyshev_basis(star.numpy(), 3)
    convolution = ChebyshevConvolution(4, 2, basis)
    x = torch.randn(2, 5, 4)
    expected = torch.einsum("kij,bjf,kof->bio", basis, x, convolution.weight) + convolution.bias
    torch.testing.assert_close(convolution(x), expected, rtol=0, atol=1e-5)


def test_state_holds_weight_and_bias_alone() -> None:
    state = ChebyshevConvolution(3, 2, chebyshev_basis(ring_adjacency(), 6)).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {"weight": (6, 2, 3), "bias": (2,)}
