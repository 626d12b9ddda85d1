"""Images that are foreign to the network, made from radiographs that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["FOREIGN", "make_foreign"]

Floats = NDArray[np.float32]
CROPPED_SIDE: Final = 0.3


def make_foreign(radiograph: Radiograph, kind: str, seed: int) -> Radiograph:
    """Return a foreign image of about the radiograph's size; what its header says of orientation stays.

    Args:
        radiograph: a frontal chest radiograph.
        kind: of `FOREIGN`.
        seed: of noise and of the cut-out's place.
    """
    pixels = FOREIGN[kind](radiograph.pixels, np.random.default_rng(seed))
    spacing, aspect = radiograph.spacing_mm, radiograph.pixel_aspect
    if kind == "rotated_90":
        spacing = None if spacing is None else (spacing[1], spacing[0])
        aspect = None if aspect is None else 1 / aspect
    foreign = np.ascontiguousarray(pixels, np.float32)
    return replace(radiograph, pixels=foreign, spacing_mm=spacing, pixel_aspect=aspect)


def _gaussian(pixels: Floats, random: np.random.Generator) -> Floats:
    noise: Floats = np.clip(0.5 + 0.25 * random.standard_normal(pixels.shape, dtype=np.float32), 0, 1)
    return noise


def _heavy_crop(pixels: Floats, random: np.random.Generator) -> Floats:
    rows, columns = (max(1, round(CROPPED_SIDE * side)) for side in pixels.shape)
    top, left = (
        int(random.integers(0, full - kept + 1)) for full, kept in zip(pixels.shape, (rows, columns), strict=True)
    )
    return pixels[top : top + rows, left : left + columns]


FOREIGN: Final[dict[str, Callable[[Floats, np.random.Generator], Floats]]] = {
    "upside_down": lambda pixels, _: pixels[::-1],
    "rotated_90": lambda pixels, _: np.rot90(pixels),
    "mirrored": lambda pixels, _: pixels[:, ::-1],
    "inverted": lambda pixels, _: 1 - pixels,
    "gaussian_noise_image": _gaussian,
    "uniform_noise_image": lambda pixels, random: random.random(pixels.shape, dtype=np.float32),
    "blank": lambda pixels, _: np.zeros_like(pixels),
    "white": lambda pixels, _: np.ones_like(pixels),
    "heavy_crop": _heavy_crop,
}
"""What makes an image foreign, by its name; noise has mean 0.5 and, where Gaussian, standard deviation 0.25."""
