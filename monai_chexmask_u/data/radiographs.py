"""Radiographs without labels, as a MONAI data list."""

from __future__ import annotations

import logging
from pathlib import Path

from monai_chexmask_u.files.naming import output_names
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph

__all__ = ["dicom_datalist", "radiograph_datalist"]

logger = logging.getLogger(__name__)


def radiograph_datalist(folder: str | Path) -> list[dict[str, str]]:
    """List the usable radiographs below a folder; others are logged with their reason and left out.

    A MONAI data loader stops at the first item that fails, so each file is read once here. Copies of a DICOM image are
    left out, and all of several images that differ, but have one SOP Instance UID.

    Args:
        folder: searched with its subfolders; a single file is fine too.

    Returns:
        One item per image: ``image`` (its path) and ``name`` (unique, for output files).

    Raises:
        RadiographError: if the folder does not exist or holds no usable radiograph.
    """
    usable = _usable(folder)
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
    usable = _usable(folder, dicom_only=True)
    if not usable:
        raise RadiographError("no_input", f"{folder}: no usable DICOM radiograph found; images need inference.json")
    return _items(usable)


def _usable(folder: str | Path, *, dicom_only: bool = False) -> list[Path]:
    """Return the files to take, each image once."""
    from monai_chexmask_u.dicom.same_image import ImageKey, ImageRegister, image_key  # keeps pydicom out of `--help`

    register, keys = ImageRegister(), dict[Path, ImageKey | None]()
    for path in list_inputs([Path(folder)], on_problem=_leave_out):
        try:
            key = image_key(read_radiograph(path))
        except (RadiographError, OSError) as error:
            _leave_out(path, error)
            continue
        if key is not None or not dicom_only:
            register.note(key)
            keys[path] = key
    taken = []
    for path, key in keys.items():
        try:
            register.check(key)
            taken.append(path)
        except RadiographError as error:
            _leave_out(path, error)
    return taken


def _leave_out(path: Path, error: Exception) -> None:
    logger.warning("%s is left out: %s [%s]", path, error, getattr(error, "code", "not_readable"))


def _items(paths: list[Path]) -> list[dict[str, str]]:
    return [{"image": str(path), "name": name} for path, name in zip(paths, output_names(paths), strict=True)]
