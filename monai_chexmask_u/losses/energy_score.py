"""The energy score: how well samples tell where something is, rewarding spread exactly where it covers the error."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["energy_score"]

# Below a millionth of the image's side, the norm of a difference is rounded off: its gradient at 0 is not finite.
_SMALLEST_SQUARE = 1e-12


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Score samples of a vector by the true one; the smallest expected score is that of samples of the truth's law.

    With M samples f_m and the truth y, it is mean |f_m - y| - 1/2 mean |f_m - f_n| over the pairs m != n, which is
    unbiased in M [1].

    Args:
        samples: ``(batch, sample >= 2, ..., dimension)``.
        truth: ``(batch, ..., dimension)``.

    Returns:
        ``(batch, ...)``, in the unit of the samples.

    Raises:
        ValueError: if there are fewer than two samples.

    Example:
        >>> energy_score(torch.tensor([[[0.0, 0.0], [2.0, 0.0]]]), torch.tensor([[1.0, 0.0]]))
        tensor([0.])

    References:
        [1] Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 2007.
    """
    count = samples.shape[1]
    if count < 2:
        raise ValueError(f"an energy score needs at least two samples of each image, got {count}")
    error = _norm(samples - truth.unsqueeze(1)).mean(dim=1)
    first, second = torch.triu_indices(count, count, offset=1, device=samples.device)
    return error - 0.5 * _norm(samples[:, first] - samples[:, second]).mean(dim=1)


def _norm(difference: Tensor) -> Tensor:
    return difference.square().sum(dim=-1).clamp_min(_SMALLEST_SQUARE).sqrt()
