"""Weighted sums of a table's rows: what graph convolutions and the sampling of feature maps have in common."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["gather_and_sum_rows", "sum_rows"]


def sum_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Add up rows of a table.

    Args:
        table: ``(row, feature)``.
        rows: ``(sum, term)``, indices of rows.
        weights: ``(sum, term)``; they get no gradient.

    Returns:
        ``(sum, feature)``.

    Example:
        >>> table = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
        >>> sum_rows(table, torch.tensor([[0, 2]]), torch.tensor([[0.5, 0.5]]))
        tensor([[ 2., 20.]])
    """
    weights = weights.detach().to(table.dtype)
    # TorchScript cannot compile the question below; it also wants nothing behind a type comment.
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
    if torch.onnx.is_in_onnx_export():
        return gather_and_sum_rows(table, rows, weights)
    return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)


def gather_and_sum_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Do the same as `sum_rows` in operations that ONNX has.

    ONNX has no embedding bag, and exporters make a loop over all sums of it. On a CPU, this here is far slower than an
    embedding bag, since every row is copied before it is added.
    """
    return (table[rows] * weights.unsqueeze(-1)).sum(dim=1)
