"""Whether a DICOM file was written by this program."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread

from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.source import MANUFACTURER, MODEL_NAME
from monai_chexmask_u.files.source_file import open_source
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["is_own_object"]

_MOST_BYTES = 2**20  # of what comes before the equipment


@no_warnings()
def is_own_object(path: Path) -> bool:
    """Tell whether a DICOM file names this program as its equipment (PS3.3, C.7.5.1)."""
    try:
        with open_source(path, limit=_MOST_BYTES) as source:
            header = dcmread(
                source.stream, stop_before_pixels=True, specific_tags=["Manufacturer", "ManufacturerModelName"]
            )
        named = (str(header.get("Manufacturer")), str(header.get("ManufacturerModelName")))
    except RadiographError:
        return False
    except Exception:  # a broken file makes pydicom raise nearly anything
        return False
    return named == (MANUFACTURER, MODEL_NAME)
