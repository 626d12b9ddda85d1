"""Where 3D Slicer puts a DICOM radiograph in space, so that markups lie on the image that it shows.

Slicer reads through ITK and GDCM. They take one attribute per kind of object for the size of a pixel, whatever else the
header says: not this project's choice (`dicom.spacing`), which may be calibrated or corrected for magnification.
What they make of damaged values was found by experiment; `tests/annotations/slicer/test_slicer_geometry.py` repeats it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from monai_chexmask_u.dicom.reading.attributes import meta_text, text
from monai_chexmask_u.dicom.reading.header import SECONDARY_CAPTURE
from monai_chexmask_u.geometry import ImagePlane

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["dicom_plane"]

# What a C++ stream takes for one number; it stops at the first character that cannot belong to it.
NUMBER: Final = re.compile(r"\s*([+-]?\d*\.?\d*(?:[eE][+-]?\d*)?)")
LARGEST_DOT_PRODUCT: Final = 1e-3  # of the directions of rows and columns, beyond which they are not believed


def dicom_plane(header: Dataset) -> ImagePlane:
    """Return where 3D Slicer puts the stored pixels of a CR, DX or secondary capture image.

    Pixels have the size of ImagerPixelSpacing in CR and DX. In a secondary capture it is PixelSpacing, or where that is
    absent NominalScannedPixelSpacing. What is missing, zero or no number counts as 1 mm. A direction or position of
    the patient is rare in radiographs, but is used.

    Args:
        header: a data set with its file meta information, as read from the file.
    """
    row_mm, column_mm = _spacing(header)
    along_row, along_column = _directions(header)
    x, y, z = _stream_numbers(_stored_text(header, "ImagePositionPatient"), 3)
    return ImagePlane((x, y, z), _scaled(along_row, column_mm), _scaled(along_column, row_mm))


def _spacing(header: Dataset) -> tuple[float, float]:
    """Return height and width of a pixel; a negative one turns the axis around."""
    if (meta_text(header, "MediaStorageSOPClassUID") or text(header, "SOPClassUID")) == SECONDARY_CAPTURE:
        keyword = "PixelSpacing" if "PixelSpacing" in header else "NominalScannedPixelSpacing"
    else:
        keyword = "ImagerPixelSpacing"
    stored = _stored_text(header, keyword)
    if "\\" not in stored:  # one number is taken twice
        height = width = _stream_numbers(stored, 1)[0]
    else:
        height, width = _stream_numbers(stored, 2)
    return _usable(height), _usable(width)


def _usable(size: float) -> float:
    return size if size != 0 and math.isfinite(size) else 1.0


def _directions(header: Dataset) -> tuple[Sequence[float], Sequence[float]]:
    """Return unit vectors along rows and along columns; the axes unless the stored ones are at right angles."""
    axes = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    values = np.array(_stream_numbers(_stored_text(header, "ImageOrientationPatient"), 6)).reshape(2, 3)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        return axes
    along_row, along_column = values / lengths
    if abs(along_row @ along_column) > LARGEST_DOT_PRODUCT:
        return axes
    # ITK makes the angle a right one by turning the direction of rows.
    normal = np.cross(along_row, along_column)
    return np.cross(along_column, normal / np.linalg.norm(normal)).tolist(), along_column.tolist()


def _scaled(direction: Sequence[float], size: float) -> tuple[float, float, float]:
    x, y, z = direction
    return size * x, size * y, size * z


def _stored_text(header: Dataset, keyword: str) -> str:
    """Return the text of an element as it stands in the file, its values parted by backslashes; empty if absent."""
    if keyword not in header:
        return ""
    element = header.get_item(keyword)
    value = None if element is None else element.value
    if value is None:
        return ""
    if isinstance(value, bytes):  # not yet converted, or beyond conversion
        return value.decode("latin-1")
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return "\\".join("" if item is None else str(item) for item in values)


def _stream_numbers(stored: str, count: int) -> list[float]:
    r"""Return numbers as a C++ stream reads them: any one character parts them, after the first failure all are zero.

    Example:
        >>> _stream_numbers("0.1\\0,2", 3), _stream_numbers("none", 2)
        ([0.1, 0.0, 2.0], [0.0, 0.0])
    """
    found: list[float] = []
    place = 0
    while len(found) < count:
        match = NUMBER.match(stored, place)
        try:
            found.append(float(match.group(1) if match else ""))
        except ValueError:
            break
        rest = stored[match.end() if match else place :]
        place = len(stored) - len(rest.lstrip()) + 1
    return found + [0.0] * (count - len(found))
