"""The color table of the label mask, for 3D Slicer."""

from __future__ import annotations

from pathlib import Path

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["color_table", "write_color_table"]


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
