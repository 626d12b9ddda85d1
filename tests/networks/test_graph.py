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
