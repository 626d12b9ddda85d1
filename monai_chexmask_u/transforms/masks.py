"""From landmarks to masks, to measure overlap and distance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
import torch
from monai.transforms import MapTransform
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.geometry import fill_polygon

__all__ = ["MASK_CHANNELS", "LandmarksToMasksd"]

MASK_CHANNELS: Final = (RIGHT_LUNG.name, LEFT_LUNG.name, HEART.name, "lungs")


class LandmarksToMasksd(MapTransform):
    """Fills the contours to four masks: each organ's own polygon, and both lungs without the heart.

    The last is what published figures call the Dice of the lungs: there the heart is drawn over them.

    Args:
        keys: of landmarks ``(120, 2)``, (x, y) in the network frame; they become ``(4, size, size)`` uint8.
        label_key: the one of the keys that tells which organs are known (not NaN); the others are empty in every mask.
        size: side of the masks in pixels.
    """

    def __init__(self, keys: Any, label_key: str, size: int = 1024) -> None:
        """Keep the settings."""
        super().__init__(keys)
        self.label_key = label_key
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform one item.

        Raises:
            ValueError: if landmarks of a known organ are not finite.
        """
        item = dict(data)
        known = np.asarray(np.isfinite(self._points(item[self.label_key])).all(axis=1))
        for key in self.key_iterator(item):
            points = self._points(item[key])
            if not np.isfinite(points[known]).all():
                raise ValueError(f"{key}: landmarks are not finite; the network has diverged, use other weights")
            right, left, heart = (
                fill_polygon(points[organ.nodes], (self.size, self.size))
                if known[organ.nodes].all()
                else np.zeros((self.size, self.size), dtype=np.bool_)
                for organ in ORGANS
            )
            masks = np.stack([right, left, heart, (right | left) & ~heart])
            item[key] = torch.from_numpy(masks.astype(np.uint8))
        return item

    def _points(self, landmarks: Any) -> NDArray[np.float64]:
        points: NDArray[np.float64] = torch.as_tensor(landmarks).detach().cpu().double().numpy() * self.size
        return points
