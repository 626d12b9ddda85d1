"""Who made an object: this program; and the equipment that took the image it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from highdicom import ContributingEquipment
from pydicom import dcmread
from pydicom.dataset import Dataset

from monai_chexmask_u import __version__
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.files.regular_file import open_source
from monai_chexmask_u.radiograph import RadiographError

__all__ = [
    "CONTENT_CREATOR",
    "EQUIPMENT",
    "MANUFACTURER",
    "MODEL_NAME",
    "add_acquisition_equipment",
    "is_own_object",
]

MANUFACTURER: Final = "monai-chexmask-u project"
MODEL_NAME: Final = "monai-chexmask-u"

CONTENT_CREATOR: Final = f"{MODEL_NAME}^{__version__}"  # in the form of a person's name, as the attribute wants it

# Arguments that every highdicom object takes; software has no serial number, but the attribute must have a value.
EQUIPMENT: Final = {
    "manufacturer": MANUFACTURER,
    "manufacturer_model_name": MODEL_NAME,
    "software_versions": __version__,
    "device_serial_number": "0",
}

_ACQUISITION_EQUIPMENT: Final = "109101"
_MOST_BYTES: Final = 2**20  # of what comes before the equipment


def add_acquisition_equipment(dataset: Dataset, header: Dataset) -> None:
    """Add the equipment of the source image to the contributing equipment of an object, unless it is there already.

    Some of highdicom's objects name it, others do not.

    Args:
        dataset: the object.
        header: of its source image, safe to copy from.

    References:
        DICOM PS3.3, C.12.1 SOP Common, Contributing Equipment Sequence
    """
    items: list[Dataset] = list(dataset.get("ContributingEquipmentSequence") or [])
    purposes = {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in items}
    if header.get("Manufacturer") and _ACQUISITION_EQUIPMENT not in purposes:
        dataset.ContributingEquipmentSequence = [ContributingEquipment.for_image_acquisition(header), *items]


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
