"""What a network is trained on: random views of a radiograph, some of which show no chest any more."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform, Randomizable
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.geometry import Frame
from monai_chexmask_u.networks.network_image import to_network_image
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms.views import FOREIGN_VIEWS, corrupted_view, moved_view

__all__ = ["RandTrainingViewd"]


class RandTrainingViewd(Randomizable, MapTransform):
    """Shows the network a radiograph moved, corrupted, or made foreign, with the landmarks moved along.

    A foreign view has no landmarks: they become NaN, which `PosteriorLoss` takes for an image without a chest.

    Args:
        keys: of a `Radiograph`; its place is taken by a tensor ``(1, size, size)``.
        network_size: side of the network image.
        landmarks_key: of landmarks ``(120, 2)``, (x, y) in image pixels; they become (x, y) in the network frame.
        foreign: share of views that show no frontal chest.
        corrupted: share of the others that are corrupted at any severity; the rest is moved alone.
    """

    def __init__(
        self, keys: Any, network_size: int, landmarks_key: str, foreign: float = 1 / 3, corrupted: float = 0.65
    ) -> None:
        """Keep the settings."""
        super().__init__(keys)
        self.network_size = network_size
        self.landmarks_key = landmarks_key
        self.foreign = foreign
        self.corrupted = corrupted
        self._partner: NDArray[np.float32] | None = None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform one item; what is blended in is the radiograph that came before."""
        item = dict(data)
        random = np.random.default_rng(self.R.randint(2**31))
        for key in self.key_iterator(item):
            pixels, landmarks = _upright(item[key], item[self.landmarks_key])
            partner, self._partner = self._partner if self._partner is not None else pixels, pixels
            aspect = item[key].height_over_width
            view, points = self._view(pixels, landmarks, partner, random)
            view = np.ascontiguousarray(np.clip(view, 0, 1), dtype=np.float32)
            frame = Frame.fit(view.shape, self.network_size, pixel_aspect=aspect)
            item[key] = to_network_image(torch.from_numpy(view), frame)
            item[self.landmarks_key] = torch.from_numpy(frame.to_network(points)).float()
        return item

    def _view(
        self,
        pixels: NDArray[np.float32],
        landmarks: NDArray[np.float64],
        partner: NDArray[np.float32],
        random: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        choice = random.random()
        if choice < self.foreign:
            kinds = FOREIGN_VIEWS[str(random.choice(list(FOREIGN_VIEWS)))]
            view = kinds[random.integers(len(kinds))](pixels, random)
            return view, np.full((NODE_COUNT, 2), np.nan)
        if choice < self.foreign + (1 - self.foreign) * self.corrupted:
            return corrupted_view(pixels, landmarks, partner, random)
        view, points = moved_view(pixels, landmarks, random)
        return view, np.asarray(points)


def _upright(radiograph: Radiograph, landmarks: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Turn a radiograph and its landmarks as the network is shown them."""
    pixels, points = radiograph.pixels, np.array(landmarks, dtype=np.float64)
    for axis, reverse in ((0, radiograph.upside_down), (1, radiograph.mirrored)):
        if reverse:
            pixels = np.flip(pixels, axis)
            points[:, 1 - axis] = pixels.shape[axis] - 1 - points[:, 1 - axis]
    return np.ascontiguousarray(pixels), points
