"""What a user of the page does to a film: noise, blur, less contrast, and a masked region."""

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

__all__ = ["MAX_MASK_CHARACTERS", "PICTURE_SIDE", "SEVERITIES", "Alteration", "Severity", "read_mask", "union"]

PICTURE_SIDE: Final = 1024
"""Longer side in pixels of the picture that the page shows and that is drawn on."""


@dataclass(frozen=True)
class Severity:
    """How much a film is altered in one way.

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
    "masked": Severity(None, "share of film masked", 1),
}
"""Ways to alter a film."""

_PNG: Final = "data:image/png;base64,"
MAX_MASK_CHARACTERS: Final = 2_000_000


@dataclass(frozen=True, eq=False)
class Alteration:
    """How a film is altered; the default is not at all.

    Attributes:
        noise: standard deviation in grey levels of 255.
        blur: half kernel, in pixels of a 1024-pixel image.
        contrast: share of the contrast that is lost, in 0..1.
        mask: ``(row, column)``, true where the film is made black, of any size; None for nowhere.
    """

    noise: float = 0.0
    blur: float = 0.0
    contrast: float = 0.0
    mask: NDArray[np.bool_] | None = None

    @property
    def masked(self) -> float:
        """Share of the film that is masked."""
        return 0.0 if self.mask is None else float(self.mask.mean())

    @property
    def severities(self) -> dict[str, float]:
        """Severity by the keys of `SEVERITIES`."""
        return {"noise": self.noise, "blur": self.blur, "contrast": self.contrast, "masked": self.masked}

    @property
    def is_none(self) -> bool:
        """Whether the film stays as it is."""
        return not any(self.severities.values())

    def apply(self, radiograph: Radiograph, *, seed: int = 0) -> Radiograph:
        """Return the altered film, whose notes say what was done; the same seed gives the same noise.

        Contrast is lost first, then the film is blurred, then noise is added, and what is masked is black.

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
        drawing: a PNG as a data URL, opaque where the film is masked; empty for nothing.

    Returns:
        ``(row, column)``, or None if nothing is masked.

    Raises:
        ValueError: if it is no such picture or larger than the one drawn on.
    """
    if not drawing:
        return None
    if not drawing.startswith(_PNG) or len(drawing) > MAX_MASK_CHARACTERS:
        raise ValueError("the drawing is not one of this page; reload the page")
    try:
        data = base64.b64decode(drawing[len(_PNG) :], validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if max(picture.size) > PICTURE_SIDE:
                raise ValueError("the drawing is larger than its film; reload the page")
            mask = np.asarray(picture.convert("RGBA"))[:, :, 3] > 127
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
    picture = Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(picture, dtype=np.bool_)
