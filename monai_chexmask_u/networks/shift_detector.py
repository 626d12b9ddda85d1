"""The shift detector: tells frontal chest radiographs from everything else, by what the landmark network saw."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.networks.encoder import CHANNELS

__all__ = ["KINDS_OF_IMAGE", "ShiftDetector"]

KINDS_OF_IMAGE: Final = (
    "frontal_chest",
    "upside_down",
    "turned_sideways",
    "mirrored",
    "inverted",
    "partial_view",
    "not_a_radiograph",
)
"""What the detector tells apart; all but the first are made from frontal radiographs when it is trained."""

GRID: Final = 8


class ShiftDetector(nn.Module):
    """Classifies an image by the landmark network's coarse feature maps and its latent space.

    It is trained on frontal radiographs and on what can be made of them; it has never seen a real foreign radiograph,
    such as a lateral chest or a hand. These it takes for a part of a radiograph or for none at all, and the distance of
    the features from those of frontal radiographs stands beside it.

    Args:
        latent_size: dimensions of the latent space.

    References:
        Hendrycks et al., Deep anomaly detection with outlier exposure, https://arxiv.org/abs/1812.04606
    """

    def __init__(self, latent_size: int = 64) -> None:
        """Build a small network on a grid of 8 x 8 places."""
        super().__init__()
        self.map_norm = nn.BatchNorm2d(2 * CHANNELS[-1], affine=False)
        self.latent_norm = nn.BatchNorm1d(2 * latent_size, affine=False)
        self.dropout = nn.Dropout(0.3)
        self.reduce = nn.Conv2d(2 * CHANNELS[-1], 32, 1)
        self.look = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.summarize = nn.Linear(32 * (GRID // 2) ** 2, 64)
        self.classify = nn.Linear(64 + 2 * latent_size, len(KINDS_OF_IMAGE))

    @staticmethod
    def look_at(features: list[Tensor]) -> Tensor:
        """Return the two coarse feature maps on a common grid, ``(batch, channel, 8, 8)``."""
        return torch.cat([F.adaptive_avg_pool2d(level, GRID) for level in features[:2]], dim=1)

    def forward(self, grid: Tensor, latent: Tensor) -> Tensor:
        """Classify a batch.

        Args:
            grid: from `look_at`.
            latent: mean and log variance ``(batch, 2 * latent)``.

        Returns:
            Logits ``(batch, kind)`` in the order of `KINDS_OF_IMAGE`.
        """
        x = F.relu(self.reduce(self.dropout(self.map_norm(grid))))
        x = F.relu(self.look(x))
        x = F.relu(self.summarize(self.dropout(x.flatten(1))))
        logits: Tensor = self.classify(torch.cat([x, self.dropout(self.latent_norm(latent))], dim=-1))
        return logits
