"""Radiographs without labels, as a MONAI data list."""

from __future__ import annotations

import logging
from pathlib import Path

from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.writers.naming import output_names

__all__ = ["radiograph_datalist"]

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
    usable = []
    for path in list_inputs([Path(folder)]):
        try:
            read_radiograph(path)
            usable.append(path)
        except (RadiographError, OSError) as error:
            logger.warning("%s is left out: %s [%s]", path, error, getattr(error, "code", "not_readable"))
    if not usable:
        raise RadiographError("no_input", f"{folder}: no usable radiograph found (DICOM, PNG, JPEG or TIFF)")
    return [{"image": str(path), "name": name} for path, name in zip(usable, output_names(usable), strict=True)]
