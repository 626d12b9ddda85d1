"""The error head: predicts how far each landmark may be from the truth, from what the landmark network saw there."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS, ring_adjacency
from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.graph import ChebyshevConvolution, chebyshev_basis
from monai_chexmask_u.networks.refinement import PYRAMID_CHANNELS
from monai_chexmask_u.networks.sampling import sample_window

__all__ = ["ErrorHead", "contour_axes"]

HIDDEN: Final = 96
ORDER: Final = 4
WINDOW_SPACING: Final = 2.0
SPREAD_FEATURES: Final = 6
# Bounds of a predicted standard deviation as logarithms, in the network frame: 0.06 to 2,800 pixels of 1024.
LOG_STD_RANGE: Final = (-9.8, 1.0)
GREATEST_CORRELATION: Final = 0.9


class ErrorHead(nn.Module):
    """Predicts the covariance of each landmark's error.

    The spread of latent samples knows what the latent space leaves open, and nothing of what the encoder missed or of
    noise in the outlines. This head looks at the feature maps around each landmark and at the spread of the samples,
    exchanges what it sees along the contours, and is trained on the errors that the landmark network makes on corrupted
    radiographs, by the likelihood of these errors. The landmark network itself stays as it is.

    References:
        Kendall and Gal, What uncertainties do we need in Bayesian deep learning, https://arxiv.org/abs/1703.04977
    """

    def __init__(self) -> None:
        """Start with a standard deviation of some ten pixels of 1024 for every landmark."""
        super().__init__()
        self.spread_norm = nn.BatchNorm1d(SPREAD_FEATURES, affine=False)
        self.window_norm = nn.BatchNorm1d(PYRAMID_CHANNELS, affine=False)
        self.coarse_norm = nn.BatchNorm1d(2 * CHANNELS[-1], affine=False)
        self.dropout = nn.Dropout(0.2)
        self.look = nn.Linear(SPREAD_FEATURES + 9 * PYRAMID_CHANNELS + 2 * CHANNELS[-1], HIDDEN)
        self.identity = nn.Parameter(torch.zeros(NODE_COUNT, HIDDEN))
        basis = chebyshev_basis(ring_adjacency(), ORDER)
        self.exchange1 = ChebyshevConvolution(HIDDEN, HIDDEN, basis)
        self.exchange2 = ChebyshevConvolution(HIDDEN, HIDDEN, basis)
        self.context = nn.Linear(HIDDEN, HIDDEN)
        self.to_error = nn.Linear(HIDDEN, 3)
        nn.init.zeros_(self.to_error.weight)
        self.to_error.bias.data = torch.tensor([-4.8, -4.4, 0.0])

    def forward(self, features: list[Tensor], mean: Tensor, covariance: Tensor) -> Tensor:
        """Predict the error of a batch of landmarks.

        Args:
            features: feature maps from `HybridGNet.encode`, of a network with refinements.
            mean: landmarks ``(batch, 120, 2)`` in the network frame.
            covariance: of the latent samples, ``(batch, 120, 2, 2)``.

        Returns:
            Covariance of the errors ``(batch, 120, 2, 2)`` in the network frame.

        Raises:
            ValueError: if the network has no fine feature map.
        """
        return self.predict(*self.look_around(features, mean, covariance), mean)

    def predict(self, place: Tensor, window: Tensor, coarse: Tensor, mean: Tensor) -> Tensor:
        """Predict from what `look_around` returned, so that a training looks at each image once."""
        seen = [
            _normalized(self.spread_norm, place),
            _normalized(self.window_norm, window).flatten(2),
            _normalized(self.coarse_norm, coarse),
        ]
        x = self.look(self.dropout(torch.cat(seen, dim=-1))) + self.identity
        x = F.gelu(F.layer_norm(x, [HIDDEN]))
        x = x + F.gelu(F.layer_norm(self.exchange1(x), [HIDDEN]))
        x = x + self.context(x.mean(dim=1, keepdim=True))
        x = x + F.gelu(F.layer_norm(self.exchange2(x), [HIDDEN]))
        return self._covariance(self.to_error(x), mean)

    @staticmethod
    def look_around(features: list[Tensor], mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what there is to see at each node; arguments as in `forward`.

        Returns:
            Spread of the samples across and along the contour, place and direction ``(batch, 120, 6)``; a window of the
            fine map ``(batch, 120, 9, channel)``; the coarse maps at the node ``(batch, 120, channel)``.

        Raises:
            ValueError: if the network has no fine feature map.
        """
        if len(features) < 3:
            raise ValueError("the error head needs a network with refinements, whose fine feature map it reads")
        axes = contour_axes(mean)
        spread = (axes @ covariance @ axes.transpose(-1, -2)).diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
        place = torch.cat([torch.log(spread + 1e-4), mean, axes[:, :, 0]], dim=-1)
        window = sample_window(features[2], mean, WINDOW_SPACING)
        coarse = torch.cat([sample_window(level, mean)[:, :, 4] for level in features[:2]], dim=-1)
        return place, window, coarse

    def _covariance(self, raw: Tensor, mean: Tensor) -> Tensor:
        """Turn two log standard deviations, across and along the contour, and a correlation into a covariance."""
        across, along = raw[..., 0].clamp(*LOG_STD_RANGE).exp(), raw[..., 1].clamp(*LOG_STD_RANGE).exp()
        mixed = GREATEST_CORRELATION * torch.tanh(raw[..., 2]) * across * along
        local = torch.stack([across.square(), mixed, mixed, along.square()], dim=-1).unflatten(-1, (2, 2))
        axes = contour_axes(mean)
        covariance: Tensor = axes.transpose(-1, -2) @ local @ axes
        return covariance


def contour_axes(landmarks: Tensor) -> Tensor:
    """Return the directions across and along the contour at each node.

    Args:
        landmarks: ``(batch, 120, 2)``, (x, y).

    Returns:
        ``(batch, 120, 2, 2)``: two unit vectors per node; the x and y axis where the two neighbors coincide.
    """
    along = torch.cat(
        [organ.roll(-1, 1) - organ.roll(1, 1) for organ in (landmarks[:, part.nodes] for part in ORGANS)], dim=1
    )
    length = along.norm(dim=-1, keepdim=True)
    along = torch.where(length > 1e-9, along / length.clamp_min(1e-9), along.new_tensor([0.0, 1.0]))
    across = torch.stack([along[..., 1], -along[..., 0]], dim=-1)
    return torch.stack([across, along], dim=-2)


def _normalized(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Normalize the last axis of a tensor of any shape."""
    flat: Tensor = norm(x.reshape(-1, x.shape[-1]))
    return flat.reshape(x.shape)
