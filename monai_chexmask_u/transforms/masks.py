"""From landmarks to masks, to measure overlap."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.geometry import fill_polygon

__all__ = ["LandmarksToMasksd"]


class LandmarksToMasksd(MapTransform):
    """Fills the contours: channel 0 is both lungs without the heart, channel 1 the heart, as published Dice has it.

    Args:
        keys: of landmarks ``(120, 2)``, (x, y) in the network frame; they become ``(2, size, size)`` uint8.
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
            points = np.asarray(torch.as_tensor(item[key]).detach().cpu(), dtype=np.float64) * self.size
            right, left, heart = (
                fill_polygon(points[organ.nodes], (self.size, self.size)) for organ in (RIGHT_LUNG, LEFT_LUNG, HEART)
            )
            item[key] = torch.from_numpy(np.stack([(right | left) & ~heart, heart]).astype(np.uint8))
        return item
