"""The label mask as a image."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.own_files import png_mark

__all__ = ["write_mask"]


def write_mask(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write a PNG of the image's size: 0 background, 1 right lung, 2 left lung, 3 heart."""
    with atomic_path(path) as temporary:
        Image.fromarray(segmentation.label_mask()).save(temporary, format="PNG", pnginfo=png_mark())
