"""From the image's frame to the network's, for pixels and landmarks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray
from torch import Tensor

from monai_chexmask_u.geometry import Frame
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["LANDMARK_MARGIN", "LandmarksToTargetd", "ToNetworkFramed"]

# How far landmarks may lie outside their image, of its longer side: outlines of cut-off lungs are often drawn a
# little beyond the border.
LANDMARK_MARGIN = 0.02


class ToNetworkFramed(MapTransform):
    """Resamples a radiograph to the network image, and moves its landmarks along.

    Args:
        keys: of a `Radiograph`; its place is taken by a MetaTensor ``(1, size, size)``.
        network_size: side of the network image.
        landmarks_key: of landmarks ``(120, 2)``, (x, y) in image pixels, if there are any; they become
            ``(1, 120, 2)``, (row, column) in network pixels, which is the order of MONAI's point transforms.
        crop_border: leave out the black border around the exposed field.
    """

    def __init__(
        self, keys: Any, network_size: int, landmarks_key: str | None = None, crop_border: bool = False
    ) -> None:
        """Keep the settings."""
        super().__init__(keys)
        self.network_size = network_size
        self.landmarks_key = landmarks_key
        self.crop_border = crop_border

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform one item.

        Raises:
            ValueError: if landmarks lie clearly outside the image; it names the file.
        """
        item = dict(data)
        for key in self.key_iterator(item):
            radiograph: Radiograph = item[key]
            frame = fit_frame(radiograph, self.network_size, crop_border=self.crop_border)
            pixels = to_network_image(torch.from_numpy(radiograph.pixels), frame)
            meta = {
                "filename_or_obj": str(radiograph.path),
                "sha256": radiograph.sha256 or "",  # batches hold no None
                "side_mm": _side_mm(radiograph, frame),
            }
            item[key] = MetaTensor(pixels, affine=torch.eye(4, dtype=torch.float64), meta=meta)
            if self.landmarks_key is not None:
                _check_inside(item[self.landmarks_key], radiograph)
                points = frame.to_network(item[self.landmarks_key]) * self.network_size
                item[self.landmarks_key] = torch.from_numpy(points[None, :, ::-1].copy()).float()
        return item


def _side_mm(radiograph: Radiograph, frame: Frame) -> float:
    """Return the side of the network's square at the patient, NaN where the spacing is unknown."""
    return radiograph.spacing_mm[1] / abs(float(frame.matrix[0, 0])) if radiograph.spacing_mm else float("nan")


def _check_inside(landmarks: NDArray[np.float32], radiograph: Radiograph) -> None:
    """Refuse landmarks that belong to another image or another frame; outlines may touch the border."""
    rows, columns = radiograph.shape
    margin = LANDMARK_MARGIN * max(rows, columns)
    beyond = np.nanmax([-landmarks, landmarks - (columns - 1, rows - 1)])
    if beyond > margin:
        raise ValueError(
            f"{radiograph.path}: landmarks lie up to {beyond:.0f} pixels outside the image of {columns} x {rows}; "
            "they must be (x, y) in pixels of this image"
        )


class LandmarksToTargetd(MapTransform):
    """Turns MONAI points ``(1, 120, 2)``, (row, column) in network pixels, into the training target.

    Args:
        keys: of the points; they become ``(120, 2)``, (x, y) in the network frame.
        network_size: side of the network image.
    """

    def __init__(self, keys: Any, network_size: int) -> None:
        """Keep the settings."""
        super().__init__(keys)
        self.network_size = network_size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            points = torch.as_tensor(item[key]).as_subclass(Tensor)
            item[key] = points[0].flip(-1).float() / self.network_size
        return item
