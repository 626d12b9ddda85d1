"""Where 3D Slicer puts a radiograph in space, from whatever file it came."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from PIL import Image

from monai_chexmask_u.geometry import ImagePlane
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["plane_of_image", "slicer_plane"]

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296  # TIFF 6.0
# Millimeters in the units of JFIF's density and of TIFF's resolution.
JPEG_UNITS: Final = {1: 25.4, 2: 10.0}
TIFF_UNITS: Final = {2: 25.4, 3: 10.0}


def slicer_plane(radiograph: Radiograph) -> ImagePlane:
    """Return where 3D Slicer puts the stored pixels of a radiograph.

    An image file is looked up at the radiograph's path once more; where there is none, a pixel is 1 mm wide and high.
    """
    if radiograph.header is not None:
        from monai_chexmask_u.dicom.slicer_geometry import dicom_plane

        return dicom_plane(radiograph.header)
    return plane_of_image(radiograph.path)


def plane_of_image(path: Path) -> ImagePlane:
    """Return where 3D Slicer puts an image file: pixels have the size of the print that the file names, or 1 mm.

    This is what ITK's readers do: JPEG by its JFIF header and TIFF by its resolution, both only if they are in inches
    or centimeters and neither number is zero; PNG never. Nothing says that a print had the size of the patient.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG", "TIFF")) as image:
            sizes = _print_sizes(image)
    except Exception:  # raw radiographs, uploads that are gone; Pillow raises nearly anything on broken data
        sizes = None
    return ImagePlane() if sizes is None else ImagePlane.of_spacing(*sizes)


def _print_sizes(image: Image.Image) -> tuple[float, float] | None:
    """Return width and height of a pixel in mm, or None."""
    horizontal: Any
    vertical: Any
    if image.format == "JPEG":
        unit = JPEG_UNITS.get(image.info.get("jfif_unit", 0))
        horizontal, vertical = image.info.get("jfif_density", (0, 0))
    else:
        tags = getattr(image, "tag_v2", {})
        unit = TIFF_UNITS.get(tags.get(RESOLUTION_UNIT, 0))
        horizontal, vertical = tags.get(X_RESOLUTION, 0), tags.get(Y_RESOLUTION, 0)
    if unit is None or not (float(horizontal) > 0 and float(vertical) > 0):
        return None
    return unit / float(horizontal), unit / float(vertical)
