"""Radiographs without labels, as a MONAI data list."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.writers.naming import output_names

__all__ = ["dicom_datalist", "radiograph_datalist"]

logger = logging.getLogger(__name__)


def radiograph_datalist(folder: str | Path) -> list[dict[str, str]]:
    """List the usable radiographs below a folder; others are logged with their reason and left out.

    A MONAI data loader stops at the first item that fails, so each file is read once here.

    Args:
        folder: searched with its subfolders; a single file is fine too.

    Returns:
        One item per image: ``image`` (its path) and ``name`` (unique, for output files).

    Raises:
        RadiographError: if the folder does not exist or holds no usable radiograph.
    """
    usable = [radiograph.path for radiograph in _usable(folder)]
    if not usable:
        raise RadiographError("no_input", f"{folder}: no usable radiograph found (DICOM, PNG, JPEG or TIFF)")
    return _items(usable)


def dicom_datalist(folder: str | Path) -> list[dict[str, str]]:
    """List the usable DICOM radiographs of studies, each image once however many copies there are.

    Args:
        folder: searched with its subfolders.

    Returns:
        As `radiograph_datalist`.

    Raises:
        RadiographError: if the folder does not exist or holds no usable DICOM radiograph.
    """
    from monai_chexmask_u.dicom.same_image import ImageRegister  # pictures need no pydicom

    register, usable = ImageRegister(), []
    for radiograph in _usable(folder):
        if radiograph.header is None:
            continue
        try:
            register.add(radiograph)
            usable.append(radiograph.path)
        except RadiographError as error:
            logger.warning("%s is left out: %s [%s]", radiograph.path, error, error.code)
    if not usable:
        raise RadiographError("no_input", f"{folder}: no usable DICOM radiograph found; pictures need inference.json")
    return _items(usable)


def _usable(folder: str | Path) -> Iterator[Radiograph]:
    for path in list_inputs([Path(folder)]):
        try:
            yield read_radiograph(path)
        except (RadiographError, OSError) as error:
            logger.warning("%s is left out: %s [%s]", path, error, getattr(error, "code", "not_readable"))


def _items(paths: list[Path]) -> list[dict[str, str]]:
    return [{"image": str(path), "name": name} for path, name in zip(paths, output_names(paths), strict=True)]
