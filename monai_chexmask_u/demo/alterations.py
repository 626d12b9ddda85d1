"""What a user of the page does to a radiograph: noise, blur, less contrast, and a masked region."""

from __future__ import annotations

import base64
import binascii
import io
import struct
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms.corruptions import corrupt

__all__ = ["IMAGE_SIDE", "MAX_MASK_CHARACTERS", "SEVERITIES", "Alteration", "Severity", "read_mask", "union"]

IMAGE_SIDE: Final = 1024
"""Longer side in pixels of the image that the page shows and that is drawn on."""


@dataclass(frozen=True)
class Severity:
    """How much a radiograph is altered in one way.

    Attributes:
        corruption: key of `CORRUPTIONS`, or None for the mask.
        title: with the unit.
        largest: that the page offers; for noise and blur the largest published one.
    """

    corruption: str | None
    title: str
    largest: float


SEVERITIES: Final = {
    "noise": Severity("gaussian_noise", "noise, gray levels", 190),
    "blur": Severity("gaussian_blur", "blur, px at 1024", 48),
    "contrast": Severity("contrast_loss", "share of contrast lost", 0.95),
    "masked": Severity(None, "share of radiograph masked", 1),
}
"""Ways to alter a radiograph."""

_PNG: Final = "data:image/png;base64,"
MAX_MASK_CHARACTERS: Final = 2_000_000


@dataclass(frozen=True, eq=False)
class Alteration:
    """How a radiograph is altered; the default is not at all.

    Attributes:
        noise: standard deviation in gray levels of 255.
        blur: half kernel, in pixels of a 1024-pixel image.
        contrast: share of the contrast that is lost, in 0..1.
        mask: ``(row, column)``, true where the radiograph is made black, of any size; None for nowhere.
    """

    noise: float = 0.0
    blur: float = 0.0
    contrast: float = 0.0
    mask: NDArray[np.bool_] | None = None

    @property
    def masked(self) -> float:
        """Share of the radiograph that is masked."""
        return 0.0 if self.mask is None else float(self.mask.mean())

    @property
    def severities(self) -> dict[str, float]:
        """Severity by the keys of `SEVERITIES`."""
        return {"noise": self.noise, "blur": self.blur, "contrast": self.contrast, "masked": self.masked}

    @property
    def is_none(self) -> bool:
        """Whether the radiograph stays as it is."""
        return not any(self.severities.values())

    def apply(self, radiograph: Radiograph, *, seed: int = 0) -> Radiograph:
        """Return the altered radiograph, whose notes say what was done; the same seed gives the same noise.

        Contrast is lost first, then the radiograph is blurred, then noise is added, and what is masked is black.

        Raises:
            ValueError: if a severity is out of range.
        """
        pixels = radiograph.pixels
        for name in ("contrast", "blur", "noise"):
            corruption, severity = SEVERITIES[name].corruption, self.severities[name]
            if corruption is not None and severity != 0:
                pixels = corrupt(pixels, corruption, severity, seed=seed).pixels
        if self.mask is not None and self.mask.any():
            pixels = np.where(_resized(self.mask, radiograph.shape), np.float32(0), pixels)
        done = tuple(f"altered_{name}:{value:.4g}" for name, value in self.severities.items() if value)
        return replace(radiograph, pixels=pixels, notes=radiograph.notes + done)


def read_mask(drawing: str) -> NDArray[np.bool_] | None:
    """Read what was drawn in the browser.

    Args:
        drawing: a PNG as a data URL, opaque where the radiograph is masked; empty for nothing.

    Returns:
        ``(row, column)``, or None if nothing is masked.

    Raises:
        ValueError: if it is no such image or larger than the one drawn on.
    """
    if not drawing:
        return None
    if not drawing.startswith(_PNG) or len(drawing) > MAX_MASK_CHARACTERS:
        raise ValueError("the drawing is not one of this page; reload the page")
    try:
        data = base64.b64decode(drawing[len(_PNG) :], validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if max(image.size) > IMAGE_SIDE:
                raise ValueError("the drawing is larger than its radiograph; reload the page")
            mask = np.asarray(image.convert("RGBA"))[:, :, 3] > 127
    except (binascii.Error, OSError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        # Pillow raises all of these on broken PNGs, and the last one on their size before it can be asked for.
        raise ValueError("the drawing cannot be read; reload the page") from error
    return mask if mask.any() else None


def union(mask: NDArray[np.bool_] | None, cover: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return what one of two masks hides, in rows and columns of the second."""
    if mask is None or cover is None:
        return cover if mask is None else mask
    return cover | _resized(mask, cover.shape)


def _resized(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    image = Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(image, dtype=np.bool_)
