from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from monai_chexmask_u.networks.rows import gather_and_sum_rows, sum_rows

Sum = Callable[[Tensor, Tensor, Tensor], Tensor]
BOTH = pytest.mark.parametrize("function", [sum_rows, gather_and_sum_rows])


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """A table of 7 rows, and 20 sums of 4 terms, with rows that occur twice in a sum."""
    generator = torch.Generator().manual_seed(0)
    table, weights = torch.randn(7, 3, generator=generator), torch.randn(20, 4, generator=generator)
    return table, torch.randint(0, 7, (20, 4), generator=generator), weights


@BOTH
def test_sums_equal_a_dense_product(function: Sum) -> None:
    table, rows, weights = inputs()
    dense = torch.zeros(20, 7).scatter_add_(1, rows, weights)
    torch.testing.assert_close(function(table, rows, weights), dense @ table, rtol=0, atol=1e-6)


@BOTH
def test_gradient_of_the_table_is_that_of_a_dense_product(function: Sum) -> None:
    table, rows, weights = inputs()
    dense = torch.zeros(20, 7).scatter_add_(1, rows, weights)
    upstream = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    table.requires_grad_()
    function(table, rows, weights).backward(upstream)
    torch.testing.assert_close(table.grad, dense.t() @ upstream, rtol=0, atol=1e-5)


def test_weights_get_no_gradient() -> None:
    table, rows, weights = inputs()
    assert not sum_rows(table, rows, weights.requires_grad_()).requires_grad


def test_sums_have_the_precision_of_the_table() -> None:
    """Under autocast, features are coarser than the weights, which are constants."""
    table, rows, weights = inputs()
    summed = sum_rows(table.bfloat16(), rows, weights)
    assert summed.dtype == torch.bfloat16
    torch.testing.assert_close(summed.float(), sum_rows(table, rows, weights), rtol=0.02, atol=0.05)
