"""The raw files of the JSRT data set (``.IMG``): 2048 x 2048 big-endian 16-bit numbers without a header."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from monai_chexmask_u.files.kinds import Kind, wrong_kind
from monai_chexmask_u.files.regular_file import open_source
from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = ["read_jsrt"]

SIDE: Final = 2048
SPACING_MM: Final = 0.175
MAX_VALUE: Final = 4095


def read_jsrt(path: Path) -> Radiograph:
    """Read a raw JSRT image.

    High values are dark film, so they are inverted; then they are stretched over most of what the image holds.

    Raises:
        RadiographError: ``truncated`` if the size is another, ``not_an_image`` if values exceed 12 bits or
            ``constant_image`` if they are all one.

    References:
        Shiraishi et al., AJR 2000;174:71-74: 2048 x 2048 pixels of 0.175 mm, 12 bits.
    """
    from monai_chexmask_u.dicom.reading.pixels import stretched  # keeps pydicom out of `--help`

    with open_source(path, limit=SIDE * SIDE * 2) as source:
        if source.size != SIDE * SIDE * 2:
            message = f"a raw JSRT image has {SIDE * SIDE * 2} bytes, and this file has {source.size}; fetch it again"
            raise RadiographError("truncated", message)
        values = np.frombuffer(source.stream.read(), dtype=">u2").reshape(SIDE, SIDE).astype(np.int32)
    if values.max() > MAX_VALUE:
        raise wrong_kind(Kind.JSRT)
    if values.min() == values.max():
        raise RadiographError("constant_image", "all pixels of the image have one value; fetch it again")
    density = MAX_VALUE - values
    notes = ("photometric_inverted", "intensity_stretched", "orientation_assumed", "spacing_from_imager")
    spacing = (SPACING_MM, SPACING_MM)
    pixels = stretched(density, density)
    return Radiograph(pixels, path, spacing_mm=spacing, view="PA", notes=notes, sha256=source.sha256)
