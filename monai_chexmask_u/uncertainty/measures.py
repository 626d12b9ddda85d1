"""The published uncertainty measures, to the letter.

References:
    Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

__all__ = ["PUBLISHED_IMAGE_SIZE", "latent_uncertainty", "node_uncertainty", "predictive_uncertainty"]

PUBLISHED_IMAGE_SIZE: Final = 1024
"""Side in pixels of the image in which the paper gives its uncertainties."""


def latent_uncertainty(latent_std: Tensor) -> Tensor:
    """Return the mean over the latent dimensions of the standard deviation that the encoder predicts.

    Args:
        latent_std: ``(batch, latent)``.

    Returns:
        ``(batch,)``.

    Example:
        >>> import torch
        >>> latent_uncertainty(torch.tensor([[0.5, 1.5]]))
        tensor([1.])
    """
    return latent_std.mean(dim=-1)


def node_uncertainty(samples: Tensor) -> Tensor:
    """Return the predictive uncertainty of each node: the mean of the standard deviations of x and of y.

    Args:
        samples: sampled landmarks ``(batch, sample, node, 2)``, (x, y), in any unit.

    Returns:
        ``(batch, node)`` in the same unit: population standard deviation (divided by the number of samples).

    Raises:
        ValueError: if there are fewer than two samples.

    Example:
        >>> import torch
        >>> node_uncertainty(torch.tensor([[[[10.0, 20.0]], [[14.0, 20.0]]]]))
        tensor([[1.]])
    """
    if samples.ndim != 4 or samples.shape[1] < 2 or samples.shape[-1] != 2:
        raise ValueError(f"samples must be (batch, sample >= 2, node, 2), got {tuple(samples.shape)}")
    return samples.double().std(dim=1, correction=0).mean(dim=-1).to(samples.dtype)


def predictive_uncertainty(samples: Tensor) -> Tensor:
    """Return the predictive uncertainty of each image: the mean of `node_uncertainty` over the nodes.

    Args:
        samples: sampled landmarks ``(batch, sample, node, 2)`` in the network frame.

    Returns:
        ``(batch,)`` in pixels of a 1024-pixel image.
    """
    return node_uncertainty(samples).mean(dim=-1) * PUBLISHED_IMAGE_SIZE
