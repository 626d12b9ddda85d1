"""Corruptions of a radiograph, each with one severity: those of the paper, and those of everyday practice.

A corruption acts on the gray levels 0..255 of an 8-bit radiograph, as published, and gives such gray levels back: what
is lost by rounding and clipping is lost. Lengths are in pixels of a 1024-pixel image and scale with the image.

References:
    Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import LEFT_LUNG, NODE_COUNT, RIGHT_LUNG
from monai_chexmask_u.geometry import Box
from monai_chexmask_u.transforms import corrupted_image

__all__ = ["CORRUPTIONS", "Corrupted", "Corruption", "corrupt", "find_corruption"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Corrupted:
    """What a corruption made of a radiograph.

    Attributes:
        pixels: ``(row, column)`` in 0..1, on the 256 gray levels of an 8-bit image.
        landmarks: ``(120, 2)``, (x, y) in pixels, moved along; None if none were given.
        matrix: ``(3, 3)``, from (x, y, 1) in pixels of the image given to (x, y, 1) in pixels of the corrupted one.
        boxes: the squares that were altered, where the corruption is a local one.
    """

    pixels: NDArray[np.float32]
    landmarks: Floats | None
    matrix: Floats
    boxes: tuple[Box, ...] = ()

    @property
    def altered_nodes(self) -> NDArray[np.bool_]:
        """Tell for each node whether the pixel it lies in is one of the altered squares', ``(120,)``.

        Raises:
            ValueError: if there are no landmarks.
        """
        if self.landmarks is None:
            raise ValueError("without landmarks, nothing lies in the altered squares")
        x, y = self.landmarks.T + 0.5  # a pixel's center is a whole number
        inside = np.zeros(len(x), dtype=np.bool_)
        for box in self.boxes:
            inside |= (box.top <= y) & (y < box.top + box.height) & (box.left <= x) & (x < box.left + box.width)
        return inside


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        apply: alters a radiograph by a severity above 0.
        unit: of the severity.
        levels: severities from nothing to the worst; they go beyond the published ones where a network stands more.
        largest: severity that makes sense.
        published: the worst published level, or None where the paper has none.
        kind: what the corruption belongs to, for tables.
        needs_partner: a second image is blended in.
        outlined_up_to: severity up to which the radiograph's own outlines are those of the image.
        needs_lungs: with landmarks, it is laid on those of the lungs.
    """

    apply: Callable[[corrupted_image.CorruptedImage, float], corrupted_image.CorruptedImage]
    unit: str
    levels: tuple[float, ...]
    largest: float
    published: float | None = None
    kind: str = "image quality"
    needs_partner: bool = False
    needs_lungs: bool = False
    outlined_up_to: float = math.inf


def find_corruption(name: str, severity: float) -> Corruption:
    """Return the corruption of a name.

    Raises:
        ValueError: if there is none, or if it has no such severity.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}; choose from {', '.join(CORRUPTIONS)}")
    corruption = CORRUPTIONS[name]
    if not 0 <= severity <= corruption.largest:
        raise ValueError(
            f"the severity of {name} ({corruption.unit}) must be in 0..{corruption.largest:g}, got {severity}"
        )
    return corruption


def corrupt(
    pixels: NDArray[np.floating],
    name: str,
    severity: float,
    *,
    seed: int = 0,
    landmarks: NDArray[np.floating] | None = None,
    partner: NDArray[np.floating] | None = None,
) -> Corrupted:
    """Corrupt one radiograph.

    Args:
        pixels: ``(row, column)`` in 0..1, 1 is bright.
        name: of `CORRUPTIONS`.
        severity: in the corruption's unit; 0 leaves the image as it is, but for its 256 gray levels.
        seed: of noise and places; the same seed gives nested severities of the same noise and the same places.
        landmarks: ``(120, 2)``, (x, y) in pixels, NaN where unknown; occlusions and local blur are centered on some
            of the lungs', and without landmarks on points in the middle of the image.
        partner: for blending, an image of the same shape.

    Raises:
        ValueError: if name, severity, or an array is invalid, or something the corruption needs is missing.
        ModuleNotFoundError: if the corruption needs OpenCV and it is not installed.

    Example:
        >>> corrupt(np.full((2, 2), 0.5), "underexposure", 1).pixels * 255
        array([[64., 64.],
               [64., 64.]], dtype=float32)
    """
    corruption = find_corruption(name, severity)
    points = None if landmarks is None else _checked_landmarks(landmarks, corruption)
    other = None if partner is None else _gray_levels(partner)
    result = corrupted_image.CorruptedImage(_gray_levels(pixels), points, np.random.default_rng(seed), other)
    if severity > 0:
        try:
            result = corruption.apply(result, severity)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{name} needs the package {error.name}: pip install 'monai-chexmask-u[experiments]'", name=error.name
            ) from error
    moved = None if points is None else points @ result.matrix[:2, :2].T + result.matrix[:2, 2]
    return Corrupted(_rounded(result.gray) / np.float32(255), moved, result.matrix, result.boxes)


def _checked_landmarks(landmarks: NDArray[np.floating], corruption: Corruption) -> Floats:
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (NODE_COUNT, 2):
        raise ValueError(f"landmarks must be ({NODE_COUNT}, 2), got shape {points.shape}")
    if corruption.needs_lungs and not all(np.isfinite(points[lung.nodes]).all() for lung in (RIGHT_LUNG, LEFT_LUNG)):
        raise ValueError("the landmarks of both lungs must be known to choose places on them")
    return points


def _gray_levels(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    values = np.asarray(pixels, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"pixels must be (row, column), got shape {values.shape}")
    if not (values.min() >= -1e-3 and values.max() <= 1 + 1e-3):  # an interpolation may overshoot a little
        raise ValueError(f"pixels must be in 0..1, got {values.min():g}..{values.max():g}")
    return _rounded(values * 255)


def _rounded(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(np.rint(gray), 0, 255).astype(np.float32)


def _steps(start: float, stop: float, step: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.arange(start, stop + step / 2, step).round(6))


HALF: Final = "half kernel, px"
BLURS: Final = _steps(0, 48, 4)

CORRUPTIONS: Final[dict[str, Corruption]] = {
    "gaussian_noise": Corruption(
        corrupted_image.gaussian_noise,
        "standard deviation, gray levels",
        (*_steps(0, 190, 10), 250, 320, 400, 500, 650, 800, 1000),
        100_000,
        published=190,
    ),
    "gaussian_blur": Corruption(
        corrupted_image.gaussian_blur, HALF, (*BLURS, 60, 75, 90, 110, 130, 160, 200, 250), 1024, published=48
    ),
    "median_blur": Corruption(corrupted_image.median_blur, HALF, (*BLURS, 60, 75, 90, 110, 127), 512, published=48),
    "occlusion": Corruption(
        corrupted_image.occlusion(1),
        "side of the square, px",
        (0, *_steps(101, 701, 100), 851, 1001),
        2049,
        published=301,
        kind="local",
        needs_lungs=True,
    ),
    "occlusion_4": Corruption(
        corrupted_image.occlusion(4),
        "side of each square, px",
        (0, *_steps(51, 501, 50), 601, 701),
        2049,
        published=201,
        kind="local",
        needs_lungs=True,
    ),
    "local_blur": Corruption(
        corrupted_image.local_blur, HALF, (*_steps(0, 48, 12), 75, 120), 1024, kind="local", needs_lungs=True
    ),
    "blending": Corruption(
        corrupted_image.blending,
        "share of the other image",
        _steps(0, 1, 0.1),
        1,
        published=1,
        kind="mixture",
        needs_partner=True,
        outlined_up_to=0.5,
    ),
    "contrast_loss": Corruption(
        corrupted_image.contrast_loss,
        "share lost",
        (*_steps(0, 0.9, 0.1), 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995),
        1,
    ),
    "overexposure": Corruption(corrupted_image.overexposure, "stops", _steps(0, 4, 0.25), 8),
    "underexposure": Corruption(corrupted_image.underexposure, "stops", _steps(0, 8, 0.5), 9),
    "rotation": Corruption(corrupted_image.rotation, "degrees", _steps(0, 90, 7.5), 360, kind="geometry"),
    "crop": Corruption(corrupted_image.crop, "share of the side", _steps(0, 0.6, 0.1), 0.9, kind="geometry"),
    "low_resolution": Corruption(
        corrupted_image.low_resolution, "factor - 1", (0, 1, 3, 7, 11, 15, 23, 31, 47, 63), 1023
    ),
    "jpeg": Corruption(corrupted_image.jpeg, "100 - quality", (0, 50, 70, 80, 90, 95, 97, 98, 99), 100),
}
"""Every corruption by its name."""
