"""Read a radiograph from any supported file, and find such files in folders.

A file is known by its content, not by its name: a DICOM file called ``.png`` is read as DICOM.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from monai_chexmask_u.dicom.reading.header import MAX_PIXELS, check_size, looks_like_dicom
from monai_chexmask_u.files.faults import cause_of
from monai_chexmask_u.files.folder_tree import files_below
from monai_chexmask_u.files.naming import RESULT_SUFFIXES
from monai_chexmask_u.files.source_file import SourceFile, open_source, read_head
from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.reading.jsrt import JSRT_SUFFIX, is_jsrt, read_jsrt

__all__ = [
    "is_candidate",
    "is_candidate_head",
    "is_candidate_name",
    "list_inputs",
    "read_image_file",
    "read_radiograph",
]

IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom"})
IMAGE_STARTS: Final = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# What this project writes beside its inputs: a second run over a folder must not segment the first one's results.
OUTPUT_SUFFIXES: Final = tuple(each for each in RESULT_SUFFIXES.values() if each.endswith((".png", ".dcm")))

# Mean difference between the largest and the smallest of red, green and blue that still counts as gray, of 255.
# JPEG at quality 20 makes 11 of a radiograph's faint tint of 6; a color photograph has several tens.
MAX_TINT: Final = 12

# The largest image in 32 bits, and a quarter as much beside it.
MAX_IMAGE_BYTES: Final = 5 * MAX_PIXELS

# What each EXIF orientation says of the stored image: mirrored, upside down. The other four are turned by 90 degrees.
EXIF_FLIPS: Final = {1: (False, False), 2: (True, False), 3: (True, True), 4: (False, True)}
WHITE_IS_ZERO: Final = 0
PHOTOMETRIC_TAG: Final = 262


def read_radiograph(path: Path | str) -> Radiograph:
    """Read a frontal chest radiograph from DICOM, PNG, JPEG, TIFF or a raw file of the JSRT data set.

    Raises:
        RadiographError: if the file is none of these, is broken, or must not be used; `code` tells why.
    """
    path = Path(path)
    head = read_head(path)
    is_image_file = head.startswith(IMAGE_STARTS) and head[128:132] != b"DICM"  # DICOM may start with a TIFF header
    if is_image_file or (path.suffix.lower() in IMAGE_SUFFIXES and not looks_like_dicom(head)):
        return read_image_file(path)
    if looks_like_dicom(head) or path.suffix.lower() in DICOM_SUFFIXES:
        from monai_chexmask_u.dicom.reading.read import read_dicom  # keeps pydicom out of `--help`

        return read_dicom(path)
    if is_jsrt(path):
        return read_jsrt(path)
    raise RadiographError("not_an_image", "this is neither DICOM nor PNG, JPEG or TIFF; give one of these")


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
    """Return the gray levels of a image, whether it is stored mirrored and upside down, and notes."""
    starts_well = source.stream.read(4).startswith(IMAGE_STARTS)
    source.stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow on size, which is checked here, and on broken metadata
            with Image.open(source.stream, formats=("PNG", "JPEG", "TIFF")) as image:
                mirrored, upside_down = _check(image)
                if source.is_oversized:  # told last: a file of many images is refused for these
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
            raise RadiographError("not_an_image", "this is no PNG, JPEG or TIFF image; give one of these") from error
        raise RadiographError("truncated", "the image ends early or is broken; fetch it again") from error


def is_candidate(path: Path) -> bool:
    """Return whether a file in a folder may be a radiograph, by its suffix or else by its first bytes."""
    return path.is_file() and _is_candidate_file(path)


def _is_candidate_file(path: Path) -> bool:
    by_name = is_candidate_name(path.name)
    if by_name is not None:
        return by_name
    try:
        return is_candidate_head(path.name, read_head(path))
    except RadiographError:
        return False


def is_candidate_name(name: str) -> bool | None:
    """Return whether a file in a folder may be a radiograph, by its name alone; None if that cannot tell."""
    if name.startswith(".") or name.upper() == "DICOMDIR" or name.lower().endswith(OUTPUT_SUFFIXES):
        return False
    suffix = PurePath(name).suffix.lower()
    return True if suffix in IMAGE_SUFFIXES | DICOM_SUFFIXES or suffix == JSRT_SUFFIX else None


def is_candidate_head(name: str, head: bytes) -> bool:
    """Return whether a file may be a radiograph whose name does not tell, by its first 132 bytes."""
    # DICOM files are often named by their UID, whose last component is no suffix. Others, such as .IMA, need the magic
    # bytes: without them too much else starts like DICOM.
    suffix = PurePath(name).suffix
    is_named = bool(suffix) and not suffix[1:].isdigit()
    return head[128:132] == b"DICM" if is_named else looks_like_dicom(head)


def list_inputs(
    paths: Iterable[Path], *, on_problem: Callable[[Path, RadiographError], None] | None = None
) -> list[Path]:
    """Return the files to read: files as given, folders searched through all their subfolders in sorted order.

    Hidden files and folders are left out, and so are outboxes of results and what `is_candidate` refuses. No file is
    listed twice. Links to folders are followed, each folder once.

    Args:
        paths: files and folders.
        on_problem: is told of each folder that cannot be listed, and the others go on; by default its error is raised.

    Raises:
        RadiographError: ``not_found`` if a path does not exist (its name is in the message, as there may be several),
            ``not_readable`` if a folder may not be listed.
    """
    found: dict[str, Path] = {}
    for path in paths:
        try:
            if path.is_dir():
                below = files_below(path, wanted=_is_candidate_file, on_problem=on_problem or _raise)
                for file, real in below:
                    found.setdefault(real, file)
            elif path.exists():
                found.setdefault(os.path.realpath(path), path)
            else:
                raise RadiographError("not_found", f"there is no file or folder {path}; check its name")
        except OSError as error:  # above it is a folder that may not be entered, or its name is too long
            message = f"{path} cannot be read ({cause_of(error)}); check its permissions and its name"
            (on_problem or _raise)(path, RadiographError("not_readable", message))
    return list(found.values())


def _raise(path: Path, error: RadiographError) -> None:
    raise error


def _check(image: Image.Image) -> tuple[bool, bool]:
    """Refuse by what a image's header says; return whether it is stored mirrored and upside down."""
    check_size(image.height, image.width)
    if getattr(image, "n_frames", 1) > 1:
        raise RadiographError("multi_frame", "the file holds several images; give a single radiograph")
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation in range(5, 9):
        message = "the image is stored turned by 90 degrees (EXIF orientation); save it upright"
        raise RadiographError("unsupported_orientation", message)
    return EXIF_FLIPS.get(orientation, (False, False))


def _turned(mirrored: bool, upside_down: bool) -> list[str]:
    """Return notes on how a image is stored; without a hint from EXIF the usual orientation is assumed."""
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
    """Return 8-bit gray values of a image whose channels are equal; what is transparent stays as it is."""
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
