"""What a mask network needs to be measured like a landmark network; the U-Net itself is MONAI's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform
from torch import Tensor
from torch.nn import functional as F

__all__ = ["LogitsToMasksd"]


class LogitsToMasksd(MapTransform):
    """Turns logits of three organs into the four masks of `LandmarksToMasksd`, at its resolution.

    Pixel ``i`` of a mask lies at ``i / size`` of the network frame, at any size. Bilinear resampling that keeps the
    pixel edges in place, as MONAI's Resized does it, would shift the masks by up to 1.5 of 1024 pixels against that.

    Args:
        keys: of logits ``(3, side, side)``: right lung, left lung, heart; they become ``(4, size, size)`` uint8, with
            both lungs without the heart at the end.
        size: side of the masks in pixels.
    """

    def __init__(self, keys: Any, size: int = 1024) -> None:
        """Keep the settings."""
        super().__init__(keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            logits = torch.as_tensor(item[key]).as_subclass(Tensor).float()
            right, left, heart = self._resampled(logits) > 0
            item[key] = torch.stack([right, left, heart, (right | left) & ~heart]).to(torch.uint8)
        return item

    def _resampled(self, logits: Tensor) -> Tensor:
        side = logits.shape[-1]
        pixels = torch.arange(self.size, device=logits.device) * (side / self.size)
        axis = 2 * pixels / (side - 1) - 1  # grid_sample's -1 and 1 are the centers of the first and the last pixel
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
        return F.grid_sample(logits[None], grid[None], padding_mode="border", align_corners=True)[0]
