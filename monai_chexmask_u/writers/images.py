"""Image files: the overlay, and the label mask with its table of colors for 3D Slicer."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.own_files import png_mark

__all__ = ["color_table", "write_color_table", "write_mask", "write_overlay"]


def write_overlay(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the radiograph with contours, nodes, color bar and verdict as PNG."""
    image = segmentation.with_radiograph(radiograph).overlay
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=png_mark())


def write_mask(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the label mask as PNG of the radiograph's size: 0 background, 1 right lung, 2 left lung, 3 heart."""
    with atomic_path(path) as temporary:
        Image.fromarray(segmentation.label_mask()).save(temporary, format="PNG", pnginfo=png_mark())


def color_table() -> str:
    """Return the names and colors of the mask's labels as a Slicer color table: label, name, red, green, blue, alpha.

    Slicer shows the underscores of a name as spaces. The background is clear.

    Example:
        >>> print(color_table().splitlines()[-1])
        3 Heart 230 159 0 255
    """
    rows = [
        " ".join(map(str, (organ.label, organ.title.replace(" ", "_"), *organ.color, 255)))
        for organ in sorted(ORGANS, key=lambda organ: organ.label)
    ]
    return "\n".join(["# Color table: labels of lungs and heart", "0 Background 0 0 0 0", *rows]) + "\n"


def write_color_table(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the table beside a mask; it is the same for all images."""
    with atomic_path(path) as temporary:
        temporary.write_text(color_table(), encoding="ascii")
