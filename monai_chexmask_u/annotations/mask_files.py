"""The files that masks come in: images, volumes as 3D Slicer and MONAI write them, DICOM segmentations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["LABELS", "MASK_SUFFIXES", "masks_of_labels", "read_masks"]

Masks = dict[Organ, NDArray[np.bool_]]

LABELS: Final[Mapping[int, Organ]] = {organ.label: organ for organ in ORGANS}
_IMAGES: Final = (".png", ".tif", ".tiff", ".bmp")
_VOLUMES: Final = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
_DICOM: Final = (".dcm",)
MASK_SUFFIXES: Final = (*_IMAGES, *_VOLUMES, *_DICOM)


def read_masks(path: Path, radiograph: Radiograph, *, labels: Mapping[int, Organ] | None = None) -> Masks:
    """Read the mask of a radiograph.

    A image is taken pixel by pixel and must have the image's size. A volume (NRRD, NIfTI, MetaImage) says where its
    pixels lie in space, and is laid on the image where 3D Slicer shows it (`slicer_plane`); one that says nothing, at
    the origin with pixels of 1 mm, and has the image's size, is taken pixel by pixel. A segmentation of 3D Slicer
    (``.seg.nrrd``) and a DICOM segmentation name their organs.

    Args:
        path: of the mask; its suffix tells the format.
        radiograph: the image that was segmented.
        labels: which organ each value is, where the file does not name it; 1 right lung, 2 left lung and 3 heart by
            default. 0 is background.

    Returns:
        Masks ``(row, column)`` of the image as stored, of the organs that have a pixel.

    Raises:
        ValueError: if the file is broken, of another image, has unknown labels or nothing in it; it names the file.
        ImportError: if the file needs SimpleITK and that is not installed.
    """
    suffix = next((each for each in MASK_SUFFIXES if path.name.lower().endswith(each)), None)
    labels = LABELS if labels is None else labels
    if suffix in _DICOM:
        from monai_chexmask_u.dicom.seg.masks import read_segmentation

        found = read_segmentation(path, radiograph)
    elif suffix in _VOLUMES:
        from monai_chexmask_u.annotations.mask_volumes import read_volume

        found = read_volume(path, slicer_plane(radiograph), radiograph.shape, labels)
    elif suffix in _IMAGES:
        found = masks_of_labels(_image(path, radiograph.shape), labels, path.name)
    else:
        lossy = " (JPEG changes labels)" if path.suffix.lower() in (".jpg", ".jpeg") else ""
        raise ValueError(f"{path.name}: masks come as {', '.join(MASK_SUFFIXES)}{lossy}")
    found = {organ: mask for organ, mask in found.items() if mask.any()}
    if not found:
        raise ValueError(f"{path.name}: there is nothing in this mask; draw at least one organ")
    return found


def masks_of_labels(values: NDArray[np.integer], labels: Mapping[int, Organ], name: str) -> Masks:
    """Split a label image ``(row, column)``.

    Raises:
        ValueError: if it has a value that is neither 0 nor in `labels`.
    """
    unknown = sorted(set(np.unique(values).tolist()) - {0, *labels})
    if unknown:
        known = ", ".join(f"{value} {organ.title.lower()}" for value, organ in sorted(labels.items()))
        raise ValueError(f"{name}: value {unknown[0]} is no label; known are 0 background, {known}")
    return {organ: values == value for value, organ in labels.items()}


def _image(path: Path, shape: tuple[int, int]) -> NDArray[np.integer]:
    try:
        with Image.open(path, formats=("PNG", "TIFF", "BMP")) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16"):
                raise ValueError(f"{path.name}: a mask has one channel of labels, this image is {image.mode}")
            if getattr(image, "n_frames", 1) > 1:
                raise ValueError(f"{path.name}: holds several images; save the mask as a single one")
            size = (image.height, image.width)
            values = np.asarray(image) if size == shape else np.empty((0, 0), np.uint8)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        cause = getattr(error, "strerror", None) or "it is broken"  # Pillow's own text quotes the whole path
        raise ValueError(f"{path.name}: cannot be read as a image ({cause})") from error
    if size != shape:
        raise ValueError(f"{path.name}: the mask has {size[0]}x{size[1]} pixels, the image {shape[0]}x{shape[1]}")
    return values.astype(np.int64)
