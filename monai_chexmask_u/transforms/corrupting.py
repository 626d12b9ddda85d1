"""Corruptions as transforms, to see what a network makes of bad images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import convert_to_dst_type
from numpy.typing import NDArray

from monai_chexmask_u.transforms.corruptions import Corrupted, corrupt, find_corruption

__all__ = ["Corrupt", "Corruptd"]

XY_TO_INDEX: Final = [1, 0, -1]  # x counts columns, the second axis; the last row and column shift


class Corrupt(Transform):
    """Corrupts an image by one of `CORRUPTIONS`; the dictionary version also moves landmarks and blends.

    Args:
        name: of the corruption.
        severity: in its unit; lengths are in pixels of a 1024-pixel image.
        seed: of noise and places, the same for every image.

    Raises:
        ValueError: if there is no such corruption or severity, or if it needs a second image.

    Example:
        >>> Corrupt("underexposure", 1)(torch.full((1, 1, 2), 0.4))
        tensor([[[0.2000, 0.2000]]])
    """

    def __init__(self, name: str, severity: float, seed: int = 0) -> None:
        """Check and keep the settings."""
        if find_corruption(name, severity).needs_partner:
            raise ValueError(f"{name} needs a second image: use Corruptd with a partner_key")
        self.name = name
        self.severity = severity
        self.seed = seed

    def __call__(self, img: Any) -> Any:
        """Corrupt an array or tensor ``(1, row, column)`` in 0..1, and give back one of its type.

        The affine of a MetaTensor follows a rotation or a crop.

        Raises:
            TypeError: if the image is not of floating point numbers.
            ValueError: if it has another shape or range.
            ModuleNotFoundError: if the corruption needs OpenCV and it is not installed.
        """
        return _like(img, corrupt(_pixels(img), self.name, self.severity, seed=self.seed))


class Corruptd(MapTransform):
    """Corrupts an image of a dictionary by one of `CORRUPTIONS`, and moves its landmarks along.

    Args:
        keys: of images ``(1, row, column)`` in 0..1; only one if there are landmarks.
        name: of the corruption.
        severity: in its unit; lengths are in pixels of a 1024-pixel image.
        seed: of noise and places, the same for every image.
        landmarks_key: of landmarks ``(120, 2)``, (x, y) in pixels of the image, on which occlusions are centered.
        partner_key: of the image to blend in, of the same shape.

    Raises:
        ValueError: if there is no such corruption or severity, if it lacks a second image or does not need one, or if
            the landmarks would belong to several images.
    """

    def __init__(
        self,
        keys: Any,
        name: str,
        severity: float,
        seed: int = 0,
        landmarks_key: str | None = None,
        partner_key: str | None = None,
    ) -> None:
        """Check and keep the settings."""
        super().__init__(keys)
        if find_corruption(name, severity).needs_partner != (partner_key is not None):
            raise ValueError(f"{name} {'needs no' if partner_key else 'needs a'} partner_key")
        if landmarks_key is not None and len(self.keys) > 1:
            raise ValueError(f"landmarks belong to one image, got {len(self.keys)} keys")
        self.name = name
        self.severity = severity
        self.seed = seed
        self.landmarks_key = landmarks_key
        self.partner_key = partner_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform one item.

        Raises:
            KeyError: if a key is missing.
            TypeError: if images or landmarks are not floating point numbers.
            ValueError: if they have another shape or range.
            ModuleNotFoundError: if the corruption needs OpenCV and it is not installed.
        """
        item = dict(data)
        landmarks = None if self.landmarks_key is None else item[self.landmarks_key]
        points = None if landmarks is None else _array(landmarks)
        partner = None if self.partner_key is None else _pixels(item[self.partner_key])
        for key in self.key_iterator(item):
            corrupted = corrupt(
                _pixels(item[key]), self.name, self.severity, seed=self.seed, landmarks=points, partner=partner
            )
            item[key] = _like(item[key], corrupted)
            if self.landmarks_key is not None:
                item[self.landmarks_key] = convert_to_dst_type(corrupted.landmarks, landmarks)[0]
        return item


def _array(values: Any) -> NDArray[np.float64]:
    tensor = torch.as_tensor(values)
    if not tensor.is_floating_point():
        raise TypeError(f"images and landmarks must be floating point numbers, got {tensor.dtype}")
    array: NDArray[np.float64] = tensor.detach().cpu().double().numpy()
    return array


def _pixels(img: Any) -> NDArray[np.float64]:
    array = _array(img)
    if array.ndim != 3 or len(array) != 1:
        raise ValueError(f"the image must be (1, row, column), got shape {array.shape}")
    pixels: NDArray[np.float64] = array[0]
    return pixels


def _like(img: Any, corrupted: Corrupted) -> Any:
    """Return the corrupted pixels as what the image is, with its metadata, where they lie now."""
    output = convert_to_dst_type(corrupted.pixels[None], img)[0]
    if isinstance(output, MetaTensor):
        moved = np.eye(len(output.affine))
        moved[np.ix_(XY_TO_INDEX, XY_TO_INDEX)] = corrupted.matrix
        output.affine = output.affine @ torch.from_numpy(np.linalg.inv(moved)).to(output.affine)
    return output
