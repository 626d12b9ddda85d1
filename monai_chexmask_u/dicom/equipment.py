"""The equipment that took the source image, named in every object that is made from it."""

from __future__ import annotations

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset

__all__ = ["add_acquisition_equipment"]

ACQUISITION_EQUIPMENT = "109101"


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
    if header.get("Manufacturer") and ACQUISITION_EQUIPMENT not in purposes:
        dataset.ContributingEquipmentSequence = [ContributingEquipment.for_image_acquisition(header), *items]
