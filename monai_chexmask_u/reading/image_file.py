"""Read a radiograph from an image file: PNG, JPEG or TIFF."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from monai_chexmask_u.dicom.reading.header import MAX_PIXELS, check_size
from monai_chexmask_u.files.kinds import IMAGE_STARTS, Kind, wrong_kind
from monai_chexmask_u.files.regular_file import SourceFile, open_source
from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = ["read_image_file"]

# Mean difference between the largest and the smallest of red, green and blue that still counts as gray, of 255.
# JPEG at quality 20 makes 11 of a radiograph's faint tint of 6; a color photograph has several tens.
MAX_TINT: Final = 12

# The largest image in 32 bits, and a quarter as much beside it.
MAX_IMAGE_BYTES: Final = 5 * MAX_PIXELS

# What each EXIF orientation says of the stored image: mirrored, upside down. The other four are turned by 90 degrees.
EXIF_FLIPS: Final = {1: (False, False), 2: (True, False), 3: (True, True), 4: (False, True)}
WHITE_IS_ZERO: Final = 0
PHOTOMETRIC_TAG: Final = 262


def read_image_file(path: Path) -> Radiograph:
    """Read a frontal chest radiograph from PNG, JPEG or TIFF; bone must be white in it.

    8-bit values are taken as they are, others are stretched over most of what the image holds, because their range
    is not known. A resolution in dots per inch is that of a print and is not used.

    Raises:
        RadiographError: if it is none, is broken, in color, blank, too large or too small; `code` tells why.
    """
    with open_source(path, limit=MAX_IMAGE_BYTES) as source:
        pixels, mirrored, upside_down, notes = _decoded(source)
    pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    notes = [*notes, *_turned(mirrored, upside_down), "view_unknown", "spacing_unknown"]
    return Radiograph(
        pixels, path, mirrored=mirrored, upside_down=upside_down, notes=tuple(notes), sha256=source.sha256
    )


def _decoded(source: SourceFile) -> tuple[NDArray[Any], bool, bool, list[str]]:
    """Return the gray levels of an image, whether it is stored mirrored and upside down, and notes."""
    starts_well = source.stream.read(4).startswith(IMAGE_STARTS)
    source.stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow on size, which is checked here, and on broken metadata
            with Image.open(source.stream, formats=("PNG", "JPEG", "TIFF")) as image:
                mirrored, upside_down = _check(image)
                if source.is_oversized:  # refused last: a file of many images is refused for these
                    raise RadiographError("too_large", f"the file holds more than {MAX_IMAGE_BYTES} bytes; reduce it")
                image.load()
                pixels, notes = _gray(image)
                if image.format == "TIFF":  # Pillow turned it already; nothing may be flipped here
                    pixels = pixels[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
                return pixels, mirrored, upside_down, notes
    except RadiographError:
        raise
    except Image.DecompressionBombError as error:
        limit = f"{MAX_PIXELS // 1_000_000} megapixels"
        raise RadiographError("too_large", f"the image has more than {limit}; reduce it") from error
    except Exception as error:  # Pillow's plugins raise nearly anything on broken data
        if isinstance(error, UnidentifiedImageError) and not starts_well:
            raise wrong_kind(Kind.IMAGE) from error
        raise RadiographError("truncated", "the image ends early or is broken; fetch it again") from error


def _check(image: Image.Image) -> tuple[bool, bool]:
    """Refuse by what an image's header says; return whether it is stored mirrored and upside down."""
    check_size(image.height, image.width)
    if getattr(image, "n_frames", 1) > 1:
        raise RadiographError("multi_frame", "the file holds several images; give a single radiograph")
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation in range(5, 9):
        message = "the image is stored turned by 90 degrees (EXIF orientation); save it upright"
        raise RadiographError("unsupported_orientation", message)
    return EXIF_FLIPS.get(orientation, (False, False))


def _turned(mirrored: bool, upside_down: bool) -> list[str]:
    """Return notes on how an image is stored; without a hint from EXIF the usual orientation is assumed."""
    flags = (("mirrored", mirrored), ("upside_down", upside_down))
    return [note for note, flag in flags if flag] or ["orientation_assumed"]


def _constant() -> RadiographError:
    return RadiographError("constant_image", "all pixels of the image have one value; fetch it again")


def _gray(image: Image.Image) -> tuple[NDArray[Any], list[str]]:
    """Return gray levels in 0..1 and notes."""
    if image.mode.startswith(("I", "F")):
        return _stretched(image)
    values, notes = _eight_bit(image)
    if values.min() == values.max():
        raise _constant()
    return values.astype(np.float32) / np.float32(255), notes


def _eight_bit(image: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    """Return 8-bit gray values of an image whose channels are equal; what is transparent stays as it is."""
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L")), []
    channels = np.asarray(image.convert("RGB"))
    tint = channels.max(axis=2) - channels.min(axis=2)
    if tint.mean() > MAX_TINT:
        raise RadiographError("color", "the image is in color; give the original gray radiograph")
    return np.asarray(image.convert("RGB").convert("L")), ["color_ignored"] if tint.any() else []


def _stretched(image: Image.Image) -> tuple[NDArray[Any], list[str]]:
    """Return the values of a 16-bit, 32-bit or floating-point image stretched between two percentiles."""
    from monai_chexmask_u.dicom.reading.pixels import stretched  # keeps pydicom out of `--help`

    values = np.asarray(image)
    finite = np.isfinite(values)
    valid = values[finite]
    if not valid.size or valid.min() == valid.max():
        raise _constant()
    gray = stretched(np.where(finite, values, valid.min()), valid)
    tags = getattr(image, "tag_v2", {})  # Pillow inverts 8 bits of such a TIFF, but not 16
    if tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO:
        return 1 - gray, ["intensity_stretched", "photometric_inverted"]
    return gray, ["intensity_stretched"]
